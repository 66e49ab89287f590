"""Batches of pairs for the encoder."""

from __future__ import annotations

from tests.catalogues import CONFIG, catalogue, event
from workers.training.examples import build
from workers.training.recipe import Recipe
from workers.training.text_pairs import PairBatches, behaviour_pairs


def test_no_answer_in_a_batch_is_right_for_two_anchors() -> None:
    """u takes a b c, v takes b d."""
    people = {
        ("", "u"): [event(k, item) for k, item in enumerate("abc")],
        ("", "v"): [event(k, item) for k, item in enumerate("bd")],
    }
    pairs = behaviour_pairs(build(people, catalogue(), CONFIG, (0.6, 0.9)))
    assert pairs == [(0, 1), (1, 2), (1, 3)]
    batches = PairBatches(Recipe(method="encoder", batch=3), catalogue(), pairs)
    for number in range(20):
        anchors, answers = batches.batch(number)
        assert len(set(anchors)) == len(anchors) == len(answers)
        assert not {"item c", "item d"} <= set(answers)  # both are right after b
