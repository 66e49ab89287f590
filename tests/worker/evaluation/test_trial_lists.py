"""Lists of a trial space can be measured again."""

from __future__ import annotations

import random

from llmrec_qdrant.contracts.answers import Recommendation
from workers.evaluation.trial_lists import ordered


def test_ties_are_ordered_by_the_items_alone() -> None:
    """Four items of one score between two others; the last digits of a float do not count."""
    listed = [Recommendation(id="first", score=2.0)]
    ties = [Recommendation(id=f"tie{k}", score=1.0 + k * 1e-8) for k in range(4)]
    last = Recommendation(id="last", score=0.9)
    orders = set()
    for seed in range(9):
        random.Random(seed).shuffle(ties)
        orders.add(tuple(item.id for item in ordered([*listed, *ties, last])))
    (order,) = orders
    assert (order[0], order[-1]) == ("first", "last") and set(order[1:-1]) == {f"tie{k}" for k in range(4)}


def test_a_fallback_with_scores_of_another_scale_stays_at_the_end() -> None:
    listed = [Recommendation(id="a", score=0.5), Recommendation(id="b", score=7.0), Recommendation(id="c", score=3.0)]
    assert [item.id for item in ordered(listed)] == ["a", "b", "c"]
