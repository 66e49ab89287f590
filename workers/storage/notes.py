"""Writes the notes of workers about a space: clocks that differ, and work that could not be done."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.operations import clock, notes

from .store import SpaceStore

__all__ = ["in_words", "keep", "report_clock"]

REPORT_SECONDS = 60.0
"""Seconds between two looks of a process at the note about its clock."""
_looked_at: dict[str, float] = {}
"""Space → when this process last looked."""


def keep(space: SpaceStore, prefix: str, sentences: Mapping[str, str]) -> None:
    """Store these notes, name → sentence, and remove all others whose names begin with ``prefix``; writes only what differs."""
    items = space.at(None).items
    stored = items.metadata()
    changes = {name: sentence for name, sentence in sentences.items() if notes.to_renew(stored, name, sentence)}
    gone = [name for name in notes.names(stored, prefix) if name not in sentences]
    if changes or gone:
        written = [notes.entry(name, changes.get(name)) for name in [*changes, *gone]]
        items.update_metadata({key: value for entry in written for key, value in entry.items()})


def in_words(error: Exception) -> str:
    """Return the sentence of an error of this package; of any other, also its type."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, LlmrecError) else f"{type(error).__name__}: {text}"


def report_clock(space: SpaceStore) -> None:
    """Note that this machine's clock differs from Qdrant's, or that it no longer does; looks once a minute at most."""
    if time.monotonic() - _looked_at.get(space.name, float("-inf")) < REPORT_SECONDS:
        return
    _looked_at[space.name] = time.monotonic()
    host = socket.gethostname()
    name = f"clock_{host}"
    seconds = clock.ahead()
    sentences = {name: clock.in_words(f"the worker host {host}", seconds)} if seconds else {}
    with suppress(LlmrecError):  # a report must not fail the work
        keep(space, name, sentences)
