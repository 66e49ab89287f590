"""Makes the advice about a field that is not declared fit the values that items have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from llmrec_qdrant.contracts.paths import steps
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.known import Undeclared

__all__ = ["say_kind"]

T = TypeVar("T")
P = ParamSpec("P")

LOOKED_AT = 200
"""Items whose values are looked at."""


def say_kind(operation: Callable[Concatenate[Bound, P], Steps[T]]) -> Callable[Concatenate[Bound, P], Steps[T]]:
    """Let an operation that filters items look at stored values before it refuses a field that is not declared."""

    @wraps(operation)
    def watched(bound: Bound, /, *args: P.args, **kwargs: P.kwargs) -> Steps[T]:
        try:
            return (yield from operation(bound, *args, **kwargs))
        except Undeclared as error:
            refused = error
        key = f'"{steps(refused.path)[0]}"'
        points, _ = yield from calls.scroll(bound.space.items, bound.mine, limit=LOOKED_AT, payload=[key])
        raise refused.among([point.payload for point in points])

    return watched
