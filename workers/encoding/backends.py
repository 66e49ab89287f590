"""The ways to run a model, and the backend that spreads texts over the cores of a machine.

A backend takes token ids. Texts are sorted by length and cut into batches by a budget of tokens. On a CPU each core
takes whole batches, so no core waits for another inside a layer. If two threads encode at once, a core that has finished
the batches of one thread goes straight on to those of the other.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .ctranslate import ConvertedModel, convertible
from .universal import UniversalModel

__all__ = ["TOKENS_PER_BATCH", "Backend", "Forward", "ThroughModules", "batches", "builders"]


TOKENS_PER_BATCH = {"cpu": 1024}
"""Tokens per batch by device type; on a CPU, more would overflow the core's cache."""


TOKENS_PER_BATCH_ELSEWHERE = 32_768
"""Tokens per batch on any other device."""


Tokens = Sequence[Sequence[int]]


Forward = Callable[[Tokens], Tensor]
"""Token ids of texts → float32 tensor (texts, dimensions)."""


def batches(lengths: Sequence[int], budget: int, workers: int = 1) -> Iterator[list[int]]:
    """Yield batches of text indexes, longest texts first; a batch padded to its longest text stays within ``budget``.

    Texts are divided evenly between the ``workers``. A text longer than the budget forms a batch of its own.

    >>> list(batches([2, 9, 3, 3], budget=6))
    [[1], [2, 3], [0]]
    """
    rounds = max(1, math.ceil(sum(lengths) / (budget * workers)))
    budget = min(budget, math.ceil(sum(lengths) / (rounds * workers)))
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and longest * (len(batch) + 1) > budget:
            yield batch
            batch = []
        longest = longest if batch else lengths[index]
        batch.append(index)
    if batch:
        yield batch


class Backend:
    """Runs a model in one way, on all cores or on one accelerator."""

    def __init__(self, name: str, forward: Forward, device: torch.device) -> None:
        self.name = name
        self.forward = forward
        self.device = device
        self._cores = torch.get_num_threads() if device.type == "cpu" else 1
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(  # starts its threads on demand
            self._cores, thread_name_prefix="encode", initializer=torch.set_num_threads, initargs=(1,)
        )

    def encode(self, texts: Tokens) -> np.ndarray:
        """Encode token ids; returns a float32 array (len(texts), dimensions), in the order of the texts."""
        budget = TOKENS_PER_BATCH.get(self.device.type, TOKENS_PER_BATCH_ELSEWHERE)
        order = list(batches([len(text) for text in texts], budget, self._cores))
        parts = [[texts[index] for index in batch] for batch in order]
        if self._cores == 1 or len(parts) == 1:
            with self._lock:
                results = [self._within_memory(part) for part in parts]
        else:
            results = list(self._pool.map(self.forward, parts))
        rows = torch.cat(results).cpu().numpy()
        sorted_back = np.empty_like(rows)
        sorted_back[np.concatenate([np.array(batch) for batch in order])] = rows
        return sorted_back

    def _within_memory(self, texts: Tokens) -> Tensor:
        """Encode a batch; halve it as often as the accelerator runs out of memory.

        Raises ``torch.OutOfMemoryError`` if a single text does not fit.
        """
        try:
            return self.forward(texts)
        except torch.OutOfMemoryError:
            if len(texts) == 1:
                raise
        # Outside the handler: the traceback of the error would hold the tensors of the failed pass.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        middle = len(texts) // 2
        return torch.cat([self._within_memory(texts[:middle]), self._within_memory(texts[middle:])])


class ThroughModules:
    """Runs the model's own modules on padded batches; works for every architecture."""

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32) -> None:
        self._model = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
        self._model.eval()
        self._pad = model.tokenizer.pad

    @torch.inference_mode()
    def __call__(self, texts: Tokens) -> Tensor:
        """Encode token ids; returns a float32 tensor (len(texts), dimensions)."""
        padded = self._pad({"input_ids": [list(text) for text in texts]}, return_tensors="pt")
        features: dict[str, Any] = {name: tensor.to(self._model.device) for name, tensor in padded.items()}
        vectors: Tensor = self._model(features)["sentence_embedding"]
        return vectors.float()


def builders(model: Any) -> dict[str, Callable[[], Forward]]:
    """Return the ways to run a sentence-transformers model here: name → function that builds the forward pass.

    On a CPU, ``fp32`` and ``int8`` run in CTranslate2 if it supports the architecture; everything else runs in the
    model's own code.
    """
    if isinstance(model, UniversalModel):
        return model.ways()
    transformer, pooling, *rest = list(model)
    ways: dict[str, Callable[[], Forward]] = {
        "fp32": lambda: ThroughModules(model),
        "bf16": lambda: ThroughModules(model, torch.bfloat16),
    }
    bare = transformer.auto_model
    if bare.device.type != "cpu" or not convertible(bare) or pooling.pooling_mode not in ("mean", "cls"):
        return ways
    cores = torch.get_num_threads()

    def converted(precision: str) -> Forward:
        return _followed_by(rest, ConvertedModel(bare, model.tokenizer, pooling.pooling_mode, precision, cores))

    return ways | {"fp32": lambda: converted("float32"), "int8": lambda: converted("int8")}


def _followed_by(modules: Sequence[Any], forward: Forward) -> Forward:
    """Append the model's remaining modules, such as a projection, to a forward pass."""
    if not modules:
        return forward

    @torch.inference_mode()
    def whole(texts: Tokens) -> Tensor:
        features: dict[str, Any] = {"sentence_embedding": forward(texts)}
        for module in modules:
            features = module(features)
        vectors: Tensor = features["sentence_embedding"]
        return vectors

    return whole
