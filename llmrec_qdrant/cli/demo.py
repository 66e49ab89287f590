"""``llmrec demo``: loads a sample catalogue into an embedded Qdrant and shows each kind of list."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.rule import Rule
from rich.table import Table

from llmrec_qdrant.cli.app import app
from llmrec_qdrant.cli.printing import out, print_interests, print_items, print_topics, print_users
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import MissingDependency
from llmrec_qdrant.load.columns import LoadKind
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.queues.inline import inline_available
from llmrec_qdrant.recommender import Recommender

__all__ = ["run"]


PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = next((folder for folder in (PACKAGE / "examples", PACKAGE.parent / "examples") if folder.is_dir()), PACKAGE)
"""The sample data: inside the installed package, or beside it in a checkout."""

PEOPLE = ("林-科幻", "maria-baker", "王-徒步", "sam-quant")

DEMO_CONFIG = SpaceConfig(fields={"lang": "keyword", "kind": "keyword", "genre": "keyword", "year": "integer"})

NEXT_STEPS = """\
  llmrec init --url http://localhost:6333 --space shop
  llmrec load items items.jsonl --url http://localhost:6333 --space shop
  llmrec load events events.csv --url http://localhost:6333 --space shop
  llmrec recommend USER --explain --url http://localhost:6333 --space shop"""


@app.command(cls=None, rich_help_panel="Start here")
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep the embedded Qdrant in this folder instead of a temporary one.", show_default=False),
    ] = None,
) -> None:
    """Try it in a minute: a sample catalogue, an embedded Qdrant, the real model; no server, no network.

    Example: llmrec demo
    """
    run(folder)


def run(folder: Path | None = None) -> None:
    """Load the sample data into an embedded Qdrant and print lists of every kind.

    Raises :class:`MissingDependency` if the workers are not installed.
    """
    if not inline_available():
        raise MissingDependency("the demo needs the workers: install them with `pip install 'llmrec-qdrant[workers]'`")
    began = time.monotonic()
    with ExitStack() as stack:
        where = str(folder) if folder else stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-demo-"))
        rec = stack.enter_context(Recommender.connect(path=where, space="demo"))
        titles = {item["id"]: str(item["title"]) for item in _sample("items")}
        _show_loading(rec)
        _show_topics(rec)
        for person in PEOPLE:
            _show_person(rec, person, titles)
        _show_lists(rec, PEOPLE[0], titles)
        _show_query(rec, PEOPLE[0])
    out.print(f"\ndone in {time.monotonic() - began:.0f} s. Now with your own Qdrant and data:", style="bold")
    out.print(NEXT_STEPS, markup=False)


def _sample(kind: LoadKind) -> Iterator[dict[str, Any]]:
    for line in (EXAMPLES / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _headline(text: str) -> None:
    out.print()
    out.print(Rule(text, align="left", style="cyan"))


def _show_loading(rec: Recommender) -> None:
    _headline("loading a bilingual catalogue and half a year of behaviour")
    rec.create(DEMO_CONFIG)
    _load(rec, "items", "stored and encoded")
    _load(rec, "events", "stored and folded into their users")
    status = rec.status()
    out.print(
        f"{status.users} users. The default model reads English: {status.items_unreadable} Chinese items are found by "
        "their words and by behaviour; a multilingual model gives them a dense vector too."
    )


def _load(rec: Recommender, kind: LoadKind, outcome: str) -> None:
    source = Source(str(EXAMPLES / f"{kind}.jsonl"))
    began = time.monotonic()
    with bar(kind, source.size, in_bytes=True) as update:

        def progress(row: Row) -> None:
            update(row.at, None)

        loaded = load(rec, source, kind, progress=progress)
        rec.reconcile()
    out.print(f"{loaded.written:,} {kind} {outcome} in {time.monotonic() - began:.1f} s")


def _show_topics(rec: Recommender) -> None:
    _headline("what the catalogue is about")
    began = time.monotonic()
    rec.fit_topics()
    print_topics(rec.topics())
    out.print(
        f"discovered and named in {time.monotonic() - began:.1f} s; `llmrec topics rename` gives a topic your own name"
    )


def _show_person(rec: Recommender, user: str, titles: dict[str, str]) -> None:
    _headline(user)
    table = Table(show_header=False, box=None, padding=(0, 1))
    for item in _latest_items(user)[:4]:
        table.add_row("lately", titles.get(item, f"{item} (not in the catalogue yet)"), style="dim")
    out.print(table)
    print_interests(rec.interests(user), user)
    print_items(rec.recommend(user, 5, explain=True), f"for {user}")


def _latest_items(user: str) -> list[str]:
    events = [event for event in _sample("events") if event["user"] == user and "item" in event]
    return list(dict.fromkeys(event["item"] for event in sorted(events, key=lambda event: event["ts"], reverse=True)))


def _show_lists(rec: Recommender, user: str, titles: dict[str, str]) -> None:
    _headline(f"shelves for {user}")
    for shelf in rec.shelves(user, rows=3, limit=3):
        print_items(shelf.items, shelf.title)
    _headline("similar items, similar users")
    for item in ("zh-cooking-01", "en-photography-01"):
        print_items(rec.similar_items(item, 4, explain=True), f"like {titles[item]}")
    print_users(rec.similar_users(user, 3), f"like {user}")
    _headline("search")
    for text in ("太空旅行", "how to save money for retirement"):
        print_items(rec.search(text, limit=3, explain=True), f"“{text}”")
    _headline("somebody new")
    print_items(rec.recommend("somebody-new", 3), "for somebody-new")


def _show_query(rec: Recommender, user: str) -> None:
    _headline("the same query from any language")
    body = rec.request(user, 3)
    out.print(
        f"rec.request({user!r}) is one Qdrant query: {len(body['prefetch'])} prefetches, fused by DBSF (collab counts twice):"
    )
    for leg in body["prefetch"]:
        out.print(f"  {leg['using']:<7} user vector looked up in {leg['lookup_from']['collection']}", style="dim")
