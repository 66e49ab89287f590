"""Figures of the users: their activity, their interests, and how these change; and of one user or item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.answers import Interest, Topic
from llmrec_qdrant.operations.overview import MappedItem, Overview
from llmrec_qdrant.report.drawing import COLOURS, GREY, axis, empty, figure, objects, plain

__all__ = ["NO_INTERESTS", "activity", "attention", "bars_of", "drift", "interests", "item_topics"]

NO_INTERESTS = "No user has interests yet: they take topics (llmrec topics fit) and events"
MAX_BARS = 20


def activity(overview: Overview) -> Any:
    """Draw how many users have how many events."""
    if not overview.users:
        return empty("There are no users yet")
    counts = np.array([user.n_events for user in overview.users])
    edges = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10**9]
    names = ["0", "1", "2–4", "5–9", "10–19", "20–49", "50–99", "100–199", "200–499", "500–999", "1,000+"]
    heights, _ = np.histogram(counts, edges)
    bars = objects().Bar(
        x=names, y=heights.tolist(), marker_color=COLOURS[0], hovertemplate="%{x} events: %{y} users<extra></extra>"
    )
    return figure([bars], x=axis("events of a user", type="category"), y=axis("users"), height=340)


def attention(overview: Overview) -> Any:
    """Draw the mean share of the users' attention per topic."""
    shares: Counter[str] = Counter()
    users = [user for user in overview.users if user.interests]
    for user in users:
        shares.update({interest.topic: interest.weight for interest in user.interests})
    if not shares:
        return empty(NO_INTERESTS)
    labels = {topic.id: topic.label for topic in overview.topics}
    top = list(
        reversed(
            [(topic, 100 * share / len(users)) for topic, share in shares.most_common(MAX_BARS) if topic in labels]
        )
    )
    bars = bars_of([labels[topic] for topic, _ in top], [share for _, share in top], " %")
    return _horizontal([bars], len(top), "percent of the attention, mean over users")


def drift(overview: Overview) -> Any:
    """Draw for how many users each topic rises (right) and fades (left)."""
    labels = {topic.id: topic.label for topic in overview.topics}
    every = [interest for user in overview.users for interest in user.interests if interest.topic in labels]
    rising = Counter(interest.topic for interest in every if interest.trend == "rising")
    fading = Counter(interest.topic for interest in every if interest.trend == "fading")
    top = [topic for topic, _ in reversed((rising + fading).most_common(MAX_BARS))]
    if not top:
        return empty("No interest rises or fades" if every else NO_INTERESTS)
    names = [labels[topic] for topic in top]
    step = _step(max(max(rising.values(), default=0), max(fading.values(), default=0)))
    counts = [step * place for place in range(-5, 6)]
    left = bars_of(names, [-fading[topic] for topic in top], " users", GREY, "fading")
    left.customdata = [fading[topic] for topic in top]
    left.hovertemplate = left.hovertemplate.replace("%{x:.3~g}", "%{customdata}")
    right = bars_of(names, [rising[topic] for topic in top], " users", COLOURS[2], "rising")
    return _horizontal([left, right], len(top), "users for whom it fades (left) or rises (right)", barmode="overlay", showlegend=True,
                       ticks={"tickvals": counts, "ticktext": [f"{abs(count):,}" for count in counts]},
                       legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, margin={"l": 60, "r": 16, "t": 40, "b": 56})  # fmt: skip


def interests(listed: Sequence[Interest]) -> Any:
    """Draw the interests of one user; hovering shows the evidence."""
    if not listed:
        return empty("This user has no interests yet")
    top = list(reversed(listed[:MAX_BARS]))
    evidence = ["<br>".join(plain(interest.titles.get(item, item)) for item in interest.items[:5]) for interest in top]
    colours = {"rising": COLOURS[2], "steady": COLOURS[0], "fading": GREY}
    bars = bars_of([interest.label for interest in top], [100 * interest.weight for interest in top], " %",
                 [colours[interest.trend] for interest in top])  # fmt: skip
    bars.customdata = [f"{interest.trend}<br>{items}" for interest, items in zip(top, evidence, strict=True)]
    bars.hovertemplate = "%{y}: %{x:.1f} %, %{customdata}<extra></extra>"
    return _horizontal([bars], len(top), "percent of the attention (green: rising, grey: fading)")


def item_topics(item: MappedItem, topics: Sequence[Topic], centroids: Mapping[str, np.ndarray]) -> Any:
    """Draw how near an item is to the topics next to it."""
    if item.vector is None or not centroids:
        return empty("There are no topics yet. Discover them: llmrec topics fit")
    cosines = {
        topic: float(item.vector @ centroid / max(np.linalg.norm(item.vector) * np.linalg.norm(centroid), 1e-12))
        for topic, centroid in centroids.items()
    }
    labels = {topic.id: topic.label for topic in topics if topic.id in cosines}
    top = sorted(labels, key=lambda topic: cosines[topic])[-MAX_BARS:]
    colours = [COLOURS[1] if topic == item.topic else COLOURS[0] for topic in top]
    bars = bars_of([labels[topic] for topic in top], [cosines[topic] for topic in top], "", colours)
    return _horizontal([bars], len(top), "cosine to the topic (red: the topic of the item)")


def bars_of(
    labels: Sequence[str], values: Sequence[float], unit: str, colours: Any = COLOURS[0], name: str = ""
) -> Any:
    """Return horizontal bars; equal labels get a number, since Plotly draws them as one."""
    names = [plain(label, 34) for label in labels]
    doubled = Counter(names)
    names = [name if doubled[name] == 1 else f"{name} ({row + 1})" for row, name in enumerate(names)]
    return objects().Bar(
        y=names, x=list(values), orientation="h", marker_color=colours, name=name,
        hovertemplate="%{y}: %{x:.3~g}" + unit + "<extra>" + name + "</extra>",
    )  # fmt: skip


def _step(most: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, … of which ``most`` has at most five.

    >>> _step(3), _step(85), _step(0)
    (1, 20, 1)
    """
    sizes = (int(step * 10**power) for power in range(12) for step in (1, 2, 5))
    return next(size for size in sizes if most <= 5 * size)


def _horizontal(bars: list[Any], rows: int, title: str, ticks: Mapping[str, Any] | None = None, **layout: Any) -> Any:
    return figure(
        bars, x=axis(title, **(ticks or {})), y=axis("topic", type="category"), height=110 + 26 * rows, **layout
    )
