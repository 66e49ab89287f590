"""A static encoder: each token has a vector, and a text is their weighted mean. No transformer runs, so a CPU is enough.

The vectors are distilled from a sentence model without training data, as in model2vec (Tulkens & van Dongen 2024): each
token of the vocabulary is encoded on its own; the rows are centred and rotated to their principal axes, so that a
truncated vector keeps most of the variance; frequent tokens count less (SIF, Arora et al. 2017, with frequencies
estimated from ranks in the vocabulary by Zipf's law).
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import cached_assets_path
from safetensors.torch import load_file, save_file

from .backends import Backend, ThroughModules
from .cache import digest

__all__ = ["StaticTable", "distilled"]


log = logging.getLogger("llmrec.worker")


RECIPE_VERSION = "1"
"""Increased when a change of this module makes other vectors from the same model."""


SIF_A = 1e-4
"""The constant a in the weight a / (a + p) of a token with frequency p."""


class StaticTable:
    """Sums the vectors of tokens; a backend of :class:`~workers.encoding.encoder.SentenceEncoder`."""

    name = "static"

    def __init__(self, table: torch.Tensor) -> None:
        self._table = table

    def encode(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the sum of each text's token vectors, float32 (len(texts), size)."""
        ids = torch.tensor(list(chain.from_iterable(texts)))
        starts = torch.tensor([0, *(len(text) for text in texts[:-1])]).cumsum(0)
        rows: np.ndarray = torch.nn.functional.embedding_bag(ids, self._table, starts, mode="sum").numpy()
        return rows


def distilled(model: Any, size: int) -> StaticTable:
    """Return the static encoder of a sentence-transformers model, in ``size`` dimensions.

    It is distilled once and then read from the asset cache of huggingface_hub (below ``HF_HOME``).
    """
    folder = cached_assets_path(
        "llmrec-qdrant",
        namespace="static",
        subfolder=digest(f"{RECIPE_VERSION} {model[1].pooling_mode}", model.state_dict()),
    )
    path = Path(folder) / "model.safetensors"
    if path.exists():
        table = load_file(path)["embeddings"]
    else:
        table = _distil(model)
        _save(table, path)
    return StaticTable(table[:, :size].contiguous())


def _distil(model: Any) -> torch.Tensor:
    """Distil token vectors, float32 (vocabulary, width), with columns by falling variance; special tokens are zero."""
    tokenizer = model.tokenizer
    count = len(tokenizer)
    log.info("distilling a static encoder of %d tokens; this happens once per model", count)
    began = time.monotonic()
    around = tokenizer("")["input_ids"]
    before, after = around[: len(around) // 2], around[len(around) // 2 :]
    rows = Backend("fp32", ThroughModules(model), torch.device(model.device)).encode(
        [[*before, token, *after] for token in range(count)]
    )
    axes = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(axes.T @ axes)
    vectors = vectors[:, ::-1]
    # The sign of an axis is arbitrary: make its largest component positive.
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    ranks = np.arange(2, count + 2)
    frequency = (1 / ranks) / (1 / ranks).sum()
    table = (axes @ vectors) * (SIF_A / (SIF_A + frequency))[:, None]
    table[list(tokenizer.all_special_ids)] = 0
    log.info("distilled in %.0f s", time.monotonic() - began)
    return torch.from_numpy(table.astype(np.float32))


def _save(table: torch.Tensor, path: Path) -> None:
    """Write the table atomically; a cache that cannot be written costs time, and nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            save_file({"embeddings": table}, Path(folder) / path.name, metadata={"recipe": RECIPE_VERSION})
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        log.warning("cannot store the static encoder (%s): it will be distilled again at the next start", error)
