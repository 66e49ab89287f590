"""Keeps the boilerplate of a space: detects it as the catalogue grows, and has the items that hold it encoded again.

The passages lie in the metadata of the items collection of every version; the live version's count.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import BOILERPLATE, FRESH, Key
from llmrec_qdrant.space.shapes import record

from ..storage.revision import mark_users_stale
from ..storage.store import SpaceStore
from ..text.boilerplate import Boilerplate, detect
from ..text.clean import clean

__all__ = ["due", "keep", "load"]

log = logging.getLogger("llmrec.worker")

MIN_ITEMS = 40
"""Items below which nothing is called boilerplate."""
GROWTH = 4
"""Detection is repeated when the catalogue has grown, or shrunk, by this factor."""
MAX_SAMPLE = 2_000
"""Items that detection reads."""


def load(space: SpaceStore) -> Boilerplate:
    """Return what is left out of the texts of a space."""
    stored = record(space.at(None).items.metadata(), BOILERPLATE)
    return _boilerplate(tuple(stored.get("passages") or ()))


@lru_cache(maxsize=64)
def _boilerplate(passages: tuple[str, ...]) -> Boilerplate:
    return Boilerplate(passages)


def due(space: SpaceStore) -> bool:
    """Whether the catalogue has changed so much in size that the boilerplate should be detected anew."""
    return _due(record(space.at(None).items.metadata(), BOILERPLATE), space.items.count())


def _due(known: Mapping[str, Any], items: int) -> bool:
    return items >= MIN_ITEMS and not items / GROWTH < known.get("items", 0) < items * GROWTH


def keep(versions: Sequence[SpaceStore]) -> None:
    """Detect the boilerplate anew if the catalogue has changed much in size; mark the items that this changes as stale."""
    live, *others = versions
    known = record(live.items.metadata(), BOILERPLATE)
    items = live.items.count()
    if _due(known, items):
        passages = list(_detect(live).passages)
        known = {"passages": passages, "items": items, "before": known.get("before", known.get("passages", []))}
        live.items.update_metadata({BOILERPLATE: known})
    if "before" in known:  # also if whoever began to mark has died
        before = _boilerplate(tuple(known.pop("before")))
        for version in versions:
            _mark(version, before, _boilerplate(tuple(known["passages"])))
        live.items.update_metadata({BOILERPLATE: known})
    for version in others:
        if record(version.items.metadata(), BOILERPLATE) != known:
            version.items.update_metadata({BOILERPLATE: known})


def _detect(space: SpaceStore) -> Boilerplate:
    """Detect the boilerplate in a sample: point ids are digests, so the first points are a random one."""
    pages = chain.from_iterable(space.items.pages(None, [Key.TITLE, Key.TEXT]))
    sample = [(clean(point.get(Key.TITLE, "")), clean(point.get(Key.TEXT, ""))) for point in islice(pages, MAX_SAMPLE)]
    boilerplate = detect([title for title, _ in sample], [text for _, text in sample])
    if boilerplate:
        log.info("%s: %d passages are boilerplate", space.name, len(boilerplate.passages))
    return boilerplate


def _mark(space: SpaceStore, before: Boilerplate, after: Boilerplate) -> None:
    """Mark the items whose texts now lose other passages than before, and the users."""
    marked = 0
    if before == after:
        return
    encoded = conditions.where(conditions.equals(Key.STALE, False))
    for page in space.items.pages(encoded, [Key.TEXT]):
        texts = [(point.id, clean(point.get(Key.TEXT, ""))) for point in page]
        changed = [point for point, text in texts if before.remove_from(text) != after.remove_from(text)]
        if changed:
            space.items.set_payload(FRESH, conditions.only(*changed))
            marked += len(changed)
    if marked:
        mark_users_stale(space, conditions.where(conditions.equals(Key.STALE, False)))
