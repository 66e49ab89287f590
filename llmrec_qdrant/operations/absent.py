"""Says that a filter uses a field that no item has: its list is empty, or complete, for that reason alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from llmrec_qdrant.errors import FieldWarning
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.keys import UsedKeys, used_keys
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.conditions import all_of, empty, none_of
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.words import words_key

__all__ = ["say_absent"]

T = TypeVar("T")
P = ParamSpec("P")

_TOPICS = frozenset({Key.TOPICS, Key.TOPIC_IDS})


def say_absent(
    operation: Callable[Concatenate[Bound, P], Steps[list[T]]],
) -> Callable[Concatenate[Bound, P], Steps[list[T]]]:
    """Let an operation that lists items name, in a :class:`FieldWarning`, each field of its filter that no item has.

    One request per field asks for it, where the list is empty or the filter excludes items, and only until an item has it.
    """

    @wraps(operation)
    def watched(bound: Bound, /, *args: P.args, **kwargs: P.kwargs) -> Steps[list[T]]:
        listed = yield from operation(bound, *args, **kwargs)
        for option in (*args, *kwargs.values()):
            if isinstance(option, ListOptions) and (filter := parse_filter(option.filter, bound.config)):
                yield from _say(bound, used_keys(filter), empty_list=not listed)
        return listed

    return watched


def _say(bound: Bound, used: UsedKeys, empty_list: bool) -> Steps[None]:
    for key in sorted(used.all if empty_list else used.negative):
        if key in bound.present:
            continue
        holders = all_of(bound.mine, none_of(empty(key)))
        points, _ = yield from calls.scroll(bound.space.items, holders, limit=1, payload=False)
        if points:
            bound.present.add(key)
        else:
            warnings.warn(_sentence(bound, key), FieldWarning, stacklevel=2)


def _sentence(bound: Bound, key: str) -> str:
    if key in _TOPICS:
        return f"no item of space {bound.space.name!r} has a topic yet: discover topics with `llmrec topics fit` or fit_topics()"
    texts = {words_key(path): path for path, kind in bound.config.fields.items() if kind == "text"}
    return (
        f"no item of space {bound.space.name!r} has a value in {texts.get(key, key)!r}, which the filter uses: load items with this field, or "
        "correct its name"
    )
