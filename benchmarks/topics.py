"""Measures topics against known classes, compared with LDA, NMF and BERTopic on the same words and the same encoder.

``python -m benchmarks.topics zh|en|films --data ../shared/datasets``; ``films`` has no classes, so only its stability is measured. Only the two scores, NMI and ARI, see the classes; every method
gets the number of clusters and assigns every text. NPMI and diversity are computed on the ten strongest words per topic (NPMI
over texts: Bouma 2009, Lau et al. 2014). Stability: a tenth of the texts is replaced and the topics are refitted from the old
ones, with the number of topics left to the data; the figure is the share that keeps id and label. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks import movielens
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.config import SpaceConfig
from workers.encoding.loading import load_encoder
from workers.items.embed import sparse
from workers.items.topic_rule import Topics
from workers.text import words as text_words
from workers.topics import keywords
from workers.topics.fit import Sample, fit_sample

TOP = 10
SEED = 7
CLASSES = ("en", "zh")
FILMS = "films"
Found = tuple[np.ndarray, list[list[str]]]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", choices=[*CLASSES, FILMS])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    if options.texts == FILMS:
        texts, classes = [f"{film['title']}\n{film['text']}" for film in movielens.items(options.data)], []
    else:
        texts, classes = read(options.texts, options.data)
    out.print(f"{len(texts):,} texts, {len(set(classes))} classes")
    encoder = load_encoder(SpaceConfig())
    began = time.monotonic()
    dense = encoder.encode(texts)
    out.print(
        f"encoded in {time.monotonic() - began:.0f} s, not counted below; {dense.any(axis=1).mean():.0%} readable"
    )
    sample, number = sample_of(texts, dense), len(set(classes))
    forms = keywords.readable(sample.terms)
    documents = [[forms[stem] for stem, _ in terms] for terms in sample.terms]
    methods: dict[str, Callable[[], Found]] = {
        "ours": lambda: ours(sample, number),
        "LDA": lambda: lda(documents, number),
        "NMF": lambda: nmf(documents, number),
        "BERTopic": lambda: bertopic(documents, _as_it_comes(texts, dense), number, whole=True),
        "BERTopic, HDBSCAN": lambda: bertopic(documents, _as_it_comes(texts, dense), number, whole=False),
    }
    figures: dict[str, Any] = {}
    if classes:
        figures |= {name: measure(name, run, classes, documents) for name, run in methods.items()}
    figures["stability"], kept, before = stability(sample)
    out.print(f"a tenth replaced: {kept} of {before} topics keep id and label")
    print(json.dumps(figures, ensure_ascii=False))


def read(language: str, data: Path) -> tuple[list[str], list[str]]:
    """Texts and their classes."""
    if language == "en":
        with (data / "topics_en" / "ag_news_test.csv").open(encoding="utf-8", newline="") as handle:
            rows = [(f"{row['title']}\n{row['description']}", row["label"]) for row in csv.DictReader(handle)]
    else:
        lines = (line for name in ("dev.txt", "test.txt") for line in _lines(data / "topics_zh" / name))
        rows = [(line.rpartition("\t")[0], line.rpartition("\t")[2]) for line in lines]
    return [one for one, _ in rows], [one for _, one in rows]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as handle:
        yield from (line.strip() for line in handle if line.strip())


def sample_of(texts: Sequence[str], dense: np.ndarray) -> Sample:
    """Texts as the worker reads them from Qdrant."""
    terms = [text_words.terms(one) for one in texts]
    rows = [row if row.any() else None for row in dense]
    return Sample(terms, rows, [sparse(one) if one else None for one in terms], list(texts), [None] * len(texts))


def _places(sample: Sample, rule: Topics) -> np.ndarray:
    found: np.ndarray = rule.scores(sample.dense, sample.words).argmax(axis=1)
    return found


def ours(sample: Sample, number: int) -> Found:
    made, _ = fit_sample(sample, number)
    rule = Topics([one.topic for one in made])
    return _places(sample, rule), [list(one.keywords) for one in rule.points]


def lda(documents: Sequence[Sequence[str]], number: int) -> Found:
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=list, min_df=2)
    model = LatentDirichletAllocation(number, random_state=SEED, max_iter=20)
    places = model.fit_transform(vectorizer.fit_transform(documents)).argmax(axis=1)
    return places, _strongest(model.components_, vectorizer.get_feature_names_out())


def nmf(documents: Sequence[Sequence[str]], number: int) -> Found:
    from sklearn.decomposition import NMF
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=list, min_df=2)
    model = NMF(number, random_state=SEED, max_iter=400, init="nndsvda")
    places = model.fit_transform(vectorizer.fit_transform(documents)).argmax(axis=1)
    return places, _strongest(model.components_, vectorizer.get_feature_names_out())


def _strongest(weights: np.ndarray, names: Sequence[str]) -> list[list[str]]:
    return [[str(names[column]) for column in np.argsort(-row)[:TOP]] for row in weights]


def _as_it_comes(texts: Sequence[str], dense: np.ndarray) -> np.ndarray:
    """The model's own vectors, also of texts it cannot read, which is what BERTopic would get."""
    if dense.any(axis=1).all():
        return dense
    from workers.encoding.encoder import sentence_model

    rows: np.ndarray = sentence_model(SpaceConfig()).encode(list(texts), batch_size=64, show_progress_bar=False)
    return rows


def bertopic(documents: Sequence[Sequence[str]], dense: np.ndarray, number: int, whole: bool) -> Found:
    """``whole``: k-means behind UMAP, every text in one of ``number`` clusters; else HDBSCAN, reduced to as many."""
    from bertopic import BERTopic
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import CountVectorizer
    from umap import UMAP

    joined = [" ".join(one) for one in documents]
    count = CountVectorizer(analyzer=str.split)
    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=SEED)
    if whole:
        model = BERTopic(
            "multilingual",
            umap_model=umap,
            hdbscan_model=KMeans(number, random_state=SEED, n_init=10),
            vectorizer_model=count,
        )
        places, _ = model.fit_transform(joined, dense)
    else:
        model = BERTopic("multilingual", umap_model=umap, vectorizer_model=count, nr_topics=number + 1)
        places, _ = model.fit_transform(joined, dense)
        places = model.reduce_outliers(joined, places, strategy="embeddings", embeddings=dense)
    words = [[word for word, _ in model.get_topic(topic)][:TOP] for topic in sorted(model.get_topics()) if topic >= 0]
    return np.array(places), words


def measure(name: str, run: Callable[[], Found], classes: Sequence[str], documents: Sequence[Sequence[str]]) -> Any:
    """One row; a method that is not installed says so."""
    began = time.monotonic()
    try:
        places, words = run()
    except ImportError as missing:
        out.print(f"{name:18} skipped: {missing}")
        return {"skipped": str(missing)}
    seconds = time.monotonic() - began
    figures = {
        "NMI": round(float(normalized_mutual_info_score(classes, places)), 4),
        "ARI": round(float(adjusted_rand_score(classes, places)), 4),
        "NPMI": round(coherence(words, documents), 4),
        "diversity": round(diversity(words), 4),
        "seconds": round(seconds, 1),
    }
    out.print(f"{name:18} " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    for one in words:
        out.print("    " + " ".join(one[:TOP])[:200], style="dim", markup=False)
    return figures


def coherence(topics: Sequence[Sequence[str]], documents: Sequence[Sequence[str]]) -> float:
    """Mean normalised pointwise mutual information of pairs of words of a topic, over texts; -1 never together, 1 always."""
    wanted = {word for topic in topics for word in topic}
    where: dict[str, set[int]] = {word: set() for word in wanted}
    for number, words in enumerate(documents):
        for word in wanted.intersection(words):
            where[word].add(number)
    total = len(documents)

    def npmi(one: str, two: str) -> float:
        both = len(where[one] & where[two]) / total
        if not both:
            return -1.0
        pointwise = np.log(both * total * total / (len(where[one]) * len(where[two])))
        return float(pointwise / -np.log(both)) if both < 1 else 1.0

    means = [np.mean([npmi(*pair) for pair in combinations(topic, 2)]) for topic in topics if len(topic) > 1]
    return float(np.mean(means))


def diversity(topics: Sequence[Sequence[str]]) -> float:
    """Share of distinct words among the strongest words of all topics."""
    words = [word for topic in topics for word in topic]
    return len(set(words)) / max(len(words), 1)


def stability(sample: Sample) -> tuple[float, int, int]:
    """Fit on nine tenths, then on nine tenths of which a ninth is new."""
    order = np.random.default_rng(SEED).permutation(len(sample.terms))
    tenth = len(order) // 10
    first = _part(sample, order[tenth:])
    made, last = fit_sample(first)
    old = Topics([one.topic for one in made])
    marks = [old.points[place].id for place in _places(first, old)]
    second = _part(sample, np.concatenate([order[2 * tenth :], order[:tenth]]))
    before = marks[tenth:]
    second = replace(second, before=[*before, *([None] * (len(second.terms) - len(before)))])
    again, _ = fit_sample(second, None, old.points, 0, last)
    names = {one.topic.id: one.topic.label for one in again}
    kept = sum(names.get(one.id) == one.label for one in old.points)
    return round(kept / len(old.points), 4), kept, len(old.points)


def _part(sample: Sample, rows: np.ndarray) -> Sample:
    return Sample(
        [sample.terms[row] for row in rows], [sample.dense[row] for row in rows], [sample.words[row] for row in rows],
        [sample.titles[row] for row in rows], [None] * len(rows),
    )  # fmt: skip


if __name__ == "__main__":
    main()
