"""What can be trained, each as steps that can be repeated: the state after step *n* depends on nothing but steps 1 to *n*.

Random numbers of a step are drawn from its number, so a training that is resumed goes on as it would have.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from llmrec_qdrant.contracts import Method, SpaceConfig
from workers import towers
from workers.encoder import centred, normalised, sentence_model
from workers.examples import Catalogue, Examples, pairs
from workers.towers import Bags, Known

__all__ = ["EncoderLearner", "Learner", "Recipe", "TowerLearner"]


@dataclass(frozen=True)
class Recipe:
    """How a method learns. The defaults were chosen on validation users: docs/decisions/training.md."""

    method: Method = "towers"
    epochs: int = 6
    batch: int = 512
    rate: float = 1e-3
    temperature: float = 0.07
    hidden: int = 384
    own: int = 128
    """Numbers of a learned vector, of a word or an item: the second block of a tower's vector."""
    width: int = 256
    """Numbers of the third block."""
    drop: float = 0.5
    """Share of the hidden units, and of an item's words, that a step leaves out."""
    candidates: int = 4_096
    """Items that compete at each step; all, where there are fewer."""
    hard: int = 1
    """Hard negatives per pair, of the encoder."""
    patience: int = 3
    """Looks without a gain after which training stops."""
    denser: float = 4.0
    """What the weight of the dense leg is multiplied by while epochs are compared, and unless others prove better."""
    seed: int = 0

    @classmethod
    def of(cls, method: Method, **changes: Any) -> Recipe:
        """The recipe of a method, with changes."""
        own: dict[str, dict[str, Any]] = {
            "towers": {},
            "encoder": {"denser": 1.0, "epochs": 2, "batch": 256, "rate": 2e-5, "temperature": 0.05},
            "texts": {"denser": 1.0, "epochs": 1, "batch": 256, "rate": 2e-5, "temperature": 0.05},
        }
        return cls(method=method, **{**own[method], **{name: one for name, one in changes.items() if one is not None}})


class Learner(ABC):
    """Something that learns step by step: a model and its optimizer, and the loss of a step."""

    steps: int
    """Between two looks: an epoch, or a few of them where examples are few."""
    _recipe: Recipe
    _device: str
    _model: Any
    _optimizer: torch.optim.Optimizer

    def step(self, number: int, total: int) -> float:
        """Take step ``number`` of ``total``; returns its loss."""
        torch.manual_seed(self._recipe.seed * 1_000_003 + number)
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self._recipe, number, total) * group.get("faster", 1.0)
        self._optimizer.zero_grad()
        with _mixed(self._device):
            loss = self._loss(number)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        return float(loss.detach())

    @abstractmethod
    def _loss(self, number: int) -> Tensor:
        """Of the examples of a step."""

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on: weights and optimizer."""
        return _flat(self._model, self._optimizer)

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        _unflat(state, self._model, self._optimizer)

    @abstractmethod
    def rows(self) -> np.ndarray:
        """Vectors of the catalogue's sources (items, then free texts), as they are now."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files of a version."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers in a vector."""


def _slice(count: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Which examples step ``number`` sees: every epoch all of them once, in an order of its own."""
    epoch, place = divmod(number, max(1, -(-count // batch)))
    return _order(count, seed, epoch)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _rate(recipe: Recipe, number: int, total: int) -> float:
    """Up over the first tenth of the steps, then down to zero."""
    warm = max(1, total // 10)
    return recipe.rate * min((number + 1) / warm, max(0.0, (total - number) / max(1, total - warm)))


@lru_cache(maxsize=1)
def _precision(device: str) -> torch.dtype:
    """bfloat16 where it is faster here: on some CPUs it is emulated and a hundred times slower."""
    if device != "cpu":
        return torch.bfloat16
    spent = {}
    for kind in (torch.float32, torch.bfloat16):
        some = torch.ones(256, 512, dtype=kind)
        _ = some @ some.T
        began = time.perf_counter()
        for _ in range(3):
            _ = some @ some.T
        spent[kind] = time.perf_counter() - began
    return torch.bfloat16 if spent[torch.bfloat16] < 0.7 * spent[torch.float32] else torch.float32


def _mixed(device: str) -> Any:
    return torch.autocast(device, torch.bfloat16, enabled=_precision(device) == torch.bfloat16)


def device() -> str:
    """Where training runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _flat(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and what the optimizer remembers of them, as one table of tensors."""
    found = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in _own(model).items()}
    for number, one in optimizer.state_dict()["state"].items():
        found |= {
            f"optimizer.{number}.{name}": torch.as_tensor(value).cpu().contiguous() for name, value in one.items()
        }
    return found


def _own(model: torch.nn.Module) -> dict[str, Tensor]:
    """Each tensor once, under the first of its names: safetensors refuses two names of one."""
    seen: dict[int, str] = {}
    return {
        name: tensor for name, tensor in model.state_dict().items()
        if seen.setdefault(tensor.data_ptr() or id(tensor), name) == name
    }  # fmt: skip


def _unflat(state: dict[str, Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.load_state_dict(towers.under("model.", state), strict=False)
    kept: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, what = rest.partition(".")
            kept.setdefault(int(number), {})[what] = tensor.clone()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})


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


class EncoderLearner(Learner):
    """The encoder itself, on pairs of texts (methods ``encoder`` and ``texts``), with sentence-transformers' losses.

    ``encoder``: what was done last and the item taken next, with hard negatives near the right answer. ``texts``: a text
    with a third of its words left out and the whole text, a denoising objective that needs no labels. Batches hold
    no two pairs of which one's right answer is right for the other. Gradients are cached (GradCache, Gao et al. 2021), so the
    memory is that of 32 texts however large the batch.
    """

    def __init__(
        self, recipe: Recipe, config: SpaceConfig, catalogue: Catalogue, rows: np.ndarray, examples: Examples
    ) -> None:
        from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

        torch.manual_seed(recipe.seed)
        self._recipe, self._config, self._catalogue, self._device = recipe, config, catalogue, device()
        self._model = sentence_model(config).to(self._device)
        self._pairs = pairs(examples) if recipe.method == "encoder" else _same(catalogue)
        self._right = _sets(self._pairs)
        self._wanted = _sets([(answer, anchor) for anchor, answer in self._pairs])
        self._readable = rows.any(axis=1, keepdims=True)
        self._near = _near(rows[: catalogue.items]) if recipe.method == "encoder" and recipe.hard else rows[:0]
        self.steps = max(1, -(-len(self._pairs) // recipe.batch))
        self._objective = CachedMultipleNegativesRankingLoss(
            self._model, scale=1 / recipe.temperature, mini_batch_size=32, directions=("query_to_doc",)
        )
        self._optimizer = torch.optim.AdamW(self._model.parameters(), weight_decay=0.01)

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return int(self._model.get_embedding_dimension())

    def _loss(self, number: int) -> Tensor:
        """One batch of pairs."""
        features = [
            {
                name: tensor.to(self._device)
                for name, tensor in self._model.preprocess(column).items()
                if torch.is_tensor(tensor)
            }
            for column in self._batch(number)
        ]
        loss: Tensor = self._objective(features, torch.empty(0))
        return loss

    def _batch(self, number: int) -> list[list[str]]:
        """Anchors, right answers and, where there are some, hard wrong ones."""
        chance = random.Random(f"{self._recipe.seed} {number}")
        kept: list[tuple[int, int]] = []
        anchors: set[int] = set()
        answers: set[int] = set()
        for place in _slice(len(self._pairs), self._recipe.batch, number, self._recipe.seed).tolist():
            anchor, answer = self._pairs[place]
            if self._right[anchor] & answers or self._wanted[answer] & anchors:
                continue
            kept.append((anchor, answer))
            anchors.add(anchor)
            answers.add(answer)
        texts = self._catalogue.texts
        if self._recipe.method == "texts":
            return [[_noisy(texts[one], chance) for one, _ in kept], [texts[one] for _, one in kept]]
        columns = [[texts[one] for one, _ in kept], [texts[one] for _, one in kept]]
        if len(self._near):
            columns.append([texts[self._hard(pair, anchors, chance)] for pair in kept])
        return columns

    def _hard(self, pair: tuple[int, int], anchors: set[int], chance: random.Random) -> int:
        """An item near the right answer that nobody in the batch is known to want; else a random one."""
        near = [
            int(one)
            for one in self._near[pair[1]]
            if one not in pair and not self._wanted.get(int(one), NOBODY) & anchors
        ]
        return chance.choice(near) if near else chance.randrange(self._catalogue.items)

    def rows(self) -> np.ndarray:
        """Vectors of items and free texts."""
        found = self._model.encode(self._catalogue.texts, batch_size=64, show_progress_bar=False, convert_to_numpy=True)
        unit = normalised(centred(found) if self._config.similarity == "pearson" else found)
        shown: np.ndarray = unit * self._readable
        return shown

    def save(self, folder: Path) -> None:
        """Weights, tokenizer and configuration, as sentence-transformers reads them."""
        self._model.save_pretrained(str(folder), safe_serialization=True, create_model_card=False)


def _same(catalogue: Catalogue) -> list[tuple[int, int]]:
    """Every text with itself: of items, and those that users wrote."""
    firsts = {text: row for row, text in reversed(list(enumerate(catalogue.texts))) if len(text.split()) > 2}
    return sorted((row, row) for row in firsts.values())


NOBODY: set[int] = set()


def _sets(found: Sequence[tuple[int, int]]) -> dict[int, set[int]]:
    """First of a pair → all its seconds."""
    sets: dict[int, set[int]] = {}
    for first, second in found:
        sets.setdefault(first, set()).add(second)
    return sets


NEAR = (5, 40)
"""Neighbours of the right answer that serve as hard negatives: the very nearest are often right too."""


def _near(rows: np.ndarray) -> np.ndarray:
    """Row → items that are like it, by the frozen encoder."""
    first, last = NEAR
    last = min(last, len(rows) - 1)
    found = []
    for start in range(0, len(rows), 1_024):
        order = np.argsort(-(rows[start : start + 1_024] @ rows.T), axis=1)[:, 1 + first : 1 + last]
        found.append(order)
    return np.concatenate(found)


def _noisy(text: str, chance: random.Random) -> str:
    """The text without a third of its words."""
    words = text.split()
    kept = [word for word in words if chance.random() > 1 / 3]
    return " ".join(kept or words[:1])
