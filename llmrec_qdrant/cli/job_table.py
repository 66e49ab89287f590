"""Prints jobs of every kind as one table, with the outcome of each in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from llmrec_qdrant.cli.printing import out, table_of
from llmrec_qdrant.contracts.jobs import JobStatus

__all__ = ["outcome", "print_jobs", "verdict"]


STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}


def print_jobs(listed: Sequence[JobStatus], title: str) -> None:
    """Print a table of jobs; the last column holds the result, the interim result, or the reason of a failure."""
    if not listed:
        out.print(Text("no jobs yet: start one with llmrec topics fit, train, tune, reembed or generate"))
        return
    under_way = ("stage", "progress", "worker") if any(status.active for status in listed) else ()
    table = table_of(title, ("job", "state", "time", *under_way, "outcome"), right={"progress", "time"})
    for status in listed:
        stage = (status.stage, _progress(status), Text(status.owner, style="dim")) if status.active else ("", "", "")
        state = Text(status.state, style=STYLES[status.state])
        table.add_row(status.id, state, _time(status), *stage[: len(under_way)], Text(outcome(status)))
    out.print(table)


def _progress(status: JobStatus) -> str:
    if not status.total:
        return ""
    return f"{status.done:,.0f} of {status.total:,.0f}, {status.done / status.total:.0%}"


def _time(status: JobStatus) -> str:
    """Return how long the job has run, or took."""
    if not status.started_at:
        return ""
    began = datetime.fromisoformat(status.started_at)
    ended = datetime.fromisoformat(status.finished_at) if status.finished_at else datetime.now(UTC)
    seconds = max(0.0, (ended - began).total_seconds())
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def verdict(result: Mapping[str, Any]) -> str:
    """Say in a sentence whether a trained model is better than the one before it."""
    known = "better" if result.get("offered") else result.get("metrics", {}).get("verdict")
    return {
        "better": "its lists are better than those of the model before it",
        "worse": "its lists are worse than those of the model before it",
        "cannot tell": "the held-out users cannot tell whether its lists are better; more users or events may",
    }.get(known, "no better than the model before it")


def outcome(status: JobStatus) -> str:
    """Describe the outcome of a job in a few words."""
    if status.result is None:
        return " ".join(filter(None, (status.note, status.reason)))
    result = status.result
    match status.kind:
        case "train":
            return f"{result.get('version')}: {verdict(result)}"
        case "reembed":
            if not status.options.get("changes"):
                return f"nothing to do: version {result.get('version')} had these settings"
            return f"switched to version {result.get('version')}: {result.get('model')}"
        case "fit-topics":
            return f"{result.get('topics')} topics"
        case "generate":
            if result.get("dry_run"):
                return f"dry run: {result.get('requests')} requests, nobody was asked"
            return f"{result.get('written')} texts written, {result.get('requests')} requests"
        case "tune":
            count = len(result.get("changes") or {}) if result.get("stored") else 0
            return {0: "nothing changed", 1: "1 setting changed"}.get(count, f"{count} settings changed")
