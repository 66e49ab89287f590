"""Has texts encoded again whose words are read differently since this release; the others keep their vectors.

The metadata of the items collection of every version name the rules by which its words were read. After an upgrade, one pass
reads the stored texts and compares their words with the stored vectors: no model is needed for that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import FRESH, TFIDF, WORDS, Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import record

from ..storage import malformed
from ..storage.revision import mark_users_stale
from ..storage.store import SpaceStore, Store
from ..text.words import WORDS_REVISION, terms
from . import boilerplate
from .embed import source_text, sparse

__all__ = ["keep"]

log = logging.getLogger("llmrec.worker")

_KEYS = (Key.TITLE, Key.TEXT)


def keep(versions: Sequence[SpaceStore]) -> None:
    """Mark what an earlier release read by other rules, once per version; a version of a later release is left alone.

    If the worker dies, the next sweep begins anew, and finds what is left.
    """
    earlier = [version for version in versions if _revision(version) < WORDS_REVISION]
    if not earlier:
        return
    left_out = boilerplate.load(versions[0])
    for version in earlier:
        config = version.config()
        marked = _mark(version.items, config, lambda point: source_text(point.payload, left_out))
        marked += _mark(version.texts, config, lambda point: source_text(point.payload))
        if marked:
            log.info("%s: %d texts are encoded again, since their words are read differently", version.label, marked)
            mark_users_stale(version, conditions.where(conditions.equals(Key.STALE, False)))
        version.items.update_metadata({WORDS: {"revision": WORDS_REVISION}})


def _revision(version: SpaceStore) -> int:
    revision: int = record(version.items.metadata(), WORDS).get("revision", 0)
    return revision


def _mark(store: Store, config: SpaceConfig, source: Callable[[Point], str]) -> int:
    """Mark the encoded points whose words differ from those of their vectors; returns how many."""
    marked = 0
    for page in store.pages(conditions.where(conditions.equals(Key.STALE, False)), _KEYS, [TFIDF]):
        sound, _ = malformed.split(store, page, keys=_KEYS)
        changed = [point.id for point in sound if _words(point) != _indices(source(point), config)]
        if changed:
            store.set_payload(FRESH, conditions.only(*changed))
            marked += len(changed)
    return marked


def _words(point: Point) -> set[int]:
    stored = point.sparse(TFIDF)
    return set(stored.indices) if stored else set()


def _indices(text: str, config: SpaceConfig) -> set[int]:
    return set(sparse(terms(text, config.stemmer)).indices)
