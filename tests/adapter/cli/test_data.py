"""``delete`` and ``forget``."""

from __future__ import annotations

from tests.commandline import Llmrec


def test_delete_and_forget(filled: Llmrec) -> None:
    assert filled("delete", "m3", "nope", "--json").json == {"deleted": 1}
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
    assert filled("forget", "bob", "--yes").out == "bob deleted, with 2 events\n"
