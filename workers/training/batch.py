"""A batch of examples, with its candidates and a mask of those that are no negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .examples import Examples

__all__ = ["Batch", "batch_of", "candidates", "known_positives"]


@dataclass(frozen=True)
class Batch:
    """Some examples of a training set, with ragged histories as in :class:`Examples`."""

    chosen: np.ndarray
    """Numbers of the examples."""
    sources: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    targets: Tensor
    recency: Tensor


def batch_of(examples: Examples, chosen: np.ndarray) -> Batch:
    """Return the batch of the examples with these numbers."""
    begins, ends = examples.starts[chosen], examples.starts[chosen + 1]
    lengths = ends - begins
    starts = np.cumsum(lengths) - lengths
    places = np.repeat(begins - starts, lengths) + np.arange(lengths.sum())
    return Batch(
        chosen=chosen,
        sources=examples.sources[places],
        weights=np.ascontiguousarray(examples.weights[:, places]),
        starts=starts,
        targets=torch.from_numpy(examples.targets[chosen]),
        recency=torch.from_numpy(examples.recency[chosen]),
    )


def candidates(targets: Tensor, items: int, limit: int) -> Tensor:
    """Return the candidate items of a step, in ascending order: all items, or the targets and ``limit`` random items."""
    if items <= limit:
        return torch.arange(items)
    chosen: Tensor = torch.unique(torch.cat([targets, torch.randint(items, (limit,))]))
    return chosen


def known_positives(examples: Examples, chosen: np.ndarray, items: Tensor, exclude_seen: bool) -> Tensor:
    """Return a mask, bool (examples, items), of items that the example's user took, which are no negatives.

    ``items`` are in ascending order. Without ``exclude_seen``, items of the history stay negatives: the user could have
    taken them again, but took another.
    """
    mask = torch.zeros(len(chosen), len(items), dtype=torch.bool)
    names = items.numpy()
    for row, example in enumerate(chosen.tolist()):
        taken = examples.taken[examples.owners[example]]
        if not exclude_seen:
            taken = np.setdiff1d(taken, examples.sources[examples.starts[example] : examples.starts[example + 1]])
        places = np.searchsorted(names, taken).clip(max=len(names) - 1)
        mask[row, places[names[places] == taken]] = True
    return mask
