"""``llmrec demo``: the main job on embedded Qdrant with the sample data, told as it happens."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.rule import Rule
from rich.table import Table

from llmrec_qdrant.cli.printing import out, print_interests, print_items, print_topics, say
from llmrec_qdrant.cli.progress import bar
from llmrec_qdrant.cli.topics import evidence
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import MissingDependency
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Row, Source
from llmrec_qdrant.queues.inline import inline_available
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key, Space

__all__ = ["run"]


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


PEOPLE = ("林-科幻", "maria-baker", "王-徒步", "sam-quant")


CONFIG = SpaceConfig(fields={"lang": "keyword", "kind": "keyword", "genre": "keyword", "year": "integer"})


def run(folder: Path | None = None) -> None:
    """Load the sample data into embedded Qdrant and show what comes of it.

    Raises :class:`MissingDependency` outside a checkout with the workers installed.
    """
    if not inline_available() or not (EXAMPLES / "items.jsonl").is_file():
        raise MissingDependency(
            "the demo needs the sample data and the workers: run `make demo` in a checkout of the repository"
        )
    began = time.monotonic()
    with ExitStack() as stack:
        where = str(folder) if folder else stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-demo-"))
        rec = stack.enter_context(Recommender.connect(path=where, space="demo"))
        _load(rec)
        _topics(rec)
        for person in PEOPLE:
            _person(rec, person)
        _headline(f"shelves for {PEOPLE[0]}")
        for shelf in rec.shelves(PEOPLE[0], rows=3, limit=3):
            print_items(shelf.items, shelf.title)
        _headline("similar items")
        for item in ("zh-cooking-01", "en-photography-01"):
            print_items(rec.similar_items(item, 4, explain=True), f"like {_title(rec, item)}")
        _headline("search")
        for text in ("太空旅行", "how to save money for retirement"):
            print_items(rec.search(text, limit=3, explain=True), f"“{text}”")
        _headline("somebody new")
        print_items(rec.recommend("somebody-new", 3), "for somebody-new")
        _headline("the same query from any language")
        body = rec.request(PEOPLE[0], 3)
        out.print(
            f"rec.request({PEOPLE[0]!r}) is one Qdrant query: {len(body['prefetch'])} prefetches, fused by DBSF (collab counts twice):"
        )
        for leg in body["prefetch"]:
            out.print(f"  {leg['using']:<7} user vector looked up in {leg['lookup_from']['collection']}", style="dim")
    out.print(f"\ndone in {time.monotonic() - began:.0f} s. Now with your own Qdrant and data:", style="bold")
    out.print(
        "  llmrec init --url http://localhost:6333 --space shop\n"
        "  llmrec load items items.jsonl --url http://localhost:6333 --space shop\n"
        "  llmrec load events events.csv --url http://localhost:6333 --space shop\n"
        "  llmrec recommend USER --explain --url http://localhost:6333 --space shop",
        markup=False,
    )


def _headline(text: str) -> None:
    out.print()
    out.print(Rule(text, align="left", style="cyan"))


def _load(rec: Recommender) -> None:
    _headline("loading a bilingual catalogue and half a year of behaviour")
    rec.create(CONFIG)
    for kind in ("items", "events"):
        source = Source(str(EXAMPLES / f"{kind}.jsonl"))
        began = time.monotonic()
        with bar(f"{kind}", source.size) as update:

            def progress(row: Row) -> None:
                update(row.at, None)

            done = load(rec, source, "items" if kind == "items" else "events", progress=progress)
            if kind == "events":
                rec.reconcile()
        what = "stored and encoded" if kind == "items" else "stored and folded into their users"
        out.print(f"{done.written:,} {kind} {what} in {time.monotonic() - began:.1f} s")
    found = rec.status()
    out.print(
        f"{found.users} users. The default model reads English: {found.items_unreadable} Chinese items are found by "
        "their words and by behaviour; a multilingual model gives them a dense vector too."
    )


def _topics(rec: Recommender) -> None:
    _headline("what the catalogue is about")
    began = time.monotonic()
    rec.fit_topics()
    print_topics(rec.topics())
    out.print(
        f"found and named in {time.monotonic() - began:.1f} s; `llmrec topics rename` gives a topic your own name"
    )


def _person(rec: Recommender, user: str) -> None:
    _headline(user)
    (point,) = rec.client.retrieve(Space(rec.space).users, [point_id("user", user)], with_payload=True)
    payload = point.payload or {}
    say(f"strongest words: {', '.join(payload[Key.TERMS][:8])}", "bold")
    table = Table(show_header=False, box=None, padding=(0, 1))
    for item in payload[Key.SEEN][:4]:
        table.add_row("lately", _title(rec, item), style="dim")
    out.print(table)
    found = rec.interests(user)
    print_interests(found, user, evidence(rec, found))
    print_items(rec.recommend(user, 5, explain=True), f"for {user}")


def _title(rec: Recommender, item: str) -> str:
    found = rec.client.retrieve(Space(rec.space).items, [point_id("item", item)], with_payload=[Key.TITLE])
    return str((found[0].payload or {}).get(Key.TITLE)) if found else f"{item} (not in the catalogue yet)"
