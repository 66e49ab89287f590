"""Profiles against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.query.folding import decayed
from llmrec_qdrant.space.ids import sparse_index
from workers.behaviour.fold import Past, fold, qualified_item
from workers.text.idf import Vocabulary

DAY = 86_400.0
CONFIG = SpaceConfig(model="hash", size=3, position_decay=0.5, collab_decay=0.5, half_life_days=10)
EAST, NORTH, UP = np.eye(3)


def test_recency_multiplies_position_and_age() -> None:
    moments = [100 * DAY, 90 * DAY, 80 * DAY]
    assert decayed(moments, 10, 0.5) == pytest.approx([1, 0.5 * 0.5, 0.25 * 0.25])
    assert decayed([], 10, 0.5).tolist() == []


@given(st.floats(0, 1e9))
def test_recency_does_not_depend_on_today(shift: float) -> None:
    moments = [50 * DAY, 49 * DAY, 12 * DAY]
    assert decayed([m + shift for m in moments], 10, 0.5) == pytest.approx(decayed(moments, 10, 0.5), rel=1e-6)


def test_dense_is_the_weighted_mean_on_the_unit_sphere() -> None:
    profile = fold([Past(0, 2.0, dense=(EAST,)), Past(0, 2.0, dense=(NORTH,))], CONFIG)
    norm = (2**2 + 1**2) ** 0.5
    assert profile.dense == pytest.approx([2 / norm, 1 / norm, 0])


def test_an_event_about_an_item_and_a_text_counts_both() -> None:
    profile = fold([Past(0, 1.0, dense=(EAST, UP))], CONFIG)
    assert profile.dense == pytest.approx([0.5**0.5, 0, 0.5**0.5])


def test_dislikes_subtract() -> None:
    """As strong as the like at most; at two steps back for each like since, not for each dislike."""
    profile = fold([Past(0, 1.0, dense=(EAST,)), Past(0, -2.0, dense=(NORTH,))], CONFIG)
    assert profile.dense == pytest.approx([0.5**0.5, -(0.5**0.5), 0])
    past = [
        Past(0, 1.0, dense=(EAST,)),
        Past(0, -0.2, dense=(NORTH,)),
        Past(0, -0.2, dense=(NORTH,)),
        Past(0, 1.0, dense=(UP,)),
    ]
    expected = np.array([1.0, -0.2, 0.5])
    assert fold(past, CONFIG).dense == pytest.approx(expected / np.linalg.norm(expected))


def test_dislikes_take_words_and_items_away_and_leave_nothing_negative() -> None:
    a, b, c = (qualified_item(item, "") for item in "abc")
    past = [
        Past(0, 1.0, item=a, tfidf=({1: 0.6, 2: 0.8},)),
        Past(0, -1.0, item=b, tfidf=({2: 0.8, 3: 0.6},)),
        Past(0, 1.0, item=c, tfidf=({2: 1.0},)),
    ]
    profile = fold(past, CONFIG)
    assert profile.tfidf is not None and profile.collab is not None
    norm = (0.6**2 + 0.9**2) ** 0.5  # of word 2: 0.8 - 0.5 · 0.8 + 0.5
    assert dict(zip(profile.tfidf.indices, profile.tfidf.values, strict=True)) == pytest.approx(
        {1: 0.6 / norm, 2: 0.9 / norm}
    )
    assert set(profile.collab.indices) == {sparse_index("a"), sparse_index("c")}


def test_what_cancels_out_leaves_no_leg() -> None:
    profile = fold([Past(0, 1.0, dense=(EAST,)), Past(0, -2.0, dense=(EAST,))], CONFIG)
    assert profile.dense is None and profile.vectors == {}


def test_pearson_profiles_are_centred() -> None:
    profile = fold([Past(0, 1.0, dense=(EAST,))], CONFIG.model_copy(update={"similarity": "pearson"}))
    assert profile.dense is not None
    assert sum(profile.dense) == pytest.approx(0, abs=1e-6)
    assert profile.dense == pytest.approx(np.array([2, -1, -1]) / 6**0.5)


def test_collab_is_item_to_weight_and_repeats_add_up() -> None:
    a, b = qualified_item("a", ""), qualified_item("b", "")
    profile = fold([Past(0, 1.0, item=a), Past(0, 1.0, item=b), Past(0, 1.0, item=a)], CONFIG)
    assert profile.collab is not None
    found = dict(zip(profile.collab.indices, profile.collab.values, strict=True))
    norm = (1.25**2 + 0.5**2) ** 0.5
    assert found == pytest.approx({sparse_index("a"): 1.25 / norm, sparse_index("b"): 0.5 / norm})


def test_tfidf_is_the_weighted_sum_of_term_frequencies() -> None:
    profile = fold([Past(0, 1.0, tfidf=({1: 0.6, 2: 0.8},)), Past(0, 1.0, tfidf=({2: 1.0},))], CONFIG)
    assert profile.tfidf is not None
    found = dict(zip(profile.tfidf.indices, profile.tfidf.values, strict=True))
    norm = (0.6**2 + 1.3**2) ** 0.5
    assert found == pytest.approx({1: 0.6 / norm, 2: 1.3 / norm})


def test_only_recent_history_counts() -> None:
    config = CONFIG.model_copy(update={"history": 1})
    assert fold([Past(0, 1.0, dense=(EAST,)), Past(0, 1.0, dense=(NORTH,))], config).dense == pytest.approx([1, 0, 0])


def test_strongest_words_are_frequent_here_and_rare_elsewhere() -> None:
    vocabulary = Vocabulary(100, {"film": 100, "robot": 2, "mars": 2})
    past = [Past(0, 1.0, words=("film", "robot")), Past(0, 1.0, words=("film", "mars"))]
    assert fold(past, CONFIG, vocabulary).terms == ["robot", "mars", "film"]


def test_words_of_what_is_disliked_are_not_interests() -> None:
    past = [Past(0, 1.0, words=("robot",)), Past(0, -1.0, words=("war",))]
    assert fold(past, CONFIG).terms == ["robot"]


def test_no_events_no_legs() -> None:
    assert fold([], CONFIG).vectors == {}


def test_many_dislikes_do_not_turn_a_user_against_what_they_like() -> None:
    """One like against four dislikes: together the dislikes weigh as much as the like, not four times as much."""
    flat = CONFIG.model_copy(update={"position_decay": 1.0})
    liked = np.array([1.0, 1.0, 0.0]) / 2**0.5
    past = [Past(0, 1.0, dense=(liked,)), *[Past(0, -1.0, dense=(NORTH,))] * 4]
    expected = liked - NORTH
    assert fold(past, flat).dense == pytest.approx(expected / np.linalg.norm(expected))


def test_who_likes_nothing_has_no_legs() -> None:
    """The opposite of horror is not what they want: popular items are, without horror."""
    past = [Past(0, -1.0, item=qualified_item("a", ""), dense=(NORTH,), tfidf=({1: 1.0},), words=("war",))]
    assert fold(past, CONFIG).vectors == {} and fold(past, CONFIG).terms == []


def test_collab_forgets_at_its_own_pace() -> None:
    config = CONFIG.model_copy(update={"collab_decay": 0.25, "half_life_days": 1e9})
    past = [
        Past(0, 1.0, item=qualified_item("a", ""), dense=(EAST,)),
        Past(0, 1.0, item=qualified_item("b", ""), dense=(NORTH,)),
    ]
    profile = fold(past, config)
    assert profile.collab is not None and profile.dense is not None
    assert profile.dense[1] / profile.dense[0] == pytest.approx(0.5)
    weights = dict(zip(profile.collab.indices, profile.collab.values, strict=True))
    assert weights[sparse_index("b")] / weights[sparse_index("a")] == pytest.approx(0.25)


def test_words_of_long_ago_are_dropped_where_they_are_negligible_but_no_item_is() -> None:
    """Weights 0.6^k scaled by √(1 - 0.36) = 0.8: 0.8 · 0.6^17 = 1.4e-4 is kept, 0.8 · 0.6^18 = 8e-5 is not."""
    past = [Past(0.0, 1.0, qualified_item(f"i{k}", ""), tfidf=({k: 1.0},)) for k in range(30)]
    profile = fold(past, SpaceConfig())
    assert profile.tfidf is not None and profile.collab is not None
    assert profile.tfidf.indices == list(range(18))
    assert profile.tfidf.values == pytest.approx([0.8 * 0.6**k for k in range(18)], rel=1e-6)
    assert len(profile.collab.indices) == 30
