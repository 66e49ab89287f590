"""What the command line shows: tables and bars for people, one JSON document for programs.

Names and titles are other people's texts: they are shown as they are, never read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmrec_qdrant.contracts.answers import Interest, Recommendation, SimilarUser, SpaceStatus, Topic
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.space.layout import Key

__all__ = [
    "err",
    "out",
    "print_interests",
    "print_items",
    "print_json",
    "print_status",
    "print_topics",
    "print_users",
    "say",
    "table_of",
]


WIDTH = 24
"""Characters of the longest bar."""


ARROWS = {"rising": "↗", "steady": "→", "fading": "↘"}


_piped = None if sys.stdout.isatty() else 100


out = Console(highlight=False, width=_piped)


err = Console(stderr=True, highlight=False)


_STYLE: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "header_style": "bold", "pad_edge": False}


def say(text: str, style: str = "") -> None:
    """One sentence for a person, whole on its line."""
    out.print(Text(text, style=style), soft_wrap=True)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(data, ensure_ascii=False, indent=2))


def table_of(title: str) -> Table:
    """An empty table in the style of all."""
    return Table(title=Text(title, style="bold"), box=box.SIMPLE, **_STYLE)


def print_items(listed: Sequence[Recommendation], title: str, counted: str = "score") -> None:
    """A list of items; columns for the legs where they were explained. ``counted`` is what their score is."""
    fallback = listed[0].reason if listed and listed[0].reason.startswith("popular") else ""
    if fallback:
        say(f"{fallback[0].upper()}{fallback[1:]}", "yellow")
        counted = Key.POPULARITY
    digits = ".3f" if counted == "score" else ",.0f"
    table = table_of(title)
    explained = any(one.legs for one in listed)
    fields = [] if explained else _fields(listed)
    table.add_column("#", justify="right")
    table.add_column("title", overflow="fold", ratio=1)
    table.add_column("id", style="dim", overflow="fold")
    table.add_column(counted, justify="right")
    for leg in LEGS if explained else ():
        table.add_column(leg, justify="right", style="cyan")
    for name in fields:
        table.add_column(Text(name, style="bold"), style="cyan", overflow="ellipsis", max_width=18, no_wrap=True)
    for rank, one in enumerate(listed, start=1):
        scores = [f"{one.legs[leg]:.2f}" if leg in one.legs else "·" for leg in LEGS] if explained else []
        shown = Text(one.title or "—")
        if explained:
            shown.append(f"\n{one.reason}", style="dim green")
        values = [Text(_cell(one.payload.get(field))) for field in fields]
        table.add_row(str(rank), shown, Text(one.id), f"{one.score:{digits}}", *scores, *values)
    out.print(table if listed else Text(f"{title}: nothing found"))


def _fields(listed: Sequence[Recommendation]) -> list[str]:
    """A few payload fields that most of the items have and that fit into a column."""
    names = dict.fromkeys(name for one in listed for name in one.payload)
    common = [name for name in names if 2 * sum(name in one.payload for one in listed) > len(listed)]
    return [name for name in common if all(len(_cell(one.payload.get(name))) <= 30 for one in listed)][:3]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_topics(found: Sequence[Topic]) -> None:
    """A table of topics."""
    table = table_of("topics")
    for name in ("id", "items", "label", "keywords"):
        table.add_column(name, justify="right" if name in {"id", "items"} else "left", overflow="fold")
    for one in found:
        mark = " ✎" if one.label_by == "admin" else ""
        table.add_row(one.id, f"{one.size:,}", Text(one.label + mark), Text(", ".join(one.keywords), style="dim"))
    out.print(table if found else Text("no topics yet: llmrec topics fit"))


def print_interests(found: Sequence[Interest], user: str, titles: Mapping[str, str]) -> None:
    """A bar per interest, with the titles of the items that show it."""
    table = table_of(f"interests of {user}")
    for name in ("id", "interest", "", "share", "trend", "because of", "last"):
        table.add_column(name, justify="right" if name in {"id", "share"} else "left", overflow="fold")
    most = max((one.weight for one in found), default=1.0)
    for one in found:
        share = "█" * max(1, round(WIDTH * one.weight / most))
        steered = "muted" if one.steer == 0 else f"{ARROWS[one.trend]} {one.trend}"
        steered += f" ×{one.steer:g}" if one.steer not in {0, 1} else ""
        table.add_row(
            one.topic, Text(one.label), Text(share, style="dim" if one.steer == 0 else "cyan"), f"{one.weight:.0%}",
            steered, Text(" · ".join(titles.get(item) or item for item in one.items[:3])), f"{one.last_at:%Y-%m-%d}",
        )  # fmt: skip
    out.print(table if found else Text(f"nothing is known of {user} yet, or no topics were found: llmrec topics fit"))


def print_users(listed: Sequence[SimilarUser], title: str) -> None:
    """A list of users with their words."""
    table = table_of(title)
    for name in ("#", "user", "score", "strongest words"):
        table.add_column(name, justify="right" if name in {"#", "score"} else "left")
    for rank, one in enumerate(listed, start=1):
        table.add_row(str(rank), Text(one.id), f"{one.score:.3f}", Text(", ".join(one.terms[:8])))
    out.print(table if listed else Text(f"{title}: nobody found"))


def print_status(status: SpaceStatus) -> None:
    """What is stored and what waits."""
    table = table_of(f"space {status.space}")
    for name in ("", "stored", "to do"):
        table.add_column(name, justify="left" if not name else "right")
    for kind, waiting in (
        ("items", status.items_stale),
        ("users", status.users_stale),
        ("events", status.events_unfolded),
        ("texts", status.texts_stale),
    ):
        table.add_row(kind, f"{getattr(status, kind):,}", f"[yellow]{waiting:,}[/yellow]" if waiting else "0")
    out.print(table)
    say(f"model: {status.model}")
    if status.set_aside:
        say(f"{status.set_aside:,} were set aside after failing: llmrec jobs --failed", style="yellow")
    if status.items_unreadable:
        say(
            f"{status.items_unreadable:,} items have no dense vector: no text, or none this model can read. "
            "Words and behaviour still recommend them; a multilingual model reads more.",
            "yellow",
        )
