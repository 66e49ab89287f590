"""``delete`` and ``forget``."""

from __future__ import annotations

import pytest

from llmrec_qdrant import Recommender
from llmrec_qdrant.space.layout import COLLECTION_KINDS
from tests.commandline import Llmrec, one_sentence


def test_delete_and_forget(filled: Llmrec) -> None:
    assert filled("delete", "m3", "nope", "--yes", "--json").json == {"deleted": 1}
    asked = filled("forget", "ann", stdin="n\n")
    assert asked.code == 1
    assert filled("status", "--json").json["events"] == 4
    assert filled("forget", "ann", "--yes", "--json").json == {"events": 2}
    assert "2 events" in filled("forget", "bob", stdin="y\n").out
    found = filled("status", "--json").json
    assert (found["users"], found["events"], found["items"]) == (0, 0, 3)


def test_forgetting_nobody_says_so(filled: Llmrec) -> None:
    ran = filled("forget", "nosuch", "--yes")
    assert (ran.code, ran.out) == (0, "no such user: nothing deleted\n")
    assert "nothing deleted" in filled("forget", "bob", stdin="n\n").err
    assert filled("forget", "bob", "--yes").out == "bob deleted, with 2 events and 0 texts\n"


def test_a_user_known_by_searches_alone_is_forgotten_and_said_to_be(filled: Llmrec) -> None:
    assert filled("search", "space", "--user", "zoe").code == 0
    assert filled("forget", "zoe", "--yes").out == "zoe deleted, with 0 events and 1 text\n"
    assert filled("forget", "zoe", "--yes").out == "no such user: nothing deleted\n"


def test_what_cannot_be_an_id_is_refused_before_the_question(filled: Llmrec) -> None:
    assert "an id must not be empty" in one_sentence(filled("forget", ""))


def test_items_that_are_not_there_are_not_said_to_be_deleted(filled: Llmrec) -> None:
    assert filled("delete", "nope", "--yes").out == "no such item: nothing deleted\n"
    assert filled("delete", "m3", "nope", "m3", "--yes").out == "1 item deleted; not in the space: 1\n"


def test_forgetting_is_proved_by_reading_every_point(filled: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filled("search", "space", "--user", "ann").code == 0
    ran = filled("forget", "ann", "--yes", "--verify", "--json")
    collections = {f"{kind}{'' if kind in {'events', 'jobs'} else '_v1'}" for kind in COLLECTION_KINDS}
    assert {name.partition("_")[2]: number for name, number in ran.json["traces"].items()} == dict.fromkeys(
        collections, 0
    )
    assert (
        "looked through 6 collections: no point of nosuch is left"
        in filled("forget", "nosuch", "--yes", "--verify").out
    )
    monkeypatch.setattr(Recommender, "forget_user", lambda self, user: 0)
    ran = filled("forget", "bob", "--yes", "--verify")
    assert ran.code == 1 and "_events: 2 points of bob" in ran.out and "3 points of bob left" in ran.out


def test_nothing_is_deleted_without_a_yes(filled: Llmrec) -> None:
    for command in (("delete", "m3"), ("forget", "ann"), ("events", "delete", "--user", "ann")):
        ran = filled(*command)
        assert (ran.code, ran.out.strip()) == (1, "") and "interrupted" not in ran.err
        assert "nothing deleted: pass --yes to confirm without a terminal" in ran.err
    assert "delete 'm3'?" in filled("delete", "m3", stdin="n\n").err
    status = filled("status", "--json").json
    assert (status["items"], status["users"], status["events"]) == (4, 2, 4)
    assert filled("delete", "m3", stdin="y\n").out.strip() == "1 item deleted"
