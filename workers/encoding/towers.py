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

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch

from ..behaviour.fold import Past, pulls, sparse_index_of
from ..behaviour.vectors import normalised
from ..text.clean import clean
from ..text.weights import indexed
from ..text.words import terms
from .encoder import Encoder
from .registry import Version

__all__ = [
    "DECAYS",
    "SPARE",
    "Bags",
    "Known",
    "Read",
    "TowerEncoder",
    "Towers",
    "code",
    "codes",
    "known_digest",
    "save",
    "under",
]


DECAYS = (0.4, 0.8)
"""Factors per step back of the means that the user tower sees; the first mean is the one that is moved."""


SPARE = 64
"""Numbers of the fourth block."""


GAIN = 0.3
"""Length of the third block, that of the first being 1: docs/decisions/training.md."""


COMMON = 0.2
"""Share of the items above which a word of theirs says nothing of any of them."""


PRIOR = 10.0
"""Users who took what has a word before its vector counts in full: one of n users counts √(n / (n + PRIOR))."""


WEIGHTS = "towers.safetensors"


SHAPE = "config.json"


ARRAYS = ("words", "idf", "digests", "sketches", "trust")
"""Of :class:`Known`, as they lie in a version's weights."""


def known_digest(text: str) -> int:
    """Under which number a model knows a text: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@lru_cache(maxsize=100_000)
def code(index: int, width: int) -> np.ndarray:
    """The code of an item, by the number it has in sparse vectors: ``width`` random signs, scaled to norm 1."""
    signs = np.random.default_rng(index).integers(0, 2, width) * 2.0 - 1.0
    return (signs / math.sqrt(max(width, 1))).astype(np.float32)


def codes(indexes: Sequence[int], width: int) -> np.ndarray:
    """Codes of items, a row each."""
    return np.array([code(one, width) for one in indexes], dtype=np.float32).reshape(-1, width)


class Bags(NamedTuple):
    """Rows of a sparse matrix, as :func:`torch.nn.functional.embedding_bag` takes them."""

    columns: Tensor
    starts: Tensor
    weights: Tensor

    @classmethod
    def of(cls, rows: sparse.csr_matrix, device: str = "cpu") -> Bags:
        """The rows of a matrix."""
        columns, starts = (torch.from_numpy(one.astype(np.int64)) for one in (rows.indices, rows.indptr[:-1]))
        return cls(columns.to(device), starts.to(device), torch.from_numpy(rows.data.astype(np.float32)).to(device))


class Read(NamedTuple):
    """Of texts, what towers know them by beside their vectors."""

    words: list[dict[int, float]]
    """Of each, number of a word → its weight: see :func:`workers.text.indexed`."""
    digests: np.ndarray
    """int64, of each: see :func:`known_digest`."""

    @classmethod
    def of(cls, texts: Sequence[str], stemmer: str) -> Read:
        """Of cleaned texts."""
        digests = np.array([known_digest(text) for text in texts], dtype=np.int64)
        return cls([indexed(terms(text, stemmer)) for text in texts], digests)


@dataclass(frozen=True)
class Known:
    """What a model knows by name: words, and texts that were items in training."""

    words: np.ndarray
    """int64, rising: numbers of words in sparse vectors."""
    idf: np.ndarray
    """float32, of these words."""
    digests: np.ndarray
    """int64, rising: see :func:`known_digest`."""
    sketches: np.ndarray
    """float32 (digests, width): third blocks."""
    trust: np.ndarray
    """float32, of words and texts: how much a learned vector counts, from 0 to 1, by how many users it was learned from."""
    stemmer: str

    @classmethod
    def of(cls, items: Read, users: np.ndarray, digests: np.ndarray, sketches: np.ndarray, stemmer: str) -> Known:
        """Of items, each taken by so many ``users``; IDF as Qdrant computes it.

        Left out are words that a fifth of the items have.
        """
        count = len(items.words)
        every = np.array([word for row in items.words for word in row], dtype=np.int64)
        words, places, counts = np.unique(every, return_inverse=True, return_counts=True)
        rare = counts <= COMMON * count
        idf = np.log1p((count - counts + 0.5) / (counts + 0.5)).astype(np.float32)
        of_words = np.bincount(places, np.repeat(users, [len(row) for row in items.words]), minlength=len(words))
        own, there = _find(digests, items.digests)
        of_texts = np.bincount(own[there], users[there], minlength=len(digests))
        learned_from = np.concatenate([of_words[rare], of_texts])
        trust = np.sqrt(learned_from / (learned_from + PRIOR)).astype(np.float32)
        return cls(words[rare], idf[rare], digests, sketches, trust, stemmer)

    @cached_property
    def reach(self) -> float:
        """Greatest length of a sketch, 1 at least."""
        return float(np.linalg.norm(self.sketches, axis=1).max(initial=1.0))

    @property
    def learned(self) -> int:
        """How many vectors are learned: one per word, then one per text."""
        return len(self.words) + len(self.digests)

    def bags(self, texts: Read) -> sparse.csr_matrix:
        """(texts, learned) float32: TF-IDF of known words, scaled to norm 1, and 1 for a known text itself, both times trust."""
        columns: list[np.ndarray] = []
        values: list[np.ndarray] = []
        for bag, place in zip(texts.words, self._places(texts).tolist(), strict=True):
            at, there = _find(self.words, np.fromiter(bag.keys(), np.int64, len(bag)))
            weights = np.fromiter(bag.values(), np.float32, len(bag))[there] * self.idf[at[there]]
            itself = [place] if place >= 0 else []
            columns.append(np.append(at[there], [len(self.words) + one for one in itself]).astype(np.int64))
            values.append(np.append(normalised(weights), np.ones(len(itself))) * self.trust[columns[-1]])
        ends = np.cumsum([0, *map(len, columns)])
        data = (np.concatenate(values), np.concatenate(columns), ends) if columns else ([], [], [0])
        return sparse.csr_matrix(data, shape=(len(texts.words), self.learned), dtype=np.float32)

    def sketched(self, texts: Read) -> np.ndarray:
        """(texts, width) float32: sketches, zero for what was no item in training."""
        rows = np.zeros((len(texts.digests), self.sketches.shape[1]), dtype=np.float32)
        places = self._places(texts)
        rows[places >= 0] = self.sketches[places[places >= 0]]
        return rows

    def _places(self, texts: Read) -> np.ndarray:
        places, there = _find(self.digests, texts.digests)
        return np.where(there, places, -1)


def _find(rising: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of ``wanted`` stands, and whether it does."""
    if not len(rising):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    places = np.searchsorted(rising, wanted).clip(max=len(rising) - 1)
    return places, rising[places] == wanted


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
        self.register_buffer("view", torch.randn(size, SPARE) / math.sqrt(SPARE))
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
        most = self.longest.square() + (GAIN * reach) ** 2
        left = most - length.clamp(max=self.longest).square() - (GAIN * sketches).square().sum(1, keepdim=True)
        fourth = functional.normalize(text @ self.view, dim=1) * left.clamp(min=0).sqrt()
        blocks = torch.cat([text, own, GAIN * sketches, fourth], 1)
        return blocks / (1 + most).sqrt() * text.any(1, keepdim=True)

    def wishes(self, means: Tensor) -> Tensor:
        """First two blocks of users from (users, means, size + own) first two blocks of what they did."""
        means = functional.normalize(means, dim=2)
        moved: Tensor = functional.normalize(means[:, 0] + self.user(means.flatten(1)), dim=1)
        return moved

    def users(self, means: Tensor, wanted: Tensor) -> Tensor:
        """Vectors of users; ``wanted`` are the codes of their items, (users, width)."""
        nothing = wanted.new_zeros(len(wanted), SPARE)
        return functional.normalize(torch.cat([self.wishes(means), wanted, nothing], 1), dim=1)


def _mlp(size: int, hidden: int, out: int, drop: float) -> nn.Sequential:
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(drop), last)


def save(folder: Path, towers: Towers, decays: Sequence[float], known: Known) -> None:
    """Write a version's files."""
    tensors = {f"towers.{name}": tensor.detach().cpu().contiguous() for name, tensor in towers.state_dict().items()}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(getattr(known, name))) for name in ARRAYS}
    tensors["sketches"] = tensors["sketches"].half()
    save_file(tensors, folder / WEIGHTS)
    shape = {"towers": towers.shape, "decays": list(decays), "stemmer": known.stemmer}
    (folder / SHAPE).write_text(json.dumps(shape, indent=2), encoding="utf-8")


class TowerEncoder:
    """Texts → item vectors by a trained version; a text it knows from training as an item has what was learned of that item."""

    def __init__(
        self, config: SpaceConfig, version: Version, folder: Path, load: Callable[[SpaceConfig], Encoder]
    ) -> None:
        if config.size != version.size:
            raise SpaceMismatch(
                f"trained model {version.name!r} gives vectors of {version.size} numbers, the space holds vectors of "
                f"{config.size}: re-embed with size={version.size}"
            )
        self.size = version.size
        self._load = load
        self._base = SpaceConfig(**{**config.model_dump(), **version.base})
        shape, tensors = _read(folder)
        self.decays: tuple[float, ...] = tuple(shape["decays"])
        self._towers = Towers(**shape["towers"], drop=0.0)
        self._towers.load_state_dict(under("towers.", tensors))
        self._towers.eval()
        arrays = {name: (tensors[name].float() if name == "sketches" else tensors[name]).numpy() for name in ARRAYS}
        self._known = Known(**arrays, stemmer=shape["stemmer"])

    def _encoder(self) -> Encoder:
        """The frozen encoder, loaded when there is a text: folding a user needs none."""
        return self._load(self._base)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), size); rows have norm 1, or are zero where the encoder cannot read the text."""
        read = Read.of([clean(text) for text in texts], self._known.stemmer)
        rows = torch.from_numpy(self._encoder().encode(texts))
        sketches = torch.from_numpy(self._known.sketched(read))
        with torch.inference_mode():
            firsts = self._towers.firsts(rows, Bags.of(self._known.bags(read)))
            found = self._towers.items(firsts, sketches, self._known.reach)
        vectors: np.ndarray = found.numpy()
        return vectors

    @torch.inference_mode()
    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """The dense vector of a user from events, newest first; None where their events cancel out or say nothing."""
        size, width = self._towers.first, self._towers.shape["width"]
        moments, said = [one.ts for one in past], np.array([one.weight for one in past])
        weights = [pulls(moments, said, config, decay).tolist() for decay in self.decays]
        means = np.zeros((len(self.decays), size), dtype=np.float64)
        wanted = np.zeros(width, dtype=np.float64)
        for one, each in zip(past, zip(*weights, strict=True), strict=True):
            for vector in one.dense:  # all equally long
                for place, weight in enumerate(each):
                    means[place] += weight * vector[:size]
            if one.item is not None:
                wanted += each[0] * code(sparse_index_of(one.item), width)
        if np.linalg.norm(means[0]) < 1e-9:
            return None
        rows = torch.tensor(means[None], dtype=torch.float32)
        found = self._towers.users(rows, torch.tensor(normalised(wanted)[None]))
        return [float(x) for x in found[0]]


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without it."""
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def _read(folder: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    try:
        shape, tensors = json.loads((folder / SHAPE).read_text(encoding="utf-8")), load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"trained model {folder.name!r} cannot be read ({error}): copy it anew") from error
    if "towers.view" not in tensors:
        raise InvalidInput(f"trained model {folder.name!r} was made by an older release: train it anew, `llmrec train`")
    return shape, tensors
