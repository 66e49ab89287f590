"""What a blurb names of the evidence: by hand, from contributions."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant.contracts.evidence import Adjustment, EventEvidence, Evidence, LegEvidence, WordEvidence
from llmrec_qdrant.query.templates import Way
from llmrec_qdrant.query.ways import confirmed, narrowed, taken, telling, ways, without_item


def leg(
    name: str, contribution: float, words: dict[str, float] | None = None, score: float = 1.0, **events: float
) -> LegEvidence:
    return LegEvidence.parse({
        "leg": name, "contribution": contribution, "share": 0.0, "score": score, "rank": 1, "candidates": 1, "times": 1,
        "events": [
            EventEvidence(item=None if item == "text" else item, title="" if item == "text" else item.upper(), contribution=value)
            for item, value in sorted(events.items(), key=lambda pair: -pair[1])
        ],
        "words": [WordEvidence(word=word, contribution=value) for word, value in (words or {}).items()],
    })  # fmt: skip


def told(*legs: LegEvidence, boosts: dict[str, float] | None = None) -> Evidence:
    parts = [Adjustment(kind="boost", label=label, contribution=value) for label, value in (boosts or {}).items()]
    return Evidence(score=0.0, legs=list(legs), adjustments=parts)


def said(evidence: Evidence, about: tuple[str, ...] = ()) -> tuple[dict[str, str], tuple[Way, ...]]:
    leading = taken(evidence)
    return narrowed(leading, telling(ways(evidence, leading), about))


def test_the_items_that_carry_most_of_the_strong_legs_lead() -> None:
    """dense 6 (a 4, b 2) and collab 3 (b 2, c 1) are named, of 10; tfidf 1 is not: b 4, a 4, c 1 of 9, two at most."""
    evidence = told(
        leg("dense", 6.0, a=4.0, b=2.0), leg("collab", 3.0, b=2.0, c=1.0), leg("tfidf", 1.0, {"x": 1.0}, d=1.0)
    )
    assert taken(evidence) == {"a": "A", "b": "B"}
    assert said(evidence)[1] == (Way("close"), Way("followed", ("b",), ("B",)))


def test_an_item_that_no_named_way_rests_on_does_not_lead() -> None:
    """a carries the dense leg, whose cosine is too small to be called close: only c, of the followers, is left."""
    evidence = told(leg("dense", 5.0, score=0.05, a=5.0), leg("collab", 4.0, c=4.0))
    assert taken(evidence) == {"a": "A", "c": "C"}
    assert said(evidence) == ({"c": "C"}, (Way("followed"),))


def test_one_shared_word_is_a_reason_only_with_its_interest() -> None:
    evidence = told(leg("tfidf", 4.0, {"ended": 4.0}, a=4.0), leg("collab", 4.0, b=4.0))
    assert said(evidence) == ({"b": "B"}, (Way("followed"),))
    assert said(evidence, ("Ended",))[1] == (Way("words", ("a",), ("A",), ("ended",)), Way("followed", ("b",), ("B",)))


def test_years_numbers_letters_and_weak_words_are_not_named() -> None:
    words = {"1999": 3.0, "two": 3.0, "x": 3.0, "space": 3.0, "orbit": 1.0, "weak": 0.1}
    assert said(told(leg("tfidf", 4.0, words, a=4.0)))[1] == (Way("words", words=("space", "orbit")),)


def test_texts_and_a_whole_history_are_named_as_such() -> None:
    assert said(told(leg("dense", 4.0, text=4.0))) == ({}, (Way("close", of="texts"),))
    many: dict[str, Any] = {f"i{n}": 0.2 for n in range(20)}
    assert said(told(leg("tfidf", 4.0, {"space": 2.0, "orbit": 2.0}, **many)))[1] == (
        Way("words", words=("space", "orbit"), of="history"),
    )
    assert said(told(leg("collab", 4.0, **many))) == ({}, ())


def test_a_boost_is_a_way_of_a_fifth_of_the_score() -> None:
    assert said(told(leg("dense", 8.0, a=8.0), boosts={"space": 2.0}))[1] == (
        Way("close"),
        Way("boosted", words=("space",)),
    )
    assert said(told(leg("dense", 8.1, a=8.1), boosts={"space": 1.9}))[1] == (Way("close"),)


def test_shared_words_are_those_that_the_named_items_have() -> None:
    way = Way("words", ("a",), ("A",), ("space", "orbit"))
    assert confirmed(way, {}, {"a": ["orbit", "moon"]}).words == ("orbit",)
    assert confirmed(way, {}, {"a": ["moon"]}) == Way("words", words=("space", "orbit"), of="history")
    assert confirmed(Way("words", words=("space",)), {"b": "B"}, {"b": ["space"]}).words == ("space",)


def test_an_item_is_no_reason_for_itself() -> None:
    evidence = without_item(told(leg("dense", 4.0, a=3.0, b=1.0)), "a")
    assert taken(evidence) == {"b": "B"}
