"""Reasons: codes with data, and the sentences in English and Chinese."""

from __future__ import annotations

import pytest

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, LegEvidence, WordEvidence
from llmrec_qdrant.query.reasons import Origin, reasons_of, sentence


def leg(
    name: str, adds: float, events: dict[str | None, float] | None = None, words: dict[str, float] | None = None, score: float = 0.5
) -> LegEvidence:  # fmt: skip
    return LegEvidence(
        leg=name,
        contribution=adds,
        share=0.0,
        score=score,
        rank=1,
        candidates=10,
        times=1,
        events=[
            EventEvidence(item=item, title=f"Film {item}" if item else "", contribution=value)
            for item, value in (events or {}).items()
        ],
        words=[WordEvidence(word=word, contribution=value) for word, value in (words or {}).items()],
    )


def said(*legs: LegEvidence, shared: list[str] | None = None, origin: Origin = "history") -> tuple[str, str]:
    reasons = reasons_of(legs, [], shared or [], origin)
    return sentence(reasons, "en"), sentence(reasons, "zh")


def test_legs_on_the_same_items_are_said_together() -> None:
    same = {"a": 0.4, "b": 0.2}
    assert said(leg("collab", 0.6, same), leg("dense", 0.6, same)) == (
        "because you took *Film a* and *Film b*: others took this next, close in meaning",
        "因为您选过《Film a》和《Film b》：选过的人接着选了这个，意思相近",
    )


def test_legs_on_other_items_name_their_own() -> None:
    english, chinese = said(leg("collab", 0.7, {"a": 0.7}), leg("dense", 0.3, {"b": 0.3}))
    assert english == "because you took *Film a*: others took this next; because you took *Film b*: close in meaning"
    assert chinese == "因为您选过《Film a》：选过的人接着选了这个；因为您选过《Film b》：意思相近"


@pytest.mark.parametrize(("adds", "codes"), [(0.26, ["followed", "close"]), (0.24, ["followed"])])
def test_a_leg_is_named_from_a_fifth_of_the_positive_contributions(adds: float, codes: list[str]) -> None:
    """.26 of 1.26 is a fifth, .24 of 1.24 is less; what is subtracted makes no share larger."""
    legs = [leg("collab", 1.0, {"a": 1.0}), leg("dense", adds, {"a": adds}), leg("tfidf", -0.5, words={"alien": -0.5})]
    reasons = reasons_of(legs, [])
    assert [reason.code for reason in reasons] == codes
    assert reasons[0].share == pytest.approx(1 / (1 + adds))


def test_an_unrelated_item_is_not_called_close_in_meaning() -> None:
    assert said(leg("dense", 1.0, {"a": 1.0}, score=0.09)) == ("", "")
    assert said(leg("dense", 1.0, {"a": 1.0}, score=0.1))[0] == "because you took *Film a*: close in meaning"


def test_an_item_with_a_tenth_of_the_leg_is_named_and_one_with_less_is_not() -> None:
    (reason,) = reasons_of([leg("collab", 1.0, {"a": 0.8, "b": 0.1, "c": 0.1})], [])
    assert (reason.items, reason.titles) == (["a", "b"], ["Film a", "Film b"])
    (reason,) = reasons_of([leg("collab", 1.0, {"a": 0.91, "b": 0.09})], [])
    assert reason.items == ["a"]


def test_a_leg_of_many_light_items_or_of_a_trained_model_rests_on_the_history() -> None:
    english, chinese = said(leg("dense", 1.0))
    assert english == "close in meaning to what you took" and chinese == "与您选过的内容意思相近"


def test_texts_are_named_where_they_carry_most() -> None:
    assert said(leg("dense", 1.0, {None: 0.9}))[0] == "close in meaning to what you wrote or searched for"
    words = {"orbit": 0.5, "astronaut": 0.4}
    assert (
        said(leg("tfidf", 1.0, {None: 0.9, "a": 0.1}, words))[1] == "与您写过或搜索过的文字都有这些词：orbit、astronaut"
    )
    assert (
        said(leg("tfidf", 1.0, {None: 0.1, "a": 0.9}, words))[0]
        == "shares the words orbit, astronaut with what you took"
    )


def test_words_that_say_little_are_no_reason() -> None:
    weak = {"film": 0.09, "1998": 0.5, "two": 0.3, "x": 0.2}
    assert said(leg("tfidf", 1.0, words=weak)) == ("", "")
    assert said(leg("tfidf", 1.0, words={"film": 0.3})) == ("", "")  # one word that carries less than half of the leg
    assert said(leg("tfidf", 1.0, words={"alien": 0.6}))[0] == "shares the word alien with what you took"


def test_words_of_a_search_are_named_even_alone() -> None:
    assert (
        said(leg("tfidf", 1.0), shared=["wormhole"], origin="search")[0] == "shares the word wormhole with your search"
    )
    assert said(leg("dense", 1.0), origin="search")[1] == "与您的搜索意思相近"


def test_examples_are_named_and_were_not_taken() -> None:
    legs = [leg("collab", 0.6, {"a": 0.6}), leg("dense", 0.4, {"a": 0.4})]
    assert said(*legs, origin="examples")[0] == "others took this after *Film a*, close in meaning to *Film a*"


@pytest.mark.parametrize(
    ("label", "english", "chinese"),
    [
        ("space", "you asked for more of space", "您想多看space"),
        ("", "in a topic that you asked for more of", "属于您想多看的主题"),
    ],
)
def test_a_boost_is_a_reason(label: str, english: str, chinese: str) -> None:
    boosts = [Adjustment(kind="boost", topic="7", label=label, contribution=1.0)]
    reasons = reasons_of([], boosts)
    assert (sentence(reasons, "en"), sentence(reasons, "zh")) == (english, chinese)
    weak = reasons_of([leg("collab", 1.0, {"a": 1.0})], [boosts[0].model_copy(update={"contribution": 0.2})])
    assert [reason.code for reason in weak] == ["followed"]
