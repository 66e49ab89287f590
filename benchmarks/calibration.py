"""Measures calibrated lists: how much closer they are to users' interests, and what that costs in accuracy.

``python -m benchmarks.calibration --data ../shared/datasets`` uses the 5-core of MovieLens latest-small and a real Qdrant.
The last films of each user are held out, three and then ten of them, and everything is fitted on the rest (with one,
``--hidden 1``, a few dozen hits decide). On one half of the users, every trade-off and number of candidates is tried; chosen
is the setting that lowers the KL divergence most among those that cost at most ``MOST_LOST`` of the mean NDCG@10 in both
cases. Then the halves are exchanged. ``unseen`` are all users, each measured with the setting chosen on the other half, so
the figures are held-out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from scipy.stats import ttest_rel

from benchmarks import movielens
from llmrec_qdrant import Event, Recommendation, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.query.rerank import CALIBRATION_POOL, TRADE_OFF, calibrated, divergence
from tests.services import QdrantServer

LIMIT = 10
HIDDEN = (3, 10)
TRADE_OFFS = (0.1, 0.2, 0.3, 0.4, 0.5)
POOLS = (2, 5, 10, 20)
"""Candidates per wanted item."""
MOST_LOST = 0.01
"""Share of NDCG that a setting may cost the choosing half."""


Setting = tuple[float, int]
"""Trade-off, candidates per wanted item."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One user: the lists by their length, the interests, and what came next."""

    lists: dict[int, list[Recommendation]]
    interests: dict[str, float]
    targets: set[str]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hidden", type=int, nargs="+", default=list(HIDDEN))
    parser.add_argument("--model", default=SpaceConfig().model)
    options = parser.parse_args()
    histories, films = movielens.histories(options.data)
    out.print(f"{len(histories)} users, {len(films):,} films, {sum(map(len, histories.values())):,} events")
    users = sorted(histories)
    random.Random(7).shuffle(users)
    halves = users[: len(users) // 2], users[len(users) // 2 :]
    every: dict[int, dict[str, Row]] = {}
    figures: dict[str, Any] = {"adapter": {"trade_off": TRADE_OFF, "candidates": LIMIT * CALIBRATION_POOL}}
    for hidden in options.hidden:
        every[hidden], same = measured(histories, films, hidden, options.model)
        figures[f"{hidden} hidden"] = {
            "all_users": compared(every[hidden], dict.fromkeys(users, (TRADE_OFF, CALIBRATION_POOL))),
            "adapter_gives_the_same_list": same,
        }
    unseen: dict[str, Setting] = {}
    for half, others in (halves, halves[::-1]):
        setting = choose([grid(rows, half) for rows in every.values()])
        out.print(f"chosen: λ {setting[0]} of {LIMIT * setting[1]} candidates")
        unseen |= dict.fromkeys(others, setting)
        figures.setdefault("chosen", []).append({"trade_off": setting[0], "candidates": LIMIT * setting[1]})
    for hidden, rows in every.items():
        figures[f"{hidden} hidden"]["unseen"] = compared(rows, unseen)
    print(json.dumps(figures))


def measured(
    histories: dict[str, list[dict[str, Any]]], films: list[dict[str, Any]], hidden: int, model: str
) -> tuple[dict[str, Row], str]:
    """Collect every user's data without the last ``hidden`` films; how often the adapter gives the list made here.

    Not always: Qdrant gives items of equal score in any order, so of two same requests one may differ.
    """
    size = {} if model != "hash" else {"size": 64}
    with QdrantServer() as server, Recommender.connect(server.url, space="films") as rec:
        rec.create(SpaceConfig(rating_scale=(0.5, 5.0), model=model, **size))
        rec.upsert_items(films)
        past = [Event(**event) for history in histories.values() for event in history[:-hidden]]
        for start in range(0, len(past), 5_000):
            rec.load_events(past[start : start + 5_000])
        rec.reconcile()
        rec.fit_topics()
        rows = {
            user: row(rec, user, {event["item"] for event in history[-hidden:]}) for user, history in histories.items()
        }
        some = sorted(rows)[::50]
        same = sum(
            [one.id for one in rec.recommend(user, LIMIT, interests="auto")]
            == [one.id for one in reordered(rows[user], TRADE_OFF, CALIBRATION_POOL)]
            for user in some
        )
    return rows, f"{same} of {len(some)}"


def row(rec: Recommender, user: str, targets: set[str]) -> Row:
    """The plain list, the candidates the adapter would re-order, the user's interests, and what came next."""
    lists = {length: rec.recommend(user, LIMIT * length) for length in (1, *POOLS)}
    return Row(lists, {one.label: one.weight for one in rec.interests(user)}, targets)


def grid(rows: dict[str, Row], users: Sequence[str]) -> dict[Setting, Figures]:
    """Measure every setting on these users."""
    found: dict[Setting, Figures] = {}
    for setting in product(TRADE_OFFS, POOLS):
        found[setting] = one = compared(rows, dict.fromkeys(users, setting))
        out.print(
            f"  λ {setting[0]}, {LIMIT * setting[1]:3} candidates: NDCG {one['NDCG_change']:+.1%} (p {one['p']:.2f}), "
            f"KL {one['KL_change']:+.1%}"
        )
    return found


def choose(tried: Sequence[dict[Setting, Figures]]) -> Setting:
    """Return the setting that lowers the divergence most among those whose cost is acceptable in every case."""
    cheap = [one for one in tried[0] if all(found[one]["NDCG_change"] >= -MOST_LOST for found in tried)]
    return min(cheap, key=lambda one: sum(found[one]["KL_change"] for found in tried), default=(0.0, POOLS[0]))


def reordered(found: Row, trade_off: float, pool: int) -> list[Recommendation]:
    """Reorder a list as ``recommend(interests="auto")`` does."""
    listed = found.lists[pool]
    places = calibrated(
        [one.score for one in listed], [topic(one) for one in listed], found.interests, LIMIT, trade_off
    )
    return [listed[place] for place in places]


def topic(one: Recommendation) -> str | None:
    return one.topics[0] if one.topics else None


def compared(rows: dict[str, Row], settings: Mapping[str, Setting]) -> Figures:
    """Mean NDCG@10 and mean KL divergence of these users' plain lists and calibrated ones; p of a paired t-test."""
    plain = np.array([score(rows[user], rows[user].lists[1]) for user in settings])
    ours = np.array([score(rows[user], reordered(rows[user], *one)) for user, one in settings.items()])
    before, after = np.nanmean(plain, axis=0), np.nanmean(ours, axis=0)
    change = after / before - 1
    p_value = float(ttest_rel(plain[:, 0], ours[:, 0]).pvalue) if (plain[:, 0] != ours[:, 0]).any() else 1.0
    return {
        "NDCG_plain": round(float(before[0]), 4), "NDCG": round(float(after[0]), 4),
        "NDCG_change": round(float(change[0]), 4), "p": round(p_value, 3),
        "KL_plain": round(float(before[1]), 3), "KL": round(float(after[1]), 3),
        "KL_change": round(float(change[1]), 4),
    }  # fmt: skip


def score(found: Row, listed: Sequence[Recommendation]) -> tuple[float, float]:
    """NDCG@10 and KL divergence (none without interests) of one list."""
    gain = sum(1 / math.log2(rank + 2) for rank, one in enumerate(listed[:LIMIT]) if one.id in found.targets)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(LIMIT, len(found.targets))))
    cost = divergence(found.interests, [topic(one) for one in listed]) if found.interests else math.nan
    return gain / ideal, cost


if __name__ == "__main__":
    main()
