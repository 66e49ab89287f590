"""Fine-tunes the encoder itself, on pairs of texts (methods ``encoder`` and ``texts``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llmrec_qdrant.contracts.config import MULTILINGUAL_MODEL, SpaceConfig
from llmrec_qdrant.errors import InvalidInput

from ..behaviour.vectors import centred, normalised
from ..encoding.encoder import sentence_model
from .catalogue import Catalogue
from .examples import Examples
from .learner import Learner
from .precision import device, mixed_precision
from .recipe import Recipe
from .text_pairs import NO_NEIGHBOURS, PairBatches, behaviour_pairs, near_items, same_text_pairs

__all__ = ["EncoderLearner"]

TEXTS_IN_MEMORY = 32
"""Texts whose activations are held at once, however large the batch."""


class EncoderLearner(Learner):
    """Fine-tunes the encoder with sentence-transformers' contrastive loss.

    Method ``encoder`` pairs the newest source of a history with the item taken next, with hard negatives near that item.
    Method ``texts`` pairs a text without a third of its words with the whole text, a denoising objective that needs no
    events. Gradients are cached (GradCache, Gao et al. 2021), so memory does not grow with the batch.
    """

    def __init__(
        self, recipe: Recipe, config: SpaceConfig, catalogue: Catalogue, rows: np.ndarray, examples: Examples
    ) -> None:
        """``rows`` are the encoder's vectors before training, float32 (sources, size)."""
        from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

        if config.model == MULTILINGUAL_MODEL:
            raise InvalidInput(
                f"method {recipe.method!r} cannot train {config.model!r}, whose weights are fixed: use method 'towers'"
            )
        torch.manual_seed(recipe.seed)
        self._recipe, self._config, self._catalogue, self._device = recipe, config, catalogue, device()
        self._model = sentence_model(config).to(self._device)
        self._readable = rows.any(axis=1, keepdims=True)
        self._batches = _batches(recipe, catalogue, rows, examples)
        self.steps = len(self._batches)
        self._objective = CachedMultipleNegativesRankingLoss(
            self._model,
            scale=1 / recipe.temperature,
            mini_batch_size=TEXTS_IN_MEMORY,
            directions=("query_to_doc",),
        )
        self._optimizer = torch.optim.AdamW(self._model.parameters(), weight_decay=0.01)

    @property
    def size(self) -> int:
        """Dimensions of a vector."""
        return int(self._model.get_embedding_dimension())

    def _loss(self, number: int) -> Tensor:
        features = [self._features(column) for column in self._batches.batch(number)]
        loss: Tensor = self._objective(features, torch.empty(0))
        return loss

    def _backward(self, loss: Tensor) -> None:
        """As in the base class, in mixed precision: GradCache runs the encoder a second time while it goes backward."""
        with mixed_precision(self._device):
            super()._backward(loss)

    def _features(self, texts: list[str]) -> dict[str, Tensor]:
        """Tokenize texts, on the device."""
        tokens = self._model.preprocess(texts).items()
        return {name: tensor.to(self._device) for name, tensor in tokens if torch.is_tensor(tensor)}

    def rows(self) -> np.ndarray:
        """Return the current vectors of items and free texts; zero where the encoder cannot read the text."""
        vectors = self._model.encode(
            self._catalogue.texts, batch_size=64, show_progress_bar=False, convert_to_numpy=True
        )
        unit = normalised(centred(vectors) if self._config.similarity == "pearson" else vectors)
        readable: np.ndarray = unit * self._readable
        return readable

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and configuration in the format of sentence-transformers."""
        self._model.save_pretrained(str(folder), safe_serialization=True, create_model_card=False)


def _batches(recipe: Recipe, catalogue: Catalogue, rows: np.ndarray, examples: Examples) -> PairBatches:
    if recipe.method == "texts":
        return PairBatches(recipe, catalogue, same_text_pairs(catalogue))
    near = near_items(rows[: catalogue.items]) if recipe.hard else NO_NEIGHBOURS
    return PairBatches(recipe, catalogue, behaviour_pairs(examples), near)
