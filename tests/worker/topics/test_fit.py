"""Fits of a small catalogue whose topics are known."""

from __future__ import annotations

import numpy as np
import pytest

from workers.items.embed import sparse as bag
from workers.items.topic_rule import TopicPoint, Topics
from workers.text import words as text_words
from workers.topics import themes as themes_module
from workers.topics.fit import Sample, fit_sample, how_many
from workers.topics.matching import matched

COOKING = ["soup", "bread", "oven", "butter", "flour", "recipe", "kitchen"]
SPACE = ["rocket", "orbit", "moon", "astronaut", "launch", "planet", "telescope"]
TENNIS = ["racket", "serve", "court", "umpire", "volley", "tournament", "match"]


def catalogue(per_topic: int = 40, seed: int = 1) -> tuple[list[str], list[int]]:
    """Texts of four words of one of three vocabularies: neighbours share company, not always words."""
    random = np.random.default_rng(seed)
    texts, classes = [], []
    for place, words in enumerate((COOKING, SPACE, TENNIS)):
        for _ in range(per_topic):
            texts.append(" ".join(random.choice(words, 4, replace=False)))
            classes.append(place)
    order = random.permutation(len(texts))
    return [texts[i] for i in order], [classes[i] for i in order]


def sample(texts: list[str], before: list[str | None] | None = None) -> Sample:
    terms = [text_words.terms(one) for one in texts]
    bags = [bag(one) if one else None for one in terms]
    return Sample(terms, [None] * len(texts), bags, texts, before or [None] * len(texts))


def test_a_fit_finds_the_three_vocabularies_and_new_texts_land_in_them() -> None:
    texts, classes = catalogue()
    made, last = fit_sample(sample(texts), 3)
    assert (len(made), last) == (3, 3)
    rule = Topics([one.topic for one in made])
    new = sample(["soup and flour", "launch of a telescope", "serve and volley", "", "xylophone"])
    about = rule.assign(new.dense, new.words)
    known = {one.id: set(one.keywords) for one in rule.points}
    for place, words in enumerate((COOKING, SPACE, TENNIS)):
        topic = about[place]
        assert topic is not None
        assert known[topic.id] <= set(words)
        assert len(topic.label.split(" · ")) == 3
    assert about[3] is None
    places = rule.scores([None] * len(texts), sample(texts).words).argmax(axis=1)
    assert len({(int(place), one) for place, one in zip(places, classes, strict=True)}) == 3


def test_a_refit_keeps_ids_and_labels_and_numbers_new_topics_on() -> None:
    texts, _ = catalogue()
    made, last = fit_sample(sample(texts), 3)
    old = [one.topic for one in made]
    old[0] = TopicPoint(**{**vars(old[0]), "label": "mine", "label_by": "admin"})
    rule = Topics(old)
    marks: list[str | None] = [
        rule.points[int(place)].id for place in rule.scores([None] * len(texts), sample(texts).words).argmax(axis=1)
    ]
    fresh, _ = catalogue(seed=9)
    changed = [*texts[:100], *fresh[:20]]
    again, after = fit_sample(sample(changed, [*marks[:100], *[None] * 20]), None, rule.points, 0, last)
    assert {one.topic.id: (one.topic.label, one.topic.label_by) for one in again} == {
        one.id: (one.label, one.label_by) for one in old
    }
    assert after == 3
    more, after = fit_sample(sample(changed, [*marks[:100], *[None] * 20]), 6, rule.points, 0, last)
    assert after == 3 + len([one for one in more if one.topic.id not in {"1", "2", "3"}])
    assert len({one.topic.label for one in more}) == len(more)


def test_matching_takes_the_best_assignment_as_a_whole() -> None:
    """New 0 shares 3 of 4 with old A and 1 with B; new 1 all of its 2 with B: 0 → A, 1 → B; new 2 is new."""
    new = [TopicPoint(str(number), "", "") for number in range(3)]
    old = [TopicPoint("8", "", "A"), TopicPoint("9", "", "B")]
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    assert matched(new, old, labels, ["8", "8", "8", "9", "9", "9", None]) == {0: 0, 1: 1}
    assert matched(new, [], labels, [None] * 7) == {}


def test_too_little_to_find_topics_in() -> None:
    assert fit_sample(sample(["soup bread"] * 5)) == ([], 0)
    assert fit_sample(sample([""] * 50), last=4) == ([], 4)


@pytest.mark.parametrize("number", [None, 5])
def test_topics_are_differences_so_equal_items_have_none(number: int | None) -> None:
    assert fit_sample(sample(["soup bread oven"] * 40), number) == ([], 0)
    assert fit_sample(sample([*["soup bread oven"] * 40, ""]), number) == ([], 0)


def test_two_kinds_of_equal_items_are_two_topics() -> None:
    made, _ = fit_sample(sample(["soup bread oven"] * 30 + ["rocket orbit moon"] * 30), 5)
    assert {frozenset(one.topic.keywords) for one in made} == {
        frozenset({"soup", "bread", "oven"}),
        frozenset({"rocket", "orbit", "moon"}),
    }


def test_how_many() -> None:
    assert [how_many(items) for items in (1, 64, 400, 10_000, 10**7)] == [2, 8, 20, 64, 64]


def test_topics_come_in_themes_which_a_refit_keeps_and_another_number_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six vocabularies, in two groups of three that share half of their words: the groups are the themes."""
    monkeypatch.setattr(themes_module, "MIN_THEMED_TOPICS", 6)
    random = np.random.default_rng(4)
    groups = {"x": "kitchen pan salt cook", "y": "orbit star launch probe"}
    own = {
        f"{group}{place}": [f"{group}word{place}{letter}" for letter in "abcde"]
        for group in groups
        for place in range(3)
    }
    texts = [
        " ".join([*random.choice(words, 3, replace=False), *random.choice(groups[name[0]].split(), 3, replace=False)])
        for name, words in own.items()
        for _ in range(40)
    ]
    made, last = fit_sample(sample(texts), 6)
    themes: dict[str, set[str]] = {one.topic.theme: set() for one in made}
    for one in made:
        themes[one.topic.theme].add(next(word[0] for word in one.topic.keywords if "word" in word))
    assert len(made) == 6 and sorted(map(sorted, themes.values())) == [["x"], ["y"]]
    assert all(label for label in themes)
    old = [one.topic for one in made]
    marks: list[str | None] = [
        place.id if place else None for place in Topics(old).assign([None] * len(texts), sample(texts).words) if place
    ]
    again, _ = fit_sample(sample(texts, marks), None, old, 0, last)
    assert {one.topic.id: one.topic.theme for one in again} == {one.id: one.theme for one in old}
    assert not any(one.renewed for one in again)
    named = [
        TopicPoint(**{**vars(topic), "label": "mine", "label_by": "admin"}) if topic.id == "1" else topic
        for topic in old
    ]
    stale = [
        TopicPoint(**{**vars(topic), "label": f"old {topic.id}", "theme": "old"}) if topic.id != "1" else topic
        for topic in named
    ]
    more, _ = fit_sample(sample(texts, marks), 7, stale, 0, last, renewed=True)
    assert {one.topic.label for one in more if one.topic.id == "1"} == {"mine"}
    assert not any(one.topic.label.startswith("old") or one.topic.theme == "old" for one in more)
    assert {one.renewed for one in more if one.topic.id in {"2", "3", "4", "5", "6"}} == {True}


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_renames_and_refits_keeps_what_a_person_named(seed: int) -> None:
    """Items come and go, and the number of topics changes at random; a named topic keeps id and name, and its texts."""
    random = np.random.default_rng(seed)
    texts, _ = catalogue()
    topics, last = fit_sample(sample(texts), 4)
    points, chosen = [one.topic for one in topics], {}
    for turn in range(6):
        picked = int(random.integers(len(points)))
        points[picked] = TopicPoint(**{**vars(points[picked]), "label": f"mine {turn}", "label_by": "admin"})
        chosen[points[picked].id] = f"mine {turn}"
        rule = Topics(points)
        fresh, _ = catalogue(per_topic=10, seed=100 * seed + turn)
        texts = [text for text in [*texts, *fresh] if random.random() < 0.8]
        marks = [topic.id if topic else None for topic in rule.assign([None] * len(texts), sample(texts).words)]
        number = [None, 2, 3, 6][int(random.integers(4))]
        fitted, last = fit_sample(sample(texts, marks), number, points, int(random.integers(2)), last)
        points = [one.topic for one in fitted]
        after = {one.id: (one.label, one.label_by) for one in points}
        assert {topic: after.get(topic) for topic in chosen} == {
            topic: (name, "admin") for topic, name in chosen.items()
        }
        assert len({one.label for one in points}) == len({one.id for one in points}) == len(points)
        if number is not None:
            assert len(points) <= max(number, len(chosen))


def test_a_named_topic_without_items_stays_as_it_was() -> None:
    texts, _ = catalogue()
    topics, _ = fit_sample(sample(texts), 3)
    away = TopicPoint("9", "", "mine", "admin", ("unicorn",), None, {12: 1.5})
    again, _ = fit_sample(sample(texts), 3, [*(one.topic for one in topics), away], 0, 9)
    (kept,) = [one for one in again if one.topic.id == "9"]
    assert (kept.topic.label, kept.topic.words, kept.topic.keywords, kept.size) == ("mine", {12: 1.5}, ("unicorn",), 0)
    assert len(again) == 3
