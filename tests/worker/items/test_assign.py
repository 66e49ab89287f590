"""The rule that assigns topics, tenant by tenant."""

from __future__ import annotations

import numpy as np
import pytest
from qdrant_client import models

from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import Key
from workers.items import assign
from workers.items.assign import SpaceTopics, TopicPoint, Topics
from workers.items.embed import sparse as bag
from workers.text import words as text_words


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


def test_topics_of_one_tenant_are_not_those_of_another() -> None:
    words = {sparse_index("soup"): 1.0}
    cut = (0.0, 0.0)
    points = {
        "a": [TopicPoint("1", "a", "A", words=words, cut=cut)],
        "b": [TopicPoint("2", "b", "B", words=words, cut=cut)],
    }
    space = SpaceTopics(lambda tenant: points.get(tenant, []), "f", "f")
    found = space.marks(["a", "b", "c", "a"], [None] * 4, [bag(text_words.terms("soup"))] * 4)
    assert [marks[Key.TOPIC_IDS] for marks in found] == [["1"], ["2"], [], ["1"]]
    assert SpaceTopics(lambda tenant: []).marks(["a"], [None], [None]) == [{}], "before the first fit nothing is said"


def test_items_get_the_newest_topics_and_users_know_also_those_before() -> None:
    words, cut = {sparse_index("soup"): 1.0}, (0.0, 0.0)
    old = TopicPoint("1", "", "old", words=words, cut=cut, fit="f")
    new = TopicPoint("2", "", "new", words={sparse_index("soup"): 0.5}, cut=cut, fit="g")
    space = SpaceTopics(lambda tenant: [old, new], "g", "f")
    (found,) = space.marks([""], [None], [bag(text_words.terms("soup"))])
    assert found == {Key.TOPICS: ["new"], Key.TOPIC_IDS: ["2"], Key.FIT: "g"}
    assert set(space.by_id("")) == {"1", "2"}


def test_memory_holds_the_topics_of_a_bounded_number_of_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "MAX_TENANTS", 3)
    asked: list[str] = []

    def read(tenant: str) -> list[TopicPoint]:
        asked.append(tenant)
        return [TopicPoint("1", tenant, "A", words={1: 1.0})]

    space = SpaceTopics(read, "f", "f")
    for tenant in "abcabcdd":
        space.of(tenant)
    assert asked == list("abcd")
    assert len(space._rules) <= 3
    assert space.of("d").points[0].words == {}, "the words are in the arrays of the rule"
