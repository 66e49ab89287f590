"""``items`` and ``users``."""

from __future__ import annotations

import pytest

from tests.commandline import Llmrec


def test_a_price_is_changed_and_shown(filled: Llmrec) -> None:
    changed = filled("items", "update", "m1", "price=9.5", "year=2015", "lang=fr").out
    assert changed == 'm1: price is now 9.5, year is now 2015, lang is now "fr"\n'
    assert filled("items", "update", "m1", "price=9.5").out == "m1 has these values already\n"
    (item,) = filled("items", "show", "m1", "--json").json
    assert item["title"] == "Interstellar" and item["text"] == "astronauts cross a wormhole"
    assert item["payload"] == {"year": 2015, "lang": "fr", "price": 9.5}
    assert filled("status", "--json").json["items_stale"] == 0
    shown = filled("items", "show", "m1").out
    assert "astronauts cross a wormhole" in shown and "9.5" in shown


def test_lists_and_words_are_read_and_null_removes(filled: Llmrec) -> None:
    filled("items", "update", "m1", 'tags=["a", "b"]', "note=two words", "lang=null", "year=2014")
    (item,) = filled("items", "show", "m1", "--json").json
    assert item["payload"] == {"year": 2014, "tags": ["a", "b"], "note": "two words"}
    changed = filled("items", "update", "m1", 'tags=sale, "red, blue",7', "note=a,b", "year=null").out
    assert changed == 'm1: tags is now ["sale", "red, blue", 7], note is now "a,b", year is removed\n'
    (item,) = filled("items", "show", "m1", "--json").json
    assert item["payload"] == {"tags": ["sale", "red, blue", 7], "note": "a,b"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "m1", "nope"), "there is no item 'nope'"),
        (("update", "nope", "price=1"), "error: there is no item 'nope' in space 'main': check the id\n"),
        (("update", "m1", "price"), "FIELD=VALUE"),
        (("update", "m1", "=5"), "FIELD=VALUE"),
        (
            ("update", "m1", "year=soon"),
            "error: Item: 'year': the space indexes it as integer, and 'soon' is not a whole",
        ),
        (("update", "m1", "tenant=x"), "reserved"),
        (("update", "m1", "title=x"), "`llmrec load items`"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(filled: Llmrec, arguments: tuple[str, ...], sentence: str) -> None:
    ran = filled("items", *arguments)
    assert ran.code == 1 and sentence in ran.err


def test_users_are_listed(filled: Llmrec) -> None:
    assert sorted(filled("users").out.split()) == ["ann", "bob"]
    assert sorted(filled("users", "--json").json) == ["ann", "bob"]
