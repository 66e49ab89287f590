"""Merges and splits of the topics of a small catalogue whose topics are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmrec_qdrant.errors import InvalidInput, NotFound
from tests.worker.topics.test_fit import COOKING, SPACE, TENNIS, catalogue, sample
from workers.items.topic_rule import TopicPoint
from workers.topics.edits import Edit, applied
from workers.topics.fit import Fitted, Sample, fit_sample


def known() -> tuple[Sample, list[TopicPoint]]:
    """Topics 1 (cooking), 2 (space) and 3 (tennis), each with its texts."""
    texts, classes = catalogue()
    before: list[str | None] = [str(place + 1) for place in classes]
    return sample(texts, before), [TopicPoint(str(number), "", f"topic {number}") for number in (1, 2, 3)]


def fitted(edit: Edit) -> tuple[dict[str, Fitted], Edit, Sample]:
    texts, old = known()
    texts, topics, edit, last = applied(edit, texts, old, 3)
    result, _ = fit_sample(texts, None, topics, 0, last, kept={topic.id for topic in topics})
    return {described.topic.id: described for described in result}, edit, texts


def test_merged_topics_have_the_texts_and_words_of_both_and_the_id_and_label_of_the_first() -> None:
    result, edit, texts = fitted(Edit(["2", "1"]))
    assert {topic: one.topic.label for topic, one in result.items()} == {"2": "topic 2", "3": "topic 3"}
    assert {topic: texts.before.count(topic) for topic in ("1", "2", "3")} == {"1": 0, "2": 80, "3": 40}
    assert {topic: one.size for topic, one in result.items()} == {"2": 80, "3": 40}
    words = set(result["2"].topic.keywords)
    assert words <= {*COOKING, *SPACE} and words & set(COOKING) and words & set(SPACE)
    assert set(result["3"].topic.keywords) <= set(TENNIS)
    assert (edit.made, edit.gone) == (["2"], ["1"])


def test_the_largest_part_of_a_split_topic_keeps_its_id_and_label_and_the_others_get_new_ones() -> None:
    texts, old = known()
    merged = [{"1": "2"}.get(topic or "", topic) for topic in texts.before]
    merged[next(row for row, topic in enumerate(texts.before) if topic == "1")] = (
        None  # 39 texts of cooking, 40 of space
    )
    texts, topics, edit, last = applied(Edit(split="2"), replace(texts, before=merged), old[1:], 3)
    assert {topic: texts.before.count(topic) for topic in ("2", "3", "4", None)} == {"2": 40, "3": 40, "4": 39, None: 1}
    assert (edit.made, last) == (["2", "4"], 4)
    result = {one.topic.id: one for one in fit_sample(texts, None, topics, 0, last, kept={"2", "3", "4"})[0]}
    assert result["2"].topic.label == "topic 2" and set(result["2"].topic.keywords) <= set(SPACE)
    assert set(result["4"].topic.label.split(" · ")) <= set(COOKING)


def test_what_an_edit_made_stays_together_in_a_later_fit_of_any_number() -> None:
    first, edit, texts = fitted(Edit(["2", "1"]))
    old = [one.topic for one in first.values()]
    for number, renewed in ((None, False), (5, True)):
        again, _ = fit_sample(texts, number, old, 0, 3, renewed, kept=edit.made)
        (merged,) = [one for one in again if one.topic.id == "2"]
        assert merged.size >= 78 and {*COOKING, *SPACE} >= set(merged.topic.keywords)
        assert len(again) == (number or 2)
    without, _ = fit_sample(texts, 5, old, 0, 3, True)
    assert max(one.size for one in without) < 60


def test_a_topic_of_equal_items_cannot_be_split() -> None:
    texts = sample(["soup bread oven"] * 30 + ["rocket orbit moon"] * 30, [*["1"] * 30, *["2"] * 30])
    with pytest.raises(InvalidInput, match="cannot be split into 2: it has fewer than 2 kinds of items"):
        applied(Edit(split="1"), texts, [TopicPoint("1", "", "a"), TopicPoint("2", "", "b")], 2)


def test_an_edit_of_topics_that_are_gone_is_refused() -> None:
    Edit(["1", "2"]).check(["1", "2", "3"])
    for edit in (Edit(["1", "9"]), Edit(split="9")):
        with pytest.raises(NotFound, match="no topic 9 any more"):
            edit.check(["1", "2", "3"])
