"""Clusters against values worked out by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from workers.topics import clusters


def test_words_of_few_texts_are_dropped_and_counts_are_sublinear() -> None:
    found = clusters.bags([["a", "a", "b"], ["a", "c"], ["b"]])
    assert found.words == ["a", "b"]
    assert found.counts.toarray() == pytest.approx(np.array([[1 + np.log(2), 1], [1, 0], [0, 1]]))
    assert found.frequencies.tolist() == [2, 2]


def test_words_in_like_company_are_near_without_meeting() -> None:
    """`cat` and `dog` never share a text, but both go with `pet`; `stock` goes with `bank`."""
    texts = [["cat", "pet", "fur"], ["dog", "pet", "fur"], ["stock", "bank", "fund"], ["bond", "bank", "fund"]] * 3
    found = clusters.bags(texts)
    vectors = dict(zip(found.words, clusters.word_vectors(found), strict=True))
    assert vectors["cat"] @ vectors["dog"] > 0.8
    assert abs(vectors["cat"] @ vectors["stock"]) < 0.2


def test_meaning_is_left_out_where_the_model_reads_less_than_half() -> None:
    found = clusters.bags([["a", "b"], ["a", "b"], ["a", "c"], ["b", "c"]])
    few, many = np.zeros((4, 2)), np.zeros((4, 2))
    few[0, 0] = many[0, 0] = many[1, 0] = 1
    assert clusters.features(found, few).shape == clusters.features(found, None).shape
    assert clusters.features(found, many).shape[1] == clusters.features(found, None).shape[1] + 2


def test_clusters_that_continue_topics_merge_from_a_higher_cosine() -> None:
    """Cosines: 0 and 1 .8, 1 and 2 .6, 0 and 2 0; a third cluster near the first is new."""
    rows = np.array([[1.0, 0], [0.8, 0.6], [0, 1], [0.96, -0.28]])
    labels = np.array([0, 1, 2, 3])
    assert clusters.merged(rows[:3], labels[:3], 0.7, 1).tolist() == [0, 0, 1]
    assert clusters.merged(rows[:3], labels[:3], 0.7, 1, old=3, near_old=0.85).tolist() == [0, 1, 2]
    assert clusters.merged(rows[:3], labels[:3], 0.7, 1, old=3, near_old=0.75).tolist() == [0, 0, 1]
    assert clusters.merged(rows, labels, 0.7, 1, old=3, near_old=0.85).tolist() == [0, 1, 2, 0]
    assert clusters.merged(rows[:3], np.array([5, 7, 9]), 0.7, 1, old=6, near_old=0.85).tolist() == [0, 0, 1]


def test_small_clusters_go_to_their_neighbour() -> None:
    rows = np.array([[1.0, 0], [1, 0], [0.8, 0.6], [0, 1], [0, 1]])
    assert clusters.merged(rows, np.array([0, 0, 1, 2, 2]), 0.99, 2).tolist() == [0, 0, 0, 1, 1]


def test_a_text_counts_by_its_first_words_and_a_vocabulary_by_the_words_of_the_most_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "MAX_WORDS_PER_TEXT", 2)
    found = clusters.bags([["a", "b", "a", "c"], ["b", "a", "c"], ["c", "a"]])
    assert found.words == ["a", "b"], "c is read in one text only"
    assert found.counts.toarray()[0] == pytest.approx([1 + np.log(2), 1])
    monkeypatch.setattr(clusters, "MAX_CLUSTERED_WORDS", 1)
    often = [["x"] * 9, ["x"] * 9, ["y"], ["y"], ["y"]]
    assert clusters.bags(often).words == ["y"], "y is in more texts, x occurs more often"


@pytest.mark.parametrize("texts", [[], [[]], [["a"]], [["a"], ["b"]]])
def test_texts_without_a_common_word_are_empty_bags(texts: list[list[str]]) -> None:
    found = clusters.bags(texts)
    assert (found.words, found.counts.shape) == ([], (len(texts), 0))
    assert clusters.features(found, None).shape[0] == len(texts)


def test_rows_move_to_the_weighted_mean_of_their_neighbours() -> None:
    """Each of eight rows has two neighbours; compared with a plain loop. A zero row stays zero."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(8, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[7] = 0
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    weights = np.zeros((8, 8))
    for row in range(8):
        for near in np.argsort(-cosines[row])[:2]:
            weights[row, near] = weights[near, row] = max(cosines[row, near], 0)
    totals = weights.sum(axis=1, keepdims=True)
    moved = rows + np.divide(weights, totals, where=totals > 0, out=np.zeros_like(weights)) @ rows
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    expected = np.divide(moved, lengths, where=lengths > 0, out=np.zeros_like(moved))
    assert clusters.smoothed(rows, rounds=1) == pytest.approx(expected, abs=1e-6)


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(clusters)
    assert ran.attempted
    assert not ran.failed


def test_a_refit_moves_centroids_a_few_rounds_only() -> None:
    """On an evenly filled arc, k-means from two centroids at one end drifts for long; two rounds by hand are the answer."""
    angles = np.linspace(0, 1.5, 200)
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    centroids = rows[[0, 5]]
    for _ in range(clusters.MAX_REFIT_ROUNDS):
        nearest = ((rows[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        centroids = np.array([rows[nearest == place].mean(axis=0) for place in (0, 1)])
    expected = ((rows[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
    assert clusters.clustered(rows, 2, rows[[0, 5]]).tolist() == expected.tolist()
