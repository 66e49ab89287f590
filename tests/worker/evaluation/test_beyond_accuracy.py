"""Coverage, novelty and diversity against values worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qdrant_client import models

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.space.ids import point_id
from tests.spaces import space_on, store_of
from workers.evaluation.beyond_accuracy import Diversity, coverage, novelty

LISTS = [[("", "a"), ("", "b")], [("", "b")], [("", "c")]]


def test_coverage_is_the_share_of_the_catalogue_in_any_list() -> None:
    assert coverage(LISTS, 12) == 3 / 12
    assert coverage([], 0) == 0


def test_novelty_is_the_mean_self_information_in_bits() -> None:
    """a: half of the users, 1 bit; b, twice: a quarter, 2 bits; c, which nobody took, as the rarest: 2 bits."""
    assert novelty(LISTS, {("", "a"): 0.5, ("", "b"): 0.25}) == (1 + 2 + 2 + 2) / 4
    assert novelty([[]], {}) == 0


@pytest.fixture
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    request.param = "local"
    with space_on(request, SpaceConfig(model="hash", size=32)) as space:
        yield space


def test_diversity_is_the_mean_distance_of_the_pairs_of_a_list(rec: Recommender) -> None:
    """Right angle: 1; opposite: 2; the pairs of a, b, c: 1, 2, 1. Lists with fewer than two vectors do not count."""
    rec.upsert_items([Item(id=name, title=name) for name in "abcd"])
    axes = {"a": (0, 1.0), "b": (1, 1.0), "c": (0, -1.0)}
    rows = {name: [value * (k == axis) for k in range(32)] for name, (axis, value) in axes.items()}
    points = [models.PointVectors(id=point_id("item", name), vector={"dense": row}) for name, row in rows.items()]
    rec.client.update_vectors(rec._space.items, points)
    diversity = Diversity(store_of(rec))
    assert diversity.of([[("", "a"), ("", "b")]]) == pytest.approx(1)
    assert diversity.of([[("", "a"), ("", "b"), ("", "c")], [("", "a")]]) == pytest.approx(4 / 3)
    assert diversity.of([[("", "a"), ("", "missing")]]) is None
