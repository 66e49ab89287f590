"""Events become examples: values by hand, and nothing of the future in a history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from scipy import sparse

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.space.ids import point_id
from workers.encoding.towers import codes
from workers.training.dataset import Catalogue, Examples, build, digest, pairs
from workers.training.encoder import EncoderLearner
from workers.training.learner import Recipe
from workers.training.towers import TowerLearner

CONFIG = SpaceConfig(model="hash", size=8, half_life_days=1e9)
ITEMS = "abcdef"


def catalogue(*texts: str) -> Catalogue:
    """Items a to f, then free texts under the ids t0, t1 and so on."""
    found = Catalogue()
    for number, name in enumerate(ITEMS):
        found.number[point_id("item", name)] = number
        found.points.append(point_id("item", name))
        found.tenants.append("")
        found.indexes.append(number)
        found.texts.append(f"item {name}")
    for number, text in enumerate(texts):
        found.number[f"t{number}"] = len(found.texts)
        found.texts.append(text)
    return found


def event(ts: float, item: str | None, kind: str = "view", point: str = "") -> tuple[str, dict[str, object]]:
    return point or f"e{ts}", {
        "user_id": "u",
        "item_id": item,
        "type": kind,
        "ts": iso(datetime.fromtimestamp(1_704_067_200 + ts, UTC)),
        "value": None,
    }


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


def test_a_history_is_what_was_before_newest_first_by_recency() -> None:
    acts = [event(k, item) for k, item in enumerate("abc")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5, 0.9))
    assert histories(found) == [([0], [1.0], 1), ([1, 0], [1.0, 0.5], 2)]
    assert found.weights[1].astype(float).round(4).tolist() == [1.0, 1.0, 0.9]
    assert [one.tolist() for one in found.taken] == [[0, 1, 2]]


def test_the_weight_of_an_event_is_that_of_folding() -> None:
    acts = [event(0, "a", "purchase"), event(1, "b", "dislike"), event(2, "c")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5,))
    assert histories(found) == [([1, 0], [-1.0, 1.5], 2)]  # a dislike is no target, and pulls away: -1, 3 · 0.5


def test_what_happens_at_the_same_moment_is_not_before() -> None:
    acts = [event(0, "a"), event(5, "b", point="e1"), event(5, "c", point="e2"), event(6, "d")]
    found = build({("", "u"): acts}, catalogue(), CONFIG, (0.5,))
    assert [(sources, target) for sources, _, target in histories(found)] == [([0], 1), ([0], 2), ([2, 1, 0], 3)]


def test_an_item_is_a_target_when_it_is_taken_first() -> None:
    acts = [event(k, item) for k, item in enumerate("abab")]
    assert [target for *_, target in histories(build({("", "u"): acts}, catalogue(), CONFIG, (0.5,)))] == [1]


def test_an_item_that_is_taken_again_is_a_target_where_lists_may_hold_it() -> None:
    acts = [event(k, item) for k, item in enumerate("abab")]
    found = histories(build({("", "u"): acts}, catalogue(), CONFIG, (0.5,), repeats=True))
    assert found == [([0], [1.0], 1), ([1, 0], [1.0, 0.5], 0), ([0, 1, 0], [1.0, 0.5, 0.25], 1)]
    at_once = [event(0, "a"), event(1, "b", point="e1"), event(1, "b", "purchase", point="e2")]
    assert [
        target for *_, target in histories(build({("", "u"): at_once}, catalogue(), CONFIG, (0.5,), repeats=True))
    ] == [1]


def test_an_example_counts_by_how_many_came_after_it() -> None:
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


@pytest.mark.parametrize(("sequences", "sign"), [(["aaaa", "bbbb", "cccc"], 1), (["abcd", "bcda", "cdab"], -1)])
@pytest.mark.slow
def test_learned_is_whether_people_take_again_what_they_had(sequences: list[str], sign: int) -> None:
    people = {("", f"u{n}"): [event(k, item) for k, item in enumerate(one)] for n, one in enumerate(sequences)}
    found = build(people, catalogue(), CONFIG, (0.4, 0.8), repeats=True)
    rows, before = np.eye(6, 8, dtype=np.float32), sparse.eye(6, format="csr") * 0.1
    repeating, sparing = (
        TowerLearner(Recipe(width=64, hidden=8, own=4), catalogue(), rows, found, before, exclude_seen=one)
        for one in (False, True)
    )
    untaught, third, code = repeating.rows(), slice(8 + 4, 8 + 4 + 64), codes([0], 64)[0]
    for number in range(20):
        repeating.step(number, 40)
        sparing.step(number, 40)
    again = float(repeating._average.module.again.detach())
    assert sign * again > 0.03
    assert float(sparing._average.module.again.detach()) == 0  # lists leave out what a user had
    # It lies in the third block: what it adds to the score of the item itself, that of a text being 1.
    less, more = (one[0, third] @ code / np.linalg.norm(one[0, :8]) for one in (untaught, repeating.rows()))
    assert more == pytest.approx(less + again, abs=2e-4)
    assert np.allclose(np.linalg.norm(repeating.rows(), axis=1), 1, atol=1e-5)


def test_a_search_speaks_for_what_was_chosen_within_half_an_hour_and_a_review_for_its_item() -> None:
    acts = [
        event(0, None, "search", "t0"), event(60, "a"), event(9_000, None, "search", "t1"), event(99_000, "b"),
        event(99_001, "c", "review", "t2"),
    ]  # fmt: skip
    found = histories(build({("", "u"): acts}, catalogue("warm", "cold", "fine"), CONFIG, (0.5,)))
    assert [(sources, target) for sources, _, target in found if len(sources) == 1] == [([6], 0), ([6], 0), ([8], 2)]
    assert ([7, 0, 6], 1) in [(sources, target) for sources, _, target in found]


def test_examples_are_as_many_as_asked_for_and_whole_users() -> None:
    people = {("", f"u{k}"): [event(n, item) for n, item in enumerate("abc")] for k in range(10)}
    found = build(people, catalogue(), CONFIG, (0.5,), most=7)
    assert (len(found), len(found.taken)) == (6, 3)


def test_the_digest_changes_with_the_data() -> None:
    one, two = (build({("", "u"): [event(0, "a"), event(1, last)]}, catalogue(), CONFIG, (0.5,)) for last in "bc")
    assert digest(catalogue(), one) != digest(catalogue(), two)
    assert digest(catalogue(), one) == digest(catalogue(), one)


def test_the_loss_is_the_mean_by_recency_and_what_a_user_had_is_told_by_the_ids_of_items() -> None:
    """b and c share a text, as variants do; a search with the text of an item is no item."""
    shared = catalogue("item a")
    shared.texts[2] = shared.texts[1]
    acts = [event(0, None, "search", "t0"), event(1, "a"), event(2, "b"), event(3, "c"), event(4, "d")]
    found = build({("", "u"): acts}, shared, CONFIG, (0.5, 0.8), repeats=True)
    rows, before = np.eye(7, 8, dtype=np.float32), sparse.eye(6, format="csr") * 0.1

    def loss(recency: list[float]) -> float:
        given = replace(found, recency=np.array(recency, dtype=np.float32))
        learner = TowerLearner(Recipe(width=64), shared, rows, given, before, exclude_seen=False)
        learner._model.eval()
        with torch.no_grad():
            learner._model.again.fill_(0.3)
            return float(learner._loss(0))

    alone = [loss([float(k == one) for k in range(len(found))]) for one in range(len(found))]
    weights = [2.0**-k for k in range(len(found))]
    assert len({round(one, 3) for one in alone}) > 1
    assert loss(weights) == pytest.approx(np.average(alone, weights=weights), rel=1e-4)

    learner = TowerLearner(Recipe(width=64), shared, rows, found, before, exclude_seen=False)
    had = learner._had(np.array([2, 1, 6]), np.array([[1.0, 0.5, 9.0]], dtype=np.float32), np.array([0]))
    expected = codes([2], 64)[0] + 0.5 * codes([1], 64)[0]  # as folding has it
    assert np.allclose(had[0].numpy(), expected / np.linalg.norm(expected), atol=1e-6)


@pytest.fixture
def two_users() -> Examples:
    """u takes a b c, v takes b d."""
    people = {
        ("", "u"): [event(k, item) for k, item in enumerate("abc")],
        ("", "v"): [event(k, item) for k, item in enumerate("bd")],
    }
    return build(people, catalogue(), CONFIG, (0.6, 0.9))


@pytest.mark.parametrize(
    ("exclude_seen", "expected"),
    [(False, {1: ["c"], 2: [], 3: []}), (True, {1: ["a", "c"], 2: ["a", "b"], 3: ["b"]})],
)
def test_what_a_user_took_later_is_no_negative_nor_what_lists_leave_out(
    two_users: Examples, exclude_seen: bool, expected: dict[int, list[str]]
) -> None:
    rows = np.eye(6, 8, dtype=np.float32)
    learner = TowerLearner(
        Recipe(batch=3), catalogue(), rows, two_users, sparse.csr_matrix((6, 6)), exclude_seen=exclude_seen
    )
    targets = torch.from_numpy(two_users.targets)
    mask = learner._never_wrong(np.arange(3), torch.arange(6), targets)
    hidden = {int(target): [ITEMS[k] for k in np.flatnonzero(row)] for target, row in zip(targets, mask, strict=True)}
    assert hidden == expected


def test_a_batch_of_pairs_holds_no_answer_that_is_right_for_two(
    two_users: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pairs(two_users) == [(0, 1), (1, 2), (1, 3)]
    learner = object.__new__(EncoderLearner)
    learner._recipe, learner._pairs, learner._catalogue = (
        Recipe(method="encoder", batch=3),
        pairs(two_users),
        catalogue(),
    )
    learner._right, learner._wanted = {0: {1}, 1: {2, 3}}, {1: {0}, 2: {1}, 3: {1}}
    learner._near = np.empty((0, 0))
    for number in range(20):
        anchors, answers = learner._batch(number)
        assert len(set(anchors)) == len(anchors) == len(answers)
        assert not {"item c", "item d"} <= set(answers)  # both are right after b
