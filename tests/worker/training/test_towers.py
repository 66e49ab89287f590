"""What towers learn, step by step, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from llmrec_qdrant import SpaceConfig
from tests.catalogues import CONFIG, ITEMS, catalogue, event
from workers.encoding.known import codes
from workers.encoding.loading import load_encoder
from workers.encoding.towers import Bags, Towers
from workers.training.batch import batch_of
from workers.training.examples import Examples, build
from workers.training.recipe import Recipe
from workers.training.towers import TowerLearner


@pytest.mark.parametrize(("sequences", "sign"), [(["aaaa", "bbbb", "cccc"], 1), (["abcd", "bcda", "cdab"], -1)])
@pytest.mark.slow
def test_towers_learn_whether_items_are_taken_again(sequences: list[str], sign: int) -> None:
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


def test_the_loss_is_weighted_by_recency_and_taken_items_are_known_by_id() -> None:
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
    history = replace(
        batch_of(found, np.arange(1)), sources=np.array([2, 1, 6]), starts=np.array([0]),
        weights=np.array([[1.0, 0.5, 9.0]], dtype=np.float32),
    )  # fmt: skip
    had = learner._taken_codes(history)
    expected = codes([2], 64)[0] + 0.5 * codes([1], 64)[0]  # as folding has it
    assert np.allclose(had[0].cpu().numpy(), expected / np.linalg.norm(expected), atol=1e-6)


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
def test_items_the_user_took_at_another_time_are_no_negatives(
    two_users: Examples, exclude_seen: bool, expected: dict[int, list[str]]
) -> None:
    rows = np.eye(6, 8, dtype=np.float32)
    learner = TowerLearner(
        Recipe(batch=3), catalogue(), rows, two_users, sparse.csr_matrix((6, 6)), exclude_seen=exclude_seen
    )
    targets = torch.from_numpy(two_users.targets)
    mask = learner._no_negatives(batch_of(two_users, np.arange(3)), torch.arange(6))
    hidden = {int(target): [ITEMS[k] for k in np.flatnonzero(row)] for target, row in zip(targets, mask, strict=True)}
    assert hidden == expected


def test_untrained_towers_keep_the_order_of_the_encoder() -> None:
    """Before the first step an item's first block is its encoder's vector, and so is a user's."""
    texts = [f"word{k} other{k % 5}" for k in range(9)]
    rows = load_encoder(SpaceConfig(model="hash", size=32)).encode(texts)
    towers = Towers(32, 16, 0, 8, 64)
    nothing = Bags.of(sparse.csr_matrix((9, 0)))
    firsts = towers.eval().firsts(torch.from_numpy(rows), nothing)
    assert np.allclose(firsts.detach().numpy()[:, :32], rows, atol=1e-6)
    wishes = towers.wishes(firsts[:, None].expand(-1, 2, -1))
    assert np.allclose(wishes.detach().numpy()[:, :32], rows, atol=1e-6)
