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

__all__ = ["ages", "checked", "quality", "rows_of", "training_curves"]

BY_EPOCH = "NDCG by epoch"
"""Where the result of a training holds the figure after each epoch."""
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
    """Draw NDCG with its 95 % interval for each way to recommend and each slice of the users."""
    rows = list(reversed(rows_of(result)))
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


def training_curves(jobs: Sequence[JobStatus]) -> Any:
    """Draw NDCG on held-out users after each epoch of each training."""
    curves = {
        job.id: values
        for job in reversed(jobs)
        if job.kind == "train" and (values := (job.result or {}).get("metrics", {}).get(BY_EPOCH))
    }
    if not curves:
        return empty("Nothing was trained yet: llmrec train")
    traces = [
        objects().Scatter(x=list(range(len(values))), y=values, name=plain(name), mode="lines+markers",
                          line={"color": COLOURS[row % len(COLOURS)]})
        for row, (name, values) in enumerate(curves.items())
    ]  # fmt: skip
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return figure(traces, x=axis("epoch (0: before training)", dtick=max(1, max(map(len, curves.values())) // 10)),
                  y=axis("NDCG"), height=380, showlegend=True, legend=legend, margin={"l": 60, "r": 16, "t": 40, "b": 56})  # fmt: skip


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
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return figure(bars, x=axis("last written by a worker", type="category"), y=axis("points"), height=340,
                  showlegend=True, legend=legend, margin={"l": 60, "r": 16, "t": 40, "b": 56})  # fmt: skip
