"""``llmrec evaluate``."""

from __future__ import annotations

from tests.commandline import Llmrec, one_sentence


def test_evaluate_gives_a_row_per_way_to_recommend(filled: Llmrec) -> None:
    found = filled("evaluate", "--users", "10", "--json").json
    assert found["users"] == 1  # of ann and bob only bob took two items
    assert [row["name"] for row in found["rows"]][:5] == [
        "recommend",
        "dense alone",
        "tfidf alone",
        "collab alone",
        "most popular",
    ]
    assert all(0 <= row["ndcg"] <= row["hr"] <= 1 for row in found["rows"])
    shown = filled("evaluate", "--split", "last", "--hide", "1").out
    assert "held-out items of 1 user," in shown and "fewer than 20 users: this is too few to tell" in shown
    assert "NDCG" in shown and "diversity" in shown and "…" not in shown


def test_evaluate_refuses_what_cannot_be_hidden(filled: Llmrec) -> None:
    assert "must be a whole number of items, at least 1, not 0.5" in one_sentence(filled("evaluate", "--hide", "0.5"))
    assert "between 0 and 1, not 2" in one_sentence(filled("evaluate", "--split", "time", "--hide", "2"))
    for odd in ("nan", "inf", "0", "-1"):
        assert f"at least 1, not {odd}" in one_sentence(filled("evaluate", "--hide", odd))
    assert "hold out less" in one_sentence(filled("evaluate", "--hide", "50"))


def test_evaluate_says_what_is_missing(llmrec: Llmrec) -> None:
    assert "no user who took two items" in one_sentence(llmrec("evaluate"))
