"""Measures the quality of lists on public data, through the product, against common alternatives.

``python -m benchmarks.quality beauty|industrial|movielens --data ../shared/datasets`` loads the data into a real Qdrant, chooses
leg weights and decays on validation users only, then reads the test figures once, all through ``Recommender.recommend``.
Protocols: leave-one-out, all items ranked, seen items excluded (beauty, movielens); chronological rows, nothing excluded by
the protocol (industrial; whether lists exclude what users had, except what they took last, is chosen on validation data like
every other setting). Everything is fitted on the past of the targets only. ``--users N`` measures N random users, and
``--small`` a part of the catalogue, in minutes, as a smoke test; its figures are not comparable. The peers' packages:
``pip install --group peers``; without them, their rows are omitted. Last line: JSON with ``dataset``, ``ours``, ``peers`` and
``cold``.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import models
from scipy import sparse

from benchmarks import movielens
from llmrec_qdrant import Event, Item, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.contracts.answers import Seen
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.contracts.messages import FitCollab, RefreshUsers
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.testing import MemoryQueue
from tests.services import QdrantServer
from workers.dispatch import Worker
from workers.evaluation.search import Search
from workers.evaluation.settings import Settings
from workers.storage.store import SpaceStore

CUTS = (3, 5, 10)
VALIDATION = 1_000
"""Validation users on which settings are chosen."""
PUBLISHED = {
    "beauty": [("SASRec", "HR@10 .0605, NDCG@10 .0318"), ("TIGER", "HR@10 .0648, NDCG@10 .0384")],
    "industrial": [
        ("S-DPO", "HR .1032 .1238 .1524, NDCG .0906 .0991 .1082 @3 @5 @10"),
        ("MiniOneRec", "HR .1143 .1321 .1586, NDCG .1011 .1084 .1167 @3 @5 @10"),
    ],
    "movielens": [("LRURec", "HR@10 .1426, NDCG@10 .0705"), ("LlamaRec", "HR@10 .1524, NDCG@10 .0759")],
}
REGULARIZATION = (50.0, 200.0, 800.0)
"""Regularisation of EASE, chosen on validation users too."""
WORDS = 5
"""Words with which a new user states interests."""
SESSION = 3
"""Items in an anonymous session."""
SMALL = 1_000
"""Items with ``--small``."""


@dataclass
class Case:
    """The past of a user, and the item that came next."""

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
    but_last: bool = False
    """Leave out what a user had, but for what they took last: chosen where nothing is excluded by the protocol."""
    moments: dict[str, list[int]] = field(default_factory=dict)
    """Seconds of the steps of ``more``, where more is known of time than everybody's own order."""


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
    moments: dict[str, list[int]] = {}
    for place, (user, past, _) in enumerate(valid):  # rows are in the order of time, after all histories
        moments.setdefault(f"chain {user}", list(range(len(past)))).append(1_000 + place)
    return Data(
        items=items,
        fit=chains(valid[:edge]),
        validation=[Case(f"valid {k}", past, target) for k, (_, past, target) in enumerate(valid[edge:])],
        more=chains(valid),
        test=[Case(f"test {k}", past, target) for k, (_, past, target) in enumerate(test)],
        exclude_seen=False,
        moments=moments,
    )


def small_movielens(data: Path) -> Data:
    """MovieLens latest-small, 5-core; every rating counts as a view."""
    rows = movielens.five_core(list(movielens.events(data)))
    items = {row["item"] for row in rows}
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


def events(user: str, sequence: Sequence[str], start: int = 0, moments: Sequence[int] = ()) -> Iterator[Event]:
    """Where only the order is known, one step is one second."""
    for step, item in enumerate(sequence[start:], start=start):
        moment = moments[step] if moments else step
        yield Event(user=user, item=item, type="view", ts=1_600_000_000 + moment, id=f"{user} {step}")


def track(
    rec: Recommender, sequences: dict[str, list[str]], before: dict[str, list[str]],
    moments: Mapping[str, Sequence[int]] | None = None,
) -> None:  # fmt: skip
    """What is new in these sequences; ``moments`` are those of a user's steps, where they are known."""
    rec.track(
        one
        for user, sequence in sequences.items()
        for one in events(user, sequence, len(before.get(user, [])), (moments or {}).get(user, ()))
    )


def refresh(rec: Recommender, users: Sequence[str]) -> None:
    """Fold these users anew, as a worker does."""
    worker = Worker(rec.client)
    ids = [point_id("user", user) for user in users]
    for batch in batches(ids, 64):
        SpaceStore(rec.client, rec._space).users.set_payload({Key.STALE: True}, only(*batch))
        worker.run(RefreshUsers(space=rec.space, ids=list(batch)))


Listed = Callable[[Case], Sequence[str]]


def ranks(cases: Sequence[Case], listed: Listed, threads: int = 4) -> np.ndarray:
    """Place of each target in its list, from 1; infinite where it is not among the ten."""
    with ThreadPoolExecutor(threads) as pool:
        lists = pool.map(listed, cases)
        found = [
            next((p for p, one in enumerate(some, 1) if one == c.target), math.inf)
            for c, some in zip(cases, lists, strict=True)
        ]
    return np.array(found)


def figures(found: np.ndarray) -> dict[str, float]:
    """HR@k and NDCG@k with one relevant item per list (Järvelin & Kekäläinen 2002: gain 1 / log2(place + 1))."""
    gains = 1 / np.log2(found + 1)
    both = [(f"HR@{k}", (found <= k).mean()) for k in CUTS] + [
        (f"NDCG@{k}", np.where(found <= k, gains, 0).mean()) for k in CUTS
    ]
    return {name: round(float(value), 4) for name, value in both}


def ours(rec: Recommender, data: Data, *, but_last: bool | None = None, **more: Any) -> Listed:
    """The product's list; ``but_last`` instead of what was chosen for these data."""
    keep = data.but_last if but_last is None else but_last
    seen: Seen = "but_last" if keep else data.exclude_seen
    return lambda case: [one.id for one in rec.recommend(case.user, 10, exclude_seen=seen, **more)]


def choose(rec: Recommender, data: Data, cases: Sequence[Case], minutes: float) -> None:
    """As ``llmrec tune`` does it, but on the validation targets of the protocol; the winner is stored.

    Who is not fitted on must not be there while the co-occurrence is fitted: histories hold targets of others.
    """
    users = [case.user for case in cases]
    own = {case.user: case.past for case in cases if case.user not in data.fit}
    now = [rec.config]
    folded: dict[str, str] = {}

    def fold(some: Sequence[str]) -> None:
        outdated = [user for user in some if folded.get(user) != now[0].folding]
        refresh(rec, outdated)
        folded.update(dict.fromkeys(outdated, now[0].folding))

    def arrive() -> None:
        track(rec, own, {})
        folded.clear()

    def leave() -> None:
        for user in own:
            rec.forget_user(user)

    def measure(config: SpaceConfig, count: int) -> np.ndarray:
        before, now[0] = now[0], rec.create(config)
        if config.fitting != before.fitting:
            leave()
            Worker(rec.client).run(FitCollab(space=rec.space))
            arrive()
        fold(users[:count])
        places = ranks(cases[:count], ours(rec, data))
        return 1 / np.log2(places + 1)

    arrive()
    fold(users)
    if not data.exclude_seen:
        worth = {keep: figures(ranks(cases, ours(rec, data, but_last=keep)))["NDCG@10"] for keep in (False, True)}
        data.but_last = worth[True] > worth[False]
        print(f"  of what users had, only the last: {worth[True]:.4f}, all: {worth[False]:.4f}", flush=True)
    search = Search(Settings(rec.config), measure, len(cases))
    best = chosen = search.run(60 * minutes)
    print(f"  {len(search.journal.tried)} configurations tried", flush=True)
    for step, simpler in search.simplify(chosen):
        best = simpler
        print(f"  {step.name}: {step.value} adds {step.gain:+.4f}, {'kept' if step.kept else 'put back'}", flush=True)
    leave()
    rec.create(best)
    Worker(rec.client).run(FitCollab(space=rec.space))


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


def peers(data: Data, validation: Sequence[Case]) -> Iterator[tuple[str, Listed]]:
    """Models of the packages ``cornac`` (EASE) and ``implicit`` (ALS, BPR, item-item), where they are installed."""
    number = {item.id: k for k, item in enumerate(data.items)}

    def matrix(sequences: Iterable[Sequence[str]]) -> sparse.csr_matrix:
        rows = [sorted({number[one] for one in sequence}) for sequence in sequences]
        ends = np.cumsum([0] + [len(one) for one in rows])
        columns = np.concatenate([np.array(one, np.int64) for one in rows])
        return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), (len(rows), len(number)))

    yield from _ease(data, validation, matrix)
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.bpr import BayesianPersonalizedRanking
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    except ImportError:
        print("  implicit is not installed: its rows are left out (pip install implicit)")
        return
    sequences = data.more or data.fit
    place = {user: k for k, user in enumerate(sequences)}
    seen = matrix(sequences.values())
    made = {
        "implicit ALS": AlternatingLeastSquares(128, regularization=1.0, iterations=15, random_state=0),
        "implicit BPR": BayesianPersonalizedRanking(64, iterations=100, random_state=0),
        "implicit item-item cosine": CosineRecommender(100),
        "implicit item-item BM25": BM25Recommender(100),
    }
    for name, model in made.items():
        known = all(case.user in place for case in data.test)
        if "BPR" in name and not known:
            print(f"  {name} knows only users it was fitted on: left out")
            continue
        model.fit(seen, show_progress=False)

        def listed(
            case: Case, model: Any = model, fold_in: bool = "ALS" in name, own: bool = "BPR" in name
        ) -> list[str]:
            more = {"recalculate_user": True} if fold_in else {}
            who = place[case.user] if own else 0
            ids, _ = model.recommend(
                who, matrix([case.past]), N=10, filter_already_liked_items=data.exclude_seen, **more
            )
            return [data.items[k].id for k in ids if k >= 0]

        yield name, listed


def _ease(
    data: Data, validation: Sequence[Case], matrix: Callable[[Iterable[Sequence[str]]], sparse.csr_matrix]
) -> Iterator[tuple[str, Listed]]:
    """EASE (Steck 2019), fitted by cornac; a history is scored as the sum of its items' rows."""
    try:
        from cornac.data import Dataset
        from cornac.models import EASE
    except ImportError:
        print("  cornac is not installed: EASE is left out (pip install cornac)")
        return

    def fitted(sequences: dict[str, list[str]], strength: float) -> Listed:
        rows = [(user, one, 1.0) for user, sequence in sequences.items() for one in dict.fromkeys(sequence)]
        known = Dataset.from_uir(rows)
        model = EASE(lamb=strength, posB=False, verbose=False).fit(known)
        ids, columns = list(known.item_ids), known.iid_map

        def listed(case: Case) -> list[str]:
            past = [columns[one] for one in dict.fromkeys(case.past) if one in columns]
            scores = np.asarray(model.B[past].sum(axis=0)).ravel()
            if data.exclude_seen:
                scores[past] = -np.inf
            top = np.argpartition(-scores, 10)[:10]
            return [ids[k] for k in top[np.argsort(-scores[top])]]

        return listed

    def worth(strength: float) -> float:
        return figures(ranks(validation, fitted(data.fit, strength)))["NDCG@10"]

    best = max(REGULARIZATION, key=worth)
    yield f"EASE (cornac), λ {best:g}", fitted(data.more or data.fit, best)


def cold_start(rec: Recommender, data: Data, test: Sequence[Case], found: np.ndarray) -> dict[str, Any]:
    """Items without any event; people without any: by words, by a short session, by what is popular."""
    known = {one for sequence in (data.more or data.fit).values() for one in sequence}
    known |= {one for case in test for one in case.past}
    new = np.array([case.target not in known for case in test])
    chance = 10 / len(data.items)
    result: dict[str, Any] = {}
    if new.any():
        recall = float((found[new] <= 10).mean())
        result["items never seen in any event"] = {
            "targets": int(new.sum()), "recall@10": round(recall, 4), "random": round(chance, 4),
            "times random": round(recall / chance, 1),
        }  # fmt: skip
        print(f"  {int(new.sum())} targets were never seen: recall@10 {recall:.4f}, random {chance:.4f}", flush=True)
    some = random.Random(1).sample(list(test), min(500, len(test)))
    words = {item.id: item.title for item in data.items}

    def stated(case: Case) -> str:
        return " ".join(_terms(rec, case.user)[:WORDS] or [words[case.past[-1]]])

    rec.track(Event(user=f"new {case.user}", type="search", text=stated(case)) for case in some)
    refresh(rec, [f"new {case.user}" for case in some])

    def masked(case: Case) -> list[str]:
        return case.past[-1_000:] if data.exclude_seen else []

    rows: dict[str, Listed] = {
        "known users": ours(rec, data),
        f"session of {SESSION} items": lambda case: [
            one.id for one in rec.recommend_from(case.past[-SESSION:], limit=10, exclude=masked(case))
        ],
        f"new user, {WORDS} words": lambda case: [
            one.id for one in rec.recommend(f"new {case.user}", 10, exclude=masked(case))
        ],
        "new user, popular": lambda case: [one.id for one in rec.recommend("nobody", 10, exclude=masked(case))],
    }
    for name, listed in rows.items():
        result[name] = figures(ranks(some, listed))
        _row(name, result[name])
    return result


def _terms(rec: Recommender, user: str) -> list[str]:
    (point,) = rec.client.retrieve(rec._space.users, [point_id("user", user)], with_payload=["terms"])
    return (point.payload or {}).get("terms") or []


def small(data: Data) -> Data:
    """A random part of the catalogue, what people took of it, and some of the people."""
    chance = random.Random(2)
    items = chance.sample(data.items, min(SMALL, len(data.items)))
    kept = {item.id for item in items}

    def part(sequences: dict[str, list[str]]) -> dict[str, list[str]]:
        found = {user: [one for one in sequence if one in kept] for user, sequence in sequences.items()}
        return {user: sequence for user, sequence in found.items() if sequence}

    def some(cases: list[Case]) -> list[Case]:
        cut = [Case(one.user, [item for item in one.past if item in kept], one.target) for one in cases]
        able = [one for one in cut if one.past and one.target in kept]
        return chance.sample(able, min(SMALL // 8, len(able)))

    return Data(items, part(data.fit), some(data.validation), part(data.more), some(data.test), data.exclude_seen)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=0, help="random test users; 0 for all")
    parser.add_argument("--small", action="store_true", help="a part of the data, in minutes")
    parser.add_argument("--model", default=None, help="encoder, such as hash for a quick look")
    parser.add_argument("--minutes", type=float, default=30, help="time to choose settings on validation users")
    options = parser.parse_args()
    warnings.simplefilter("ignore", WorkPendingWarning)
    warnings.filterwarnings("ignore", module="implicit")  # its remarks on its own matrices
    data = DATASETS[options.dataset](options.data)
    data = small(data) if options.small else data
    chance = random.Random(0)
    validation = chance.sample(data.validation, min(VALIDATION, len(data.validation)))
    test = chance.sample(data.test, min(options.users or len(data.test), len(data.test)))
    table: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer())
        rec = stack.enter_context(Recommender.connect(qdrant.url, space="quality"))
        rec.create(SpaceConfig(**({"model": options.model} if options.model else {})))
        began = time.monotonic()
        rec.upsert_items(data.items)
        print(f"{len(data.items):,} items encoded in {time.monotonic() - began:.0f} s", flush=True)
        rec._queue = MemoryQueue()  # from here on users are folded when they are asked about
        track(rec, data.fit, {})
        Worker(rec.client).run(FitCollab(space=rec.space))
        choose(rec, data, validation, options.minutes)
        if data.more:
            track(rec, data.more, data.fit)
            Worker(rec.client).run(FitCollab(space=rec.space))
        track(rec, {case.user: case.past for case in test}, data.fit)
        refresh(rec, [case.user for case in test])
        print(f"{len(test):,} test users of {len(data.test):,}, read once", flush=True)
        found = ranks(test, ours(rec, data))
        mine = figures(found)
        _row("ours, chosen on validation", mine)
        chosen = rec.config.weights
        others: list[tuple[str, Listed]] = [
            *((f"ours without {leg}", ours(rec, data, weights={**chosen, leg: 0})) for leg in LEGS),
            *((f"ours, {leg} alone", ours(rec, data, weights={leg: 1})) for leg in LEGS),
            ("popularity", popular(rec, data)),
            ("plain Qdrant, average dense", plain_qdrant(rec, data)),
        ]
        for name, listed in others:
            table[name] = figures(ranks(test, listed))
            _row(name, table[name])
        for name, listed in peers(data, validation):
            table[name] = figures(ranks(test, listed, threads=1))
            _row(name, table[name])
        cold = cold_start(rec, data, test, found)
        rec.create(SpaceConfig(model=rec.config.model))
        # The co-occurrence stays as chosen: fitted now it would see more than the protocol allows.
        refresh(rec, [case.user for case in test])
        table["ours, defaults"] = figures(ranks(test, ours(rec, data)))
        _row("ours, defaults", table["ours, defaults"])
    for name, text in PUBLISHED[options.dataset]:
        print(f"  {name + ', published':32} {text}")
    print(json.dumps({"dataset": options.dataset, "ours": mine, "peers": table, "cold": cold}))
    return 0


def _row(name: str, found: dict[str, float]) -> None:
    print(f"  {name:32} " + "  ".join(f"{key} {value:.4f}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
