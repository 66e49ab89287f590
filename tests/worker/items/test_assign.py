"""The topics of a space, tenant by tenant."""

from __future__ import annotations

import pytest

from llmrec_qdrant.space.ids import sparse_index
from llmrec_qdrant.space.layout import Key
from workers.items import assign
from workers.items.assign import SpaceTopics
from workers.items.embed import sparse as bag
from workers.items.topic_rule import TopicPoint
from workers.text import words as text_words


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
