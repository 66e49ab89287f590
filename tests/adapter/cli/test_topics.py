"""``llmrec topics fit``."""

from __future__ import annotations

import pytest

from llmrec_qdrant.cli.topics import _print_fitted
from tests.commandline import Llmrec


def test_a_fit_of_too_few_items_says_how_many_it_needs(filled: Llmrec) -> None:
    items = filled("status", "--json").json["items"]
    assert items < 10
    shown = filled("topics", "fit").out
    assert f"no topics: a fit needs at least 10 encoded items, and this space has {items}" in shown


def test_a_fit_of_items_that_form_no_groups_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _print_fitted([], 12)
    assert "no topics: the 12 encoded items do not form groups" in capsys.readouterr().out
