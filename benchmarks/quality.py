"""Quality of lists on public data, through the product, beside what a user would otherwise pick.

``python -m benchmarks.quality beauty|industrial|movielens --data ../shared/datasets`` loads the data into a real
Qdrant, chooses leg weights and decays on validation users only, then reads the test figures once, all through
``Recommender.recommend``. Protocols: leave-one-out, all items ranked, seen ones excluded (beauty, movielens);
chronological rows, nothing excluded (industrial). Whatever is fitted sees the past of the targets only.
``--users N`` looks at N random users. Last line: JSON with ``dataset``, ``ours`` and ``peers``.
"""

from __future__ import annotations

import argparse
import ast
import csv
import html
import json
import math
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import models

from benchmarks import movielens
from llmrec_qdrant import Event, Item, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.contracts import FitCollab, RefreshUsers
from llmrec_qdrant.ids import point_id
from llmrec_qdrant.layout import DENSE
from llmrec_qdrant.testing import MemoryQueue
from llmrec_qdrant.writes import batches
from tests.services import QdrantServer
from workers.runtime import Worker

CUTS = (3, 5, 10)
VALIDATION = 400
"""Validation users on which settings are chosen."""
PUBLISHED = {
    "beauty": [("SASRec", "HR@10 .0605, NDCG@10 .0318"), ("TIGER", "HR@10 .0648, NDCG@10 .0384")],
    "industrial": [
        ("S-DPO", "HR .1032 .1238 .1524, NDCG .0906 .0991 .1082 @3 @5 @10"),
        ("MiniOneRec", "HR .1143 .1321 .1586, NDCG .1011 .1084 .1167 @3 @5 @10"),
    ],
    "movielens": [("LRURec", "HR@10 .1426, NDCG@10 .0705"), ("LlamaRec", "HR@10 .1524, NDCG@10 .0759")],
}
SEARCH: dict[str, list[Any]] = {
    "weights": [(1, 1, 1), (1, 1, 2), (1, 2, 3), (1, 2, 4), (1, 1, 4)],
    "collab_decay": [0.3, 0.5, 0.7],
    "position_decay": [0.4, 0.6, 0.8],
    "collab_distance": [0.25, 1.0, 1.5],
}


@dataclass
class Case:
    """Someone's past and what came next."""

    user: str
    past: list[str]
    target: str


@dataclass
class Data:
    """One dataset under its protocol. Sequences and pasts are oldest first."""

    items: list[Item]
    fit: dict[str, list[str]]
    """What the co-occurrence may see when settings are chosen."""
    validation: list[Case]
    more: dict[str, list[str]]
    """What it may see in addition when the test is read: longer sequences replace those of ``fit``."""
    test: list[Case]
    exclude_seen: bool = True


def _leave_one_out(items: list[Item], sequences: Sequence[list[str]]) -> Data:
    users = {f"u{k}": sequence for k, sequence in enumerate(sequences)}
    return Data(
        items=items,
        fit={user: sequence[:-2] for user, sequence in users.items()},
        validation=[Case(user, s[:-2], s[-2]) for user, s in users.items()],
        more={},
        test=[Case(user, s[:-1], s[-1]) for user, s in users.items()],
    )


def beauty(data: Path) -> Data:
    """Amazon Beauty 2014, 5-core."""
    folder = data / "amazon_beauty"
    with (folder / "items.tsv").open(encoding="utf-8") as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle][1:]
    items = [Item(id=row[0], title=html.unescape(row[1])[:2_000]) for row in rows]
    with (folder / "user_sequence.txt").open(encoding="utf-8") as handle:
        return _leave_one_out(items, [line.split()[1:] for line in handle])


def industrial(data: Path) -> Data:
    """Amazon Industrial 2018, chronological rows; the first four fifths of ``valid.csv`` are fitted on, the rest chosen on."""
    folder = data / "amazon_industrial"
    with (folder / "items.json").open(encoding="utf-8") as handle:
        known = json.load(handle)
    items = [Item(id=one, title=row["title"][:2_000], text=row.get("brand") or "") for one, row in known.items()]

    def rows(name: str) -> list[tuple[str, list[str], str]]:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
            return [
                (row["user_id"], [str(one) for one in ast.literal_eval(row["history_item_id"])], row["item_id"])
                for row in csv.DictReader(handle)
            ]

    def chains(part: Sequence[tuple[str, list[str], str]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for user, past, target in part:
            found.setdefault(f"chain {user}", list(past)).append(target)
        return found

    valid, test = rows("valid"), rows("test")
    edge = len(valid) * 4 // 5
    return Data(
        items=items,
        fit=chains(valid[:edge]),
        validation=[Case(f"valid {k}", past, target) for k, (_, past, target) in enumerate(valid[edge:])],
        more=chains(valid),
        test=[Case(f"test {k}", past, target) for k, (_, past, target) in enumerate(test)],
        exclude_seen=False,
    )


def small_movielens(data: Path) -> Data:
    """MovieLens latest-small, 5-core; every rating counts as a view."""
    rows = list(movielens.events(data))
    while True:
        users, items = Counter(row["user"] for row in rows), Counter(row["item"] for row in rows)
        kept = [row for row in rows if users[row["user"]] >= 5 and items[row["item"]] >= 5]
        if len(kept) == len(rows):
            break
        rows = kept
    sequences: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: (row["user"], row["ts"], int(row["item"]))):
        sequences.setdefault(row["user"], []).append(row["item"])
    catalogue = [Item(**row) for row in movielens.items(data) if row["id"] in items]
    return _leave_one_out(catalogue, list(sequences.values()))


DATASETS: dict[str, Callable[[Path], Data]] = {
    "beauty": beauty,
    "industrial": industrial,
    "movielens": small_movielens,
}


def events(user: str, sequence: Sequence[str], start: int = 0) -> Iterator[Event]:
    """Only the order is known, so one step is one second."""
    for step, item in enumerate(sequence[start:], start=start):
        yield Event(user=user, item=item, type="view", ts=1_600_000_000 + step, id=f"{user} {step}")


def track(rec: Recommender, sequences: dict[str, list[str]], before: dict[str, list[str]]) -> None:
    """What is new in these sequences."""
    rec.track(one for user, sequence in sequences.items() for one in events(user, sequence, len(before.get(user, []))))


def refresh(rec: Recommender, users: Sequence[str]) -> None:
    """Fold these users anew, as a worker does."""
    worker = Worker(rec.client)
    ids = [point_id("user", user) for user in users]
    for batch in batches(ids, 64):
        rec.client.set_payload(
            rec._space.users, {"stale": True}, points=models.Filter(must=[models.HasIdCondition(has_id=list(batch))])
        )
        worker.run(RefreshUsers(space=rec.space, ids=list(batch)))


Listed = Callable[[Case], Sequence[str]]


def ranks(cases: Sequence[Case], listed: Listed) -> np.ndarray:
    """Place of each target in its list, from 1; infinite where it is not among the ten."""
    return np.array([next((p for p, one in enumerate(listed(c), 1) if one == c.target), math.inf) for c in cases])


def figures(found: np.ndarray) -> dict[str, float]:
    """HR@k and NDCG@k with one relevant item per list (Järvelin & Kekäläinen 2002: gain 1 / log2(place + 1))."""
    gains = 1 / np.log2(found + 1)
    both = [(f"HR@{k}", (found <= k).mean()) for k in CUTS] + [
        (f"NDCG@{k}", np.where(found <= k, gains, 0).mean()) for k in CUTS
    ]
    return {name: round(float(value), 4) for name, value in both}


def ours(rec: Recommender, data: Data, **more: Any) -> Listed:
    """The product's list."""
    return lambda case: [one.id for one in rec.recommend(case.user, 10, exclude_seen=data.exclude_seen, **more)]


def choose(rec: Recommender, data: Data, cases: Sequence[Case]) -> float:
    """Settings one after the other, each at its best on validation users; returns their NDCG@10."""
    best = figures(ranks(cases, ours(rec, data)))["NDCG@10"]
    print(f"  validation NDCG@10 with the defaults: {best:.4f}", flush=True)
    for name, values in SEARCH.items():
        for value in values:
            before = rec.config
            given = dict(zip(("dense", "tfidf", "collab"), value, strict=True)) if name == "weights" else value
            if getattr(before, name) == given:
                continue
            _set(rec, cases, before.model_copy(update={name: given}), name)
            found = figures(ranks(cases, ours(rec, data)))["NDCG@10"]
            if found > best:
                best = found
            else:
                rec.create(before)
        _set(rec, cases, rec.config, name)
        print(f"  {name}: {getattr(rec.config, name)} → {best:.4f}", flush=True)
    return best


def _set(rec: Recommender, cases: Sequence[Case], config: SpaceConfig, changed: str) -> None:
    """Store a configuration, and make anew what its changed setting decides."""
    rec.create(config)
    if changed == "collab_distance":
        Worker(rec.client).run(FitCollab(space=rec.space))
    if changed.endswith("_decay"):
        refresh(rec, [case.user for case in cases])


def plain_qdrant(rec: Recommender, data: Data) -> Listed:
    """What Qdrant users do today: ``recommend`` with the average of the dense vectors of all items seen."""
    names = {point_id("item", item.id): item.id for item in data.items}

    def listed(case: Case) -> list[str]:
        liked = [point_id("item", one) for one in dict.fromkeys(case.past)]
        found = rec.client.query_points(
            rec._space.items, using=DENSE, limit=10 + len(liked), with_payload=False,
            query=models.RecommendQuery(recommend=models.RecommendInput(positive=list(liked))),
        ).points  # fmt: skip
        return [names[str(one.id)] for one in found][:10]  # Qdrant leaves out the examples by itself

    return listed


def popular(rec: Recommender, data: Data) -> Listed:
    """The same list for everybody, but for what they have seen."""
    counts: dict[str, set[str]] = {}
    for user, sequence in (data.more or data.fit).items():
        for one in sequence:
            counts.setdefault(one, set()).add(user)
    chance = random.Random(0)
    order = sorted(counts, key=lambda one: (-len(counts[one]), chance.random()))

    def listed(case: Case) -> list[str]:
        past = set(case.past) if data.exclude_seen else set()
        return [one for one in order[: 10 + len(past)] if one not in past][:10]

    return listed


def implicit_peers(data: Data) -> Iterator[tuple[str, Listed]]:
    """ALS, BPR and item-item models of the package ``implicit``, where it is installed."""
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
        from scipy import sparse
    except ImportError:
        print("  implicit is not installed: its rows are left out (pip install implicit)")
        return
    number = {item.id: k for k, item in enumerate(data.items)}
    rows = [[number[one] for one in sequence] for sequence in (data.more or data.fit).values()]

    def matrix(sequences: Sequence[Sequence[int]]) -> Any:
        who = np.repeat(np.arange(len(sequences)), [len(one) for one in sequences])
        what = np.concatenate([np.array(one, int) for one in sequences])
        return (
            sparse.csr_matrix((np.ones(len(what), np.float32), (who, what)), (len(sequences), len(number))) > 0
        ).astype(np.float32)

    seen = matrix(rows)
    made = {
        "implicit ALS": AlternatingLeastSquares(128, regularization=1.0, iterations=15, random_state=0),
        "implicit BPR": BayesianPersonalizedRanking(64, iterations=100, random_state=0),
        "implicit item-item cosine": CosineRecommender(100),
        "implicit item-item BM25": BM25Recommender(100),
    }
    for name, model in made.items():
        model.fit(seen, show_progress=False)

        def listed(case: Case, model: Any = model) -> list[str]:
            mine = matrix([[number[one] for one in case.past]])
            ids, _ = model.recommend(
                0, mine, N=10, filter_already_liked_items=data.exclude_seen,
                **({"recalculate_user": True} if hasattr(model, "recalculate_user") else {}),
            )  # fmt: skip
            return [data.items[k].id for k in ids if k >= 0]

        yield name, listed


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=0, help="random test users; 0 for all")
    parser.add_argument("--model", default=None, help="encoder, such as hash for a quick look")
    options = parser.parse_args()
    warnings.simplefilter("ignore", WorkPendingWarning)
    data = DATASETS[options.dataset](options.data)
    chance = random.Random(0)
    validation = chance.sample(data.validation, min(VALIDATION, len(data.validation)))
    test = chance.sample(data.test, min(options.users or len(data.test), len(data.test)))
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer())
        rec = stack.enter_context(Recommender.connect(qdrant.url, space="quality"))
        rec.create(SpaceConfig(prefetch=400, **({"model": options.model} if options.model else {})))
        began = time.monotonic()
        rec.upsert_items(data.items)
        print(f"{len(data.items):,} items encoded in {time.monotonic() - began:.0f} s", flush=True)
        rec._queue = MemoryQueue()  # from here on users are folded when they are asked about
        track(rec, data.fit, {})
        Worker(rec.client).run(FitCollab(space=rec.space))
        own = {case.user: case.past for case in validation if case.user not in data.fit}
        track(rec, own, {})
        refresh(rec, [case.user for case in validation])
        choose(rec, data, validation)
        for user in own:
            rec.forget_user(user)
        if data.more:
            track(rec, data.more, data.fit)
            Worker(rec.client).run(FitCollab(space=rec.space))
        track(rec, {case.user: case.past for case in test}, data.fit)
        refresh(rec, [case.user for case in test])
        table: dict[str, dict[str, float]] = {"ours": figures(ranks(test, ours(rec, data)))}
        _row("ours, chosen on validation", table["ours"])
        peers: dict[str, dict[str, float]] = {}
        others: list[tuple[str, Listed]] = [
            *((f"{leg} leg alone", ours(rec, data, weights={leg: 1})) for leg in ("dense", "tfidf", "collab")),
            ("popularity", popular(rec, data)),
            ("plain Qdrant, average dense", plain_qdrant(rec, data)),
            *implicit_peers(data),
        ]
        for name, listed in others:
            peers[name] = figures(ranks(test, listed))
            _row(name, peers[name])
        chosen = rec.config
        defaults = SpaceConfig(prefetch=chosen.prefetch, model=chosen.model)
        rec.create(defaults)
        # The co-occurrence stays as chosen: fitted now it would see more than the protocol allows.
        refresh(rec, [case.user for case in test])
        peers["ours, defaults"] = figures(ranks(test, ours(rec, data)))
        _row("ours, defaults", peers["ours, defaults"])
    for name, text in PUBLISHED[options.dataset]:
        print(f"  {name + ', published':32} {text}")
    print(f"{len(test):,} test users of {len(data.test):,}")
    print(json.dumps({"dataset": options.dataset, "ours": table["ours"], "peers": peers}))
    return 0


def _row(name: str, found: dict[str, float]) -> None:
    print(f"  {name:32} " + "  ".join(f"{key} {value:.4f}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
