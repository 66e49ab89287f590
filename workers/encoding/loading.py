"""The encoder of a space: hash, pretrained, static or trained; loaded once per process."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.testing import HASH_MODEL, HashEncoder

from . import registry
from .encoder import Encoder, SentenceEncoder

__all__ = ["load_encoder", "user_tower"]

_loading = threading.RLock()


def user_tower(config: SpaceConfig) -> Any:
    """Return the user tower of a trained model; None if the model is an encoder only."""
    trained = registry.find(config.model)
    return load_encoder(config) if trained and trained[0].method == "towers" else None


@lru_cache(maxsize=4)
def _cached(key: tuple[Any, ...], backend: str) -> Encoder:
    config = SpaceConfig(**dict(key))
    if config.model == HASH_MODEL:
        return HashEncoder(config.size)
    trained = registry.find(config.model)
    if trained and trained[0].method == "towers":
        from .tower_encoder import TowerEncoder  # brings torch, and most spaces have no trained model

        return TowerEncoder(config, *trained, load_encoder)
    return SentenceEncoder(config, backend)


def load_encoder(config: SpaceConfig) -> Encoder:
    """Return the encoder of a space, loaded once per process.

    Raises :class:`InvalidInput` if it cannot be loaded, :class:`SpaceMismatch` if its size differs.
    """
    key = tuple((name, getattr(config, name)) for name in SpaceConfig.IDENTITY)
    with _loading:
        return _cached(key, Settings.current().encoder_backend)
