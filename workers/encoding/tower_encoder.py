"""Stores trained towers on disk, and runs them as an encoder."""

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
from llmrec_qdrant.query.folding import decayed_weights

from ..behaviour.fold import Past, sparse_index_of
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
"""Fields of :class:`Known` that are stored with the weights of a version."""


def save_towers(folder: Path, towers: Towers, decays: Sequence[float], known: Known) -> None:
    """Write towers, decays and vocabulary as the files of a version."""
    tensors = {f"towers.{name}": tensor.detach().cpu().contiguous() for name, tensor in towers.state_dict().items()}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(getattr(known, name))) for name in KNOWN_ARRAYS}
    tensors["sketches"] = tensors["sketches"].half()
    save_file(tensors, folder / WEIGHTS_FILE)
    shape = {"towers": towers.shape, "decays": list(decays), "stemmer": known.stemmer}
    (folder / SHAPE_FILE).write_text(json.dumps(shape, indent=2), encoding="utf-8")


class TowerEncoder:
    """Encodes texts as items by a trained version; a text that was an item in training gets the vector learned for it.

    Raises :class:`SpaceMismatch` if the version's dimensions differ from the space's, :class:`InvalidInput` if its files
    cannot be read.
    """

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
        """Return the frozen encoder, loaded with the first text: folding users does not need it."""
        return self._load(self._base)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array (len(texts), size); rows have norm 1, or are zero where the encoder cannot read the text."""
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
        """Return the dense vector of a user from events, newest first; None if they cancel out or carry no signal."""
        size, width = self._towers.first, self._towers.shape["width"]
        moments, weights = [event.ts for event in past], np.array([event.weight for event in past])
        by_decay = [decayed_weights(moments, weights, config, decay).tolist() for decay in self.decays]
        means = np.zeros((len(self.decays), size), dtype=np.float64)
        codes = np.zeros(width, dtype=np.float64)
        for event, event_weights in zip(past, zip(*by_decay, strict=True), strict=True):
            for vector in event.dense:  # all equally long
                for place, weight in enumerate(event_weights):
                    means[place] += weight * vector[:size]
            if event.item is not None:
                codes += event_weights[0] * code(sparse_index_of(event.item), width)
        if np.linalg.norm(means[0]) < 1e-9:
            return None
        rows = torch.tensor(means[None], dtype=torch.float32)
        users = self._towers.users(rows, torch.tensor(normalised(codes)[None]))
        return [float(x) for x in users[0]]


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def read_towers(folder: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Read shape and tensors of a version.

    Raises :class:`InvalidInput` if they cannot be read or come from an older release.
    """
    try:
        shape, tensors = json.loads((folder / SHAPE_FILE).read_text(encoding="utf-8")), load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"trained model {folder.name!r} cannot be read ({error}): copy its folder again") from error
    if "towers.view" not in tensors:
        raise InvalidInput(
            f"trained model {folder.name!r} comes from an older release: train it anew with `llmrec train`"
        )
    return shape, tensors
