"""Stubs for the tests of applications: an in-memory queue, and an encoder without a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from llmrec_qdrant.errors import BrokerUnavailable

__all__ = ["HASH_MODEL", "HashEncoder", "MemoryQueue"]


HASH_MODEL = "hash"
"""Model name under which workers use :class:`HashEncoder`."""


class MemoryQueue:
    """Collects messages in the list ``sent``; with ``down=True`` it refuses them like a broker that is down."""

    def __init__(self, down: bool = False) -> None:
        self.sent: list[Any] = []
        self.down = down

    def send(self, message: Any) -> None:
        """Append a message.

        Raises :class:`BrokerUnavailable` if the queue is down.
        """
        if self.down:
            raise BrokerUnavailable("this MemoryQueue is down: set down=False")
        self.sent.append(message)


class HashEncoder:
    """Encodes texts by signed hashes of their character trigrams: fast, deterministic, similar for similar texts.

    >>> vectors = HashEncoder(64).encode(["science fiction", "science fictions", "cooking"])
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    def __init__(self, size: int = 384) -> None:
        self.size = size

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array (len(texts), size); rows have norm 1, or are zero for an empty text."""
        rows = np.zeros((len(texts), self.size), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if not text.strip():
                continue
            padded = f"  {text.lower()[:4000]} "
            for start in range(len(padded) - 2):
                digest = hashlib.blake2b(padded[start : start + 3].encode("utf-8", "replace"), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "big") % self.size] += 1 if digest[4] & 1 else -1
            if not row.any():
                row[0] = 1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: np.ndarray = rows / np.where(norms > 0, norms, 1)
        return unit
