"""Sources, rows and a space for the tests of loading."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Recommender, SpaceConfig
from llmrec_qdrant.load.loader import How, load, look
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Source
from llmrec_qdrant.load.times import Clock
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import ITEM_INTERNAL
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import drop, fresh_name

CONFIG = SpaceConfig(model="hash", size=16, fields={"year": "integer", "code": "keyword", "price": "float"})


FILMS: list[dict[str, Any]] = [
    {"id": "m1", "title": "Interstellar", "text": "a wormhole", "year": 2014, "score": 8.5, "free": True},
    {"id": "m2", "title": "流浪地球", "text": "推动地球，离开太阳系", "year": 2019, "score": 7.25, "free": False},
    {"id": "m3", "title": 'He said "no", twice', "text": "line one\nline two", "year": 1999},
]


CLICKS: list[dict[str, Any]] = [
    {"user": "ann", "type": "view", "item": "m1", "ts": 1_700_000_000},
    {"user": "ann", "type": "rating", "item": "m2", "value": 4.5, "ts": "2023-11-14T22:13:21Z", "session": "s1"},
    {"user": "鲍勃", "type": "search", "text": "科幻, 太空", "ts": 1_700_000_002.5, "id": "e3"},
]


MANY = [{"id": f"m{k}", "title": f"film {k}"} for k in range(1_000)]


@pytest.fixture
def rec() -> Iterator[Recommender]:
    """Embedded Qdrant and a queue that only remembers: loading is tested here, not encoding."""
    embedded = Recommender.connect(path=":memory:", space=fresh_name())
    recommender = Recommender(embedded.client, MemoryQueue(), embedded.space)
    recommender.create(CONFIG)
    yield recommender
    drop(recommender)


def columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def as_csv(rows: Sequence[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_jsonl(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def jsonl(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    path = folder / "rows.jsonl"
    path.write_text(as_jsonl(rows), encoding="utf-8")
    return Source(str(path))


def comma(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    path = folder / "rows.csv"
    path.write_text(as_csv(rows), encoding="utf-8-sig")  # as Excel writes it
    return Source(str(path))


def tab(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    path = folder / "rows.tsv"
    path.write_text(as_csv(rows, "\t"), encoding="utf-8")
    return Source(str(path))


def parquet(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    path = folder / "rows.parquet"
    texts = [{**row, **({"ts": str(row["ts"])} if "ts" in row else {})} for row in rows]
    write_table(arrow.Table.from_pylist([{name: row.get(name) for name in columns(rows)} for row in texts]), path)
    return Source(str(path))


def standard_input(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_jsonl(rows).encode())))
    return Source("-")


def csv_input(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_csv(rows).encode())))
    return Source("-", format="csv")


def sqlite(folder: Path, rows: Sequence[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Source:
    pytest.importorskip("sqlalchemy")
    names = columns(rows)
    with sqlite3.connect(folder / "rows.db") as base:
        base.execute(f"CREATE TABLE things ({', '.join(names)})")
        base.executemany(
            f"INSERT INTO things VALUES ({', '.join('?' * len(names))})", [[row.get(n) for n in names] for row in rows]
        )
    base.close()
    return Source(f"sqlite:///{folder / 'rows.db'}", query="SELECT * FROM things")


Maker = Callable[[Path, Sequence[dict[str, Any]], pytest.MonkeyPatch], Source]


MAKERS: list[Maker] = [jsonl, comma, tab, parquet, standard_input, csv_input, sqlite]


every_source = pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)


def item(rec: Recommender, name: str, tenant: str | None = None) -> dict[str, Any] | None:
    found = rec.client.retrieve(f"{rec.space}_items", [point_id("item", name, tenant)], with_payload=True)
    return dict(found[0].payload or {}) if found else None


def own_fields(rec: Recommender, name: str) -> dict[str, Any]:
    """Payload of a stored item without what the product adds; numbers with their type."""
    return {key: value for key, value in (item(rec, name) or {}).items() if key not in ITEM_INTERNAL}


def events(rec: Recommender) -> list[dict[str, Any]]:
    found, _ = rec.client.scroll(f"{rec.space}_events", limit=100, with_payload=True)
    return sorted((dict(one.payload or {}) for one in found), key=lambda one: str(one["ts"]))


def rejects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def load_text(
    rec: Recommender, folder: Path, text: str | bytes, name: str = "rows.jsonl", kind: Any = "items", **more: Any
) -> tuple[Loaded, list[dict[str, Any]]]:
    """Load a file of this content; the result, and what was refused."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    refused = folder / "refused.jsonl"
    if "rename" in more:
        more["how"] = How(Recipe(rename=more.pop("rename")))
    result = load(rec, Source(str(path)), kind, rejects=refused, **more)
    return result, rejects(refused) if refused.exists() else []


def entities(
    path: Path, kind: Any, *, recipe: Recipe | None = None, format: str = "", clock: Clock | None = None, **more: Any
) -> tuple[list[Any], list[str], tuple[str, ...]]:
    """What a file holds, read without a Qdrant: items or events, the reasons of refused rows, and what was assumed."""
    how = How(recipe or Recipe(), format, clock or Clock())
    source, seen = look(Source(str(path), **more), kind, how, {})
    read: list[Any] = []
    reasons: list[str] = []
    for row in source.rows():
        try:
            read += [seen.reader.read(data, row, part) for part, data in enumerate(seen.reader.parts(row))]
        except InvalidInput as error:
            reasons.append(str(error))
    return read, reasons, seen.assumed


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a file, line ends as they are."""
    path.write_bytes(text.encode(encoding))
    return path
