"""Figures of the lists that users get now: which topics, and how much of the catalogue."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from llmrec_qdrant.operations.overview import Overview
from llmrec_qdrant.report.drawing import COLOURS, axis, empty, figure, objects
from llmrec_qdrant.report.user_figures import NO_INTERESTS, bars_of

__all__ = ["calibration", "coverage", "long_tail"]

MAX_BARS = 15
MAX_POINTS = 200
"""Points of a curve."""
TOP_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "reversed"}
MARGIN = {"l": 60, "r": 16, "t": 40, "b": 56}


def coverage(overview: Overview) -> str:
    """Say how much of the catalogue the lists show."""
    shown = {item for listed in overview.lists.values() for item in listed}
    share = 100 * len(shown) / max(overview.status.items, 1)
    return f"The lists of {len(overview.lists):,} users show {len(shown):,} items, {share:.1f} % of the catalogue."


def calibration(overview: Overview) -> Any:
    """Draw the share of each topic in the attention of users beside its share in their lists; calibrated lists have both alike."""
    users = [user for user in overview.users if user.id in overview.lists]
    labels = {topic.id: topic.label for topic in overview.topics}
    wanted: Counter[str] = Counter()
    for user in users:
        wanted.update({interest.topic: interest.weight for interest in user.interests if interest.topic in labels})
    if not wanted:
        return empty(NO_INTERESTS)
    topic_of = {item.id: item.topic for item in overview.items}
    listed = [Counter(topic_of.get(item, "") for item in overview.lists[user.id]) for user in users]
    shares: Counter[str] = Counter()
    for topics in listed:
        shares.update({topic: count / topics.total() for topic, count in topics.items()})
    top = [topic for topic, _ in reversed((wanted + shares).most_common()) if topic in labels][-MAX_BARS:]
    names = [labels[topic] for topic in top]
    bars = [
        bars_of(names, [100 * shares[topic] / len(users) for topic in top], " %", COLOURS[1], "share of the lists"),
        bars_of(names, [100 * wanted[topic] / len(users) for topic in top], " %", COLOURS[0], "share of the attention"),
    ]
    return figure(bars, x=axis("percent, mean over users"), y=axis("topic", type="category"), height=130 + 32 * len(top),
                  showlegend=True, legend=TOP_LEGEND, margin=MARGIN)  # fmt: skip


def long_tail(overview: Overview) -> Any:
    """Draw how much of the behaviour, and of the lists, the most taken items get."""
    taken = Counter(item for item, _ in overview.events)
    if not taken:
        return empty("There are no events about items yet")
    ranks = {item: rank for rank, (item, _) in enumerate(taken.most_common())}
    total = max(overview.status.items, len(ranks))
    untaken = iter(range(len(ranks), total))
    events, places = np.zeros(total), np.zeros(total)
    events[: len(ranks)] = sorted(taken.values(), reverse=True)
    for item, count in Counter(item for listed in overview.lists.values() for item in listed).items():
        places[ranks[item] if item in ranks else next(untaken, total - 1)] += count
    lines = [_curve(events, "events", COLOURS[0])]
    if places.any():
        lines.append(_curve(places, "places of the lists", COLOURS[1]))
    return figure(lines, x=axis("percent of the items, most taken first", range=[0, 101], dtick=20), y=axis("percent", rangemode="tozero"),
                  height=380, showlegend=True, legend={**TOP_LEGEND, "traceorder": "normal"}, margin=MARGIN)  # fmt: skip


def _curve(counts: np.ndarray, name: str, colour: str) -> Any:
    total = len(counts)
    rows = np.unique(np.linspace(0, total, min(total, MAX_POINTS) + 1).astype(int))
    shares = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return objects().Scatter(
        x=(100 * rows / total).tolist(), y=(100 * shares[rows]).tolist(), mode="lines", name=name, line={"color": colour},
        hovertemplate="the most taken %{x:.1f} % of the items have %{y:.1f} %",
    )  # fmt: skip
