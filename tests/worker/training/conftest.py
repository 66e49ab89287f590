"""Spaces to train on, and an empty folder of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmrec_qdrant import Recommender
from tests.spaces import EITHER, space_on
from tests.trainings import CONFIG


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


@pytest.fixture
def served(request: pytest.FixtureRequest, qdrant_url: str) -> Iterator[Recommender]:
    request.param = "server"
    with space_on(request, CONFIG) as made:
        yield made
