"""Two towers on a frozen encoder: what an item is, and what a user wants next.

An item's vector has three blocks. The first is its text's vector, moved by an MLP: ``x + MLP(x)``, scaled to norm 1. The
second says after which items it was taken: each item has a code, random signs drawn from its id, and the block is the
sum of the codes of those before it, weighted by co-occurrence. The third makes all vectors equally long, in a direction of the
item's own: what is said of behaviour must not make its text count less (Bachrach et al. 2014).
A user's first block is the recency-weighted mean of their events' first blocks, moved by an MLP that also sees the mean
with a slower decay; the second is the mean of their items' codes; the third is empty. So the product of second blocks is the
collab score, but for noise (a sketch: Charikar et al. 2002), and an item nobody took lives by its text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from llmrec_qdrant.contracts import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from workers.encoder import Encoder, load_encoder, normalised
from workers.profiles import Past, pulls, sparse_index_of
from workers.registry import Version
from workers.text import clean

__all__ = ["DECAYS", "GAINS", "SPARE", "TowerEncoder", "Towers", "code", "codes", "known", "known_digest", "save"]

DECAYS = (0.4, 0.8)
"""Factors per step back of the means that the user tower sees; the first mean is the one that is moved."""
SPARE = 16
"""Numbers of the third block."""
GAINS = (0.0, 0.3, 0.6, 1.2, 2.4)
"""Lengths that the second block may have, that of the first being 1: which one, users say on whom nothing was learned."""
WEIGHTS = "towers.safetensors"
SHAPE = "config.json"


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


def known(digests: np.ndarray, sketches: np.ndarray, wanted: Sequence[int] | np.ndarray) -> np.ndarray:
    """Sketches of texts by their digests, which ``digests`` lists rising: zero for what was no item in training."""
    rows = np.zeros((len(wanted), sketches.shape[1]), dtype=np.float32)
    if len(digests):
        asked = np.asarray(wanted, dtype=np.int64)
        places = np.searchsorted(digests, asked).clip(max=len(digests) - 1)
        found = digests[places] == asked
        rows[found] = sketches[places[found]]
    return rows


class Towers(nn.Module):
    """The two MLPs, and how much the second block weighs."""

    def __init__(self, size: int, hidden: int, width: int, means: int = len(DECAYS), drop: float = 0.3) -> None:
        super().__init__()
        self.size, self.hidden, self.width, self.means = size, hidden, width, means
        self.item = _mlp(size, hidden, size, drop)
        self.user = _mlp(size * means, hidden, size, drop)
        self.register_buffer("gain", torch.tensor(0.0))
        self.gain: Tensor

    def texts(self, rows: Tensor) -> Tensor:
        """The first block of what has these encoder vectors; a zero row stays zero."""
        there = rows.abs().sum(1, keepdim=True) > 0
        moved: Tensor = functional.normalize(rows + self.item(rows), dim=1) * there
        return moved

    def items(self, rows: Tensor, sketches: Tensor, spare: Tensor) -> Tensor:
        """Vectors of items from their encoder vectors, their sketches (of length 1 at most) and directions of their own."""
        return functional.normalize(self.blocks(self.texts(rows), sketches, spare), dim=1) * (
            rows.abs().sum(1, keepdim=True) > 0
        )

    def blocks(self, firsts: Tensor, sketches: Tensor, spare: Tensor) -> Tensor:
        """The three blocks side by side, all rows equally long."""
        left = (1 - sketches.square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        return torch.cat([firsts, self.gain * torch.cat([sketches, left * spare], 1)], 1)

    def wishes(self, means: Tensor) -> Tensor:
        """First blocks of users from (users, means, size) first blocks of what they did."""
        means = functional.normalize(means, dim=2)
        moved: Tensor = functional.normalize(means[:, 0] + self.user(means.flatten(1)), dim=1)
        return moved

    def users(self, means: Tensor, wanted: Tensor) -> Tensor:
        """Vectors of users; ``wanted`` are the codes of their items, (users, width)."""
        nothing = wanted.new_zeros(len(wanted), SPARE)
        return functional.normalize(torch.cat([self.wishes(means), wanted, nothing], 1), dim=1)

    @property
    def shape(self) -> dict[str, int]:
        """What :class:`Towers` is built from."""
        return {"size": self.size, "hidden": self.hidden, "width": self.width, "means": self.means}


def _mlp(size: int, hidden: int, out: int, drop: float) -> nn.Sequential:
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(drop), last)


def save(folder: Path, towers: Towers, decays: Sequence[float], digests: np.ndarray, sketches: np.ndarray) -> None:
    """Write a version's files; ``digests`` (rising) are of the texts of items that have a sketch."""
    tensors = {f"towers.{name}": tensor.detach().cpu().contiguous() for name, tensor in towers.state_dict().items()}
    tensors["digests"] = torch.from_numpy(np.ascontiguousarray(digests, dtype=np.int64))
    tensors["sketches"] = torch.from_numpy(np.ascontiguousarray(sketches)).half()
    save_file(tensors, folder / WEIGHTS)
    (folder / SHAPE).write_text(
        json.dumps({"towers": towers.shape, "decays": list(decays)}, indent=2), encoding="utf-8"
    )


class TowerEncoder:
    """Texts → item vectors by a trained version; a text it knows from training as an item has that item's sketch."""

    def __init__(self, config: SpaceConfig, version: Version, folder: Path) -> None:
        if config.size != version.size:
            raise SpaceMismatch(
                f"trained model {version.name!r} gives vectors of {version.size} numbers, the space holds vectors of "
                f"{config.size}: re-embed with size={version.size}"
            )
        self.size = version.size
        self._base = SpaceConfig(**{**config.model_dump(), **version.base})
        shape, tensors = _read(folder)
        self.decays: tuple[float, ...] = tuple(shape["decays"])
        self._towers = Towers(**shape["towers"], drop=0.0)
        weights = {name.removeprefix("towers."): one for name, one in tensors.items() if name.startswith("towers.")}
        self._towers.load_state_dict(weights)
        self._towers.eval()
        self._digests = tensors["digests"].numpy()
        self._sketches = tensors["sketches"].float().numpy()

    def _encoder(self) -> Encoder:
        """The frozen encoder, loaded when there is a text: folding a user needs none."""
        return load_encoder(self._base)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), size); rows have norm 1, or are zero where the encoder cannot read the text."""
        digests = [known_digest(clean(text)) for text in texts]
        rows, spare = self._encoder().encode(texts), codes(digests, SPARE)
        with torch.inference_mode():
            found = self._towers.items(
                *map(torch.from_numpy, (rows, known(self._digests, self._sketches, digests), spare))
            )
        vectors: np.ndarray = found.numpy()
        return vectors

    @torch.inference_mode()
    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """The dense vector of a user from events, newest first; None where their events cancel out or say nothing."""
        size = self._towers.size
        moments, said = [one.ts for one in past], np.array([one.weight for one in past])
        weights = [pulls(moments, said, config, decay).tolist() for decay in self.decays]
        means = np.zeros((len(self.decays), size), dtype=np.float64)
        wanted = np.zeros(self._towers.width, dtype=np.float64)
        for one, each in zip(past, zip(*weights, strict=True), strict=True):
            for row in (normalised(vector[:size]) for vector in one.dense):
                for place, weight in enumerate(each):
                    means[place] += weight * row
            if one.item is not None:
                wanted += each[0] * code(sparse_index_of(one.item), self._towers.width)
        if np.linalg.norm(means[0]) < 1e-9:
            return None
        rows = torch.tensor(means[None], dtype=torch.float32)
        found = self._towers.users(rows, torch.tensor(normalised(wanted)[None]))
        return [float(x) for x in found[0]]


def _read(folder: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    try:
        return json.loads((folder / SHAPE).read_text(encoding="utf-8")), load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"trained model {folder.name!r} cannot be read ({error}): copy it anew") from error
