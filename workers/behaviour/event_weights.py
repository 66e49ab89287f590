"""What an event says: how much it weighs, whether it is an opinion, what takes it back, and how it fades with time.

An *opinion* is a statement about an item: of several, the latest counts. Everything else is an *act*, and acts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import GIVEN_BACK, RATED
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

__all__ = [
    "OPINIONS",
    "UNDOES",
    "event_weight",
    "interest_weight",
    "is_opinion",
    "item_point",
    "rating_reference",
    "standing",
]


OPINIONS = frozenset({"like", "dislike", "rating", "review"})
"""Types of events that are opinions; a review without a value is an act."""

UNDOES = {"unlike": "like", "undislike": "dislike"} | dict.fromkeys(sorted(GIVEN_BACK, reverse=True), "purchase")
"""Type of event → the type that it takes back."""

PRIOR_RATINGS = 5
"""Ratings at the middle of the scale that a user's mean begins with."""
MAX_BIAS = 0.25
"""How far the mean that ratings are judged against may lie from the middle, as a share of the scale."""
MIDDLING = 1 / 16
"""Distance from that mean, and from the middle, within which a rating says nothing; as a share of the scale."""


def event_weight(kind: str, value: float | None, config: SpaceConfig) -> float:
    """Return how much an event speaks for its item or, below zero, against it, in the ranking of items.

    The base is the weight of the event's type. A rating scales it: by 0.5 just above the middle of the scale up to 1 at
    the top, and by 0 just below the middle down to -0.5 at the bottom. The factors are asymmetric because even a film
    rated low was chosen. A dislike is negative by its type and ignores the value.

    >>> [event_weight("rating", v, SpaceConfig(rating_scale=(1, 5))) for v in (5, 4, 3, 2, 1)]
    [2.0, 1.5, 1.0, -0.5, -1.0]
    """
    base = config.event_weights.get(kind, 1.0)
    if value is None or kind not in RATED or base <= 0:
        return base
    low, high = config.rating_scale
    middle = (low + high) / 2
    share = (min(max(value, low), high) - middle) / (high - middle)
    return base * (0.5 + 0.5 * share if share >= 0 else 0.5 * share)


def interest_weight(kind: str, value: float | None, reference: float, config: SpaceConfig) -> float:
    """Return how much an event speaks for an interest in its topic or, below zero, against it.

    As :func:`event_weight`, but a rating is judged against the user's own ``reference``: it speaks for its topic if it is
    above that and above the middle of the scale, and against it if below both.

    >>> [round(interest_weight("rating", v, 3.0, SpaceConfig(rating_scale=(1, 5))), 2) for v in (5, 4, 3, 2, 1)]
    [2.0, 1.43, 0.0, -0.43, -1.0]
    """
    base = config.event_weights.get(kind, 1.0)
    if value is None or kind not in RATED or base <= 0:
        return base
    low, high = config.rating_scale
    middle, nothing = (low + high) / 2, MIDDLING * (high - low)
    liked, disliked = max(reference, middle) + nothing, min(reference, middle) - nothing
    value = min(max(value, low), high)
    if value > liked:
        return base * (0.5 + 0.5 * (value - liked) / (high - liked))
    return base * 0.5 * (value - disliked) / (disliked - low) if value < disliked else 0.0


def rating_reference(values: Sequence[float], config: SpaceConfig) -> float:
    """Return the value that a user's ratings are judged against: their mean, drawn towards the middle of the scale.

    The fewer the ratings, the nearer to the middle. It stays within ``MAX_BIAS`` of it: the top of the scale always speaks
    for an item, and the bottom never does.

    >>> config = SpaceConfig(rating_scale=(1, 5))
    >>> [rating_reference(values, config) for values in ([], [5.0], [4.0] * 5, [5.0] * 95)]
    [3.0, 3.3333333333333335, 3.5, 4.0]
    """
    low, high = config.rating_scale
    middle, bias = (low + high) / 2, MAX_BIAS * (high - low)
    mean = (sum(values) + PRIOR_RATINGS * middle) / (len(values) + PRIOR_RATINGS)
    return min(max(mean, middle - bias), middle + bias)


def is_opinion(kind: str, value: float | None) -> bool:
    """Whether an event is an opinion about its item; only the latest of a user counts."""
    return kind in OPINIONS and not (kind == "review" and value is None)


def standing(
    kinds: Sequence[str], values: Sequence[float | None], weights: Sequence[float], moments: Sequence[float]
) -> list[bool]:
    """Tell which events of one user about one item stand; the events may come in any order.

    - Of several opinions, the latest stands. At the same moment, the less favourable counts as later.
    - A negative opinion silences all acts about the item: what users say outranks what they click.
    - ``UNDOES``: an undone opinion is as if never said; a return or refund takes back the last purchase before it.

    >>> standing(["rating", "rating", "view"], [5, 1, None], [2, -1, 1], [0, 1, 2])
    [False, True, False]
    """
    opinions: list[int] = []
    last: dict[str, int] = {}
    silent: set[int] = set()
    for place in sorted(range(len(kinds)), key=lambda k: (moments[k], kinds[k] in UNDOES, -weights[k], kinds[k])):
        kind = kinds[place]
        undone = UNDOES.get(kind)
        if undone is not None:
            silent |= {j for j in opinions if kinds[j] == undone}
            silent |= {last[undone]} if undone in last else set()
            silent |= {place} if not weights[place] else set()
            opinions = [j for j in opinions if kinds[j] != undone]
        elif is_opinion(kind, values[place]):
            opinions.append(place)
        else:
            last[kind] = place
    silent.update(opinions[:-1])
    if opinions and weights[opinions[-1]] < 0:
        silent.update(place for place, weight in enumerate(weights) if weight > 0)
    return [place not in silent for place in range(len(kinds))]


def item_point(event: Point) -> str:
    """Return the point id of a stored event's item."""
    return _item_point(event.payload[Key.ITEM_ID], event.get(Key.TENANT) or None)


@lru_cache(maxsize=100_000)
def _item_point(item: str, tenant: str | None) -> str:
    """Return the point id of an item: a refresh asks for those of its events several times."""
    return point_id("item", item, tenant)
