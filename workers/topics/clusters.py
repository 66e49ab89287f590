"""Clusters texts by their words and their meaning together. Pure: arrays in, arrays out.

Half of a text's features are words: the positive pointwise mutual information of words that share texts, reduced by SVD,
gives each word a vector (Levy & Goldberg 2014), and a text is the IDF-weighted mean of its words. Two titles without a
common word are close if their words occur in similar contexts, in any language and without a model. The other half is
the dense vector. Each text is then moved towards its nearest neighbours, and spherical k-means finds the clusters.
Measured in ``docs/decisions/topics.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy import sparse

from ..behaviour.vectors import normalised
from ..text.words import Term

__all__ = ["Bags", "bags", "clustered", "company", "features", "idf", "merged", "smoothed", "word_vectors"]


MAX_CLUSTERED_WORDS = 20_000
"""Words that are counted: those that occur in most texts."""


MIN_TEXTS_PER_WORD = 2
"""Fewest texts in which a word must occur."""


MAX_WORDS_PER_TEXT = 100
"""Distinct words read per text; the number of pairs grows with the square."""


WORD_DIMENSIONS = 100
"""Dimensions of a word's vector."""


NEIGHBOURS = 15
"""Neighbours towards which a text is moved."""


SMOOTHING_ROUNDS = 3
"""Times that a text is moved towards its neighbours."""


MAX_MEGABYTES = 256
"""Memory for the cosines of one chunk of texts during the search for neighbours."""


MIN_DENSE_SHARE = 0.5
"""Share of texts with a dense vector below which dense vectors are ignored: the model cannot read the catalogue."""


KMEANS_STARTS = 5


MAX_REFIT_ROUNDS = 2
"""Rounds of k-means from existing centroids: until convergence, topics drift away from what they were."""


SEED = 7


@dataclass(frozen=True)
class Bags:
    """The word counts of texts."""

    counts: sparse.csr_matrix
    """(texts, words): ``1 + ln(tf)``."""
    words: list[str]
    """The stem of each column."""

    @property
    def frequencies(self) -> np.ndarray:
        """Number of texts per word."""
        frequencies: np.ndarray = np.bincount(self.counts.indices, minlength=len(self.words))
        return frequencies


def company(terms: Iterable[Term]) -> list[str]:
    """Return the stems of a text and the characters of its Chinese words: 烤箱 and 烘烤 are different words, but related.

    >>> company([Term("oven", "oven"), Term("烤箱", "烤箱")])
    ['oven', '烤箱', '烤', '箱']
    """
    stems: list[str] = []
    for stem, word in terms:
        stems.append(stem)
        if len(word) > 1:
            stems += [character for character in word if "\u4e00" <= character <= "\u9fff"]
    return stems


def bags(texts: Sequence[Sequence[str]]) -> Bags:
    """Count the stems of texts; drop words of fewer than ``MIN_TEXTS_PER_WORD`` texts, which have too few neighbours."""
    from sklearn.feature_extraction.text import CountVectorizer  # 1 s to import, only where topics are fitted

    vectorizer = CountVectorizer(analyzer=_first_words, min_df=MIN_TEXTS_PER_WORD, dtype=np.float64)
    try:
        counts = vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # scikit-learn refuses an empty vocabulary
        return Bags(sparse.csr_matrix((len(texts), 0)), [])
    counts.data = 1.0 + np.log(counts.data)
    words = vectorizer.get_feature_names_out()
    frequency = np.bincount(counts.indices, minlength=len(words))
    frequent = np.sort(np.argsort(-frequency, kind="stable")[:MAX_CLUSTERED_WORDS])
    return Bags(counts[:, frequent], words[frequent].tolist())


def _first_words(text: Sequence[str]) -> list[str]:
    """Return all occurrences of the first ``MAX_WORDS_PER_TEXT`` distinct words of a text."""
    first = set(islice(dict.fromkeys(text), MAX_WORDS_PER_TEXT))
    return [word for word in text if word in first]


def idf(texts: Bags) -> np.ndarray:
    """Return the inverse document frequency of each word as Qdrant computes it, float array (words,)."""
    seen = texts.frequencies
    weights: np.ndarray = np.log(1 + (texts.counts.shape[0] - seen + 0.5) / (seen + 0.5))
    return weights


def word_vectors(texts: Bags) -> np.ndarray:
    """Compute a vector of norm 1 per word, (words, dimensions): ``U·√S`` of the SVD of PPMI with context smoothing 0.75."""
    from sklearn.utils.extmath import randomized_svd  # 1 s to import, only where topics are fitted

    present = (texts.counts > 0).astype(np.float64)
    pairs = (present.T @ present).tolil()
    pairs.setdiag(0)
    pairs = pairs.tocoo()
    pairs.eliminate_zeros()
    size = len(texts.words)
    if not pairs.nnz or size < 3:
        return np.zeros((size, 1))
    row = np.bincount(pairs.row, weights=pairs.data, minlength=size)
    context = row**0.75 / (row**0.75).sum()
    information = np.log(pairs.data / (row[pairs.row] * context[pairs.col]))
    positive = information > 0
    places = pairs.row[positive], pairs.col[positive]
    ppmi = sparse.csr_matrix((information[positive], places), shape=(size, size))
    left, strength, _ = randomized_svd(ppmi, min(WORD_DIMENSIONS, size - 1), random_state=SEED)
    return normalised(left * np.sqrt(strength))


def features(texts: Bags, dense: np.ndarray | None) -> np.ndarray:
    """Return the features of each text, (texts, dimensions), of norm 1; zero for a text without any.

    The dense half and the word half count equally.
    """
    weighted = texts.counts @ sparse.diags(idf(texts))
    words = normalised(np.asarray(weighted @ word_vectors(texts)))
    if dense is None or not len(dense) or float(dense.any(axis=1).mean()) < MIN_DENSE_SHARE:
        return words
    return normalised(np.hstack([normalised(dense), words]))


def smoothed(rows: np.ndarray, rounds: int = SMOOTHING_ROUNDS) -> np.ndarray:
    """Smooth rows over their graph of nearest neighbours, weighted by cosine.

    Each round replaces every row by its midpoint with the weighted mean of its neighbours, scaled to norm 1.
    """
    from sklearn import config_context
    from sklearn.neighbors import kneighbors_graph

    near = min(NEIGHBOURS, len(rows) // 4)
    if near < 1:
        return rows
    with config_context(working_memory=MAX_MEGABYTES):
        graph = kneighbors_graph(rows, near, mode="distance", metric="cosine")
    graph.data = np.maximum(1 - graph.data, 0)
    graph = graph.maximum(graph.T)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    graph = sparse.diags(1 / np.where(degree > 0, degree, 1)) @ graph
    for _ in range(rounds):
        rows = normalised(rows + graph @ rows)
    return rows


def clustered(rows: np.ndarray, number: int, start: np.ndarray | None = None) -> np.ndarray:
    """Cluster rows by spherical k-means; returns the cluster of each row, int array (rows,).

    Starts from the centroids ``start``, adding the rows farthest from all others if more are needed; without ``start``,
    returns the best of ``KMEANS_STARTS`` random starts.
    """
    from sklearn.cluster import KMeans

    number = max(1, min(number, len(np.unique(rows.round(6), axis=0))))
    if start is None or not len(start):
        model = KMeans(number, n_init=KMEANS_STARTS, random_state=SEED)
    else:
        begin = normalised(start)[:number]
        while len(begin) < number:
            far = int(np.argmin((rows @ begin.T).max(axis=1)))
            begin = np.vstack([begin, rows[far]])
        model = KMeans(number, init=begin, n_init=1, max_iter=MAX_REFIT_ROUNDS)
    labels: np.ndarray = model.fit(rows).labels_
    return labels


def merged(
    rows: np.ndarray, labels: np.ndarray, near: float, least: int, old: int = 0, near_old: float = 1.0
) -> np.ndarray:
    """Merge clusters; returns the new cluster of each row, numbered from 0.

    First merges clusters whose centroids have a cosine of at least ``near``, closest pair first; then merges each cluster
    of fewer than ``least`` rows into its nearest neighbour. The clusters below ``old`` continue topics: two of them merge
    from ``near_old`` only, since a limit that a fit has just met would be crossed by chance at the next one.

    >>> rows, labels = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), np.array([0, 1, 2, 2])
    >>> merged(rows, labels, 0.9, 1).tolist(), merged(rows, labels, 0.9, 1, old=2).tolist()
    ([0, 0, 1, 1], [0, 1, 2, 2])
    """
    known, labels = np.unique(labels, return_inverse=True)
    old = int((known < old).sum())
    while True:
        middles = centroids(rows, labels)
        sizes = np.bincount(labels)
        cosines = middles @ middles.T
        np.fill_diagonal(cosines, -1)
        close = cosines >= near
        close[:old, :old] &= cosines[:old, :old] >= near_old
        if close.any():
            pair = int(np.where(close, cosines, -1).argmax())
            target, source = sorted(int(place) for place in np.unravel_index(pair, cosines.shape))
        elif len(sizes) > 1 and sizes.min() < least:
            source = int(sizes.argmin())
            target = int(cosines[source].argmax())
        else:
            return labels
        old -= source < old
        labels = np.unique(np.where(labels == source, target, labels), return_inverse=True)[1]


def centroids(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean direction of each cluster, (clusters, dimensions), of norm 1."""
    members = sparse.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))))
    return normalised(np.asarray(members @ rows))
