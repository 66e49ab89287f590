"""Events → what a model learns from: what somebody had done, and what they took next.

A source is a text: of an item, of a search, of a review. An example is a history of sources, weighted exactly as
:mod:`workers.profiles` folds them, and the item that was taken after it: for the first time, or again where lists may hold
what a user had. Beside histories there are lone texts: a search and what was chosen next within half an hour, a review
and its item. What a user took later for the first time is no wrong answer now (``taken``): it is no negative, in a batch
or out of it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import Key, Space

from ..behaviour.event_weights import event_weight
from ..behaviour.fold import pulls
from ..items.embed import source_text
from ..items.interactions import EVENT_KEYS
from ..storage import store

__all__ = ["Catalogue", "Examples", "build", "digest", "pairs", "read_catalogue", "read_events"]


RECENT = 32
"""Events of a history that are looked at: with the default decay the next one weighs less than a millionth."""


WITHIN = 1_800.0
"""Seconds between a search and what was chosen because of it."""


MOST = 400_000
"""Examples: of more, random users' are taken."""


HALVES = 2
"""How often the weight of an example halves from the newest to the oldest: docs/decisions/training.md."""


@dataclass
class Catalogue:
    """The sources: items first, in the order of their points, then free texts."""

    points: list[str] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    """Numbers of the items in sparse vectors."""
    texts: list[str] = field(default_factory=list)
    """Of items, then of searches and reviews."""
    number: dict[str, int] = field(default_factory=dict)
    """Point id of an item or an event with a text → its row."""

    @property
    def items(self) -> int:
        """How many of the sources are items."""
        return len(self.points)


@dataclass(frozen=True)
class Examples:
    """Rows of a training set; histories are ragged: those of example *k* lie from ``starts[k]`` to ``starts[k + 1]``."""

    sources: np.ndarray
    """Rows of the catalogue, newest first."""
    weights: np.ndarray
    """(decays, sources) float32."""
    starts: np.ndarray
    targets: np.ndarray
    """Item that came next."""
    owners: np.ndarray
    """User of each example."""
    recency: np.ndarray
    """float32, of each: how much it counts, the newest one 1."""
    taken: list[np.ndarray]
    """Per user: items they took, ever."""

    def __len__(self) -> int:
        return len(self.targets)


def read_catalogue(client: QdrantClient, space: Space) -> Catalogue:
    """All items with text, and the texts that users wrote."""
    found = Catalogue()
    for page in store.scroll(client, space.items, None, [Key.ITEM_ID, Key.TENANT, Key.TITLE, Key.TEXT]):
        for record in page:
            payload = record.payload or {}
            found.number[str(record.id)] = len(found.points)
            found.points.append(str(record.id))
            found.tenants.append(payload.get(Key.TENANT) or "")
            found.indexes.append(sparse_index(payload[Key.ITEM_ID], payload.get(Key.TENANT) or None))
            found.texts.append(source_text(payload))
    for page in store.scroll(client, space.texts, None, [Key.USER_ID, Key.TEXT]):
        for record in page:
            if (record.payload or {}).get(Key.USER_ID):  # a search that nobody is behind teaches nothing
                found.number[str(record.id)] = len(found.texts)
                found.texts.append(source_text(record.payload or {}))
    return found


@dataclass(frozen=True)
class _Act:
    """One event, as an example sees it."""

    moment: float
    weight: float
    rows: tuple[int, ...]
    item: int | None
    text: int | None
    search: bool


def read_events(
    client: QdrantClient, space: Space, hidden: Callable[[Mapping[str, Any]], bool]
) -> dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]:
    """(tenant, user) → their events (point id, payload) but for hidden ones, oldest first."""
    found: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for page in store.scroll(client, space.events, None, EVENT_KEYS):
        for record in page:
            payload = record.payload or {}
            if not hidden(payload):
                who = payload.get(Key.TENANT) or "", payload[Key.USER_ID]
                found.setdefault(who, []).append((str(record.id), payload))
    for events in found.values():
        events.sort(key=lambda one: (timestamp(one[1][Key.TS]), one[0]))
    return found


def build(
    people: Mapping[tuple[str, str], Sequence[tuple[str, Mapping[str, Any]]]],
    catalogue: Catalogue,
    config: SpaceConfig,
    decays: Sequence[float],
    most: int = MOST,
    seed: int = 0,
    repeats: bool = False,
    dated: bool = False,
) -> Examples:
    """The examples of these users' events, oldest first; ``decays`` are factors per step back, one row of weights each.

    With ``repeats`` what is taken again is to be foreseen too: where lists may hold what a user had. With ``dated`` an example
    counts the more the newer it is: where times can be compared between users.
    """
    order = sorted(people)
    random.Random(seed).shuffle(order)
    histories: list[tuple[list[int], list[np.ndarray]]] = []
    targets: list[int] = []
    moments: list[float] = []
    owners: list[int] = []
    taken: list[np.ndarray] = []
    for who in order:
        acts = [_act(point, event, catalogue, config) for point, event in people[who]]
        mine = [(history, target) for history, target in _of_user(acts, config, decays, repeats) if history[0]]
        if not mine:
            continue
        if len(targets) + len(mine) > most:
            break
        for history, target in mine:
            histories.append(history)
            targets.append(cast(int, target.item))
            moments.append(target.moment)
            owners.append(len(taken))
        taken.append(np.array(sorted({act.item for act in acts if act.item is not None and act.weight > 0})))
    sources = np.array([row for rows, _ in histories for row in rows], dtype=np.int64)
    weights = [np.concatenate([each[k] for _, each in histories] or [np.empty(0)]) for k in range(len(decays))]
    starts = np.cumsum([0, *(len(rows) for rows, _ in histories)])
    return Examples(
        sources, np.array(weights, dtype=np.float32).reshape(len(decays), -1), starts,
        np.array(targets, dtype=np.int64), np.array(owners, dtype=np.int64), _recency(moments, dated), taken,
    )  # fmt: skip


def _recency(moments: Sequence[float], dated: bool) -> np.ndarray:
    """Weights by the share of all examples that came later; 1 for all, where nothing is known of it."""
    if not dated:
        return np.ones(len(moments), dtype=np.float32)
    _, places, counts = np.unique(np.array(moments), return_inverse=True, return_counts=True)
    later = 1 - np.cumsum(counts)[places] / max(1, len(moments))
    return np.exp2(-HALVES * later).astype(np.float32)


def _act(point: str, event: Mapping[str, Any], catalogue: Catalogue, config: SpaceConfig) -> _Act:
    item_id = event.get(Key.ITEM_ID)
    item = catalogue.number.get(point_id("item", item_id, event.get(Key.TENANT) or None)) if item_id else None
    text = catalogue.number.get(point)
    rows = tuple(row for row in (item, text) if row is not None and catalogue.texts[row])
    weight = event_weight(event[Key.TYPE], event.get(Key.VALUE), config)
    return _Act(timestamp(event[Key.TS]), weight, rows, item, text, item_id is None)


def _of_user(
    acts: Sequence[_Act], config: SpaceConfig, decays: Sequence[float], repeats: bool
) -> Iterable[tuple[tuple[list[int], list[np.ndarray]], _Act]]:
    """Histories and what came next. Only what lies before the moment of the target is known to its history."""
    alone = [np.ones(1)] * len(decays)
    had: dict[int, float] = {}
    before = 0
    for act in acts:
        if act.item is None or act.weight <= 0:
            continue
        if act.text is not None and act.text in act.rows:
            yield ([act.text], alone), act
        while acts[before].moment < act.moment:
            before += 1
        search = acts[before - 1] if before else None
        if search and search.search and search.text is not None and act.moment - search.moment <= WITHIN:
            yield ([search.text], alone), act
        if before and (had.get(act.item) != act.moment if repeats else act.item not in had):
            yield _history(acts[max(0, before - RECENT) : before], config, decays), act
        had[act.item] = act.moment


def _history(acts: Sequence[_Act], config: SpaceConfig, decays: Sequence[float]) -> tuple[list[int], list[np.ndarray]]:
    newest = acts[::-1]
    moments, said = [one.moment for one in newest], np.array([one.weight for one in newest])
    steps = np.repeat(np.arange(len(newest)), [len(one.rows) for one in newest])
    rows = [row for one in newest for row in one.rows]
    return rows, [pulls(moments, said, config, decay)[steps] for decay in decays]


def pairs(examples: Examples) -> list[tuple[int, int]]:
    """(source, item): the newest source that spoke for it, and the item taken next; each pair once, neither itself."""
    firsts = examples.starts[:-1]
    liked = examples.weights[0][firsts] > 0
    found = zip(examples.sources[firsts[liked]].tolist(), examples.targets[liked].tolist(), strict=True)
    return sorted({pair for pair in found if pair[0] != pair[1]})


def digest(catalogue: Catalogue, examples: Examples) -> str:
    """SHA-256 of everything a model can learn from."""
    found = hashlib.sha256()
    for text in catalogue.texts:
        found.update(text.encode() + b"\0")
    for column in (examples.sources, examples.weights, examples.starts, examples.targets, examples.recency):
        found.update(np.ascontiguousarray(column).tobytes())
    return found.hexdigest()
