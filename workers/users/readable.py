"""The readable part of a user's payload: the last events, and interests with the titles of their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.space.interests import stored_interest
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from .library import Library

__all__ = ["MAX_RECENT", "readable_interests", "recent_events"]

MAX_RECENT = 10
"""Events shown."""
MAX_SHOWN_LENGTH = 120
"""Characters of a text or title that are shown."""


def recent_events(events: Sequence[Point], library: Library) -> list[dict[str, Any]]:
    """Return the newest of ``events``, newest first, with ``ts``, ``type`` and, if present, ``item``, ``title``, ``value``, ``text``."""
    return [_shown(event, library) for event in events[:MAX_RECENT]]


def _shown(event: Point, library: Library) -> dict[str, Any]:
    values = {
        "ts": str(event.payload[Key.TS])[:19] + "Z",
        "type": event.payload[Key.TYPE],
        "item": event.get(Key.ITEM_ID),
        "title": short(library.title(event)),
        "value": event.get(Key.VALUE),
        "text": short(event.get(Key.TEXT, "")),
    }
    return {name: value for name, value in values.items() if value not in (None, "")}


def readable_interests(
    interests: Sequence[Interest], events: Sequence[Point], library: Library
) -> list[dict[str, Any]]:
    """Return interests in the form in which they are stored; ``events`` are those they were derived from."""
    titles = {event.payload[Key.ITEM_ID]: short(library.title(event)) for event in events if event.get(Key.ITEM_ID)}
    return [
        stored_interest(interest.model_copy(update={"titles": {item: titles[item] for item in interest.items}}))
        for interest in interests
    ]


def short(text: str) -> str:
    """Shorten a text to one line of at most ``MAX_SHOWN_LENGTH`` characters.

    >>> short("  a\\nb ")
    'a b'
    """
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN_LENGTH else line[: MAX_SHOWN_LENGTH - 1].rstrip() + "…"
