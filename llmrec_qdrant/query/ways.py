"""Picks from the evidence of an item what a sentence may name: the items and words that carry the score. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmrec_qdrant.contracts.evidence import EventEvidence, Evidence, LegEvidence
from llmrec_qdrant.query.reasons import CLOSE, MAX_NAMED, MAX_WORDS, NAMED_EVENT, NAMED_SHARE, tells
from llmrec_qdrant.query.templates import Way, WayKind
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF

__all__ = ["confirmed", "narrowed", "taken", "telling", "ways", "without_item"]

MIN_WORDS = 2
"""Shared words that are a reason."""
MAX_WAYS = 2
"""Ways that one sentence names."""
_KINDS: Mapping[str, WayKind] = {DENSE: "close", TFIDF: "words", COLLAB: "followed"}


def taken(told: Evidence) -> dict[str, str]:
    """Return id → title of the user's items that carry most of the score, strongest first.

    They are counted over all legs that carry a fifth of the positive contributions, and named from a tenth of these legs.
    """
    legs = _strong(told)
    whole = sum(leg.contribution for leg in legs)
    total: dict[str, float] = {}
    titles: dict[str, str] = {}
    for event in (event for leg in legs for event in leg.events):
        if event.item is not None and event.title:
            total[event.item] = total.get(event.item, 0.0) + event.contribution
            titles[event.item] = event.title
    strong = [item for item in sorted(total, key=lambda item: -total[item]) if total[item] >= NAMED_EVENT * whole > 0]
    return {item: titles[item] for item in strong[:MAX_NAMED]}


def ways(told: Evidence, leading: Mapping[str, str]) -> tuple[Way, ...]:
    """Return the ways in which the item was found, greatest contribution first.

    A way has no items of its own where exactly the ``leading`` ones, which the sentence names first, carry it.
    """
    positive = _positive(told)
    found = [way for leg in _strong(told) if (way := _way(leg, leading)) is not None]
    boosts = [
        Way("boosted", words=(part.label,))
        for part in told.adjustments
        if part.kind == "boost" and part.label and part.contribution >= NAMED_SHARE * positive
    ]
    return (*found, *boosts)


def without_item(told: Evidence, item: str) -> Evidence:
    """Return the evidence without the item itself: that it was taken before is no reason for it."""
    legs = [
        leg.model_copy(update={"events": [event for event in leg.events if event.item != item]}) for leg in told.legs
    ]
    return told.model_copy(update={"legs": legs})


def _positive(told: Evidence) -> float:
    values = [leg.contribution for leg in told.legs] + [part.contribution for part in told.adjustments]
    return sum(value for value in values if value > 0)


def _strong(told: Evidence) -> list[LegEvidence]:
    """Return the legs that carry enough of the score to be named."""
    least = NAMED_SHARE * _positive(told)
    return [leg for leg in told.legs if leg.contribution > 0 and leg.contribution >= least]


def _way(leg: LegEvidence, leading: Mapping[str, str]) -> Way | None:
    """Return a leg as a way; None if it is too weak, or nothing of the user can be named for it."""
    strong = [event for event in leg.events if event.contribution >= NAMED_EVENT * leg.contribution]
    items = _items(strong, leading)
    words = _words(leg)
    if (leg.leg == TFIDF and not words) or (leg.leg == DENSE and leg.score < CLOSE):
        return None
    if items:
        own = {} if list(items) == list(leading) else items
        return Way(_KINDS[leg.leg], tuple(own), tuple(own.values()), words)
    if any(event.item is None for event in strong):
        return Way(_KINDS[leg.leg], words=words, of="texts")
    return Way(_KINDS[leg.leg], words=words, of="history") if leg.leg == TFIDF else None


def _items(strong: Sequence[EventEvidence], leading: Mapping[str, str]) -> dict[str, str]:
    """Return the items that carry a leg: the leading ones, in their order, or else the strongest of its own."""
    titled = {event.item: event.title for event in strong if event.item is not None and event.title}
    return {item: title for item, title in leading.items() if item in titled} or dict(list(titled.items())[:1])


def _words(leg: LegEvidence) -> tuple[str, ...]:
    """Return the shared words that carry the leg and say something: no years, no numbers."""
    least = NAMED_EVENT * leg.contribution
    telling = (word.word for word in leg.words if word.contribution >= least and tells(word.word))
    return tuple(telling)[:MAX_WORDS]


def confirmed(way: Way, leading: Mapping[str, str], words_of: Mapping[str, Sequence[str]]) -> Way:
    """Return a way of shared words with those that its items have; of the whole history where they have none.

    The words carry the leg together with all items of the user; ``words_of`` holds those of each item that is named.
    """
    if way.kind != "words" or way.of != "items":
        return way
    named = {word for item in way.items or leading for word in words_of.get(item, ())}
    words = tuple(word for word in way.words if word in named)
    return replace(way, words=words) if words else Way("words", words=way.words, of="history")


def telling(found: Sequence[Way], about: Sequence[str]) -> tuple[Way, ...]:
    """Return the strongest ways, without that of a single shared word, unless it is a word of the interest: it is often "film" or "ended"."""
    known = {word.casefold() for word in about}
    kept = (
        way
        for way in found
        if way.kind != "words" or len(way.words) >= MIN_WORDS or known & {word.casefold() for word in way.words}
    )
    return tuple(kept)[:MAX_WAYS]


def narrowed(leading: Mapping[str, str], found: Sequence[Way]) -> tuple[dict[str, str], tuple[Way, ...]]:
    """Return the leading items that a way names, and the ways with items of their own only where these differ from all of them."""
    named = {item for way in found if way.of == "items" for item in (way.items or leading) if way.kind != "boosted"}
    kept = {item: title for item, title in leading.items() if item in named}
    return kept, tuple(
        replace(way, items=(), titles=()) if list(way.items) == list(kept) else _own(way, leading, kept)
        for way in found
    )


def _own(way: Way, leading: Mapping[str, str], kept: Mapping[str, str]) -> Way:
    """Return a way that named all leading items by naming none, now that fewer lead."""
    if way.items or way.of != "items" or way.kind == "boosted" or list(leading) == list(kept):
        return way
    return replace(way, items=tuple(leading), titles=tuple(leading.values()))
