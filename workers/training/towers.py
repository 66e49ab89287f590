"""TODO: workers.training.towers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..encoding import towers
from ..encoding.towers import Bags, Known
from .dataset import Catalogue, Examples
from .learner import Learner, Recipe, _slice, device

__all__ = ["TowerLearner"]


class TowerLearner(Learner):
    """MLP towers on frozen vectors: softmax over the catalogue, in minutes on a CPU (method ``towers``).

    What it gives is the moving average of its weights over the last epoch or so (Polyak and Juditsky 1992).
    """

    def __init__(
        self, recipe: Recipe, catalogue: Catalogue, rows: np.ndarray, examples: Examples, before: sparse.csr_matrix,
        stemmer: str = "english", exclude_seen: bool = True,
    ) -> None:  # fmt: skip
        torch.manual_seed(recipe.seed)
        self._recipe, self._examples, self._device = recipe, examples, device()
        self._count, self._exclude_seen = catalogue.items, exclude_seen
        self.steps = max(ROUND, -(-len(examples) // recipe.batch))
        self._rows = torch.from_numpy(rows).to(self._device)
        read = towers.Read.of(catalogue.texts, stemmer)
        items = towers.Read(read.words[: self._count], read.digests[: self._count])
        codes = towers.codes(catalogue.indexes, recipe.width)
        digests, sketches, own = _by_text(items.digests, _sketches(before, codes), codes)
        users = np.bincount(np.concatenate([*examples.taken, np.empty(0, np.int64)]), minlength=self._count)
        self._known, self._read = Known.of(items, users, digests, sketches, stemmer), read
        if not exclude_seen:
            self._codes = replace(self._known, sketches=own)
            self._own = torch.from_numpy(self._codes.sketched(items)).to(self._device)
            searches = np.zeros((len(rows) - self._count, recipe.width), dtype=np.float32)  # nothing to be taken
            self._ids = torch.from_numpy(np.concatenate([codes, searches])).to(self._device)
        self._bags = self._known.bags(read)
        owners = {tenant: number for number, tenant in enumerate(sorted(set(catalogue.tenants)))}
        self._tenants = torch.tensor([owners[one] for one in catalogue.tenants], device=self._device)
        sizes = rows.shape[1], recipe.hidden, self._known.learned, recipe.own, recipe.width
        self._model = towers.Towers(*sizes, drop=recipe.drop).to(self._device)
        networks = [*self._model.item.parameters(), *self._model.user.parameters()]
        groups: list[dict[str, Any]] = [
            {"params": networks},
            {"params": [self._model.table], "faster": FASTER},
            {"params": [self._model.again], "faster": AGAIN},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        moving = get_ema_multi_avg_fn(1 - 1 / self.steps)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self._model, multi_avg_fn=moving)

    def step(self, number: int, total: int) -> float:
        """As of every learner; the average follows."""
        loss = super().step(number, total)
        self._average.update_parameters(self._model)
        return loss

    def state(self) -> dict[str, Tensor]:
        """Weights, optimizer and average."""
        average = self._average.state_dict().items()
        return super().state() | {f"{AVERAGE}{name}": one.detach().cpu().contiguous() for name, one in average}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        super().load(state)
        self._average.load_state_dict(towers.under(AVERAGE, state))

    @property
    def size(self) -> int:
        """Numbers in a vector: all blocks."""
        return int(self._model.first + self._recipe.width + towers.SPARE)

    def _loss(self, number: int) -> Tensor:
        """One batch of examples against the catalogue."""
        chosen = _slice(len(self._examples), self._recipe.batch, number, self._recipe.seed)
        sources, weights, starts = _ragged(self._examples, chosen)
        targets = torch.from_numpy(self._examples.targets[chosen])
        items = self._competing(targets)
        need, places = torch.unique(torch.cat([items, torch.from_numpy(sources)]), return_inverse=True)
        places, bags = places.to(self._device), Bags.of(self._bags[need.numpy()], self._device)
        firsts = self._model.firsts(self._rows[need.to(self._device)], bags).float()
        at = places[: len(items)]
        wanted = self._users(firsts, places[len(items) :], weights, starts)
        scores = (wanted @ firsts[at].T).float()
        if not self._exclude_seen:
            scores = scores + self._model.again * (
                self._had(sources, weights, starts) @ self._own[items.to(self._device)].T
            )
        right = torch.searchsorted(items, targets).to(self._device)
        wrong = self._never_wrong(chosen, items, targets).to(self._device)
        logits = (scores / self._recipe.temperature).masked_fill(wrong, -1e4)
        recency = torch.from_numpy(self._examples.recency[chosen]).to(self._device)
        each = functional.cross_entropy(logits, right, reduction="none")
        loss: Tensor = (each * recency).sum() / recency.sum()
        return loss

    def _had(self, sources: np.ndarray, weights: np.ndarray, starts: np.ndarray) -> Tensor:
        """Third blocks of users: codes of what they had."""
        at, begins, each = (torch.from_numpy(one).to(self._device) for one in (sources, starts, weights[0]))
        found = functional.embedding_bag(at, self._ids, begins, mode="sum", per_sample_weights=each)
        return functional.normalize(found, dim=1)

    def _users(self, firsts: Tensor, places: Tensor, weights: np.ndarray, starts: np.ndarray) -> Tensor:
        begins = torch.from_numpy(starts).to(self._device)
        each = torch.from_numpy(weights).to(self._device)
        means = [functional.embedding_bag(places, firsts, begins, mode="sum", per_sample_weights=one) for one in each]
        wanted: Tensor = self._model.wishes(torch.stack(means, 1))
        return wanted

    def _competing(self, targets: Tensor) -> Tensor:
        """Items of this step, rising: all, or the targets and random others."""
        if self._count <= self._recipe.candidates:
            return torch.arange(self._count)
        found: Tensor = torch.unique(torch.cat([targets, torch.randint(self._count, (self._recipe.candidates,))]))
        return found

    def _never_wrong(self, chosen: np.ndarray, items: Tensor, targets: Tensor) -> Tensor:
        """(examples, items): what is no negative: taken by the user later for the first time, or another tenant's.

        What they took before is none where lists leave it out; else it is one: it was there to be taken again, and
        something else was.
        """
        mask = (self._tenants[items][None, :] != self._tenants[targets][:, None]).cpu()
        names, examples = items.numpy(), self._examples
        for row, example in enumerate(chosen.tolist()):
            right = examples.taken[examples.owners[example]]
            if not self._exclude_seen:
                right = np.setdiff1d(right, examples.sources[examples.starts[example] : examples.starts[example + 1]])
            places = np.searchsorted(names, right).clip(max=len(names) - 1)
            mask[row, places[names[places] == right]] = True
        mask[torch.arange(len(chosen)), torch.searchsorted(items, targets)] = False
        return mask

    @torch.inference_mode()
    def rows(self) -> np.ndarray:
        """Vectors of items and free texts."""
        model, known, firsts = self._finished()
        sketches = torch.from_numpy(known.sketched(self._read)).to(self._device)
        parts = [model.items(firsts[some], sketches[some], known.reach) for some in _parts(len(firsts))]
        found: np.ndarray = torch.cat(parts).cpu().numpy()
        return found

    @torch.inference_mode()
    def _finished(self) -> tuple[towers.Towers, Known, Tensor]:
        """The averaged model, which knows how long second blocks are, what it knows, and the first two blocks of everything."""
        model = cast(towers.Towers, self._average.module.eval())
        parts = [
            model.firsts(self._rows[some], Bags.of(self._bags[some], self._device)) for some in _parts(len(self._rows))
        ]
        firsts = torch.cat(parts)
        model.longest.fill_(firsts[: self._count, model.size :].norm(dim=1).max())
        if self._exclude_seen:
            return model, self._known, firsts
        third = self._known.sketches + float(model.again.detach()) / towers.GAIN * self._codes.sketches
        return model, replace(self._known, sketches=_stored(third)), firsts

    def save(self, folder: Path) -> None:
        """The towers, and what they know."""
        model, known, _ = self._finished()
        towers.save(folder, model, towers.DECAYS, known)


def _parts(count: int) -> list[slice]:
    """Slices of 8,192 rows."""
    return [slice(start, start + 8_192) for start in range(0, count, 8_192)]


def _ragged(examples: Examples, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, weights and starts of some examples."""
    begins, ends = examples.starts[chosen], examples.starts[chosen + 1]
    lengths = ends - begins
    starts = np.cumsum(lengths) - lengths
    at = np.repeat(begins - starts, lengths) + np.arange(lengths.sum())
    return examples.sources[at], np.ascontiguousarray(examples.weights[:, at]), starts


AVERAGE = "average."
"""Before the names of averaged weights in a state."""


FASTER = 3.0
"""Times the rate at which learned vectors move: each is seen in few steps."""


AGAIN = 10.0
"""The same of the number that says what having had an item counts: it is one, and every example moves it."""


ROUND = 25
"""Least steps of the towers between two looks."""


CAP = 99.0
"""Percentile of the length of sketches above which they are cut: a few very popular items would outweigh all text."""


def _sketches(before: sparse.csr_matrix, table: np.ndarray) -> np.ndarray:
    """Third blocks of items, of length 1 at most: sums of the codes of what was taken before them."""
    if not before.nnz:
        return np.zeros_like(table)
    rows = np.asarray(before @ table, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    most = np.percentile(lengths[lengths > 0], CAP)
    cut: np.ndarray = (rows / np.maximum(lengths, most)).astype(np.float32)
    return cut


def _by_text(digests: np.ndarray, *tables: np.ndarray) -> tuple[np.ndarray, ...]:
    """Digests, rising, and one row of each table for each: the mean of those of the items that share a text.

    Left out is what is empty in the first table.
    """
    found, places, counts = np.unique(digests, return_inverse=True, return_counts=True)
    means = []
    for rows in tables:
        sums = np.zeros((len(found), rows.shape[1]), dtype=np.float32)
        np.add.at(sums, places, rows)
        means.append(_stored(sums / counts[:, None]))
    there = means[0].any(axis=1)
    return found[there], *(one[there] for one in means)


def _stored(sketches: np.ndarray) -> np.ndarray:
    """As they are after they were stored."""
    return sketches.astype(np.float16).astype(np.float32)
