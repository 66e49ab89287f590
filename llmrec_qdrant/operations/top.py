"""Lists the most popular items, or the first by a field."""

from __future__ import annotations

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.errors import InvalidInput, show
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.absent import say_absent
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.plan import item_filter
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query import pages, requests, results
from llmrec_qdrant.query.options import MAX_LIMIT, ListOptions
from llmrec_qdrant.space.layout import Key

__all__ = ["top"]

ORDERED_KINDS = frozenset({"integer", "float", "datetime"})
"""Kinds of fields that items can be ordered by."""


@say_absent
def top(bound: Bound, by: str, options: ListOptions) -> Steps[list[Recommendation]]:
    """Return items ordered by a field, highest or latest first.

    Raises :class:`InvalidInput` for a field that is not a declared number or date.
    """
    fields = [Key.POPULARITY, *(name for name, kind in bound.config.fields.items() if kind in ORDERED_KINDS)]
    if by not in fields:
        raise InvalidInput(
            f"items can be ordered by {', '.join(fields)}, not by {show(by)}: add a number or date to the fields of the "
            "space to order by it"
        )
    listed = requests.top(item_filter(bound, options), options.limit, by)
    request = pages.page(lambda _: listed, MAX_LIMIT, options.offset, options.limit)
    points = yield from calls.query(bound.space.items, [request])
    return results.by_popularity(points[0], f"by {by}")
