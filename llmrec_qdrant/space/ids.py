"""External ids → point ids and sparse indices. The mapping must never change: stored data depends on it."""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache
from typing import Literal

from llmrec_qdrant.contracts.checks import external_id

__all__ = ["Kind", "digest", "point_id", "sparse_index"]


Kind = Literal["item", "user", "event", "query", "search", "topic", "job", "words"]

_NAMESPACE = uuid.UUID("6f1d7ad5-5f9b-5c0e-9b0e-2f6c0d4c6e11")


def point_id(kind: Kind, external: str, tenant: str | None = None) -> str:
    """Return the Qdrant point id of an external id: the UUIDv5 of (tenant, kind, id).

    The parts are joined with a character that ids cannot contain, so no two triples collide.
    Raises :class:`~llmrec_qdrant.errors.InvalidInput` for a value that cannot be the id of an item or user.

    >>> point_id("item", "tt1") == point_id("item", "tt1")
    True
    >>> point_id("item", "tt1") == point_id("item", "tt1", tenant="acme")
    False
    """
    if kind in {"item", "user"}:
        external = external_id(external)
    return _uuid5("\x1f".join((tenant or "", kind, external)))


@lru_cache(maxsize=100_000)
def _uuid5(name: str) -> str:
    """Return the text of ``uuid.uuid5``: a bulk load needs several per event, and ``uuid.UUID`` objects take five times as long."""
    octets = bytearray(hashlib.sha1(_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=200_000)
def sparse_index(name: str, tenant: str | None = None) -> int:
    """Return the 32-bit index of an item id (``collab`` leg) or a word stem (``tfidf`` leg).

    The chance that two names share an index is 2⁻³², and a collision only adds a little noise to one score.
    """
    digest = hashlib.blake2b(f"{tenant or ''}\x1f{name}".encode("utf-8", "replace"), digest_size=4)
    return int.from_bytes(digest.digest(), "big")


def digest(*parts: str | None) -> str:
    """Return a digest of the source of a vector. Callers pass the id among the parts, so no two points share a digest."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode("utf-8", "replace")).hexdigest()[:32]
