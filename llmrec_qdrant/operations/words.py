"""Says what a user cares about and why an item is for them: a written text if its evidence still holds, else the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_qdrant.contracts.answers import Interest, Language, Words
from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.errors import InvalidInput, NotFound, show
from llmrec_qdrant.operations import calls, kept_texts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.explain import KEYS, evidence_alone
from llmrec_qdrant.operations.interests import current_interests
from llmrec_qdrant.operations.kept_texts import Place
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.users import StoredUser, read_user
from llmrec_qdrant.query import templates
from llmrec_qdrant.query.templates import BlurbEvidence, Evidence, PortraitEvidence, Strand, Way
from llmrec_qdrant.query.ways import confirmed, narrowed, taken, telling, ways, without_item
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key

__all__ = ["blurb", "blurb_evidence", "checked_language", "place_of", "portrait", "portrait_evidence"]

MAX_STRANDS = 4
"""Interests in a portrait."""
MAX_TITLES = 2
"""Items that a text names per interest."""
MAX_KEYWORDS = 8
"""Keywords per interest in the evidence."""


def portrait(bound: Bound, user: str, language: Language | None) -> Steps[Words]:
    """Return what a user cares about in two sentences, in ``language`` or in that of the user's items."""
    language = checked_language(language)
    evidence = yield from portrait_evidence(bound, external_id(user))
    chosen = language or templates.language_of([title for strand in evidence.strands for title in strand.titles])
    template = templates.portrait(evidence, chosen)
    items = [item for strand in evidence.strands for item in strand.items]
    return (yield from _said(bound, external_id(user), evidence, chosen, template, items))


def blurb(bound: Bound, user: str, item: str, language: Language | None) -> Steps[Words]:
    """Return why an item is for a user in a sentence, in ``language`` or in that of the item's title.

    Raises :class:`NotFound` for an unknown item.
    """
    language = checked_language(language)
    evidence = yield from blurb_evidence(bound, external_id(user), external_id(item))
    chosen = language or templates.language_of([evidence.title])
    template = templates.blurb(evidence, chosen)
    return (yield from _said(bound, external_id(user), evidence, chosen, template, list(evidence.known)))


def checked_language(language: object) -> Any:
    """Return a language, or None for that of the items. Raises :class:`InvalidInput` for any other."""
    if language is not None and (not isinstance(language, str) or language not in {"en", "zh"}):
        raise InvalidInput(f"language must be 'en' or 'zh', or None for that of the items, not {show(language)}")
    return language


# --- evidence -------------------------------------------------------------------------------------


def portrait_evidence(bound: Bound, user: str) -> Steps[PortraitEvidence]:
    """Return the strongest interests of a user, without muted ones."""
    interests = yield from _followed(bound, (yield from read_user(bound, user)))
    return PortraitEvidence(tuple(_strand(interest) for interest in interests[:MAX_STRANDS]))


def blurb_evidence(bound: Bound, user: str, item: str) -> Steps[BlurbEvidence]:
    """Return what speaks for an item: what carries its score in :func:`explain.explain`, and the strongest interest it belongs to.

    Raises :class:`NotFound` for an unknown item.
    """
    about = bound.item_point(item)
    points = yield from calls.retrieve(bound.space.items, [about], [Key.TITLE, Key.TOPIC_IDS])
    if not points:
        raise NotFound(f"space {bound.space.name!r} has no item {show(item)}")
    stored = yield from read_user(bound, user, KEYS)
    told = without_item((yield from evidence_alone(bound, user, stored, item)), item)
    leading = taken(told)
    found = yield from _confirmed(bound, leading, ways(told, leading))
    interests = yield from _followed(bound, stored)
    topics = points[0].get(Key.TOPIC_IDS, [])
    strand = next((_strand(interest, named=False) for interest in interests if interest.topic in topics), None)
    about_it = [*strand.label.replace(" · ", " ").split(), *strand.keywords] if strand else []
    leading, found = narrowed(leading, telling(found, about_it))
    return BlurbEvidence(item, points[0].get(Key.TITLE, ""), strand, tuple(leading), tuple(leading.values()), found)


def _confirmed(bound: Bound, leading: Mapping[str, str], found: Sequence[Way]) -> Steps[tuple[Way, ...]]:
    """Keep only shared words that the named items have."""
    named = list(dict.fromkeys(item for way in found if way.kind == "words" for item in way.items or leading))
    points = yield from calls.retrieve(
        bound.space.items, [bound.item_point(item) for item in named], [Key.ITEM_ID, Key.TERMS]
    )
    words_of = {point.payload[Key.ITEM_ID]: point.get(Key.TERMS, []) for point in points}
    return tuple(confirmed(way, leading, words_of) for way in found)


def _followed(bound: Bound, stored: StoredUser) -> Steps[list[Interest]]:
    interests = yield from current_interests(bound, stored)
    return sorted((one for one in interests if one.steer > 0), key=lambda one: -one.weight * one.steer)


def _strand(interest: Interest, named: bool = True) -> Strand:
    """Return an interest; with the items that are evidence of it, if ``named``."""
    titled = [item for item in interest.items if interest.titles.get(item)][:MAX_TITLES] if named else []
    return Strand(
        interest.label,
        interest.trend,
        tuple(interest.keywords[:MAX_KEYWORDS]),
        tuple(titled),
        tuple(interest.titles[item] for item in titled),
    )


# --- written texts --------------------------------------------------------------------------------


def place_of(bound: Bound, user: str, evidence: Evidence, language: Language) -> Place:
    """Return where a written text of this evidence is kept."""
    about = evidence.item if isinstance(evidence, BlurbEvidence) else ""
    point = point_id("words", f"{user}\x1f{about}\x1f{language}", bound.tenant)
    return Place(point, templates.digest_of(evidence, language), user, bound.owner)


def _said(
    bound: Bound, user: str, evidence: Evidence, language: Language, template: str, items: list[str]
) -> Steps[Words]:
    place = place_of(bound, user, evidence, language)
    written = (yield from kept_texts.read(bound, [place])).get(place.point)
    return Words(text=written or template, by="llm" if written else "template", language=language, items=items)
