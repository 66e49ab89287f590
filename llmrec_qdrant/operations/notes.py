"""What workers report about a space: one sentence per note, kept in the metadata of its items, shown by ``status()``.

A worker writes a note again while its reason lasts, so one that is no longer renewed does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from llmrec_qdrant.operations.clock import iso, now, present

__all__ = ["MAX_AGE", "NOTE", "RENEWED_AFTER", "entry", "names", "shown", "to_renew"]

NOTE = "note_"
"""How the metadata keys of notes begin; their name follows."""
RENEWED_AFTER = timedelta(minutes=10)
"""Age at which a note is written again if its reason lasts."""
MAX_AGE = timedelta(minutes=30)
"""Age above which a note no longer counts."""


def entry(name: str, sentence: str | None) -> dict[str, Any]:
    """Return the metadata that stores a note; without a sentence, that removes it."""
    return {f"{NOTE}{name}": None if sentence is None else {"says": sentence, "at": now()}}


def names(metadata: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names of all stored notes that begin with ``prefix``."""
    return [key.removeprefix(NOTE) for key in metadata if key.startswith(f"{NOTE}{prefix}")]


def to_renew(metadata: Mapping[str, Any], name: str, sentence: str) -> bool:
    """Whether a note must be written: it is new, says something else, or is about to be too old to count."""
    stored = metadata.get(f"{NOTE}{name}")
    same = isinstance(stored, Mapping) and stored.get("says") == sentence
    return not same or _older(stored, RENEWED_AFTER)


def shown(metadata: Mapping[str, Any]) -> list[str]:
    """Return the sentences of the notes that count, in the order of their names."""
    stored = [metadata[key] for key in sorted(metadata) if key.startswith(NOTE)]
    return [
        str(note["says"])
        for note in stored
        if isinstance(note, Mapping) and "says" in note and not _older(note, MAX_AGE)
    ]


def _older(note: Any, age: timedelta) -> bool:
    return str(note.get("at")) < iso(present() - age)
