"""Neighbours stay neighbours in two dimensions."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from llmrec_qdrant.report.projection import neighbours, principal_components, project

RANDOM = np.random.default_rng(1)
CLUSTERS = RANDOM.normal(size=(12, 32))
VECTORS = np.repeat(CLUSTERS, 25, axis=0) + 0.6 * RANDOM.normal(size=(300, 32))


def test_neighbours_are_those_with_the_largest_cosine() -> None:
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    expected = np.argsort(-cosines, axis=1)[:, :5]
    assert all(set(ours) == set(theirs) for ours, theirs in zip(neighbours(unit, 5), expected, strict=True))


def test_principal_components_are_those_of_scikit_learn_up_to_their_sign() -> None:
    expected = PCA(2, svd_solver="full").fit_transform(VECTORS)
    assert np.allclose(np.abs(principal_components(VECTORS)), np.abs(expected))


def test_the_projection_keeps_neighbours_better_than_principal_components() -> None:
    ours = trustworthiness(VECTORS, project(VECTORS), metric="cosine")
    assert ours > 0.9 > trustworthiness(VECTORS, principal_components(VECTORS), metric="cosine")


def test_the_same_vectors_give_the_same_places() -> None:
    assert (project(VECTORS) == project(VECTORS)).all()


def test_odd_inputs_have_finite_places() -> None:
    for vectors in (np.ones((1, 4)), np.ones((50, 4)), np.zeros((30, 3)), np.ones((5, 1)), np.ones((40, 1))):
        places = project(vectors)
        assert places.shape == (len(vectors), 2) and np.isfinite(places).all()
