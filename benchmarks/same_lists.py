"""Compares the lists of embedded Qdrant with those of a server: the same data loaded into both, the same users asked.

``python -m benchmarks.same_lists beauty|industrial|movielens --data ../shared/datasets`` loads items and pasts, asks for the
lists of validation users, and counts those with the same ids in the same order; items whose scores are equal may change
places. Also of each leg alone, so that a difference can be traced. ``--small`` takes a part of the catalogue. The last line is
one JSON object; the exit code is 1 if lists differ by more than ties.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from benchmarks import quality
from llmrec_qdrant import Recommendation, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.contracts.messages import FitCollab
from llmrec_qdrant.testing import MemoryQueue
from tests.services import QdrantServer
from workers.dispatch import Worker

TOLERANCE = 1e-5
"""Largest difference between scores that count as equal: both engines sum float32 values, in orders of their own."""
LIMIT = 10


def main() -> int:
    """Run the benchmark."""
    options = _options()
    warnings.simplefilter("ignore", WorkPendingWarning)
    data = quality.DATASETS[options.dataset](options.data)
    data = quality.small(data) if options.small else data
    cases = random.Random(0).sample(data.validation, min(options.users, len(data.validation)))
    with ExitStack() as stack:
        server = stack.enter_context(QdrantServer())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-same-"))
        there = stack.enter_context(Recommender.connect(server.url, space="same"))
        here = stack.enter_context(Recommender.connect(path=f"{folder}/data", space="same"))
        for name, rec in (("server", there), ("embedded", here)):
            _load(rec, data, cases, options.model)
            out.print(f"{name}: {rec.status().items:,} items, {len(cases):,} users", style="dim")
        figures = {"dataset": options.dataset, "users": len(cases), "items": len(data.items), "model": options.model}
        figures |= {"lists": _compare(there, here, data, cases)}
    print(json.dumps(figures))
    return 0 if all(row["same"] == 1 for row in figures["lists"].values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(quality.DATASETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--users", type=int, default=300, help="random validation users")
    parser.add_argument("--model", default="hash", help="encoder; the two back ends get the same vectors from any")
    parser.add_argument("--small", action="store_true", help="a part of the catalogue")
    return parser.parse_args()


def _load(rec: Recommender, data: quality.Data, cases: Sequence[quality.Case], model: str) -> None:
    rec.create(SpaceConfig(model=model))
    rec.upsert_items(data.items)
    rec._queue = MemoryQueue()  # only the users who are asked about are folded
    quality.track(rec, data.fit, {})
    quality.track(rec, {case.user: case.past for case in cases}, data.fit)
    Worker(rec.client).run(FitCollab(space=rec.space))
    quality.refresh(rec, [case.user for case in cases])


def _compare(
    there: Recommender, here: Recommender, data: quality.Data, cases: Sequence[quality.Case]
) -> dict[str, Any]:
    table = Table(box=box.SIMPLE, header_style="bold", pad_edge=False)
    for heading in (
        "",
        "same lists",
        "same ids and order",
        "largest difference of scores",
        "NDCG@10 server",
        "embedded",
    ):
        table.add_column(heading, justify="left" if not heading else "right")
    rows: dict[str, Any] = {}
    for name, weights in [("defaults", None), *((leg, {leg: 1.0}) for leg in LEGS)]:
        pairs = [tuple(_list(rec, case, data, weights) for rec in (there, here)) for case in cases]
        differences = [abs(a.score - b.score) for one, other in pairs for a, b in zip(one, other, strict=False)]
        ndcg = [quality.figures(_places(cases, [pair[side] for pair in pairs]))["NDCG@10"] for side in (0, 1)]
        row = rows[name] = {
            "same": round(float(np.mean([same(*pair) for pair in pairs])), 4),
            "identical": round(float(np.mean([_ids(one) == _ids(other) for one, other in pairs])), 4),
            "score_difference": float(f"{max(differences, default=0.0):.2g}"),
            "ndcg_server": ndcg[0],
            "ndcg_embedded": ndcg[1],
        }
        table.add_row(
            name, f"{row['same']:.1%}", f"{row['identical']:.1%}", str(row["score_difference"]), *map(str, ndcg)
        )
    out.print(table)
    return rows


def _list(
    rec: Recommender, case: quality.Case, data: quality.Data, weights: dict[str, float] | None
) -> list[Recommendation]:
    return rec.recommend(
        case.user, LIMIT, exclude_seen="but_last" if data.but_last else data.exclude_seen, weights=weights
    )


def _ids(listed: Sequence[Recommendation]) -> list[str]:
    return [item.id for item in listed]


def _places(cases: Sequence[quality.Case], lists: Sequence[Sequence[Recommendation]]) -> np.ndarray:
    places = [
        next((place for place, item in enumerate(listed, 1) if item.id == case.target), np.inf)
        for case, listed in zip(cases, lists, strict=True)
    ]
    return np.array(places)


def same(one: Sequence[Recommendation], other: Sequence[Recommendation]) -> bool:
    """Whether two lists agree: equal scores place by place, and equal ids but for items that tie, at the end too."""
    if len(one) != len(other):
        return False
    if any(abs(a.score - b.score) > TOLERANCE for a, b in zip(one, other, strict=True)):
        return False
    return _agrees(one, other) and _agrees(other, one)


def _agrees(one: Sequence[Recommendation], other: Sequence[Recommendation]) -> bool:
    scores = {item.id: item.score for item in other}
    last = other[-1].score if other else 0.0
    return all(abs(item.score - scores.get(item.id, last)) <= TOLERANCE for item in one)


if __name__ == "__main__":
    sys.exit(main())
