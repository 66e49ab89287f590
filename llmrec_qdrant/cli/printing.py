"""Prints tables and sentences for people, and one JSON document for programs.

Names and titles are user data: they are printed literally, never interpreted as markup.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from llmrec_qdrant.contracts.answers import Interest, Recommendation, SimilarUser, SpaceStatus, Topic
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.errors import show
from llmrec_qdrant.space.layout import Key

__all__ = [
    "cell_of",
    "counted_as",
    "err",
    "figure",
    "harmless",
    "out",
    "print_interests",
    "print_items",
    "print_json",
    "print_status",
    "print_topics",
    "print_users",
    "say",
    "table_of",
    "warn",
]


BAR_WIDTH = 12
"""Characters of the longest bar of an interest."""

PIPED_WIDTH = 100
"""Characters per line without a terminal."""

ARROWS = {"rising": "↗", "steady": "→", "fading": "↘"}

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that a terminal obeys instead of showing: controls, escapes, and changes of the writing direction."""


def harmless(text: str) -> str:
    """Return a text with every control character replaced by ``�``; tabs and line ends stay.

    >>> harmless(f"safe {chr(27)}[2J")
    'safe �[2J'
    """
    return CONTROL.sub("�", text)


class _Harmless(Console):
    """A console on which data cannot control the terminal; styles, which are added later, can."""

    def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


out = _Harmless(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = _Harmless(stderr=True, highlight=False)

_STYLE: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "header_style": "bold", "pad_edge": False}


def say(text: str, style: str = "") -> None:
    """Print one sentence without wrapping it."""
    out.print(Text(text, style=style), soft_wrap=True)


def warn(text: str) -> None:
    """Print one sentence on standard error."""
    err.print(Text(text, style="yellow"), soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON document on standard output; control characters are escaped."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    print(CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


class _Table(Table):
    """A table that measures its cells as they are shown, without control characters."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        super().add_row(*map(_harmless_cell, cells), **options)


def _harmless_cell(cell: Any) -> Any:
    if isinstance(cell, Text):
        cell = cell.copy()
        cell.plain = harmless(cell.plain)  # as long as before, so styles stay in place
        return cell
    return harmless(cell) if isinstance(cell, str) else cell


def table_of(title: str, columns: Sequence[str] = (), right: Collection[str] = ()) -> Table:
    """Return an empty table in the common style; the columns in ``right`` are aligned to the right."""
    table = _Table(title=Text(title, style="bold"), box=box.SIMPLE, **_STYLE)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def counted_as(count: int, noun: str) -> str:
    """A number and its noun, in the plural unless the number is 1.

    >>> counted_as(1, "user"), counted_as(1200, "user")
    ('1 user', '1,200 users')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def figure(value: float | None, digits: int = 4) -> str:
    """Format a share without its leading zero, as tables in papers do.

    >>> figure(0.12345)
    '.1235'
    """
    return "" if value is None else f"{value:.{digits}f}".removeprefix("0")


def print_items(listed: Sequence[Recommendation], title: str, counted: str = "score") -> None:
    """Print a list of items, with columns that add up to the score if it is explained; ``counted`` names the score."""
    if not listed:
        out.print(Text(f"{title}: nothing matches"))
        return
    reason = listed[0].reason
    if reason.startswith("popular"):  # a fallback, not a personal list
        say(f"{reason[0].upper()}{reason[1:]}", "yellow")
        counted = Key.POPULARITY
    explained = any(item.evidence for item in listed)
    fields = [] if explained else _common_fields(listed)
    table = _item_table(title, counted, (*LEGS, "other") if explained else (), fields)
    digits = ".3f" if counted == "score" else ",.0f"
    for rank, item in enumerate(listed, start=1):
        scores = _parts(item) if explained else []
        label = Text(item.title or "—")
        if explained:
            label.append(f"\n{item.reason}", style="dim green")
        values = [Text(cell_of(item.payload.get(field))) for field in fields]
        table.add_row(str(rank), label, Text(item.id), f"{item.score:{digits}}", *scores, *values)
    out.print(table)


def _parts(item: Recommendation) -> list[str]:
    """Return what each leg, and everything else together, adds to the score."""
    added = {leg.leg: leg.contribution for leg in item.evidence.legs} if item.evidence else {}
    rest = sum(part.contribution for part in item.evidence.adjustments) if item.evidence else 0.0
    return [f"{added[leg]:.3f}" if leg in added else "·" for leg in LEGS] + [f"{rest:.3f}" if rest else "·"]


def _item_table(title: str, counted: str, legs: Sequence[str], fields: Sequence[str]) -> Table:
    table = table_of(title)
    table.add_column("#", justify="right")
    table.add_column("title", overflow="fold", ratio=1)
    table.add_column("id", style="dim", overflow="fold")
    table.add_column(counted, justify="right")
    for leg in legs:
        table.add_column(leg, justify="right", style="cyan")
    for name in fields:
        table.add_column(Text(name, style="bold"), style="cyan", overflow="ellipsis", max_width=18, no_wrap=True)
    return table


def _common_fields(listed: Sequence[Recommendation]) -> list[str]:
    """Return up to three payload fields that most items have and that fit into a column."""
    names = dict.fromkeys(name for item in listed for name in item.payload)
    common = [name for name in names if 2 * sum(name in item.payload for item in listed) > len(listed)]
    return [name for name in common if all(len(cell_of(item.payload.get(name))) <= 30 for item in listed)][:3]


def cell_of(value: Any) -> str:
    """Return a value of a payload as text."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(cell_of(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_topics(topics: Sequence[Topic]) -> None:
    """Print a table of topics, theme by theme; a pen marks renamed ones."""
    if not topics:
        out.print(Text("no topics yet: discover them with llmrec topics fit"))
        return
    themes = list(dict.fromkeys(topic.theme for topic in topics))
    columns = (
        ("id", "items", "label", "keywords") if themes == [""] else (Key.THEME, "id", "items", "label", "keywords")
    )
    table = table_of("topics", columns, right={"id", "items"})
    shown = ""
    for topic in sorted(topics, key=lambda topic: themes.index(topic.theme)):
        mark = " ✎" if topic.label_by == "admin" else ""
        keywords = Text(", ".join(topic.keywords), style="dim")
        theme = [] if themes == [""] else [Text("" if topic.theme == shown else topic.theme)]
        shown = topic.theme
        table.add_row(*theme, topic.id, f"{topic.size:,}", Text(topic.label + mark), keywords)
    out.print(table)


def print_interests(interests: Sequence[Interest], user: str) -> None:
    """Print a bar per interest, with the titles of the items behind it."""
    if not interests:
        out.print(Text(f"{user} has no interests yet: there are no events, or no topics (llmrec topics fit)"))
        return
    columns = ("id", "interest", "", "share", "trend", "because of", "last")
    table = table_of(f"interests of {user}", columns, right={"id", "share"})
    table.columns[2].no_wrap = True
    strongest = max(interest.weight for interest in interests)
    for interest in interests:
        length = max(1, round(BAR_WIDTH * interest.weight / strongest)) if interest.weight else 0
        table.add_row(
            interest.topic, Text(interest.label), Text("█" * length, style="dim" if interest.steer == 0 else "cyan"),
            f"{interest.weight:.0%}", _trend(interest),
            Text(" · ".join(interest.titles.get(item, item) for item in interest.items[:3])), f"{interest.last_at:%Y-%m-%d}",
        )  # fmt: skip
    out.print(table)


def _trend(interest: Interest) -> str:
    if interest.steer == 0:
        return "muted"
    steered = "" if interest.steer == 1 else f" ×{interest.steer:g}"
    return f"{ARROWS[interest.trend]} {interest.trend}{steered}"


def print_users(listed: Sequence[SimilarUser], title: str) -> None:
    """Print a list of users with their strongest words."""
    if not listed:
        out.print(Text(f"{title}: nobody matches"))
        return
    table = table_of(title, ("#", "user", "score", "strongest words"), right={"#", "score"})
    for rank, user in enumerate(listed, start=1):
        table.add_row(str(rank), Text(user.id), f"{user.score:.3f}", Text(", ".join(user.terms[:8])))
    out.print(table)


def print_status(status: SpaceStatus) -> None:
    """Print what is stored and what waits for a worker."""
    table = table_of(f"space {status.space}", ("", "stored", "waiting"), right={"stored", "waiting"})
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
        say(f"{status.set_aside:,} failed too often and were set aside: list them with llmrec failures", style="yellow")
    if status.boilerplate:
        first = status.boilerplate[0]
        say(
            f"boilerplate, left out of the texts: {counted_as(len(status.boilerplate), 'passage')}, such as {show(first)}"
        )
    if status.items_unreadable:
        say(
            f"{counted_as(status.items_unreadable, 'item')} without a dense vector: no text, or a script this model cannot read. "
            "Words and behaviour still recommend them; a multilingual model reads more.",
            "yellow",
        )
    for note in status.notes:
        say(note, "yellow")
