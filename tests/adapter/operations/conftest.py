"""Fixtures: the films on embedded Qdrant and on a real server, which must give the same answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import (
    Recommender,
)
from tests.films import CONFIG, connect, items
from tests.spaces import drop


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def where(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "local":
        return {"path": ":memory:"}
    return {"url": request.getfixturevalue("qdrant_url")}


@pytest.fixture
def rec(where: dict[str, str]) -> Iterator[Recommender]:
    made = connect(where)
    made.create(CONFIG)
    made.upsert_items(items())
    yield made
    drop(made)
