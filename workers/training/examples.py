"""Training examples: the history of a user, and the item they took next.

A source is a text: of an item, of a search, or of a review. An example is a history of sources, weighted exactly as in
:mod:`workers.behaviour.fold`, and the item taken after it. There are also examples with a single text: a search with an
item taken within half an hour, and a review with its item. Items that the user took at another time (``taken``) are no
negatives of an example.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.query.folding import decayed_weights
from llmrec_qdrant.space.points import Point

from .acts import Act, act_of
from .catalogue import Catalogue

__all__ = ["Examples", "build", "digest"]

MAX_HISTORY = 32
"""Events in a history; with the default decay, the next one would weigh less than a millionth."""
SEARCH_WINDOW = 1_800.0
"""Seconds after a search within which an item counts as its result."""
MAX_EXAMPLES = 400_000
"""Examples of a training; from a larger space, those of random users."""
RECENCY_HALVINGS = 2
"""Number of times the weight of an example halves from the newest to the oldest: docs/decisions/training.md."""


@dataclass(frozen=True)
class Examples:
    """A training set. Histories are ragged: example *k* has the history ``sources[starts[k] : starts[k + 1]]``."""

    sources: np.ndarray
    """Rows of the catalogue, newest first in each history."""
    weights: np.ndarray
    """float32 (decays, sources): weight of each source under each decay."""
    starts: np.ndarray
    targets: np.ndarray
    """Per example, the row of the item taken next."""
    owners: np.ndarray
    """Per example, the number of its user."""
    recency: np.ndarray
    """float32, per example: its weight in the loss; the newest weighs 1."""
    taken: list[np.ndarray]
    """Per user, the rows of all items they ever took, in ascending order."""

    def __len__(self) -> int:
        return len(self.targets)


class Example(NamedTuple):
    """One example: the rows of its history, their weights under each decay, and the act that followed."""

    rows: list[int]
    weights: list[np.ndarray]
    target: Act


def build(
    histories: Mapping[tuple[str, str], Sequence[Point]],
    catalogue: Catalogue,
    config: SpaceConfig,
    decays: Sequence[float],
    limit: int = MAX_EXAMPLES,
    seed: int = 0,
    repeats: bool = False,
    dated: bool = False,
) -> Examples:
    """Build examples from the ``histories`` of users: (tenant, user) → events, oldest first.

    ``decays`` are factors per step into the past, each of which yields a row of weights. With ``repeats``, items taken
    again are targets too, for lists that may repeat them. With ``dated``, newer examples weigh more; this requires times
    that compare between users.
    """
    order = sorted(histories)
    random.Random(seed).shuffle(order)
    examples: list[Example] = []
    owners: list[int] = []
    taken: list[np.ndarray] = []
    for who in order:
        acts = [act_of(event, catalogue, config) for event in histories[who]]
        of_user = [example for example in _of_user(acts, config, decays, repeats) if example.rows]
        if not of_user:
            continue
        if len(examples) + len(of_user) > limit:
            break
        examples += of_user
        owners += [len(taken)] * len(of_user)
        taken.append(np.array(sorted({act.item for act in acts if act.item is not None and act.weight > 0})))
    return _columns(examples, owners, taken, len(decays), dated)


def _columns(
    examples: Sequence[Example], owners: Sequence[int], taken: list[np.ndarray], decays: int, dated: bool
) -> Examples:
    weights = [np.concatenate([example.weights[k] for example in examples] or [np.empty(0)]) for k in range(decays)]
    return Examples(
        sources=np.array([row for example in examples for row in example.rows], dtype=np.int64),
        weights=np.array(weights, dtype=np.float32).reshape(decays, -1),
        starts=np.cumsum([0, *(len(example.rows) for example in examples)]),
        targets=np.array([example.target.item for example in examples], dtype=np.int64),
        owners=np.array(owners, dtype=np.int64),
        recency=_recency([example.target.moment for example in examples], dated),
        taken=taken,
    )


def _recency(moments: Sequence[float], dated: bool) -> np.ndarray:
    """Return example weights by the share of examples that came later; 1 for all if times do not compare."""
    if not dated:
        return np.ones(len(moments), dtype=np.float32)
    _, places, counts = np.unique(np.array(moments), return_inverse=True, return_counts=True)
    later = 1 - np.cumsum(counts)[places] / max(1, len(moments))
    return np.exp2(-RECENCY_HALVINGS * later).astype(np.float32)


def _of_user(acts: Sequence[Act], config: SpaceConfig, decays: Sequence[float], repeats: bool) -> Iterator[Example]:
    """Yield the examples of one user. A history holds only acts from before the moment of its target."""
    taken_at: dict[int, float] = {}
    before = 0
    for act in acts:
        if act.item is None or act.weight <= 0:
            continue
        if act.text is not None and act.text in act.rows:
            yield _single(act.text, decays, act)
        while acts[before].moment < act.moment:
            before += 1
        search = acts[before - 1] if before else None
        if search and search.is_search and search.text is not None and act.moment - search.moment <= SEARCH_WINDOW:
            yield _single(search.text, decays, act)
        if before and (taken_at.get(act.item) != act.moment if repeats else act.item not in taken_at):
            yield _with_history(acts[max(0, before - MAX_HISTORY) : before], config, decays, act)
        taken_at[act.item] = act.moment


def _single(text: int, decays: Sequence[float], target: Act) -> Example:
    return Example([text], [np.ones(1)] * len(decays), target)


def _with_history(acts: Sequence[Act], config: SpaceConfig, decays: Sequence[float], target: Act) -> Example:
    newest = acts[::-1]
    moments, weights = [act.moment for act in newest], np.array([act.weight for act in newest])
    steps = np.repeat(np.arange(len(newest)), [len(act.rows) for act in newest])
    rows = [row for act in newest for row in act.rows]
    return Example(rows, [decayed_weights(moments, weights, config, decay)[steps] for decay in decays], target)


def digest(catalogue: Catalogue, examples: Examples) -> str:
    """Return the hexadecimal SHA-256 of everything that a model can learn from."""
    total = hashlib.sha256()
    for text in catalogue.texts:
        total.update(text.encode() + b"\0")
    for column in (examples.sources, examples.weights, examples.starts, examples.targets, examples.recency):
        total.update(np.ascontiguousarray(column).tobytes())
    return total.hexdigest()
