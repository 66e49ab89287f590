"""Figures of quality: measured lists, trainings, and the age of what is stored."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.overview import Overview
from llmrec_qdrant.report.drawing import COLOURS, GREY, axis, empty, figure, objects, plain

__all__ = ["LOSSES", "ages", "checked", "quality", "rows_of", "slices", "training_curves"]

BY_EPOCH, LOSSES = "NDCG by epoch", "loss by epoch"
"""Where the result of a training holds the figures after each epoch, the first of NDCG before any."""
AGES = ((1, "within a day"), (7, "within a week"), (30, "within a month"), (365, "within a year"), (10**9, "older"))


def checked(evaluation: Any) -> Any:
    """Return an evaluation, or None, before a report is read for it. Raises :class:`InvalidInput` for anything else."""
    if evaluation is not None:
        rows_of(evaluation)
    return evaluation


def rows_of(result: Any) -> list[dict[str, Any]]:
    """Return the rows of an evaluation: of ``workers.evaluation.evaluate`` or of ``llmrec evaluate --json``.

    Raises :class:`InvalidInput` for anything else.
    """
    value = dataclasses.asdict(result) if dataclasses.is_dataclass(result) and not isinstance(result, type) else result
    rows = value.get("rows") if isinstance(value, Mapping) else None
    if not isinstance(rows, list) or not rows or not all(_is_row(row) for row in rows):
        raise InvalidInput("an evaluation is what `llmrec evaluate --json` prints, with a list `rows`")
    return rows


def _is_row(row: Any) -> bool:
    figures = ("ndcg", "low", "high", "hr")
    return isinstance(row, Mapping) and isinstance(row.get("name"), str) and all(
        isinstance(row.get(name), int | float) for name in figures
    )  # fmt: skip


def quality(result: Any) -> Any:
    """Draw NDCG with its 95 % interval for each way to recommend."""
    rows = [row for row in reversed(rows_of(result)) if not row.get("slice")]
    colours = [COLOURS[0] if row["name"] == "recommend" else GREY for row in rows]
    error = {
        "type": "data", "symmetric": False, "color": "#25303b",
        "array": [max(row["high"] - row["ndcg"], 0) for row in rows],
        "arrayminus": [max(row["ndcg"] - row["low"], 0) for row in rows],
    }  # fmt: skip
    bars = objects().Bar(
        y=[plain(row["name"], 48).replace(", ", ",<br>") for row in rows], x=[row["ndcg"] for row in rows], orientation="h", error_x=error,
        marker_color=colours, customdata=[[row["hr"], row.get("users", 0)] for row in rows],
        hovertemplate="%{y}<br>NDCG %{x:.4f}, hit rate %{customdata[0]:.4f}, %{customdata[1]} users<extra></extra>",
    )  # fmt: skip
    return figure([bars], x=axis("NDCG, with its 95 % interval", rangemode="tozero"), y=axis("lists", type="category"),
                  height=120 + 42 * len(rows))  # fmt: skip


def slices(result: Any) -> Any:
    """Draw NDCG with its 95 % interval for cold and warm items and users, a mark for each way to recommend."""
    rows = [row for row in rows_of(result) if row.get("slice")]
    ways = list(dict.fromkeys(row["name"].removesuffix(f", {row['slice']}") for row in rows))
    names = list(reversed(list(dict.fromkeys(row["slice"] for row in rows))))
    users = {row["slice"]: row.get("users", 0) for row in rows}
    marks = [_marks(rows, names, way, place, len(ways)) for place, way in enumerate(ways)]
    labels = [f"{_in_lines(plain(name, 48))}<br>({users[name]:,} users)" for name in names]
    ticks = {
        "tickvals": list(range(len(names))),
        "ticktext": labels,
        "range": [-0.6, len(names) - 0.4],
        "zeroline": False,
    }
    return figure(marks, x=axis("NDCG, with its 95 % interval", rangemode="tozero"), y=axis("slice", **ticks),
                  height=150 + 96 * len(names), **_LEGEND)  # fmt: skip


def _in_lines(name: str) -> str:
    """Break the name of a slice into short lines, which a phone shows whole."""
    for words in (" with ", " without "):
        name = name.replace(words, f"<br>{words.strip()} ")
    return name.replace(" at most ", " at most<br>").replace(" more than ", " more than<br>")


def _marks(rows: Sequence[Mapping[str, Any]], names: Sequence[str], way: str, place: int, ways: int) -> Any:
    """Return the marks of one way to recommend; those of different ways stand below each other."""
    mine = [row for row in rows if row["name"] == f"{way}, {row['slice']}"]
    heights = [names.index(row["slice"]) + 0.28 - 0.56 * place / max(ways - 1, 1) for row in mine]
    error = {
        "type": "data", "symmetric": False, "array": [max(row["high"] - row["ndcg"], 0) for row in mine],
        "arrayminus": [max(row["ndcg"] - row["low"], 0) for row in mine],
    }  # fmt: skip
    return objects().Scatter(
        x=[row["ndcg"] for row in mine], y=heights, mode="markers", name=plain(way), error_x=error, cliponaxis=False,
        marker={"color": COLOURS[place % len(COLOURS)], "size": 9},
        hovertemplate=f"{plain(way)}: NDCG %{{x:.4f}}<extra></extra>",
    )  # fmt: skip


_LEGEND: Mapping[str, Any] = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    "margin": {"l": 60, "r": 16, "t": 40, "b": 56},
}


def training_curves(jobs: Sequence[JobStatus], kind: str = BY_EPOCH) -> Any:
    """Draw NDCG on held-out users, or with ``LOSSES`` the mean loss, after each epoch of each training."""
    curves = {
        job.id: values
        for job in reversed(jobs)
        if job.kind == "train" and (values := (job.result or {}).get("metrics", {}).get(kind))
    }
    if not curves:
        return empty(
            "Nothing was trained yet: llmrec train" if kind == BY_EPOCH else "No loss was recorded yet: llmrec train"
        )
    first = 0 if kind == BY_EPOCH else 1
    traces = [
        objects().Scatter(x=list(range(first, first + len(values))), y=values, name=plain(name), mode="lines+markers",
                          line={"color": COLOURS[row % len(COLOURS)]})
        for row, (name, values) in enumerate(curves.items())
    ]  # fmt: skip
    title = "epoch (0: before training)" if kind == BY_EPOCH else "epoch"
    return figure(traces, x=axis(title, dtick=max(1, max(map(len, curves.values())) // 10)),
                  y=axis("NDCG" if kind == BY_EPOCH else "mean loss"), height=380, **_LEGEND)  # fmt: skip


def ages(overview: Overview) -> Any:
    """Draw how old the vectors of items and users are."""
    made_at = datetime.fromisoformat(overview.made_at)
    kinds = {
        "items": [item.embedded_at for item in overview.items if item.embedded_at],
        "users": [user.updated_at for user in overview.users if user.updated_at],
    }
    names = [name for _, name in AGES]
    bars = []
    for (kind, times), colour in zip(kinds.items(), COLOURS, strict=False):
        days = [(made_at - datetime.fromisoformat(at)).total_seconds() / 86_400 for at in times]
        counted = Counter(next(name for most, name in AGES if age <= most) for age in days)
        bars.append(objects().Bar(x=names, y=[counted[name] for name in names], name=kind, marker_color=colour))
    return figure(bars, x=axis("last written by a worker", type="category"), y=axis("points"), height=340, **_LEGEND)
