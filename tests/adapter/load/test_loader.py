"""Loading: every source gives the same values, bad rows are named, and a load goes on where it stopped."""

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

from llmrec_qdrant import Event, InvalidInput, Item, QdrantRefused, QdrantUnavailable, Receipt, Recommender, SpaceConfig
from llmrec_qdrant.load import text_files, writer
from llmrec_qdrant.load.checkpoint import Checkpoint
from llmrec_qdrant.load.columns import item_of
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.report import Loaded
from llmrec_qdrant.load.sources import Cell, Row, Source
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


@pytest.fixture
def rec() -> Iterator[Recommender]:
    """Embedded Qdrant and a queue that only remembers: loading is tested here, not encoding."""
    made = Recommender.connect(path=":memory:", space=fresh_name())
    made._queue = MemoryQueue()
    made.create(CONFIG)
    yield made
    drop(made)


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
    result = load(rec, Source(str(path)), kind, rejects=refused, **more)
    return result, rejects(refused) if refused.exists() else []


# --- values --------------------------------------------------------------------------------------


@every_source
def test_items_are_the_same_from_every_source(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: Maker
) -> None:
    result = load(rec, maker(tmp_path, FILMS, monkeypatch), "items")
    assert (result.written, result.rejected) == (3, 0)
    stored = {film["id"]: item(rec, film["id"]) or {} for film in FILMS}
    assert [(one["title"], one["text"]) for one in stored.values()] == [(film["title"], film["text"]) for film in FILMS]
    assert own_fields(rec, "m1") == {"year": 2014, "score": 8.5, "free": True}
    assert own_fields(rec, "m2") == {"year": 2019, "score": 7.25, "free": False}
    assert own_fields(rec, "m3") == {"year": 1999}  # an empty cell is absent, not empty
    assert type(own_fields(rec, "m1")["year"]) is int


@every_source
def test_events_are_the_same_from_every_source(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: Maker
) -> None:
    result = load(rec, maker(tmp_path, CLICKS, monkeypatch), "events")
    assert (result.written, result.rejected) == (3, 0)
    one, two, three = events(rec)
    assert (one["user_id"], one["type"], one["item_id"]) == ("ann", "view", "m1")
    assert [event["ts"] for event in (one, two, three)] == [
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:13:21.000000Z",
        "2023-11-14T22:13:22.500000Z",
    ]
    assert (two["value"], two["session"]) == (4.5, "s1")
    assert (three["user_id"], three["text"], three["event_id"]) == ("鲍勃", "科幻, 太空", "e3")
    assert "item_id" not in three


@every_source
def test_loading_twice_changes_nothing(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: Maker
) -> None:
    load(rec, maker(tmp_path, FILMS, monkeypatch), "items")
    for path in tmp_path.iterdir():
        path.unlink()
    result = load(rec, maker(tmp_path, FILMS, monkeypatch), "items")
    assert (result.written, result.unchanged) == (0, 3)


def test_cells_become_the_numbers_they_spell(rec: Recommender, tmp_path: Path) -> None:
    cells = {
        "a": ("-3", -3), "b": ("4.50", 4.5), "c": ("true", True), "d": ("FALSE", False), "e": ("0", 0),
        "zip": ("01234", "01234"), "f": ("1_000", "1_000"), "g": ("nan", "nan"), "h": ("inf", "inf"),
        "i": ("1e5", "1e5"), "j": ("+49 30", "+49 30"), "k": ("٣", "٣"), "l": ("3 ", "3 "), "m": ("1e-05", 1e-05),
        "ean": ("4006381333931", 4006381333931), "big": ("9" * 30, "9" * 30), "n": ("1.2.3", "1.2.3"),
    }  # fmt: skip
    text = f"id,{','.join(cells)}\n42,{','.join(cell for cell, _ in cells.values())}\n"
    load_text(rec, tmp_path, text, "rows.csv")
    found = own_fields(rec, "42")  # ids stay text
    assert found == {name: value for name, (_, value) in cells.items()}
    assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, (_, v) in cells.items()}


def test_the_kind_of_an_indexed_field_decides(rec: Recommender, tmp_path: Path) -> None:
    """A keyword filter would never find the number 7, nor an integer filter the text '2014'."""
    load_text(rec, tmp_path, "id,code,year,price\nm1,7,2014,3\n", "rows.csv")
    found = own_fields(rec, "m1")
    assert found == {"code": "7", "year": 2014, "price": 3.0}
    assert type(found["price"]) is float
    assert [one.id for one in rec.recommend("x", filter={"code": "7"})] == ["m1"]


def test_whole_numbers_that_a_table_with_gaps_made_floats(rec: Recommender, tmp_path: Path) -> None:
    result, refused = load_text(rec, tmp_path, "id,year\nm1,1995.0\nm2,\nm3,soon\n", "rows.csv")
    assert (result.written, [one["line"] for one in refused]) == (2, [4])
    assert "'year': the space indexes it as integer, and 'soon' is not" in refused[0]["reason"]
    assert type(own_fields(rec, "m1")["year"]) is int and own_fields(rec, "m2") == {}


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (
            "integer",
            {"1234567890123456789": 1234567890123456789, "+1995": 1995, " 1995": 1995, "01995": 1995, "2e3": 2000},
        ),
        ("float", {".5": 0.5, "5.": 5.0, "1e5": 1e5, "+5": 5.0, "7": 7}),
        ("bool", {"1": True, "0": False, "True ": True}),
        ("keyword", {"007": "007", "true": "true"}),
    ],
)
def test_a_cell_is_read_as_the_kind_its_field_has(kind: Any, cells: dict[str, Any]) -> None:
    assert {cell: item_of({"id": "1", "x": Cell(cell)}, {"x": kind}).payload["x"] for cell in cells} == cells


def test_other_types_of_other_sources_become_the_kind_of_their_field() -> None:
    kinds: dict[str, Any] = {"zip": "keyword", "ok": "bool", "years": "integer", "at": "geo"}
    row = {"id": "1", "zip": 1234, "ok": 1, "payload": {"years": [1995.0, 1996]}, "at": Cell('{"lon": 1, "lat": 2}')}
    assert item_of(row, kinds).payload == {"zip": "1234", "ok": True, "years": [1995, 1996], "at": {"lon": 1, "lat": 2}}


def test_json_values_keep_their_type(rec: Recommender, tmp_path: Path) -> None:
    load_text(rec, tmp_path, as_jsonl([{"id": 7, "zip": "1234", "n": 1234, "list": ["1", 2], "deep": {"a": "1"}}]))
    assert own_fields(rec, "7") == {"zip": "1234", "n": 1234, "list": ["1", 2], "deep": {"a": "1"}}


def test_a_payload_may_be_an_object_or_its_text(rec: Recommender, tmp_path: Path) -> None:
    load_text(rec, tmp_path, as_jsonl([{"id": "a", "payload": {"n": 1, "w": "x"}, "m": 2}]))
    load_text(rec, tmp_path, 'id,payload,m\nb,"{""n"": 1, ""w"": ""x""}",2\n', "rows.csv")
    assert own_fields(rec, "a") == own_fields(rec, "b") == {"n": 1, "w": "x", "m": 2}


def test_columns_are_renamed_and_dropped(rec: Recommender, tmp_path: Path) -> None:
    text = "movieId,name,secret\n1,Heat,x\n"
    result, _ = load_text(rec, tmp_path, text, "rows.csv", rename={"movieId": "id", "name": "title", "secret": ""})
    assert result.written == 1
    assert (item(rec, "1") or {})["title"] == "Heat"
    assert own_fields(rec, "1") == {}


def test_parquet_times_numbers_and_missing_values(rec: Recommender, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from datetime import UTC, date, datetime
    from decimal import Decimal

    from pyarrow.parquet import write_table

    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    rows = {
        "user": [7, 8], "type": ["view", "rating"], "item": ["m1", "m2"], "ts": [moment, moment],
        "value": [float("nan"), 4.0],
    }  # fmt: skip
    write_table(arrow.table(rows), tmp_path / "events.parquet")
    result = load(rec, Source(str(tmp_path / "events.parquet")), "events")
    assert (result.written, result.rejected) == (2, 0)  # NaN is how pandas writes that there is none
    found = {event["user_id"]: event for event in events(rec)}
    assert found["7"]["ts"] == "2023-11-14T22:13:20.000000Z"
    assert "value" not in found["7"]
    assert found["8"]["value"] == 4.0
    fine = arrow.array([1_700_000_000_123_456_789], arrow.timestamp("ns", "UTC"))  # as pandas writes times
    write_table(arrow.table({"user": ["9"], "type": ["view"], "item": ["m1"], "ts": fine}), tmp_path / "fine.parquet")
    assert load(rec, Source(str(tmp_path / "fine.parquet")), "events").rejected == 0
    assert {event["user_id"]: event["ts"] for event in events(rec)}["9"] == "2023-11-14T22:13:20.123456Z"
    things = {
        "id": ["a"], "price": [Decimal("3.50")], "day": [date(2024, 2, 29)], "tags": [["x", "y"]],
        "more": [{"at": moment, "n": Decimal("2")}],
    }  # fmt: skip
    write_table(arrow.table(things), tmp_path / "items.parquet")
    assert load(rec, Source(str(tmp_path / "items.parquet")), "items").rejected == 0
    assert own_fields(rec, "a") == {
        "price": 3.5, "day": "2024-02-29", "tags": ["x", "y"], "more": {"at": "2023-11-14T22:13:20+00:00", "n": 2},
    }  # fmt: skip


# --- what is refused -----------------------------------------------------------------------------


def test_bad_lines_are_named_and_the_others_stored(rec: Recommender, tmp_path: Path) -> None:
    lines = [
        b'{"id": "good1"}',
        b'{"id": "cut off',
        b"",
        b'{"id": "latin \xe9"}',
        b"[1, 2]",
        b'{"title": "no id"}',
        b'{"id": "taken", "stale": true}',
        b'{"id": "infinite", "n": NaN}',
        b'{"id": "surrogate", "n": "\\ud800"}',
        b'{"id": "good2"}',
    ]
    result, refused = load_text(rec, tmp_path, b"\n".join(lines))
    assert (result.written, result.rejected) == (2, 7)
    assert item(rec, "good1") and item(rec, "good2")
    assert [one["line"] for one in refused] == [2, 4, 5, 6, 7, 8, 9]
    reasons = {one["line"]: one["reason"] for one in refused}
    assert "not JSON" in reasons[2]
    assert "UTF-8" in reasons[4]
    assert "expected an object" in reasons[5]
    assert "'id'" in reasons[6]
    assert "'stale'" in reasons[7] and "rename" in reasons[7]
    assert "finite" in reasons[8]
    assert refused[0]["input"] == '{"id": "cut off'
    assert refused[1]["input"] == '{"id": "latin �"}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user": "u", "type": "rating", "item": "i", "value": NaN}', "'value'"),
        ('{"user": "u", "type": "rating", "item": "i", "value": 1e999}', "'value'"),
        ('{"user": "u", "type": "view", "item": "i", "ts": 1700000000000}', "milliseconds"),
        ('{"user": "u", "type": "view", "item": "i", "timestamp": 1}', "timestamp"),
        ('{"user": "u", "type": "Viewed It", "item": "i"}', "'type'"),
        ('{"user": "u", "type": "view"}', "an item or a text"),
    ],
)
def test_bad_events(rec: Recommender, tmp_path: Path, line: str, reason: str) -> None:
    result, refused = load_text(rec, tmp_path, line + "\n" + as_jsonl(CLICKS), kind="events")
    assert (result.written, result.rejected) == (3, 1)
    assert refused[0]["line"] == 1
    assert reason in refused[0]["reason"]


def test_a_rating_of_nan_in_a_table(rec: Recommender, tmp_path: Path) -> None:
    text = "user,type,item,value\nu,rating,i,NaN\nu,rating,i,\nu,rating,i,5\n"
    result, refused = load_text(rec, tmp_path, text, "rows.csv", kind="events")
    assert (result.written, [one["line"] for one in refused]) == (1, [2, 3])


def test_lines_of_a_table_are_where_a_record_begins(rec: Recommender, tmp_path: Path) -> None:
    text = b'id,title\r\na,"one\r\ntwo\r\nthree"\r\nb,too,many\r\n,"no\r\nid"\r\nc,caf\xe9\r\nd,good\r\n'
    result, refused = load_text(rec, tmp_path, text, "rows.csv")
    assert result.written == 2
    assert [one["line"] for one in refused] == [5, 6, 8]
    assert "3 cells" in refused[0]["reason"] and "2" in refused[0]["reason"]
    assert "UTF-8" in refused[2]["reason"]
    assert (item(rec, "a") or {})["title"] == "one\r\ntwo\r\nthree"


def test_a_quote_that_never_ends_costs_its_cell_only(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_CELL_CHARACTERS", 1_000)
    rows = "".join(f"m{k},plain\n" for k in range(400))
    result, refused = load_text(rec, tmp_path, 'id,title\nbad,"never ends\n' + rows, "rows.csv")
    assert result.rejected >= 1
    assert refused[0]["line"] == 2
    assert "quote" in refused[0]["reason"]
    assert item(rec, "m399")


def test_a_line_of_20_megabytes(rec: Recommender, tmp_path: Path) -> None:
    text = '{"id": "long", "text": "' + "x" * 20_000_000 + '"}\n{"id": "next"}\n'
    result, refused = load_text(rec, tmp_path, text)
    assert (result.written, result.rejected) == (1, 1)
    assert item(rec, "next")
    assert refused[0]["line"] == 1
    assert "1,000,000 characters" in refused[0]["reason"]
    assert len(refused[0]["input"]) <= 1_000


def test_a_line_without_end_is_not_held_in_memory(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 1_000)
    result, refused = load_text(rec, tmp_path, '{"id": "' + "x" * 5_000 + '"}\n{"id": "next"}\n')
    assert (result.written, [one["line"] for one in refused]) == (1, [1])
    assert "1,000 bytes" in refused[0]["reason"]


@pytest.mark.parametrize(
    ("kind", "header", "reason"),
    [
        ("events", "user,type,item,timestamp", "'timestamp'.*--map timestamp="),
        ("events", "userId,type,item", "'user'.*--map userId=user"),
        ("events", "user,item", "'type'"),
        ("items", "movieId,title", "'id'.*--map"),
        ("items", "id,title,title", "'title' twice"),
        ("items", "id,stale", "'stale'"),
    ],
)
def test_a_table_with_the_wrong_columns_is_refused_as_a_whole(
    rec: Recommender, tmp_path: Path, kind: Any, header: str, reason: str
) -> None:
    """Ten million identical complaints help nobody."""
    with pytest.raises(InvalidInput, match=reason):
        load_text(rec, tmp_path, header + "\n" + ",".join("x" for _ in header.split(",")) + "\n", "r.csv", kind=kind)


def test_an_empty_file_is_no_error(rec: Recommender, tmp_path: Path) -> None:
    for name in ("rows.jsonl", "rows.csv"):
        result, refused = load_text(rec, tmp_path, "", name)
        assert (result.written, refused) == (0, [])


def test_another_tenants_items_are_refused_by_line(rec: Recommender, tmp_path: Path) -> None:
    bound = Recommender(rec.client, MemoryQueue(), rec.space, tenant="shop1")
    rows = [{"id": "a"}, {"id": "b", "tenant": "shop2"}, {"id": "c", "tenant": "shop1"}]
    result, refused = load_text(bound, tmp_path, as_jsonl(rows))
    assert (result.written, [one["line"] for one in refused]) == (2, [2])
    assert "shop2" in refused[0]["reason"]
    assert item(rec, "c", "shop1")


def test_one_row_that_qdrant_refuses_does_not_hold_back_the_others(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = rec.upsert_items

    def refusing(batch: Sequence[Item]) -> Receipt:
        if any(one.id == "m2" for one in batch):
            raise QdrantRefused("Qdrant refused the request (400): a poisoned point")
        return upsert(batch)

    monkeypatch.setattr(rec, "upsert_items", refusing)
    result, refused = load_text(rec, tmp_path, as_jsonl(FILMS))
    assert (result.written, [one["line"] for one in refused]) == (2, [2])
    assert "poisoned" in refused[0]["reason"]


def test_a_qdrant_that_refuses_everything_ends_the_load(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(batch: Sequence[Item]) -> Receipt:
        raise QdrantRefused("Qdrant refused the request (507): no disk left")

    monkeypatch.setattr(rec, "upsert_items", refusing)
    with pytest.raises(QdrantRefused, match="no disk"):
        load_text(rec, tmp_path, as_jsonl(FILMS))


# --- sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "more", "reason"),
    [
        ("nowhere.jsonl", {}, "no file 'nowhere.jsonl'"),
        ("sqlite:///nowhere.db", {"query": "SELECT 1 AS id"}, "nowhere.db"),
        ("sqlite:///nowhere.db", {}, "--query"),
        ("sqlite:///nowhere.db", {"query": "DROP TABLE x"}, "--query"),
        ("nonsense://x", {"query": "SELECT 1 AS id"}, "nonsense"),
        ("-", {"format": "parquet"}, "standard input"),
    ],
)
def test_sources_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, more: dict[str, str], reason: str
) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=reason):
        list(Source(address, **more).rows())
    assert list(tmp_path.iterdir()) == []  # a database that is not there is not made


def test_a_file_of_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match=r"--format"):
        Source(str(tmp_path / "rows.xlsx")).kind()
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 not really")
    pytest.importorskip("pyarrow")
    with pytest.raises(InvalidInput, match=r"Parquet"):
        list(Source(str(tmp_path / "rows.parquet")).rows())


def test_a_query_is_sent_as_it_is_and_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sqlite(tmp_path, FILMS, monkeypatch)
    tricky = Source(source.address, query="SELECT id, 'at 12:30 :x 100%' AS title FROM things WHERE title LIKE '%he%'")
    assert [dict(row.data) for row in tricky.rows()] == [{"id": "m3", "title": "at 12:30 :x 100%"}]
    with pytest.raises(InvalidInput, match=r"(?i)read-?only"):
        list(Source(source.address, query="WITH x AS (SELECT 1) DELETE FROM things RETURNING id").rows())
    assert len(list(source.rows())) == 3


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    source = Source("postgresql://me:hunter2@127.0.0.1:1/db", query="SELECT 1 AS id")
    assert "hunter2" not in source.name
    with pytest.raises(Exception) as caught:  # no server there, or no driver here
        list(source.rows())
    assert "hunter2" not in str(caught.value)
    assert type(caught.value).__module__.startswith("llmrec_qdrant")


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    """Ten million events do not fit into memory."""
    path = tmp_path / "rows.jsonl"
    path.write_text(as_jsonl(FILMS) + "not JSON\n")
    rows = Source(str(path)).rows()
    assert next(rows).data["id"] == "m1"
    rows.close()  # type: ignore[attr-defined]
    assert [row.at for row in Source(str(path)).rows()][-1] == path.stat().st_size


# --- going on where it stopped -------------------------------------------------------------------

MANY = [{"id": f"m{k}", "title": f"film {k}"} for k in range(1_000)]


class Spy:
    """Stores through the recommender, remembers what was given, and dies where it is told to."""

    def __init__(self, rec: Recommender, die_at: int = 0) -> None:
        self.ids: list[str] = []
        self._store, self._die_at, self._calls = rec.upsert_items, die_at, 0

    def __call__(self, batch: Sequence[Item]) -> Receipt:
        self._calls += 1
        if self._calls == self._die_at:
            raise KeyboardInterrupt
        self.ids += [one.id for one in batch]
        return self._store(batch)


def interrupted(rec: Recommender, source: Source, refused: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Spy:
    """A load that dies at its third batch."""
    spy = Spy(rec, die_at=3)
    with monkeypatch.context() as patch:
        patch.setattr(rec, "upsert_items", spy)
        with pytest.raises(KeyboardInterrupt):
            load(rec, source, "items", rejects=refused, checkpoint=checkpoint(rec, source, refused), **more)
    return spy


def checkpoint(rec: Recommender, source: Source, refused: Path) -> Checkpoint:
    made = Checkpoint.of(source, "items", rec.space)
    assert made is not None
    return made


@pytest.mark.parametrize("maker", [jsonl, comma, parquet], ids=lambda maker: maker.__name__)
def test_a_load_goes_on_where_it_stopped(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: Maker
) -> None:
    source, refused = maker(tmp_path, MANY, monkeypatch), tmp_path / "refused.jsonl"
    first = interrupted(rec, source, refused, monkeypatch)
    assert first.ids == [f"m{k}" for k in range(512)]
    spy = Spy(rec)
    monkeypatch.setattr(rec, "upsert_items", spy)
    result = load(rec, source, "items", rejects=refused, checkpoint=checkpoint(rec, source, refused))
    assert spy.ids == [f"m{k}" for k in range(512, 1000)]
    assert result.written == 488
    assert result.resumed_after > 0
    assert rec.status().items == 1_000
    assert [one.name for one in tmp_path.iterdir()] == [Path(source.address).name]  # no checkpoint left


def test_the_checkpoint_names_the_place_and_no_secret(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = jsonl(tmp_path, MANY, monkeypatch)
    interrupted(rec, source, tmp_path / "refused.jsonl", monkeypatch)
    (path,) = tmp_path.glob("*.progress.json")
    stored = json.loads(path.read_text())
    assert stored["space"] == rec.space
    assert stored["done"] == 512
    assert stored["size"] == Path(source.address).stat().st_size


def test_refused_rows_are_listed_once_however_often_it_stops(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, **({"stale": 1} if k in {100, 600, 900} else {})} for k, row in enumerate(MANY)]
    source, refused = jsonl(tmp_path, rows, monkeypatch), tmp_path / "refused.jsonl"
    interrupted(rec, source, refused, monkeypatch)
    result = load(rec, source, "items", rejects=refused, checkpoint=checkpoint(rec, source, refused))
    assert [one["line"] for one in rejects(refused)] == [101, 601, 901]
    assert result.rejected == 3  # also those before the stop: the exit code speaks of the file


def test_a_changed_file_is_loaded_from_its_beginning(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, refused = jsonl(tmp_path, MANY, monkeypatch), tmp_path / "refused.jsonl"
    interrupted(rec, source, refused, monkeypatch)
    source = jsonl(tmp_path, [*MANY, {"id": "new"}], monkeypatch)
    spy, notices = Spy(rec), list[str]()
    monkeypatch.setattr(rec, "upsert_items", spy)
    load(
        rec, source, "items", rejects=refused, checkpoint=checkpoint(rec, source, refused), notice=notices.append
    )  # fmt: skip
    assert len(spy.ids) == 1_001
    assert any("changed" in one for one in notices)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"done": "x"}', '{"done": -5}'])
def test_a_damaged_checkpoint_is_ignored(
    rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    source = jsonl(tmp_path, FILMS, monkeypatch)
    made = checkpoint(rec, source, tmp_path / "r")
    made.path.write_text(damage)
    assert load(rec, source, "items", checkpoint=made).written == 3


# --- a Qdrant that goes away ---------------------------------------------------------------------


class Failing:
    """Fails so many times, then works."""

    def __init__(self, rec: Recommender, times: int) -> None:
        self._store, self.left = rec.load_events, times

    def __call__(self, batch: Sequence[Event]) -> Receipt:
        self.left -= 1
        if self.left >= 0:
            raise QdrantUnavailable("Qdrant does not answer (test)")
        return self._store(batch)


def test_a_restart_of_qdrant_is_waited_for(rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(writer.time, "sleep", pauses.append)
    monkeypatch.setattr(rec, "load_events", Failing(rec, 3))
    notices: list[str] = []
    result, _ = load_text(rec, tmp_path, as_jsonl(CLICKS), kind="events", notice=notices.append)
    assert result.written == 3
    assert len(pauses) == 3
    assert len(notices) == 1 and "waiting" in notices[0]


def test_patience_ends(rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(writer.time, "sleep", pauses.append)
    monkeypatch.setattr(rec, "load_events", Failing(rec, 1_000))
    with pytest.raises(QdrantUnavailable, match="run the same command again"):
        load_text(rec, tmp_path, as_jsonl(CLICKS), kind="events")
    assert 45 <= sum(pauses) <= 120


def test_a_dead_queue_is_asked_once(rec: Recommender, tmp_path: Path) -> None:
    """Each refusal of a dead Redis takes seconds; a load has thousands of batches."""
    asked = 0

    class Dead:
        def send(self, message: object) -> None:
            nonlocal asked
            asked += 1
            from llmrec_qdrant import BrokerUnavailable

            raise BrokerUnavailable("Redis is down")

    rec._queue = Dead()
    with pytest.warns(UserWarning, match="Redis is down"):
        result, _ = load_text(rec, tmp_path, as_jsonl(MANY))
    assert (result.written, result.queued, asked) == (1_000, False, 1)
    assert isinstance(rec._queue, Dead)


def test_progress_is_told(rec: Recommender, tmp_path: Path) -> None:
    seen: list[Row] = []
    load_text(rec, tmp_path, as_jsonl(MANY), progress=seen.append)
    assert [row.number for row in seen] == [256, 512, 768, 1_000]
    assert seen[-1].at == (tmp_path / "rows.jsonl").stat().st_size
