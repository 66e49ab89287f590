"""``llmrec topics fit``."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant.cli.topics import _print_fitted
from tests.commandline import Llmrec, lines, one_sentence
from tests.integration.test_topics import items as three_kinds


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


@pytest.fixture
def grouped(llmrec: Llmrec, tmp_path: Path) -> Llmrec:
    """Two topics; ann likes one of them, dora dislikes it."""
    items = [
        {"id": f"{word}{n}", "title": f"{word} {word}", "text": f"{word} {other}"}
        for word, other in (("rocket", "space"), ("noodle", "kitchen")) for n in range(20)
    ]  # fmt: skip
    events = [
        {"user": user, "item": f"rocket{n}", "type": kind, "ts": 1_700_000_000 + n}
        for user, kind in (("ann", "like"), ("dora", "dislike")) for n in range(3)
    ]  # fmt: skip
    assert llmrec("load", "items", lines(tmp_path / "items.jsonl", items)).code == 0
    assert llmrec("topics", "fit").code == 0
    assert llmrec("load", "events", lines(tmp_path / "events.jsonl", events)).code == 0
    return llmrec


@pytest.mark.parametrize(
    ("user", "why"),
    [("dora", "'dora' has only said what to leave out"), ("nobody", "there are no events of 'nobody' yet")],
)
def test_why_a_user_has_no_interests(grouped: Llmrec, user: str, why: str) -> None:
    for command in ("interests", "shelves"):
        assert grouped(command, user).out == f"{user} has no interests yet: {why}\n"


def test_an_unknown_user_is_steered_only_if_that_is_meant(grouped: Llmrec) -> None:
    muted = grouped("topics", "--json").json[0]
    topic = muted["id"]
    refused = one_sentence(grouped("steer", "anne", topic))
    assert "there is no user 'anne' with events in space 'main'" in refused and "--new" in refused
    assert set(grouped("users").out.split()) == {"ann", "dora"}
    assert grouped("steer", "anne", topic, "--new").code == 0
    listed = grouped("recommend", "anne", "--json").json
    reasons = {item["reason"] for item in listed}
    assert reasons == {"popular: no events of 'anne' are known yet, only muted or boosted topics"}
    assert listed and muted["label"] not in {own for item in listed for own in item["topics"]}


def test_a_steered_topic_is_confirmed(grouped: Llmrec) -> None:
    llmrec = grouped
    listed = llmrec("topics", "--json").json
    own = {interest["topic"] for interest in llmrec("interests", "ann", "--json").json}
    other = next(topic for topic in listed if topic["id"] not in own)
    assert f"topic {other['label']} counts ×3 for ann" in llmrec("steer", "ann", other["id"], "--weight", "3").out
    (muted,) = [topic for topic in listed if topic["id"] in own]
    shown = llmrec("steer", "ann", muted["id"]).out
    assert f"topic {muted['label']} is muted for ann" in shown
    assert shown.count("muted") == 2  # in the table, too


def test_the_items_of_a_topic_are_listed_by_id_and_by_label(grouped: Llmrec) -> None:
    """Ann likes three rocket items, which are the popular ones; a filter and an offset apply within the topic."""
    rockets = next(topic for topic in grouped("topics", "--json").json if "rocket" in topic["label"])
    listed = grouped("topics", "items", rockets["id"], "--limit", "50", "--json").json
    assert {item["id"] for item in listed} == {f"rocket{n}" for n in range(20)}
    assert {item["id"] for item in listed[:3]} == {"rocket0", "rocket1", "rocket2"}
    rest = grouped("topics", "items", rockets["label"], "--limit", "50", "--offset", "3", "--json").json
    assert {item["id"] for item in rest} == {f"rocket{n}" for n in range(3, 20)}
    assert "rocket rocket" in grouped("topics", "items", rockets["id"]).out
    refused = one_sentence(grouped("topics", "items", "no such topic"))
    assert "no topic 'no such topic'" in refused


def test_topics_are_merged_and_split(llmrec: Llmrec, tmp_path: Path) -> None:
    stored = lines(tmp_path / "items.jsonl", [{"id": item.id, "title": item.title} for item in three_kinds()])
    assert llmrec("load", "items", stored).code == 0
    assert llmrec("topics", "fit", "--number", "3").code == 0
    ids = [topic["id"] for topic in llmrec("topics", "--json").json]
    merged = llmrec("topics", "merge", ids[0], ids[1], "--json").json["topics"]
    assert {topic["id"]: topic["size"] for topic in merged} == {ids[0]: 60, ids[2]: 30}
    assert "label" in llmrec("topics", "split", ids[0]).out
    assert sorted(topic["size"] for topic in llmrec("topics", "--json").json) == [30, 30, 30]
    assert llmrec("topics", "merge", ids[0]).code == 1
