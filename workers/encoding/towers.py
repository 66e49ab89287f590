"""Two towers on a frozen encoder: one for what an item is, one for what a user wants next.

An item's vector has four blocks:

1. The vector of its text, adjusted by an MLP: ``x + MLP(x)``, scaled to norm 1.
2. Learned vectors for what the encoder cannot know: one for each word of its text, weighted by TF-IDF, and one for the
   item itself (as in LightFM, Kula 2015).
3. A sketch (Charikar et al. 2002) of the items that users took before it: each item has a code, random signs seeded by its
   id, and the block is their sum, weighted by co-occurrence. If lists may repeat items, it includes the item's own code,
   times a learned factor: how much more, or less, users want what they had.
4. Padding that makes all vectors equally long, so that the behaviour blocks do not make the text count less (Bachrach et
   al. 2014). It is a random projection of the text's direction (Johnson and Lindenstrauss 1984), so items with similar
   texts are similar in it too.

A user's first two blocks are the recency-weighted mean of those of their events, adjusted by an MLP that also sees the mean
with a slower decay; the third is the mean of their items' codes; the fourth is zero. So an item that nobody took is matched
by its text and its words.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DECAYS", "SKETCH_GAIN", "SPARE_DIMENSIONS", "Bags", "Towers"]


DECAYS = (0.4, 0.8)
"""Decay factors per step back, one for each mean that the user tower sees; the tower adjusts the first mean."""


SPARE_DIMENSIONS = 64
"""Dimensions of the fourth block."""


SKETCH_GAIN = 0.3
"""Length of the third block relative to the first: docs/decisions/tower-blocks.md."""


class Bags(NamedTuple):
    """Rows of a sparse matrix in the form that :func:`torch.nn.functional.embedding_bag` takes."""

    columns: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of(cls, rows: sparse.csr_matrix, device: str = "cpu") -> Bags:
        """Copy all rows of a matrix to a device."""
        columns, starts = (torch.from_numpy(part.astype(np.int64)) for part in (rows.indices, rows.indptr[:-1]))
        return cls(columns.to(device), starts.to(device), torch.from_numpy(rows.data.astype(np.float32)).to(device))


class Towers(nn.Module):
    """The two MLPs and the learned vectors: ``learned`` of them, of size ``own``."""

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
        """Learned factor on an item's own code in its third block: how much having taken an item changes its score."""
        self.register_buffer("view", torch.randn(size, SPARE_DIMENSIONS) / math.sqrt(SPARE_DIMENSIONS))
        self.view: Tensor
        """Random projection, (size, ``SPARE_DIMENSIONS``), from the first block to the direction of the fourth."""
        self.register_buffer("longest", torch.tensor(0.0))
        self.longest: Tensor
        """Length to which second blocks are limited: the greatest of the items in training."""

    def firsts(self, rows: Tensor, bags: Bags) -> Tensor:
        """Return the first and second blocks, (n, size + own), for encoder vectors and words; a zero row stays zero."""
        nonzero = rows.abs().sum(1, keepdim=True) > 0
        text = functional.normalize(rows + self.item(rows), dim=1)
        weights = functional.dropout(bags.weights, self.drop, self.training)
        own = functional.embedding_bag(bags.columns, self.table, bags.starts, mode="sum", per_sample_weights=weights)
        return torch.cat([text, own.to(text.dtype)], 1) * nonzero

    def items(self, firsts: Tensor, sketches: Tensor, reach: float) -> Tensor:
        """Return item vectors of norm 1 from their first two blocks and their sketches, which have length ``reach`` at most."""
        text, own = firsts[:, : self.size], firsts[:, self.size :]
        length = own.norm(dim=1, keepdim=True)
        own = own * (self.longest / length.clamp(min=1e-9)).clamp(max=1)
        longest = self.longest.square() + (SKETCH_GAIN * reach) ** 2
        left = (
            longest - length.clamp(max=self.longest).square() - (SKETCH_GAIN * sketches).square().sum(1, keepdim=True)
        )
        fourth = functional.normalize(text @ self.view, dim=1) * left.clamp(min=0).sqrt()
        blocks = torch.cat([text, own, SKETCH_GAIN * sketches, fourth], 1)
        return blocks / (1 + longest).sqrt() * text.any(1, keepdim=True)

    def wishes(self, means: Tensor) -> Tensor:
        """Return the first two blocks of users, (users, size + own), from decayed means of those of their events.

        ``means`` has the shape (users, means, size + own).
        """
        means = functional.normalize(means, dim=2)
        moved: Tensor = functional.normalize(means[:, 0] + self.user(means.flatten(1)), dim=1)
        return moved

    def wish_parts(self, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Split the first two blocks of one user among the events: (events, size + own) and a constant (size + own).

        ``parts`` are the terms of the means, (events, means, size + own): the means are their sums. All terms and the constant add
        up to :meth:`wishes`. The lengths that the means and the result are divided by are held, as the other legs hold theirs. The
        MLP is attributed by integrated gradients (Sundararajan et al. 2017) from zero; with one hidden layer the integral of the
        slope of GELU from ``low`` to ``high`` is known, ``(gelu(high) - gelu(low)) / (high - low)``, so nothing is approximated.
        """
        parts = parts / parts.sum(0).norm(dim=1).clamp(min=1e-12)[None, :, None]
        whole, flat = parts.sum(0), parts.flatten(1)
        into, out = cast(nn.Linear, self.user[0]), cast(nn.Linear, self.user[-1])
        low, high = into.bias, into(whole.flatten())
        moved = high - low
        still = moved.abs() < 1e-3
        mean_slope = (functional.gelu(high) - functional.gelu(low)) / torch.where(still, torch.ones_like(moved), moved)
        slope = torch.where(still, _slope(low + moved / 2), mean_slope)
        terms = parts[:, 0] + (flat @ into.weight.T * slope) @ out.weight.T
        constant = out(functional.gelu(low))
        length = (whole[0] + self.user(whole.flatten())).norm().clamp(min=1e-12)
        return terms / length, constant / length

    def users(self, means: Tensor, codes: Tensor) -> Tensor:
        """Return user vectors of norm 1; ``codes`` are the mean codes of their items, (users, width)."""
        padding = codes.new_zeros(len(codes), SPARE_DIMENSIONS)
        return functional.normalize(torch.cat([self.wishes(means), codes, padding], 1), dim=1)


def _slope(values: Tensor) -> Tensor:
    """Return the derivative of GELU: ``Φ(x) + x φ(x)``."""
    density = torch.exp(-values.square() / 2) / math.sqrt(2 * math.pi)
    slope: Tensor = torch.special.ndtr(values) + values * density
    return slope


def _mlp(size: int, hidden: int, out: int, drop: float) -> nn.Sequential:
    """Build an MLP whose output is zero before training."""
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(drop), last)
