"""The Hugging Face hub: asked only for what is not on this machine, and no longer than it answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["answers", "clients_quiet", "is_cached"]

TIMEOUT = 5.0
"""Seconds within which the hub must answer."""

DECIDING_FILES = ("config.json", "modules.json")
"""Files that say what a model consists of. The cache also records that the hub has none of such a name."""


def is_cached(model: str, revision: str | None) -> bool:
    """Whether the cache of this machine knows what the model consists of. Raises :class:`ValueError` for what is no id of a model."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.utils._validators import validate_repo_id

    validate_repo_id(model)
    names = [model] if "/" in model else [model, f"sentence-transformers/{model}"]
    return any(
        all(try_to_load_from_cache(name, file, revision=revision) is not None for file in DECIDING_FILES)
        for name in names
    )


def answers() -> bool:
    """Whether the hub can be reached at all: its client would try for more than a minute before it says that it cannot."""
    import httpx
    from huggingface_hub import constants

    try:
        httpx.head(constants.ENDPOINT, timeout=TIMEOUT)
    except httpx.HTTPError:
        return False
    return not constants.HF_HUB_OFFLINE


@contextmanager
def clients_quiet() -> Iterator[None]:
    """Hide the lines in which the hub's client announces each of its retries: the final error says it all."""
    logs = [logging.getLogger(name) for name in ("huggingface_hub", "httpx")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
