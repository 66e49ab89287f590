"""The commands about events."""

from __future__ import annotations

from typing import Any

import pytest


def test_events_are_undone_by_id_user_and_item(filled: Any) -> None:
    assert "nothing deleted" in filled("events", "delete", "--user", "bob", stdin="n\n").err
    assert filled("events", "delete", "--user", "bob", "--yes").out == "2 events deleted\n"
    assert filled("events", "delete", "nosuch", "--yes").out == "no such events: nothing deleted\n"
    assert filled("events", "delete", "--user", "bob", "--yes", "--json").json == {"deleted": 0}


def test_deleting_everything_by_accident_is_refused(filled: Any) -> None:
    ran = filled("events", "delete", "--yes")
    assert ran.code == 1 and "name the events to delete: event ids, --user or --item" in ran.err


@pytest.mark.parametrize("selection", [["--user", "ann", "--item", "m1"], ["--item", "m1"]])
def test_the_confirmation_says_what_will_be_deleted(filled: Any, selection: list[str]) -> None:
    asked = filled("events", "delete", *selection, stdin="n\n").err
    assert "about item 'm1'" in asked and ("of user 'ann'" in asked) == ("ann" in selection)


def test_events_of_a_user_are_listed_newest_first(filled: Any) -> None:
    listed = filled("events", "list", "bob", "--json").json
    assert [(event["item"], event["type"], event["ts"]) for event in listed] == [
        ("m2", "view", "2023-11-14T22:16:40Z"), ("m1", "view", "2023-11-14T22:13:20Z"),
    ]  # fmt: skip
    shown = filled("events", "list", "ann", "-n", "1").out
    assert "astronaut on Mars" in shown and "like" not in shown
    assert filled("events", "list", "nosuch").out == "there are no events of nosuch\n"


def test_an_id_can_be_copied_from_the_list(filled: Any) -> None:
    event = filled("events", "list", "ann", "-n", "1", "--json").json[0]
    shown = filled("events", "list", "ann", "-n", "1").out.split()
    assert event["id"] in shown, shown
    assert filled("events", "delete", event["id"], "--yes").out == "1 event deleted\n"
