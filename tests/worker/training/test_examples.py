"""Events become examples: values by hand, and nothing of the future in a history."""

from __future__ import annotations

import pytest

from tests.catalogues import CONFIG, catalogue, event
from workers.training.examples import Examples, build, digest


def histories(found: Examples) -> list[tuple[list[int], list[float], int]]:
    """Sources, weights of the first decay, target."""
    return [
        (
            found.sources[a:b].tolist(),
            [round(float(one), 4) for one in found.weights[0][a:b]],
            int(target),
        )
        for a, b, target in zip(found.starts[:-1], found.starts[1:], found.targets, strict=True)
    ]


def test_a_history_holds_earlier_events_newest_first_weighted_by_recency() -> None:
    acts = [event(k, item) for k, item in enumerate("abc")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5, 0.9))
    assert histories(found) == [([0], [1.0], 1), ([1, 0], [1.0, 0.5], 2)]
    assert found.weights[1].astype(float).round(4).tolist() == [1.0, 1.0, 0.9]
    assert [one.tolist() for one in found.taken] == [[0, 1, 2]]


def test_events_weigh_as_in_folding() -> None:
    acts = [event(0, "a", "purchase"), event(1, "b", "dislike"), event(2, "c")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5,))
    assert histories(found) == [([1, 0], [-1.0, 3.0], 2)]  # a dislike is no target, pulls away, and makes no like fade


def test_simultaneous_events_are_not_in_a_history() -> None:
    acts = [event(0, "a"), event(5, "b", point="e1"), event(5, "c", point="e2"), event(6, "d")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5,))
    assert [(sources, target) for sources, _, target in histories(found)] == [([0], 1), ([0], 2), ([2, 1, 0], 3)]


def test_an_item_is_a_target_the_first_time_it_is_taken() -> None:
    acts = [event(k, item) for k, item in enumerate("abab")]
    assert [target for *_, target in histories(build({("", "u"): acts}, catalogue(), CONFIG, (0.5,)))] == [1]


def test_repeated_items_are_targets_where_lists_may_repeat_them() -> None:
    acts = [event(k, item) for k, item in enumerate("abab")]
    found = histories(build({("", "u"): acts}, catalogue(), CONFIG, (0.5,), repeats=True))
    assert found == [([0], [1.0], 1), ([1, 0], [1.0, 0.5], 0), ([0, 1, 0], [1.0, 0.5, 0.25], 1)]
    at_once = [event(0, "a"), event(1, "b", point="e1"), event(1, "b", "purchase", point="e2")]
    assert [
        target for *_, target in histories(build({("", "u"): at_once}, catalogue(), CONFIG, (0.5,), repeats=True))
    ] == [1]


def test_newer_examples_weigh_more() -> None:
    """Of three examples two came after the first, so it counts 2^(-2 · 2/3)."""
    people = {("", "u"): [event(k, item) for k, item in enumerate("abc")], ("", "v"): [event(1, "d"), event(9, "e")]}
    found = build(people, catalogue(), CONFIG, (0.5,), dated=True)
    expected = {1: 2**-1.333333, 2: 2**-0.666667, 4: 1.0}  # b, c and e, one after the other
    assert {int(one): float(weight) for one, weight in zip(found.targets, found.recency, strict=True)} == pytest.approx(
        expected, rel=1e-4
    )
    once = build(
        {("", f"u{k}"): [event(0, "a"), event(1, "b")] for k in range(3)}, catalogue(), CONFIG, (0.5,), dated=True
    )
    assert once.recency.tolist() == [1, 1, 1]
    assert build(people, catalogue(), CONFIG, (0.5,)).recency.tolist() == [1, 1, 1]  # who says that times compare?


def test_searches_and_reviews_are_examples_of_their_own() -> None:
    acts = [
        event(0, None, "search", "t0"), event(60, "a"), event(9_000, None, "search", "t1"), event(99_000, "b"),
        event(99_001, "c", "review", "t2"),
    ]  # fmt: skip
    found = histories(build({("", "u"): acts}, catalogue("warm", "cold", "fine"), CONFIG, (0.5,)))
    assert [(sources, target) for sources, _, target in found if len(sources) == 1] == [([6], 0), ([6], 0), ([8], 2)]
    assert ([7, 0, 6], 1) in [(sources, target) for sources, _, target in found]


def test_the_limit_of_examples_keeps_whole_users() -> None:
    people = {("", f"u{k}"): [event(n, item) for n, item in enumerate("abc")] for k in range(10)}
    found = build(people, catalogue(), CONFIG, (0.5,), limit=7)
    assert (len(found), len(found.taken)) == (6, 3)


def test_the_digest_changes_with_the_data() -> None:
    one, two = (build({("", "u"): [event(0, "a"), event(1, last)]}, catalogue(), CONFIG, (0.5,)) for last in "bc")
    assert digest(catalogue(), one) != digest(catalogue(), two)
    assert digest(catalogue(), one) == digest(catalogue(), one)
