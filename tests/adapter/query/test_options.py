"""Options of lists: what is refused, and how."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.query.options import ListOptions, check_limit, left_out


@pytest.mark.parametrize("limit", [1, 10, 1_000])
def test_a_limit_is_a_whole_number_from_1_to_1000(limit: int) -> None:
    assert check_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, 1_001, 10**30, True, 1.0, "10", None, math.nan, [1]], ids=repr)
def test_any_other_limit_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_limit(limit)
    assert str(caught.value) == f"limit must be a whole number from 1 to 1000, not {limit!r}"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"diversity": 1.5}, "diversity must lie between 0 and 1, not 1.5"),
        ({"diversity": "much"}, "diversity must lie between 0 and 1, not 'much'"),
        ({"exclude": "tt1"}, "exclude must be a list of ids, not 'tt1'"),
        ({"exclude": 7}, "exclude must be a list of ids, not 7"),
        ({"interests": "all"}, "interests must be 'auto' or None, not 'all'"),
        ({"limit": 0}, "limit must be a whole number from 1 to 1000, not 0"),
        (
            {"weights": {"dense": -1}},
            "weights must be a number of zero or more per leg (dense, tfidf, collab), and at least one above zero, "
            "not {'dense': -1}",
        ),
    ],
)
def test_an_impossible_option_is_refused_where_it_is_set(option: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ListOptions(**option)
    assert str(caught.value) == sentence


def test_what_a_list_leaves_out() -> None:
    seen = ["b", "a", "c"]
    assert left_out(seen, "a", True) == seen
    assert left_out(seen, "a", False) == []
    assert left_out(seen, "a", "but_last") == ["b", "c"]
    assert left_out(seen, None, "but_last") == seen
