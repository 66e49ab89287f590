"""Two towers on a frozen encoder: what an item is, and what a user wants next.

An item's vector has four blocks. The first is its text's vector, moved by an MLP: ``x + MLP(x)``, scaled to norm 1. The second
is learned for what the encoder cannot know: a vector for each word of its text, weighted by TF-IDF, and one for the item
itself (as in LightFM, Kula 2015). The third says after which items it was taken: each item has a code, random signs drawn
from its id, and the block is the sum of the codes of those before it, weighted by co-occurrence (a sketch: Charikar et al.
2002). Where lists may hold what a user had, it also holds the item's own code, times a learned number: how much more, or
less, people want what they had. The fourth makes all vectors equally long: what is said of behaviour must not make its
text count less (Bachrach et al. 2014). It points where the text points, seen in fewer dimensions (Johnson and
Lindenstrauss 1984), so that items of like texts are alike in it too.
A user's first two blocks are the recency-weighted mean of their events', moved by an MLP that also sees the mean with a
slower decay; the third is the mean of their items' codes; the fourth is empty. So an item nobody took lives by its text and by
its words.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DECAYS", "SKETCH_GAIN", "SPARE_DIMENSIONS", "Bags", "Towers"]


DECAYS = (0.4, 0.8)
"""Factors per step back of the means that the user tower sees; the first mean is the one that is moved."""


SPARE_DIMENSIONS = 64
"""Dimensions of the fourth block."""


SKETCH_GAIN = 0.3
"""Length of the third block relative to the first: docs/decisions/tower-blocks.md."""


class Bags(NamedTuple):
    """Rows of a sparse matrix, as :func:`torch.nn.functional.embedding_bag` takes them."""

    columns: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of(cls, rows: sparse.csr_matrix, device: str = "cpu") -> Bags:
        """All rows of a matrix, on a device."""
        columns, starts = (torch.from_numpy(part.astype(np.int64)) for part in (rows.indices, rows.indptr[:-1]))
        return cls(columns.to(device), starts.to(device), torch.from_numpy(rows.data.astype(np.float32)).to(device))


class Towers(nn.Module):
    """The two MLPs and the learned vectors. ``learned`` is how many of these there are, ``own`` their size."""

    def __init__(
        self, size: int, hidden: int, learned: int, own: int, width: int, means: int = len(DECAYS), drop: float = 0.5
    ) -> None:
        super().__init__()
        self.shape = {"size": size, "hidden": hidden, "learned": learned, "own": own, "width": width, "means": means}
        self.size, self.first, self.drop = size, size + own, drop
        self.item = _mlp(size, hidden, size, drop)
        self.user = _mlp(self.first * means, hidden, self.first, drop)
        self.table = nn.Parameter(torch.randn(learned, own) * 1e-3)
        self.again = nn.Parameter(torch.zeros(()))
        """What having had an item adds to its score, where the same is wanted again, or is not: part of its third block."""
        self.register_buffer("view", torch.randn(size, SPARE_DIMENSIONS) / math.sqrt(SPARE_DIMENSIONS))
        self.view: Tensor
        """From the first block to where the fourth points."""
        self.register_buffer("longest", torch.tensor(0.0))
        self.longest: Tensor
        """Greatest length of a second block that may be: that of the items in training."""

    def firsts(self, rows: Tensor, bags: Bags) -> Tensor:
        """First and second blocks, (n, size + own), of what has these encoder vectors and words; a zero row stays zero."""
        there = rows.abs().sum(1, keepdim=True) > 0
        text = functional.normalize(rows + self.item(rows), dim=1)
        weights = functional.dropout(bags.weights, self.drop, self.training)
        own = functional.embedding_bag(bags.columns, self.table, bags.starts, mode="sum", per_sample_weights=weights)
        return torch.cat([text, own.to(text.dtype)], 1) * there

    def items(self, firsts: Tensor, sketches: Tensor, reach: float) -> Tensor:
        """Vectors of norm 1 from first and second blocks and sketches, of length ``reach`` at most."""
        text, own = firsts[:, : self.size], firsts[:, self.size :]
        length = own.norm(dim=1, keepdim=True)
        own = own * (self.longest / length.clamp(min=1e-9)).clamp(max=1)
        most = self.longest.square() + (SKETCH_GAIN * reach) ** 2
        left = most - length.clamp(max=self.longest).square() - (SKETCH_GAIN * sketches).square().sum(1, keepdim=True)
        fourth = functional.normalize(text @ self.view, dim=1) * left.clamp(min=0).sqrt()
        blocks = torch.cat([text, own, SKETCH_GAIN * sketches, fourth], 1)
        return blocks / (1 + most).sqrt() * text.any(1, keepdim=True)

    def wishes(self, means: Tensor) -> Tensor:
        """First two blocks of users from (users, means, size + own) first two blocks of what they did."""
        means = functional.normalize(means, dim=2)
        moved: Tensor = functional.normalize(means[:, 0] + self.user(means.flatten(1)), dim=1)
        return moved

    def users(self, means: Tensor, wanted: Tensor) -> Tensor:
        """Vectors of users; ``wanted`` are the codes of their items, (users, width)."""
        nothing = wanted.new_zeros(len(wanted), SPARE_DIMENSIONS)
        return functional.normalize(torch.cat([self.wishes(means), wanted, nothing], 1), dim=1)


def _mlp(size: int, hidden: int, out: int, drop: float) -> nn.Sequential:
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(drop), last)
