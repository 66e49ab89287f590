"""The options that all lists of items share, and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmrec_qdrant.contracts.answers import Explain, Seen
from llmrec_qdrant.contracts.checks import several
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.weights import multiplicities

__all__ = ["MAX_LIMIT", "ListOptions", "check_limit", "check_page", "check_seen", "left_out"]

MAX_LIMIT = 1_000
"""Items in one list."""


@dataclass(frozen=True)
class ListOptions:
    """Options of one list; see :meth:`Recommender.recommend`.

    Raises :class:`InvalidInput` for a value out of range. The filter is checked later, against the fields of the space.
    """

    limit: int = 10
    filter: FilterLike | None = None
    exclude: Sequence[str] = ()
    diversity: float = 0.0
    weights: Mapping[Leg, float] | None = None
    explain: Explain = False
    interests: Literal["auto"] | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        check_page(self.offset, self.limit)
        diversity: object = self.diversity
        if not isinstance(diversity, int | float) or not 0 <= diversity <= 1:
            raise InvalidInput(f"diversity must lie between 0 and 1, not {show(diversity)}")
        object.__setattr__(self, "exclude", several(self.exclude, "exclude"))
        interests: object = self.interests
        if interests is not None and not (isinstance(interests, str) and interests == "auto"):
            raise InvalidInput(f"interests must be 'auto' or None, not {show(interests)}")
        explain: object = self.explain
        if not isinstance(explain, bool | np.bool_) and not (isinstance(explain, str) and explain == "evidence"):
            raise InvalidInput(f"explain must be True, False or 'evidence', not {show(explain)}")
        if self.weights is not None:
            multiplicities(self.weights)


def check_limit(limit: int, name: str = "limit") -> int:
    """Return ``limit`` if it is a whole number from 1 to 1,000; ``name`` is that of the argument.

    Raises :class:`InvalidInput` otherwise.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"{name} must be a whole number from 1 to {MAX_LIMIT}, not {show(limit)}")
    return limit


def check_page(offset: int, limit: int) -> None:
    """Check that a page is a whole number of items within the first 1,000 of a list.

    Raises :class:`InvalidInput` otherwise.
    """
    check_limit(limit)
    if type(offset) is not int or offset < 0:
        raise InvalidInput(f"offset must be a whole number of at least 0, not {show(offset)}")
    if offset + limit > MAX_LIMIT:
        raise InvalidInput(
            f"a list has {MAX_LIMIT:,} items at most, and offset {offset} plus limit {limit} is more: ask for an earlier or "
            "shorter page"
        )


def check_seen(exclude_seen: Seen) -> Seen:
    """Return ``exclude_seen`` if it is True, False or ``"but_last"``.

    Raises :class:`InvalidInput` otherwise.
    """
    value: object = exclude_seen
    if isinstance(value, bool | np.bool_) or (isinstance(value, str) and value == "but_last"):
        return exclude_seen
    raise InvalidInput(f"exclude_seen must be True, False or 'but_last', not {show(value)}")


def left_out(seen: Sequence[str], last: str | None, exclude_seen: Seen) -> list[str]:
    """Return the seen items that a list leaves out; ``last`` is the item of the latest event.

    >>> left_out(["ink", "printer"], "ink", "but_last")
    ['printer']
    """
    if not exclude_seen:
        return []
    return [item for item in seen if exclude_seen != "but_last" or item != last]
