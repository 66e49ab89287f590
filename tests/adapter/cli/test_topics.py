"""``llmrec topics fit``."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant.cli.topics import _print_fitted
from tests.commandline import Llmrec, lines


def test_a_fit_of_too_few_items_says_how_many_it_needs(filled: Llmrec) -> None:
    items = filled("status", "--json").json["items"]
    assert items < 10
    shown = filled("topics", "fit").out
    assert f"no topics: a fit needs at least 10 encoded items, and this space has {items}" in shown


def test_a_fit_of_items_that_form_no_groups_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _print_fitted([], 12)
    assert "no topics: the 12 encoded items do not form groups" in capsys.readouterr().out


def test_without_topics_shelves_and_interests_say_what_they_take(filled: Llmrec) -> None:
    expected = "ann has no interests yet: topics take at least 10 encoded items, and this space has 4\n"
    assert filled("interests", "ann").out == expected
    assert filled("shelves", "ann").out == expected


def test_a_steered_topic_is_confirmed(llmrec: Llmrec, tmp_path: Path) -> None:
    items = [
        {"id": f"{word}{n}", "title": f"{word} {word}", "text": f"{word} {other}"}
        for word, other in (("rocket", "space"), ("noodle", "kitchen")) for n in range(20)
    ]  # fmt: skip
    events = [{"user": "ann", "item": f"rocket{n}", "type": "like", "ts": 1_700_000_000 + n} for n in range(3)]
    assert llmrec("load", "items", lines(tmp_path / "items.jsonl", items)).code == 0
    assert llmrec("topics", "fit").code == 0
    assert llmrec("load", "events", lines(tmp_path / "events.jsonl", events)).code == 0
    listed = llmrec("topics", "--json").json
    own = {interest["topic"] for interest in llmrec("interests", "ann", "--json").json}
    other = next(topic for topic in listed if topic["id"] not in own)
    assert f"topic {other['label']} counts ×3 for ann" in llmrec("steer", "ann", other["id"], "--weight", "3").out
    (muted,) = [topic for topic in listed if topic["id"] in own]
    shown = llmrec("steer", "ann", muted["id"]).out
    assert f"topic {muted['label']} is muted for ann" in shown
    assert shown.count("muted") == 2  # in the table, too
