"""Says that a filter uses a field or a value that no item has: its list is empty, or complete, for that reason alone."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import FieldWarning
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.undeclared import say_kind
from llmrec_qdrant.query.filters import parse_filter
from llmrec_qdrant.query.keys import UsedKeys, used_keys, wanted_values
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.space.conditions import all_of, empty, equals, none_of, where
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.words import words_key

__all__ = ["say_absent"]

T = TypeVar("T")
P = ParamSpec("P")

MAX_VALUES = 5
"""Values of a filter that are looked up after an empty list."""
MAX_KNOWN = 1_000
"""Values of a field among which the one that was meant is looked for."""
_TOPICS = frozenset({Key.TOPICS, Key.TOPIC_IDS})


def say_absent(
    operation: Callable[Concatenate[Bound, P], Steps[list[T]]],
) -> Callable[Concatenate[Bound, P], Steps[list[T]]]:
    """Let an operation that lists items name, in a :class:`FieldWarning`, what its filter asks for and no item has.

    One request per field asks for it, where the list is empty or the filter excludes items, and only until an item has it. Of an
    empty list, values of keyword fields are looked up, too: they are compared exactly, upper and lower case included.
    """

    @wraps(operation)
    def watched(bound: Bound, /, *args: P.args, **kwargs: P.kwargs) -> Steps[list[T]]:
        listed = yield from say_kind(operation)(bound, *args, **kwargs)
        for option in (*args, *kwargs.values()):
            if isinstance(option, ListOptions) and (filter := parse_filter(option.filter, bound.config)):
                absent = yield from _say(bound, used_keys(filter), empty_list=not listed)
                if not listed:
                    yield from _say_values(bound, filter, absent)
        return listed

    return watched


def _say(bound: Bound, used: UsedKeys, empty_list: bool) -> Steps[set[str]]:
    """Warn about each key that no item has; returns these."""
    absent: set[str] = set()
    for key in sorted(used.all if empty_list else used.negative):
        if key in bound.present:
            continue
        holders = all_of(bound.mine, none_of(empty(key)))
        points, _ = yield from calls.scroll(bound.space.items, holders, limit=1, payload=False)
        if points:
            bound.present.add(key)
        else:
            absent.add(key)
            warnings.warn(_sentence(bound, key), FieldWarning, stacklevel=2)
    return absent


def _say_values(bound: Bound, filter: models.Filter, absent: Collection[str]) -> Steps[None]:
    for key, text in list(dict.fromkeys(wanted_values(filter)))[:MAX_VALUES]:
        if key in absent or bound.config.fields.get(key) != "keyword":
            continue
        points, _ = yield from calls.scroll(
            bound.space.items, all_of(bound.mine, where(equals(key, text))), limit=1, payload=False
        )
        if not points:
            known = yield from calls.facet(bound.space.items, key, bound.mine, limit=MAX_KNOWN)
            warnings.warn(_about_value(key, text, list(known)), FieldWarning, stacklevel=2)


def _about_value(key: str, text: str, known: Sequence[str]) -> str:
    alike = {value.casefold(): value for value in reversed(known)}
    near = difflib.get_close_matches(text.casefold(), alike, n=1)
    meant = f"did you mean {alike[near[0]]!r}? " if near else ""
    others = f"{meant}frequent values are {', '.join(map(repr, known[:8]))}" if known else "no item has a text there"
    return f"no item has {text!r} in {key!r}, which is compared exactly: {others}"


def _sentence(bound: Bound, key: str) -> str:
    if key in _TOPICS:
        return f"no item of space {bound.space.name!r} has a topic yet: discover topics with `llmrec topics fit` or fit_topics()"
    texts = {words_key(path): path for path, kind in bound.config.fields.items() if kind == "text"}
    return (
        f"no item of space {bound.space.name!r} has a value in {texts.get(key, key)!r}, which the filter uses: load items with this field, or "
        "correct its name"
    )
