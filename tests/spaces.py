"""Spaces for tests: a fresh name each, dropped afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.space.layout import COLLECTION_KINDS
from llmrec_qdrant.testing import HashEncoder
from workers.storage.store import SpaceStore


def fresh_name() -> str:
    """A space name nobody else uses."""
    return f"t{uuid.uuid4().hex[:12]}"


EITHER = ["local", pytest.param("server", marks=pytest.mark.qdrant)]
"""Parameters of a fixture that gives a space on embedded Qdrant and on a server."""


@contextmanager
def space_on(request: pytest.FixtureRequest, config: SpaceConfig) -> Iterator[Recommender]:
    """A space of its own on the Qdrant that the parameter names."""
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    made = Recommender.connect(**where, space=fresh_name())
    made.create(config)
    yield made
    drop(made)


def merged(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """A stored payload with the bookkeeping beside the rest, for tests that name keys as they are stored."""
    values = dict(payload or {})
    inside = values.pop("bookkeeping", {})
    return {**values, **inside}


def store_of(rec: Recommender, version: int | None = None) -> SpaceStore:
    """The space of a recommender as workers see it."""
    return SpaceStore(rec.client, rec._space.at(version))


class Interrupted(HashEncoder):
    """Lets something happen while a worker encodes."""

    def __init__(self, size: int, meanwhile: Callable[[], object]) -> None:
        super().__init__(size)
        self.meanwhile = meanwhile

    def encode(self, texts: Any) -> np.ndarray:
        self.meanwhile()
        return super().encode(texts)


def interrupt(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """While a worker encodes items or texts, ``meanwhile`` happens."""
    from workers.items import embed

    monkeypatch.setattr(embed, "load_encoder", lambda config: Interrupted(config.size, meanwhile))


def drop(rec: Recommender) -> None:
    """Delete the collections of a space, and close."""
    for kind in COLLECTION_KINDS:
        rec._client.delete_collection(rec._space.versioned(kind))
    rec.close()
