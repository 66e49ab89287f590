"""Trained towers on disk, and the encoder that runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch

from ..behaviour.fold import Past, pulls, sparse_index_of
from ..behaviour.vectors import normalised
from ..text.clean import clean
from .encoder import Encoder
from .known import Known, Read, code
from .registry import Version
from .towers import Bags, Towers

__all__ = ["TowerEncoder", "read_towers", "save_towers", "under"]


WEIGHTS_FILE = "towers.safetensors"


SHAPE_FILE = "config.json"


KNOWN_ARRAYS = ("words", "idf", "digests", "sketches", "trust")
"""Fields of :class:`Known` that a version's weights hold."""


def save_towers(folder: Path, towers: Towers, decays: Sequence[float], known: Known) -> None:
    """Write the files of a version."""
    tensors = {f"towers.{name}": tensor.detach().cpu().contiguous() for name, tensor in towers.state_dict().items()}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(getattr(known, name))) for name in KNOWN_ARRAYS}
    tensors["sketches"] = tensors["sketches"].half()
    save_file(tensors, folder / WEIGHTS_FILE)
    shape = {"towers": towers.shape, "decays": list(decays), "stemmer": known.stemmer}
    (folder / SHAPE_FILE).write_text(json.dumps(shape, indent=2), encoding="utf-8")


class TowerEncoder:
    """Texts → item vectors by a trained version; a text that was an item in training gets what was learned of that item."""

    def __init__(
        self, config: SpaceConfig, version: Version, folder: Path, load: Callable[[SpaceConfig], Encoder]
    ) -> None:
        if config.size != version.size:
            raise SpaceMismatch(
                f"trained model {version.name!r} produces {version.size}-dimensional vectors; the space "
                f"stores {config.size} dimensions: re-embed with size={version.size}"
            )
        self.size = version.size
        self._load = load
        self._base = SpaceConfig(**{**config.model_dump(), **version.base})
        shape, tensors = read_towers(folder)
        self.decays: tuple[float, ...] = tuple(shape["decays"])
        self._towers = Towers(**shape["towers"], drop=0.0)
        self._towers.load_state_dict(under("towers.", tensors))
        self._towers.eval()
        arrays = {
            name: (tensors[name].float() if name == "sketches" else tensors[name]).numpy() for name in KNOWN_ARRAYS
        }
        self._known = Known(**arrays, stemmer=shape["stemmer"])

    def _encoder(self) -> Encoder:
        """The frozen encoder, loaded with the first text: folding a user needs none."""
        return self._load(self._base)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), size); rows have norm 1, or are zero where the encoder cannot read the text."""
        read = Read.of([clean(text) for text in texts], self._known.stemmer)
        rows = torch.from_numpy(self._encoder().encode(texts))
        sketches = torch.from_numpy(self._known.sketched(read))
        with torch.inference_mode():
            firsts = self._towers.firsts(rows, Bags.of(self._known.bags(read)))
            items = self._towers.items(firsts, sketches, self._known.reach)
        vectors: np.ndarray = items.numpy()
        return vectors

    @torch.inference_mode()
    def user(self, past: Sequence[Past], config: SpaceConfig) -> list[float] | None:
        """The dense vector of a user from events, newest first; None if these cancel out or say nothing."""
        size, width = self._towers.first, self._towers.shape["width"]
        moments, said = [act.ts for act in past], np.array([act.weight for act in past])
        weights = [pulls(moments, said, config, decay).tolist() for decay in self.decays]
        means = np.zeros((len(self.decays), size), dtype=np.float64)
        wanted = np.zeros(width, dtype=np.float64)
        for act, each in zip(past, zip(*weights, strict=True), strict=True):
            for vector in act.dense:  # all equally long
                for place, weight in enumerate(each):
                    means[place] += weight * vector[:size]
            if act.item is not None:
                wanted += each[0] * code(sparse_index_of(act.item), width)
        if np.linalg.norm(means[0]) < 1e-9:
            return None
        rows = torch.tensor(means[None], dtype=torch.float32)
        users = self._towers.users(rows, torch.tensor(normalised(wanted)[None]))
        return [float(x) for x in users[0]]


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def read_towers(folder: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Shape and tensors of a version. Raises :class:`InvalidInput` if they cannot be read or are of an older release."""
    try:
        shape, tensors = json.loads((folder / SHAPE_FILE).read_text(encoding="utf-8")), load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"trained model {folder.name!r} cannot be read ({error}): copy it again") from error
    if "towers.view" not in tensors:
        raise InvalidInput(
            f"trained model {folder.name!r} comes from an older release: train it anew with `llmrec train`"
        )
    return shape, tensors
