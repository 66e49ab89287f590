"""Figures of the topics: the map, their sizes, their tree, and what happened over time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from llmrec_qdrant.contracts.answers import Topic
from llmrec_qdrant.operations.overview import MappedItem, Overview
from llmrec_qdrant.report.drawing import COLOURS, GREY, axis, empty, figure, objects, plain
from llmrec_qdrant.report.groups import Merge, agglomerate, cut, order
from llmrec_qdrant.report.projection import project

__all__ = ["NO_TOPICS", "over_time", "sizes", "topic_map", "tree"]

NO_TOPICS = "There are no topics yet. Discover them: llmrec topics fit"
MAX_GROUPS = 10
"""Colours of the map."""
MAX_BARS = 20
MAX_IN_TREE = 60
MAX_LINES = 8
"""Topics that the figure over time shows apart."""
MAX_PERIODS = 40
EVENTS_PER_PERIOD = 100
"""Mean below which a finer period would show noise."""
MAP_WIDTH, MAP_HEIGHT = 1_060, 560
"""Pixels that the map is assumed to have when its labels are placed."""
LETTER, LINE = 7.0, 18
"""Pixels of a label per letter, and of its height."""
PERIODS = (("day", "%Y-%m-%d"), ("week", "%G week %V"), ("month", "%Y-%m"), ("year", "%Y"))
"""Names and formats, finest first."""


def topic_map(overview: Overview) -> Any:
    """Draw items as points: similar items are near each other, and the colour is the group of their topic."""
    items = [item for item in overview.items if item.vector is not None]
    if not items:
        return empty("No item is encoded yet: llmrec status says what waits for a worker")
    places = project(np.stack([item.vector for item in items if item.vector is not None]))
    of_topic = _groups(overview)
    members: dict[int | None, list[int]] = defaultdict(list)
    for row, item in enumerate(items):
        members[of_topic.get(item.topic)].append(row)
    names, labels = _names(overview.topics, of_topic), {topic.id: topic.label for topic in overview.topics}
    drawn = sorted(members, key=lambda group: (group is not None, group or 0))
    traces = [_dots(group, members[group], places, items, names, labels) for group in drawn]
    low, high = _range(places)
    return figure(
        traces,
        x=axis("similarity of meaning, first direction (no unit)", range=[low[0], high[0]], showticklabels=False),
        y=axis("second direction (no unit)", range=[low[1], high[1]], showticklabels=False),
        dragmode="zoom",
        height=MAP_HEIGHT + 180, showlegend=True, annotations=_labels(overview.topics, items, places),
        legend={"orientation": "h", "y": -0.1, "yanchor": "top", "x": 0, "itemsizing": "constant", "title": {"text": ""}},
    )  # fmt: skip


def _groups(overview: Overview) -> dict[str, int]:
    """Return topic → colour: topics of a theme share one, or without themes, topics with similar centroids."""
    themes = list(dict.fromkeys(topic.theme for topic in overview.topics if topic.theme))
    if themes:
        return {topic.id: themes.index(topic.theme) for topic in overview.topics if topic.theme}
    named = [topic.id for topic in overview.topics if topic.id in overview.centroids]
    if len(named) < 2:
        return dict.fromkeys(named, 0)
    groups = cut(agglomerate(np.stack([overview.centroids[topic] for topic in named])), MAX_GROUPS)
    return {topic: groups[row] for row, topic in enumerate(named)}


def _names(topics: Sequence[Topic], of_topic: Mapping[str, int]) -> dict[int, str]:
    """Name each group by its theme, or after its largest topic; ``+2`` says that two more belong to it."""
    themes = {of_topic[topic.id]: plain(topic.theme, 32) for topic in topics if topic.theme and topic.id in of_topic}
    if themes:
        return themes
    members: dict[int, list[str]] = defaultdict(list)
    for topic in topics:
        if topic.id in of_topic:
            members[of_topic[topic.id]].append(topic.label)
    return {
        group: plain(labels[0], 32) + (f" +{len(labels) - 1}" if labels[1:] else "")
        for group, labels in members.items()
    }


def _dots(
    group: int | None, rows: Sequence[int], places: np.ndarray, items: Sequence[MappedItem],
    names: Mapping[int, str], labels: Mapping[str, str],
) -> Any:  # fmt: skip
    shown = [items[row] for row in rows]
    return objects().Scatter(
        x=[round(float(places[row, 0]), 3) for row in rows],
        y=[round(float(places[row, 1]), 3) for row in rows],
        text=[plain(item.title or item.id) for item in shown],
        customdata=[plain(labels.get(item.topic, "no topic")) for item in shown],
        hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        name="no topic" if group is None else names[group],
        mode="markers",
        marker={"size": 5, "opacity": 0.65, "color": GREY if group is None else COLOURS[group % len(COLOURS)]},
    )


def _range(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = places.min(axis=0), places.max(axis=0)
    margin = np.maximum(0.04 * (high - low), 0.5)
    return low - margin, high + margin


def _labels(topics: Sequence[Topic], items: Sequence[MappedItem], places: np.ndarray) -> list[dict[str, Any]]:
    """Place labels at the middle of their topics, largest topic first; leave out those that would overlap another."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, item in enumerate(items):
        rows[item.topic].append(row)
    low, high = _range(places)
    scale = np.array([MAP_WIDTH, MAP_HEIGHT]) / (high - low)
    taken: list[tuple[float, float, float]] = []
    labels: list[dict[str, Any]] = []
    for topic in topics:
        if not rows[topic.id]:
            continue
        middle = np.median(places[rows[topic.id]], axis=0)
        x, y = ((middle - low) * scale).tolist()
        half = LETTER * min(len(topic.label), 28) / 2 + 4
        free = all(abs(y - other) > LINE or abs(x - across) > half + width for across, other, width in taken)
        if free and half < x < MAP_WIDTH - half:
            taken.append((x, y, half))
            text = {"text": plain(topic.label, 28), "x": float(middle[0]), "y": float(middle[1]), "showarrow": False}
            labels.append({**text, "font": {"size": 12}, "bgcolor": "rgba(255,255,255,0.75)", "borderpad": 1})
    return labels


def sizes(overview: Overview) -> Any:
    """Draw how many items each of the largest topics has, and how much attention it gets."""
    if not overview.topics:
        return empty(NO_TOPICS)
    topic_of = {item.id: item.topic for item in overview.items}
    taken = Counter(topic_of.get(item, "") for item, _ in overview.events)
    whole = max(sum(topic.size for topic in overview.topics), 1), max(sum(taken.values()), 1)
    shown = list(reversed(overview.topics[:MAX_BARS]))
    labels = _unique([topic.label for topic in shown])
    parts = {
        "share of the events": [100 * taken[topic.id] / whole[1] for topic in shown],
        "share of the items": [100 * topic.size / whole[0] for topic in shown],
    }
    bars = [
        objects().Bar(y=labels, x=values, name=name, orientation="h", marker_color=colour,
                      hovertemplate="%{y}: %{x:.1f} %<extra>" + name + "</extra>")
        for (name, values), colour in zip(parts.items(), (COLOURS[1], COLOURS[0]), strict=True)
    ]  # fmt: skip
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "reversed"}
    return figure(bars, x=axis("percent"), y=axis("topic", type="category"), height=120 + 30 * len(shown),
                  showlegend=True, legend=legend, margin={"l": 60, "r": 16, "t": 40, "b": 56})  # fmt: skip


def _unique(labels: Sequence[str]) -> list[str]:
    """Return labels as category names: Plotly draws equal ones as one."""
    seen: Counter[str] = Counter()
    names = []
    for label in labels:
        name = plain(label, 34)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def tree(overview: Overview) -> Any:
    """Draw which topics are near each other: branches that meet further left are more alike."""
    shown = [topic for topic in overview.topics if topic.id in overview.centroids][:MAX_IN_TREE]
    if len(shown) < 2:
        return empty(NO_TOPICS if not overview.topics else "A tree needs at least two topics with vectors")
    merges = agglomerate(np.stack([overview.centroids[topic.id] for topic in shown]))
    leaves = order(merges)
    lines = objects().Scatter(
        **_branches(merges, leaves),
        mode="lines",
        line={"color": GREY, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    y = axis("topic", tickvals=list(range(len(leaves))), ticktext=[plain(shown[leaf].label, 34) for leaf in leaves],
             range=[-0.8, len(leaves) - 0.2], showgrid=False)  # fmt: skip
    widest = max(merges[-1].distance, 0.1)
    legend = {"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0}
    return figure(
        [lines, *_theme_marks([shown[leaf] for leaf in leaves], _groups(overview))],
        x=axis("distance (Ward, of unit vectors)", range=[-0.02 * widest, 1.03 * widest]),
        y=y,
        height=150 + 18 * len(leaves),
        showlegend=any(topic.theme for topic in shown), legend=legend,
    )  # fmt: skip


def _theme_marks(leaves: Sequence[Topic], of_topic: Mapping[str, int]) -> list[Any]:
    """Return a mark in the colour of the map beside each topic of a tree, one trace per theme; ``leaves`` stand from the bottom up."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, topic in enumerate(leaves):
        if topic.theme:
            rows[topic.theme].append(row)
    numbers = {topic.theme: of_topic[topic.id] for topic in leaves if topic.theme}
    return [
        objects().Scatter(
            x=[0] * len(own), y=own, mode="markers", name=plain(theme, 32),
            marker={"size": 9, "color": COLOURS[numbers[theme] % len(COLOURS)]}, hovertemplate="%{fullData.name}<extra></extra>",
        )
        for theme, own in sorted(rows.items(), key=lambda row: numbers[row[0]])
    ]  # fmt: skip


def _branches(merges: Sequence[Merge], leaves: Sequence[int]) -> dict[str, list[float | None]]:
    """Return the coordinates of the lines of a tree, with None between two of them."""
    total = len(leaves)
    at = {leaf: (0.0, float(row)) for row, leaf in enumerate(leaves)}
    x: list[float | None] = []
    y: list[float | None] = []
    for number, merge in enumerate(merges):
        (left, top), (right, bottom) = at[merge.left], at[merge.right]
        x += [left, merge.distance, merge.distance, right, None]
        y += [top, top, bottom, bottom, None]
        at[total + number] = (merge.distance, (top + bottom) / 2)
    return {"x": x, "y": y}


def over_time(overview: Overview) -> Any:
    """Draw the share of the events that each of the most taken topics has in each period."""
    topic_of = {item.id: item.topic for item in overview.items if item.topic}
    dated = [(topic_of[item], datetime.fromisoformat(at)) for item, at in overview.events if item in topic_of]
    if not dated:
        return empty(NO_TOPICS if not overview.topics else "There are no events about items that have a topic")
    name, pattern = _period([at for _, at in dated])
    counts: Counter[tuple[str, str]] = Counter((topic, at.strftime(pattern)) for topic, at in dated)
    periods = sorted({period for _, period in counts})
    most = [topic for topic, _ in Counter(topic for topic, _ in dated).most_common(MAX_LINES)]
    labels = {topic.id: topic.label for topic in overview.topics}
    whole = {period: sum(counts[topic, period] for topic in set(topic_of.values())) for period in periods}
    traces = [
        objects().Scatter(
            x=periods, y=[100 * counts[topic, period] / whole[period] for period in periods], mode="lines+markers",
            name=plain(labels.get(topic, topic), 32), line={"color": COLOURS[row]}, marker={"size": 4},
            customdata=[whole[period] for period in periods],
            hovertemplate="%{x}: %{y:.1f} % of %{customdata} events",
        )
        for row, topic in enumerate(most)
    ]  # fmt: skip
    legend = {"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0}
    return figure(traces, x=axis(name, type="category", nticks=10), y=axis("percent of the events", rangemode="tozero"),
                  height=520, showlegend=True, legend=legend)  # fmt: skip


def _period(times: Sequence[datetime]) -> tuple[str, str]:
    """Return the finest period of which there are few enough, each with enough events, and its format."""
    for name, pattern in PERIODS:
        periods = len({at.strftime(pattern) for at in times})
        if periods <= MAX_PERIODS and len(times) >= EVENTS_PER_PERIOD * periods:
            return name, pattern
    return PERIODS[-1]
