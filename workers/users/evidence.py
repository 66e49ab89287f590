"""What a refresh keeps of a user's events, so that the vectors can be taken apart without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..behaviour.fold import Past, Profile
from ..text.words import terms

__all__ = ["evidence_of"]


def evidence_of(events: Sequence[Point], past: Sequence[Past], profile: Profile, config: SpaceConfig) -> dict[str, Any]:
    """Return the events behind the vectors, newest first, with their weights before they decay, and what else explains them.

    ``norms`` are the lengths of the weighted sums; ``words`` maps the user's strongest words to their indices and values in the
    tfidf leg.
    """
    rows = [_row(event, entry) for event, entry in zip(events, past, strict=True)]
    values = dict(zip(profile.tfidf.indices, profile.tfidf.values, strict=True)) if profile.tfidf else {}
    indices = {word: sparse_index(found[0].stem) for word in profile.terms if (found := terms(word, config.stemmer))}
    words = {word: [index, values[index]] for word, index in indices.items() if index in values}
    return {"events": rows if profile.vectors else [], "norms": dict(profile.norms), "words": words}


def _row(event: Point, entry: Past) -> dict[str, Any]:
    """Return what evidence needs of an event, and no more: every list with evidence reads all rows of the user."""
    row: dict[str, Any] = {"ts": entry.ts, "weight": entry.weight}
    if item := event.get(Key.ITEM_ID):
        row["item"] = item
    if event.get(Key.TEXT):
        row |= {"event": event.id, "text": True}
    return row
