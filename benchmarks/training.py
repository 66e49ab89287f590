"""Measures what training gains on public data, through the product: before and after, on the same targets.

``python -m benchmarks.training beauty|industrial --data ../shared/datasets [--method towers|encoder|texts]`` loads the events
that the protocol lets a model see, trains a model as ``llmrec train`` does (epochs and leg weights are chosen on events that
the training holds out itself: the latest events if the data has times, otherwise what users took last), rolls it out as
``llmrec reembed`` does, and reads the test figures once: with the trained model, then after a rollback with the previous one.
Both use the leg weights that the training chose for them. ``--small`` uses a part of the data, in minutes; its figures are not
comparable. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from qdrant_client import models

from benchmarks.quality import DATASETS, Case, Data, figures, ours, ranks, refresh, small, track
from llmrec_qdrant import Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.contracts.jobs import Method
from llmrec_qdrant.contracts.messages import FitCollab
from llmrec_qdrant.space.layout import DENSE, Key
from llmrec_qdrant.testing import MemoryQueue
from tests.services import QdrantServer
from workers.dispatch import Worker
from workers.encoding import registry
from workers.evaluation.report import Report
from workers.reconcile import reconcile
from workers.storage.store import SpaceStore
from workers.training.recipe import Recipe
from workers.training.trainer import train

TEST = 4_000
"""Random test users of a leave-one-out data set."""
DEFAULT = SpaceConfig().weights


def told() -> Report:
    """Print progress from time to time."""
    last: list[Any] = [0.0, ""]

    def tell(what: str, done: float, total: float) -> None:
        kind = what.split(":")[0]
        if kind != last[1] or time.monotonic() - last[0] > 60:
            last[:] = [time.monotonic(), kind]
            print(f"  {what} {done:,.0f}/{total:,.0f}", flush=True)

    return tell


def measured(rec: Recommender, data: Data, test: Sequence[Case], weights: dict[str, float]) -> dict[str, np.ndarray]:
    """Places of the targets: by the dense leg, by all legs as they are by default, and as they were chosen; among the items
    that are like the last one by the dense leg.

    Where lists may repeat items, also without what a user had, but for what they took last.
    """
    ways = {"dense alone": {DENSE: 1.0}, "fused, default weights": DEFAULT, "fused, chosen weights": weights}
    found = {name: ranks(test, ours(rec, data, weights=some)) for name, some in ways.items()}
    if not data.exclude_seen:
        found["the same, of seen only last"] = ranks(test, ours(rec, data, but_last=True, weights=weights))

    def like_the_last(case: Case) -> list[str]:
        return [one.id for one in rec.similar_items(case.past[-1], 10, weights={DENSE: 1.0})]

    found["like the last item, dense"] = ranks(test, like_the_last)
    return found


def never_seen(data: Data, test: Sequence[Case]) -> np.ndarray:
    """Which targets stand in no event that a model could learn from or a history holds."""
    known = {one for sequence in (data.more or data.fit).values() for one in sequence}
    known |= {one for case in test for one in case.past}
    return np.array([case.target not in known for case in test])


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--method", choices=get_args(Method), default="towers")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--validation", type=int, default=1_000, help="users that training hides")
    parser.add_argument(
        "--users", type=int, default=0, help=f"random test users; 0: {TEST:,}, or all rows of industrial"
    )
    parser.add_argument("--small", action="store_true", help="a part of the data, in minutes")
    parser.add_argument("--no-test", action="store_true", help="stop after training: for choosing a recipe")
    options = parser.parse_args()
    warnings.simplefilter("ignore", WorkPendingWarning)
    data = DATASETS[options.dataset](options.data)
    data = small(data) if options.small else data
    count = options.users or (len(data.test) if not data.exclude_seen else TEST)
    test = random.Random(0).sample(data.test, min(count, len(data.test)))
    with ExitStack() as stack:
        os.environ["LLMREC_MODELS"] = stack.enter_context(tempfile.TemporaryDirectory())
        qdrant = stack.enter_context(QdrantServer())
        rec = stack.enter_context(Recommender.connect(qdrant.url, space=options.dataset))
        rec.create(SpaceConfig())
        inline, rec._queue = rec._queue, MemoryQueue()
        rec.upsert_items(data.items)
        rec._queue = inline
        rec.reconcile()
        rec._queue = MemoryQueue()  # users are folded when they are asked about
        track(rec, data.more or data.fit, {}, data.moments)
        Worker(rec.client).run(FitCollab(space=rec.space))
        print(f"{len(data.items):,} items encoded, what may be seen is loaded", flush=True)
        began = time.monotonic()
        recipe = Recipe.of(options.method, epochs=options.epochs)
        version = train(
            SpaceStore(rec.client, rec._space.at(1)),
            rec.config,
            recipe,
            users=options.validation,
            exclude_seen=data.exclude_seen,
            split="time" if data.moments else "last",
            report=told(),
        )
        minutes = (time.monotonic() - began) / 60
        print(f"{version.name} in {minutes:.1f} min: {version.metrics}, offered: {version.offered}", flush=True)
        if options.no_test:
            return 0
        found = roll_out_and_read(rec, data, test, version)
    report(options.dataset, version, found, minutes, never_seen(data, test), len(data.items))
    return 0


Found = dict[str, dict[str, np.ndarray]]


def roll_out_and_read(rec: Recommender, data: Data, test: Sequence[Case], version: registry.Version) -> Found:
    """Test figures of the trained model and, after a rollback, of the one before."""
    print("rolling it out", flush=True)
    roll_out(rec, version)
    track(rec, {case.user: case.past for case in test}, data.more or data.fit)
    refresh(rec, [case.user for case in test])
    print(f"{len(test):,} test users, read once", flush=True)
    found = {"after": measured(rec, data, test, version.metrics["leg weights"])}
    rec.rollback()
    return {"before": measured(rec, data, test, version.metrics["leg weights before"]), **found}


def roll_out(rec: Recommender, version: registry.Version) -> None:
    """As workers do it, but without users: those of the test come when their pasts do, and no others are asked about."""
    everything = models.Filter()
    SpaceStore(rec.client, rec._space).events.set_payload({Key.FOLDED: True}, everything)
    rec.client.delete(rec._space.users, models.FilterSelector(filter=everything), wait=True)
    job, worker = rec.reembed(model=version.name, size=version.size), Worker(rec.client)
    while job.progress().state != "done":
        worker.drain(reconcile(SpaceStore(rec.client, rec._space)))
    rec._config = None


def report(dataset: str, version: registry.Version, found: Found, minutes: float, new: np.ndarray, items: int) -> None:
    """Print the table and the JSON line."""
    rows: dict[str, dict[str, Any]] = {}
    for name in found["before"]:
        before, after = (figures(found[when][name]) for when in ("before", "after"))
        gain = after["NDCG@10"] / max(before["NDCG@10"], 1e-9) - 1
        rows[name] = {
            "before": before["NDCG@10"],
            "after": after["NDCG@10"],
            "gain": round(gain, 4),
            "figures": after,
        }
        print(f"  {name:28} NDCG@10 {before['NDCG@10']:.4f} → {after['NDCG@10']:.4f} ({gain:+.1%})")
    if new.any():
        cold = {when: round(float((found[when]["dense alone"][new] <= 10).mean()), 4) for when in found}
        rows["dense alone, items never seen"] = {**cold, "targets": int(new.sum()), "random": round(10 / items, 4)}
        print(f"  {int(new.sum())} targets were never seen: recall@10 {cold['before']:.4f} → {cold['after']:.4f}")
    kept = replace(version, files={})
    print(
        json.dumps(
            {
                "dataset": dataset,
                "method": kept.method,
                "minutes": round(minutes, 1),
                "test": rows,
                "validation": kept.metrics,
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
