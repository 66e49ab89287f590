"""What stored points must look like, so that work on them does not fail: which payload keys, and of which type.

Points come from this package, from scripts and from the Web UI of Qdrant. Whoever reads one checks the keys that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from llmrec_qdrant.errors import show
from llmrec_qdrant.space.layout import BOILERPLATE, COLLAB_FIT, TOPICS_EDITED, TOPICS_FIT, WORDS, CollectionKind, Key

__all__ = ["fault", "metadata_fault", "record"]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_numeral(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, dict) for part in value)


def _are_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_cut(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).timestamp() is not None
    except (ValueError, OverflowError, OSError):
        return False


@dataclass(frozen=True)
class _Shape:
    """What a value must be."""

    holds: Callable[[Any], bool]
    words: str
    required: bool = False


_NAME = _Shape(_is_name, "a text that is not empty", required=True)
_TEXT = _Shape(_is_text, "a text")
_WRITTEN = _Shape(_is_text, "a text", required=True)
_NUMBER = _Shape(_is_number, "a number")
_COUNT = _Shape(_is_count, "a whole number of zero or more")
_NAMES = _Shape(_are_names, "a list of texts")
_OBJECT = _Shape(_is_object, "an object")
_MOMENT = _Shape(_is_moment, "a time in ISO form", required=True)

_SHAPES: dict[CollectionKind, dict[str, _Shape]] = {
    "items": {
        Key.ITEM_ID: _NAME, Key.TENANT: _TEXT, Key.TITLE: _TEXT, Key.TEXT: _TEXT, Key.TOPICS: _NAMES, Key.TOPIC_IDS: _NAMES,
        Key.TERMS: _NAMES, Key.LEGS: _NAMES, Key.POPULARITY: _NUMBER, Key.ATTEMPTS: _COUNT,
    },
    "users": {
        Key.USER_ID: _NAME, Key.TENANT: _TEXT, Key.STEER: _Shape(_are_weights, "an object of topics and weights"),
        Key.INTERESTS: _Shape(_are_objects, "a list of objects"), Key.TERMS: _NAMES, Key.LEGS: _NAMES, Key.SEEN: _NAMES,
        Key.DISLIKED: _NAMES, Key.WAITING: _NAMES, Key.N_EVENTS: _COUNT, Key.ATTEMPTS: _COUNT,
    },
    "texts": {
        Key.USER_ID: _WRITTEN, Key.TENANT: _TEXT, Key.TEXT: _WRITTEN, Key.TERMS: _NAMES, Key.LEGS: _NAMES, Key.ATTEMPTS: _COUNT,
    },
    "topics": {
        Key.TOPIC_ID: _Shape(_is_numeral, "a number as text", required=True), Key.TENANT: _WRITTEN, Key.LABEL: _WRITTEN, Key.LABEL_BY: _TEXT, Key.KEYWORDS: _NAMES, Key.EXAMPLES: _NAMES, Key.SIZE: _COUNT,
        Key.THEME: _TEXT,
        Key.FIT: _TEXT, Key.CUT: _Shape(_is_cut, "a list of two numbers"),
    },
    "events": {
        Key.USER_ID: _NAME, Key.TENANT: _WRITTEN, Key.TYPE: _NAME, Key.TS: _MOMENT, Key.ITEM_ID: _TEXT, Key.VALUE: _NUMBER,
        Key.TEXT: _TEXT, Key.SESSION: _TEXT,
    },
    "jobs": {},
}  # fmt: skip


@lru_cache(maxsize=256)
def _checks(kind: CollectionKind, keys: tuple[str, ...] | None) -> tuple[tuple[str, _Shape], ...]:
    return tuple((key, shape) for key, shape in _SHAPES[kind].items() if keys is None or key in keys)


def fault(kind: CollectionKind, payload: Mapping[str, Any], keys: Sequence[str] | None = None) -> str:
    """Return what is wrong with a flat payload, of which ``keys`` were read (None: all); empty if nothing is.

    >>> fault("events", {"user_id": "ann", "tenant": "", "type": 5, "ts": "2024-05-01T10:00:00+00:00"})
    "'type' must be a text that is not empty, not 5"
    """
    return _first(_checks(kind, None if keys is None else tuple(keys)), payload)


def _first(checks: Iterable[tuple[str, _Shape]], payload: Mapping[str, Any]) -> str:
    for key, shape in checks:
        value = payload.get(key)
        if value is None:
            if shape.required:
                return f"{key!r} is missing"
        elif not shape.holds(value):
            return f"{key!r} must be {shape.words}, not {show(value)}"
    return ""


# --- records in the metadata of items -------------------------------------------------------------

_RECORDS: dict[str, dict[str, _Shape]] = {
    TOPICS_FIT: {
        "run": _TEXT, "stage": _TEXT, "done": _TEXT, "of": _TEXT, "topics": _COUNT, "last": _COUNT, "items": _COUNT,
        "tenants": _COUNT, "made": _COUNT, "edit": _OBJECT, "kept": _NAMES,
    },
    COLLAB_FIT: {"events": _COUNT, "items": _COUNT, "fitting": _TEXT},
    BOILERPLATE: {"passages": _NAMES, "items": _COUNT, "before": _NAMES},
    TOPICS_EDITED: {"at": _TEXT},
    WORDS: {"revision": _COUNT},
}  # fmt: skip


def metadata_fault(metadata: Mapping[str, Any]) -> str:
    """Return what is wrong with the records in the metadata of items; empty if nothing is."""
    return next((f"{key!r}: {said}" for key in _RECORDS if (said := _record_fault(metadata.get(key), key))), "")


def _record_fault(stored: Any, key: str) -> str:
    if stored is None:
        return ""
    return (
        _first(_RECORDS[key].items(), stored) if isinstance(stored, dict) else f"must be an object, not {show(stored)}"
    )


def record(metadata: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a record in the metadata of items; empty if there is none, or one that cannot be read."""
    stored = metadata.get(key)
    return dict(stored) if isinstance(stored, dict) and not _record_fault(stored, key) else {}
