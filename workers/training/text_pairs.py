"""Batches of text pairs for fine-tuning the encoder, with hard negatives."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np

from .catalogue import Catalogue
from .examples import Examples
from .learner import batch_rows
from .recipe import Recipe

__all__ = ["NO_NEIGHBOURS", "Pair", "PairBatches", "behaviour_pairs", "near_items", "same_text_pairs"]

Pair = tuple[int, int]
"""Rows of the catalogue: the anchor and its right answer."""
NEGATIVE_RANKS = (5, 40)
"""Ranks of a right answer's neighbours that serve as hard negatives; the nearest are often right answers too."""
MIN_WORDS = 3
"""Fewest words of a text that is paired with itself."""
DROPPED_WORD_SHARE = 1 / 3
NO_NEIGHBOURS = np.empty((0, 0), dtype=np.int64)
NO_ANCHORS: frozenset[int] = frozenset()


def behaviour_pairs(examples: Examples) -> list[Pair]:
    """Pair the newest source of each history, if its weight is positive, with the item taken next; each pair once."""
    newest = examples.starts[:-1]
    liked = examples.weights[0][newest] > 0
    pairs = zip(examples.sources[newest[liked]].tolist(), examples.targets[liked].tolist(), strict=True)
    return sorted({pair for pair in pairs if pair[0] != pair[1]})


def same_text_pairs(catalogue: Catalogue) -> list[Pair]:
    """Pair every distinct text of at least ``MIN_WORDS`` words with itself."""
    rows = {text: row for row, text in reversed(list(enumerate(catalogue.texts))) if len(text.split()) >= MIN_WORDS}
    return sorted((row, row) for row in rows.values())


def near_items(rows: np.ndarray) -> np.ndarray:
    """Return for each item the rows of nearby items, int array (items, neighbours), by dense unit vectors."""
    first, last = NEGATIVE_RANKS
    last = min(last, len(rows) - 1)
    parts = []
    for start in range(0, len(rows), 1_024):
        order = np.argsort(-(rows[start : start + 1_024] @ rows.T), axis=1)
        parts.append(order[:, 1 + first : 1 + last])
    return np.concatenate(parts)


class PairBatches:
    """The columns of texts for each step: anchors, right answers and, with ``near``, one hard negative per pair.

    In a batch, no right answer of a pair is also right for another pair's anchor. With the method ``texts``, anchors are
    the answers without a third of their words.
    """

    def __init__(
        self, recipe: Recipe, catalogue: Catalogue, pairs: list[Pair], near: np.ndarray = NO_NEIGHBOURS
    ) -> None:
        self._recipe, self._catalogue, self._pairs, self._near = recipe, catalogue, pairs, near
        self._answers_of = _by_first(pairs)
        self._anchors_of = _by_first((answer, anchor) for anchor, answer in pairs)

    def __len__(self) -> int:
        """Number of batches in an epoch, at least 1."""
        return max(1, -(-len(self._pairs) // self._recipe.batch))

    def batch(self, number: int) -> list[list[str]]:
        """Return the columns of texts of a step."""
        chance = random.Random(f"{self._recipe.seed} {number}")
        pairs = self._compatible(batch_rows(len(self._pairs), self._recipe.batch, number, self._recipe.seed))
        texts = self._catalogue.texts
        anchors, answers = [texts[anchor] for anchor, _ in pairs], [texts[answer] for _, answer in pairs]
        if self._recipe.method == "texts":
            return [[_without_some_words(text, chance) for text in anchors], answers]
        if not len(self._near):
            return [anchors, answers]
        in_batch = {anchor for anchor, _ in pairs}
        return [anchors, answers, [texts[self._hard_negative(pair, in_batch, chance)] for pair in pairs]]

    def _compatible(self, places: np.ndarray) -> list[Pair]:
        compatible: list[Pair] = []
        anchors: set[int] = set()
        answers: set[int] = set()
        for place in places.tolist():
            anchor, answer = self._pairs[place]
            if self._answers_of[anchor] & answers or self._anchors_of[answer] & anchors:
                continue
            compatible.append((anchor, answer))
            anchors.add(anchor)
            answers.add(answer)
        return compatible

    def _hard_negative(self, pair: Pair, anchors: set[int], chance: random.Random) -> int:
        """Return an item near the right answer that is wrong for every anchor of the batch; a random item without one."""
        near = [
            item
            for item in self._near[pair[1]].tolist()
            if item not in pair and not self._anchors_of.get(item, NO_ANCHORS) & anchors
        ]
        return chance.choice(near) if near else chance.randrange(self._catalogue.items)


def _by_first(pairs: Iterable[Pair]) -> dict[int, set[int]]:
    """Return first element → all second elements paired with it."""
    seconds: dict[int, set[int]] = {}
    for first, second in pairs:
        seconds.setdefault(first, set()).add(second)
    return seconds


def _without_some_words(text: str, chance: random.Random) -> str:
    words = text.split()
    remaining = [word for word in words if chance.random() > DROPPED_WORD_SHARE]
    return " ".join(remaining or words[:1])
