"""Peers of `benchmarks.topics`: each gets the same words, the same embeddings and the same number of topics.

Optional: ``pip install bertopic turftopic fastopic torch==2.13.0`` (dependency group ``topic-peers``) into an environment of
its own, since turftopic holds rich below 14. Where pip brings a torchvision that was built for another torch, remove it:
nothing here needs it.

A peer takes a :class:`Texts` and returns the topic of each text and the strongest words of each topic.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["PEERS", "Found", "Texts"]

TOP = 10
SEED = 7
DIMENSIONS = 20
"""Principal components of the embeddings that a Gaussian mixture reads."""

Found = tuple[np.ndarray, list[list[str]]]


@dataclass(frozen=True)
class Texts:
    """What a peer gets."""

    documents: list[list[str]]
    """The words of each text."""
    dense: np.ndarray
    """The embedding of each text, (texts, dimensions)."""
    number: int
    """The number of topics."""
    encode: Callable[[Sequence[str]], np.ndarray]
    """The model of the embeddings, for peers that also embed words."""
    joined: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "joined", [" ".join(words) for words in self.documents])


def lda(texts: Texts) -> Found:
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=list, min_df=2)
    model = LatentDirichletAllocation(texts.number, random_state=SEED, max_iter=20)
    places = model.fit_transform(vectorizer.fit_transform(texts.documents)).argmax(axis=1)
    return places, _strongest(model.components_, vectorizer.get_feature_names_out())


def nmf(texts: Texts) -> Found:
    from sklearn.decomposition import NMF
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=list, min_df=2)
    model = NMF(texts.number, random_state=SEED, max_iter=400, init="nndsvda")
    places = model.fit_transform(vectorizer.fit_transform(texts.documents)).argmax(axis=1)
    return places, _strongest(model.components_, vectorizer.get_feature_names_out())


def gmm(texts: Texts) -> Found:
    """A Gaussian mixture of the principal components of the embeddings; words by class-based TF-IDF (Grootendorst 2022)."""
    from sklearn.decomposition import PCA
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.mixture import GaussianMixture

    rows = PCA(DIMENSIONS, random_state=SEED).fit_transform(texts.dense)
    places = GaussianMixture(texts.number, random_state=SEED, n_init=3).fit_predict(rows)
    vectorizer = CountVectorizer(analyzer=list, min_df=2)
    counts = vectorizer.fit_transform(texts.documents)
    totals = np.array([np.asarray(counts[places == place].sum(axis=0)).ravel() for place in range(texts.number)])
    share = totals / np.maximum(totals.sum(axis=1, keepdims=True), 1)
    weights = share * np.log(1 + totals.sum(axis=1).mean() / totals.sum(axis=0))
    return places, _strongest(weights, vectorizer.get_feature_names_out())


def bertopic(texts: Texts) -> Found:
    """UMAP and k-means: every text in one of the topics."""
    from sklearn.cluster import KMeans

    return _bertopic(texts, hdbscan_model=KMeans(texts.number, random_state=SEED, n_init=10))


def bertopic_hdbscan(texts: Texts) -> Found:
    """UMAP and HDBSCAN, reduced to as many topics; outliers join the topic of the nearest embedding."""
    return _bertopic(texts, nr_topics=texts.number + 1)


def _bertopic(texts: Texts, **settings: Any) -> Found:
    from bertopic import BERTopic
    from sklearn.feature_extraction.text import CountVectorizer
    from umap import UMAP

    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=SEED)
    count = CountVectorizer(analyzer=str.split)
    model = BERTopic("multilingual", umap_model=umap, vectorizer_model=count, **settings)
    places, _ = model.fit_transform(texts.joined, texts.dense)
    if -1 in places:
        places = model.reduce_outliers(texts.joined, places, strategy="embeddings", embeddings=texts.dense)
    words = [[word for word, _ in model.get_topic(topic)][:TOP] for topic in sorted(model.get_topics()) if topic >= 0]
    return np.array(places), words


def key_nmf(texts: Texts) -> Found:
    """Turftopic's KeyNMF: NMF of the words whose embeddings are nearest to their text's."""
    from turftopic import KeyNMF

    return _turftopic(texts, KeyNMF(texts.number, **_common(texts), random_state=SEED))


def sens_topic(texts: Texts) -> Found:
    """Turftopic's SensTopic: semi-non-negative factors of the embeddings."""
    from turftopic import SensTopic

    return _turftopic(texts, SensTopic(texts.number, **_common(texts), random_state=SEED))


def topeax(texts: Texts) -> Found:
    """Turftopic's Topeax: peaks of the density in a plane. It chooses the number of topics itself."""
    from turftopic import Topeax

    return _turftopic(texts, Topeax(**_common(texts), random_state=SEED))


def _common(texts: Texts) -> dict[str, Any]:
    from sklearn.feature_extraction.text import CountVectorizer

    return {"encoder": _Encoder(texts.encode), "vectorizer": CountVectorizer(analyzer=str.split, min_df=2)}


class _Encoder:
    """The embeddings' model as Turftopic calls it."""

    def __init__(self, encode: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._encode = encode

    def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        return self._encode([str(text) for text in texts])


def _turftopic(texts: Texts, model: Any) -> Found:
    places = np.asarray(model.fit_transform(texts.joined, embeddings=texts.dense)).argmax(axis=1)
    return places, _strongest(np.asarray(model.components_), model.get_vocab())


def fas_topic(texts: Texts) -> Found:
    """FASTopic: optimal transport between embeddings of texts, topics and words."""
    import torch

    try:
        import torchvision  # noqa: F401
    except ImportError:  # a download of its examples is all that it is for
        stub = types.ModuleType("torchvision.datasets.utils")
        stub.download_url = None  # type: ignore[attr-defined]
        for name in ("torchvision", "torchvision.datasets"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision.datasets.utils"] = stub
    from fastopic import FASTopic
    from topmost import Preprocess

    torch.manual_seed(SEED)
    model = FASTopic(
        texts.number,
        Preprocess(tokenizer=str.split, min_doc_count=2, stopwords=[]),
        num_top_words=TOP,
        device="cpu",
        doc_embed_model=_Encoder(texts.encode).encode,
    )
    words, weights = model.fit_transform(texts.joined, preset_doc_embeddings=texts.dense.astype(np.float32))
    return np.asarray(weights).argmax(axis=1), [line.split() for line in words]


def _strongest(weights: np.ndarray, names: Sequence[str]) -> list[list[str]]:
    return [[str(names[column]) for column in np.argsort(-row)[:TOP]] for row in weights]


PEERS: dict[str, Callable[[Texts], Found]] = {
    "LDA": lda,
    "NMF": nmf,
    "GMM": gmm,
    "BERTopic, k-means": bertopic,
    "BERTopic, HDBSCAN": bertopic_hdbscan,
    "KeyNMF": key_nmf,
    "SensTopic": sens_topic,
    "Topeax": topeax,
    "FASTopic": fas_topic,
}
