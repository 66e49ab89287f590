"""Trains MLP towers on a frozen encoder (method ``towers``): minutes on a CPU."""

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

from ..encoding import known as known_texts
from ..encoding import towers
from ..encoding.known import Known
from ..encoding.tower_encoder import save_towers, under
from ..encoding.towers import Bags
from .batch import Batch, batch_of, candidates, known_positives
from .catalogue import Catalogue
from .examples import Examples
from .learner import Learner, batch_rows
from .precision import device
from .recipe import Recipe
from .sketches import as_stored, by_text, sketches

__all__ = ["TowerLearner"]

MIN_STEPS = 25
"""Fewest steps between two evaluations."""
VECTOR_RATE = 3.0
"""Factor on the learning rate of learned vectors, since each occurs in few steps."""
AGAIN_RATE = 10.0
"""The same for the single parameter ``again``, which must move far."""
AVERAGE_PREFIX = "average."
"""Prefix of the names of averaged weights in a state."""
NO_LOGIT = -1e4
"""Logit of a masked candidate."""
ROWS_AT_ONCE = 8_192


class TowerLearner(Learner):
    """Trains :class:`~workers.encoding.towers.Towers` with a softmax loss over the catalogue.

    The result is the moving average of the weights over about the last epoch (Polyak and Juditsky 1992).
    """

    def __init__(
        self, recipe: Recipe, catalogue: Catalogue, rows: np.ndarray, examples: Examples,
        cooccurrence: sparse.csr_matrix, stemmer: str = "english", exclude_seen: bool = True,
    ) -> None:  # fmt: skip
        """``rows`` are base vectors, float32 (sources, size); ``cooccurrence``, (items, items), how a row follows a column.

        ``exclude_seen`` says whether lists exclude items that the user took; if not, the towers also learn how much users
        want such items again.
        """
        torch.manual_seed(recipe.seed)
        self._recipe, self._examples, self._device = recipe, examples, device()
        self._count, self._exclude_seen = catalogue.items, exclude_seen
        self.steps = max(MIN_STEPS, -(-len(examples) // recipe.batch))
        self._rows = torch.from_numpy(rows).to(self._device)
        self._read_texts(catalogue, cooccurrence, stemmer)
        numbers = {tenant: number for number, tenant in enumerate(sorted(set(catalogue.tenants)))}
        self._tenants = torch.tensor([numbers[tenant] for tenant in catalogue.tenants], dtype=torch.int64)
        sizes = rows.shape[1], recipe.hidden, self._known.learned, recipe.own, recipe.width
        self._model = towers.Towers(*sizes, drop=recipe.drop).to(self._device)
        self._optimizer = torch.optim.AdamW(_groups(self._model), weight_decay=0.01)
        moving = get_ema_multi_avg_fn(1 - 1 / self.steps)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self._model, multi_avg_fn=moving)

    def _read_texts(self, catalogue: Catalogue, cooccurrence: sparse.csr_matrix, stemmer: str) -> None:
        """Read the sources' non-dense inputs: words, sketches and codes."""
        width = self._recipe.width
        self._read = known_texts.Read.of(catalogue.texts, stemmer)
        items = known_texts.Read(self._read.words[: self._count], self._read.digests[: self._count])
        codes = known_texts.codes(catalogue.indexes, width)
        digests, behaviour, own = by_text(items.digests, sketches(cooccurrence, codes), codes)
        taken = np.concatenate([*self._examples.taken, np.empty(0, np.int64)])
        users = np.bincount(taken, minlength=self._count)
        self._known = Known.of(items, users, digests, behaviour, stemmer)
        self._bags = self._known.bags(self._read)
        if not self._exclude_seen:
            self._codes = replace(self._known, sketches=own)
            self._own_codes = torch.from_numpy(self._codes.sketched(items)).to(self._device)
            free_texts = np.zeros((len(catalogue.texts) - self._count, width), dtype=np.float32)  # cannot be taken
            self._source_codes = torch.from_numpy(np.concatenate([codes, free_texts])).to(self._device)

    # --- learning -----------------------------------------------------------------------------

    def step(self, number: int, total: int) -> float:
        """Take a step and update the average; returns the loss."""
        loss = super().step(number, total)
        self._average.update_parameters(self._model)
        return loss

    def _loss(self, number: int) -> Tensor:
        chosen = batch_rows(len(self._examples), self._recipe.batch, number, self._recipe.seed)
        batch = batch_of(self._examples, chosen)
        items = candidates(batch.targets, self._count, self._recipe.candidates)
        logits = self._scores(batch, items) / self._recipe.temperature
        logits = logits.masked_fill(self._no_negatives(batch, items).to(self._device), NO_LOGIT)
        right = torch.searchsorted(items, batch.targets).to(self._device)
        losses = functional.cross_entropy(logits, right, reduction="none")
        recency = batch.recency.to(self._device)
        loss: Tensor = (losses * recency).sum() / recency.sum()
        return loss

    def _scores(self, batch: Batch, items: Tensor) -> Tensor:
        """Return the dot products of users with candidates, float32 (examples, items)."""
        needed, places = torch.unique(torch.cat([items, torch.from_numpy(batch.sources)]), return_inverse=True)
        places, bags = places.to(self._device), Bags.of(self._bags[needed.numpy()], self._device)
        firsts = self._model.firsts(self._rows[needed.to(self._device)], bags).float()
        at = places[: len(items)]
        wishes = self._wishes(firsts, places[len(items) :], batch)
        scores: Tensor = (wishes @ firsts[at].T).float()
        if not self._exclude_seen:
            taken = self._taken_codes(batch) @ self._own_codes[items.to(self._device)].T
            scores = scores + self._model.again * taken
        return scores

    def _wishes(self, firsts: Tensor, places: Tensor, batch: Batch) -> Tensor:
        """Return the first two blocks of users, from the weighted means of their histories."""
        starts, weights = self._histories(batch)
        means = [
            functional.embedding_bag(places, firsts, starts, mode="sum", per_sample_weights=of_decay)
            for of_decay in weights
        ]
        wishes: Tensor = self._model.wishes(torch.stack(means, 1))
        return wishes

    def _taken_codes(self, batch: Batch) -> Tensor:
        """Return the third blocks of users, (examples, width): mean codes of the items in their histories."""
        starts, weights = self._histories(batch)
        sources = torch.from_numpy(batch.sources).to(self._device)
        sums = functional.embedding_bag(sources, self._source_codes, starts, mode="sum", per_sample_weights=weights[0])
        return functional.normalize(sums, dim=1)

    def _histories(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(batch.starts).to(self._device), torch.from_numpy(batch.weights).to(self._device)

    def _no_negatives(self, batch: Batch, items: Tensor) -> Tensor:
        """Return a mask, bool (examples, items), of items that the user took at another time, or of another tenant."""
        others = self._tenants[items][None, :] != self._tenants[batch.targets][:, None]
        mask = others | known_positives(self._examples, batch.chosen, items, self._exclude_seen)
        mask[torch.arange(len(batch.chosen)), torch.searchsorted(items, batch.targets)] = False
        return mask

    # --- state --------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Return weights, optimizer state and averaged weights."""
        average = self._average.state_dict().items()
        return super().state() | {
            f"{AVERAGE_PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in average
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a state."""
        super().load(state)
        self._average.load_state_dict(under(AVERAGE_PREFIX, state))

    # --- result -------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Dimensions of a vector: all four blocks."""
        return int(self._model.first + self._recipe.width + towers.SPARE_DIMENSIONS)

    @torch.inference_mode()
    def rows(self) -> np.ndarray:
        """Return the current vectors of items and free texts."""
        model, known, firsts = self._finished()
        third = torch.from_numpy(known.sketched(self._read)).to(self._device)
        parts = [model.items(firsts[part], third[part], known.reach) for part in _parts(len(firsts))]
        vectors: np.ndarray = torch.cat(parts).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _finished(self) -> tuple[towers.Towers, Known, Tensor]:
        """Return the averaged model with its longest second block set, its vocabulary, and the first two blocks of all sources."""
        model = cast(towers.Towers, self._average.module.eval())
        parts = [
            model.firsts(self._rows[part], Bags.of(self._bags[part], self._device)) for part in _parts(len(self._rows))
        ]
        firsts = torch.cat(parts)
        model.longest.fill_(firsts[: self._count, model.size :].norm(dim=1).max())
        if self._exclude_seen:
            return model, self._known, firsts
        third = self._known.sketches + float(model.again.detach()) / towers.SKETCH_GAIN * self._codes.sketches
        return model, replace(self._known, sketches=as_stored(third)), firsts

    def save(self, folder: Path) -> None:
        """Write the towers and their vocabulary."""
        model, known, _ = self._finished()
        save_towers(folder, model, towers.DECAYS, known)


def _groups(model: towers.Towers) -> list[dict[str, Any]]:
    """Group the parameters by learning rate."""
    return [
        {"params": [*model.item.parameters(), *model.user.parameters()]},
        {"params": [model.table], "rate_factor": VECTOR_RATE},
        {"params": [model.again], "rate_factor": AGAIN_RATE},
    ]


def _parts(count: int) -> list[slice]:
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE)]
