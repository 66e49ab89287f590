"""The rule that assigns topics, against scores worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from qdrant_client import models

from workers.items.topic_rule import TopicPoint, Topics


def test_scores_add_the_words_and_twice_the_cosine_and_outliers_get_no_topic() -> None:
    """Topic 1 points east and knows two words, topic 2 knows no words and points north."""
    rule = Topics(
        [
            TopicPoint("2", "", "north", dense=np.array([0.0, 1.0]), cut=(1.5, 0.0)),
            TopicPoint("1", "", "east", dense=np.array([1.0, 0.0]), words={7: 0.5, 8: -0.25}, cut=(0.0, 0.15)),
        ]
    )
    words = models.SparseVector(indices=[7, 8, 9], values=[0.6, 0.4, 9.0])
    dense = [np.array([3.0, 4.0]), None, np.array([0.0, 2.0]), None]
    scores = rule.scores(dense, [words, words, None, None])
    assert scores == pytest.approx(np.array([[0.2 + 2 * 0.6, 2 * 0.8], [0.2, 0.0], [0.0, 2.0], [0.0, 0.0]]), abs=1e-6)
    named = [topic.label if topic else None for topic in rule.assign(dense, [words, words, None, None])]
    assert named == ["north", "east", "north", None]
    (outlier,) = rule.assign([None], [models.SparseVector(indices=[7], values=[0.2])])
    assert outlier is None, "a score of 0.1 is below the cut for texts without a dense vector"
