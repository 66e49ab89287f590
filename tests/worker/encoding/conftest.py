"""Encoding shares its texts out between threads, here two, whatever the machine has; tiny transformers on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.models import save_tiny


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Encode with two threads; every other room tests with one (see `tests/conftest.py`)."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["bert", "xlm-roberta", "distilbert"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A plain transformer folder of each architecture."""
    return save_tiny(request.param, tmp_path)
