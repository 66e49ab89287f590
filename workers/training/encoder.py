"""TODO: workers.training.encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llmrec_qdrant.contracts.config import SpaceConfig

from ..behaviour.vectors import centred, normalised
from ..encoding.encoder import sentence_model
from .dataset import Catalogue, Examples, pairs
from .learner import Learner, Recipe, _slice, device

__all__ = ["EncoderLearner"]


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
