"""Texts → clusters, by words and meaning together. Pure: arrays in, arrays out.

Words first: how often two words share a text, as positive pointwise mutual information, reduced by SVD, gives
every word a vector (Levy & Goldberg 2014), and a text is the IDF-weighted mean of its words. Two titles
without a common word are near if their words keep the same company, in any language and without a model.
The dense vector is the other half. Each text is then moved towards its nearest neighbours, and spherical k-means
finds the clusters. Measured in ``docs/decisions/topics.md``.
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
"""Words that are counted: those of the most texts."""


MIN_TEXTS_PER_WORD = 2
"""Texts in which a word must occur."""


MAX_WORDS_PER_TEXT = 100
"""Distinct words read per text: pairs grow with the square."""


WORD_DIMENSIONS = 100
"""Of a word's vector."""


NEIGHBOURS = 15
"""Texts towards which a text moves."""


SMOOTHING_ROUNDS = 3
"""Times that a text moves towards its neighbours."""


MAX_MEGABYTES = 256
"""Memory for the cosines that are held at once while neighbours are searched."""


MIN_DENSE_SHARE = 0.5
"""Share of texts with a dense vector below which these are left out: a model that cannot read the catalogue misleads."""


KMEANS_STARTS = 5


SEED = 7


@dataclass(frozen=True)
class Bags:
    """Texts as counts of words."""

    counts: sparse.csr_matrix
    """(texts, words): ``1 + ln(tf)``."""
    words: list[str]
    """Stems."""

    @property
    def frequencies(self) -> np.ndarray:
        """Number of texts per word."""
        found: np.ndarray = np.bincount(self.counts.indices, minlength=len(self.words))
        return found


def company(terms: Iterable[Term]) -> list[str]:
    """The words of a text and, of Chinese ones, the characters: 烤箱 and 烘烤 share no word, but most of a meaning.

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
    """Count the stems of texts; words of fewer than ``MIN_TEXTS_PER_WORD`` texts are dropped, as they have no company to speak of."""
    from sklearn.feature_extraction.text import CountVectorizer  # 1 s to import, only where topics are fitted

    vectorizer = CountVectorizer(analyzer=_first_words, min_df=MIN_TEXTS_PER_WORD, dtype=np.float64)
    try:
        counts = vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # scikit-learn refuses an empty vocabulary
        return Bags(sparse.csr_matrix((len(texts), 0)), [])
    counts.data = 1.0 + np.log(counts.data)
    words = vectorizer.get_feature_names_out()
    frequency = np.bincount(counts.indices, minlength=len(words))
    kept = np.sort(np.argsort(-frequency, kind="stable")[:MAX_CLUSTERED_WORDS])
    return Bags(counts[:, kept], words[kept].tolist())


def _first_words(text: Sequence[str]) -> list[str]:
    """The occurrences of the first ``MAX_WORDS_PER_TEXT`` distinct words of a text."""
    first = set(islice(dict.fromkeys(text), MAX_WORDS_PER_TEXT))
    return [word for word in text if word in first]


def idf(found: Bags) -> np.ndarray:
    """Inverse document frequency as Qdrant computes it."""
    seen = found.frequencies
    weights: np.ndarray = np.log(1 + (found.counts.shape[0] - seen + 0.5) / (seen + 0.5))
    return weights


def word_vectors(found: Bags) -> np.ndarray:
    """(words, dimensions): PPMI with context smoothing 0.75, then ``U·√S`` of its SVD, rows of norm 1."""
    from sklearn.utils.extmath import randomized_svd  # 1 s to import, only where topics are fitted

    present = (found.counts > 0).astype(np.float64)
    pairs = (present.T @ present).tolil()
    pairs.setdiag(0)
    pairs = pairs.tocoo()
    pairs.eliminate_zeros()
    size = len(found.words)
    if not pairs.nnz or size < 3:
        return np.zeros((size, 1))
    row = np.bincount(pairs.row, weights=pairs.data, minlength=size)
    context = row**0.75 / (row**0.75).sum()
    information = np.log(pairs.data / (row[pairs.row] * context[pairs.col]))
    kept = information > 0
    ppmi = sparse.csr_matrix((information[kept], (pairs.row[kept], pairs.col[kept])), shape=(size, size))
    left, strength, _ = randomized_svd(ppmi, min(WORD_DIMENSIONS, size - 1), random_state=SEED)
    return normalised(left * np.sqrt(strength))


def features(found: Bags, dense: np.ndarray | None) -> np.ndarray:
    """(texts, dimensions): word half and dense half, each of norm 1, together of norm 1; zero if nothing is known."""
    weighted = found.counts @ sparse.diags(idf(found))
    words = normalised(np.asarray(weighted @ word_vectors(found)))
    if dense is None or not len(dense) or float(dense.any(axis=1).mean()) < MIN_DENSE_SHARE:
        return words
    return normalised(np.hstack([normalised(dense), words]))


def smoothed(rows: np.ndarray, rounds: int = SMOOTHING_ROUNDS) -> np.ndarray:
    """Rows, moved ``rounds`` times halfway to the weighted mean of their nearest neighbours."""
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
    """A cluster per row by spherical k-means, from the centroids ``start`` or else as the best of ``KMEANS_STARTS`` runs.

    Centroids beyond ``start`` begin at the rows farthest from all others.
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
        model = KMeans(number, init=begin, n_init=1)
    found: np.ndarray = model.fit(rows).labels_
    return found


def merged(rows: np.ndarray, labels: np.ndarray, near: float, least: int) -> np.ndarray:
    """Clusters from 0. Clusters whose centroids have a cosine of at least ``near`` are joined, closest pair first; then
    clusters of fewer than ``least`` rows go to their nearest neighbour.

    >>> merged(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), np.array([0, 1, 2, 2]), 0.9, 1).tolist()
    [0, 0, 1, 1]
    """
    labels = np.unique(labels, return_inverse=True)[1]
    while True:
        middle = centroids(rows, labels)
        sizes = np.bincount(labels)
        close = middle @ middle.T
        np.fill_diagonal(close, -1)
        if len(sizes) > 1 and close.max() >= near:
            one, two = sorted(int(place) for place in np.unravel_index(int(close.argmax()), close.shape))
        elif len(sizes) > 1 and sizes.min() < least:
            two = int(sizes.argmin())
            one = int(close[two].argmax())
        else:
            return labels
        labels = np.unique(np.where(labels == two, one, labels), return_inverse=True)[1]


def centroids(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(clusters, dimensions): mean directions, of norm 1."""
    members = sparse.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))))
    return normalised(np.asarray(members @ rows))
