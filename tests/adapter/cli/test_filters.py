"""``--filter`` and ``--weights``, as people write them."""

from __future__ import annotations

import pytest

from tests.commandline import Llmrec, one_sentence


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["year>=2015"], {"m2", "m4"}),
        (["year>2014", "year<2016"], {"m2"}),
        (["lang=zh"], {"m4"}),
        (["lang!=zh", "year=2014"], {"m1", "m3"}),
        (["year=2015,2019"], {"m2", "m4"}),
        (["year=2015", "year=2019"], {"m2", "m4"}),
        (['{"year": {"gte": 2019}}'], {"m4"}),
        (['{"must": [{"key": "lang", "match": {"value": "zh"}}]}'], {"m4"}),
    ],
)
def test_filters(filled: Llmrec, filters: list[str], expected: set[str]) -> None:
    options = [part for one in filters for part in ("--filter", one)]
    listed = filled("recommend", "nobody", *options, "--json").json
    assert {one["id"] for one in listed} == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--filter", "year=="], "'=' is not a number"),
        (["--filter", "=2014"], "field=value"),
        (["--filter", 'lang="zh'], "quotes"),
        (["--filter", "{"], "not valid JSON"),
        (["--filter", "year=soon"], "'soon'"),
        (["--filter", "genre=x"], "llmrec init --field genre"),
        (["--weights", "dense"], "leg=number"),
        (["--weights", "bm25=1"], "'bm25'"),
        (["--limit", "0"], "limit"),
        (["--diversity", "2"], "diversity"),
    ],
)
def test_options_that_cannot_be_read(filled: Llmrec, options: list[str], reason: str) -> None:
    assert reason in one_sentence(filled("recommend", "ann", *options))
