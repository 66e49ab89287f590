"""Topics are grouped as scipy groups them."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from llmrec_qdrant.report.groups import agglomerate, cut, order

VECTORS = np.random.default_rng(3).normal(size=(24, 6))
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


def test_merges_have_the_distances_of_scipy() -> None:
    expected = linkage(UNIT, "ward")[:, 2]
    assert np.allclose([merge.distance for merge in agglomerate(VECTORS)], expected)


def test_a_cut_gives_the_groups_of_scipy() -> None:
    expected = fcluster(linkage(UNIT, "ward"), 5, "maxclust")
    ours = cut(agglomerate(VECTORS), 5)
    pairs = {(ours[row], int(expected[row])) for row in range(len(VECTORS))}
    assert len(pairs) == 5 and len({group for group, _ in pairs}) == 5


def test_the_order_has_every_input_once_and_keeps_groups_together() -> None:
    merges = agglomerate(VECTORS)
    leaves = order(merges)
    assert sorted(leaves) == list(range(24))
    groups = [cut(merges, 5)[leaf] for leaf in leaves]
    assert groups == sorted(groups)
