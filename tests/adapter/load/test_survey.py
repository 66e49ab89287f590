"""What is decided for whole columns: ids that became floats, times, and times that are missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llmrec_qdrant import InvalidInput, Recommender
from llmrec_qdrant.contracts.times import Ways
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.times import Clock, zone_named
from tests.loading import MAKERS, Maker, entities, events, load_text, written


def table(path: Path, name: str, values: list[str]) -> Path:
    rows = "".join(f"u{k},view,i{k},{value}\n" for k, value in enumerate(values))
    return written(path / "x.csv", f"user,type,item,{name}\n{rows}")


def times(path: Path, values: list[str], **more: Any) -> list[str]:
    read, reasons, _ = entities(table(path, "ts", [f'"{value}"' for value in values]), "events", **more)
    return [one.ts.strftime("%Y-%m-%dT%H:%M:%S") for one in read] + reasons


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_whole_numbers_that_became_floats_are_whole_in_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: Maker
) -> None:
    from llmrec_qdrant.load.loader import How, look

    rows = [
        {"user": 1.0, "type": "view", "item": 318.0, "ts": "2024-05-01", "session": 9.0, "id": 5.0},
        {"user": 2.0, "type": "search", "item": None, "text": "desert train", "ts": "2024-05-02"},
    ]
    source, seen = look(maker(tmp_path, rows, monkeypatch), "events", How(), {})
    read = [seen.reader.read(data, row) for row in seen.rows or source.rows() for data in seen.reader.parts(row)]
    assert [(one.user, one.item, one.session, one.id) for one in read] == [
        ("1", "318", "9", "5"),
        ("2", None, None, None),
    ]


def test_text_that_spells_a_float_is_whole_in_json_too(tmp_path: Path) -> None:
    """`astype(str)` on a column of floats."""
    path = written(
        tmp_path / "x.jsonl", '{"id": "318.0", "title": "A"}\n{"id": "tt7", "title": "B"}\n{"id": 9007199254740993}\n'
    )
    assert [one.id for one in entities(path, "items")[0]] == ["318", "tt7", "9007199254740993"]


def test_ids_keep_decimals_where_some_are_not_whole(tmp_path: Path) -> None:
    """Versions, say; the whole file is looked at, not only its beginning."""
    path = written(tmp_path / "x.csv", "id,title\n" + "".join(f"{k}.0,v{k}\n" for k in range(1, 1500)) + "1.10,last\n")
    items, _, assumed = entities(path, "items")
    assert [items[0].id, items[-1].id] == ["1.0", "1.10"]
    assert assumed == ("the ids in 'id' keep their decimals, since some are not whole",)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("4.00638E+12", "has lost digits"), ("1.234567890123457e+18", "has lost digits"), ("9007199254740994.0", "has lost digits"),
        ("", "the id is missing"), ("nan", "the id is missing"), ("None", "the id is missing"), ("NULL", "the id is missing"),
        ("NA", "the id is missing"), ("\\N", "the id is missing"), (" ", "the id is missing"),
    ],
)  # fmt: skip
def test_ids_that_are_missing_or_rounded_are_refused(tmp_path: Path, cell: str, reason: str) -> None:
    items, reasons, _ = entities(written(tmp_path / "x.csv", f"id,title\n{cell},x\n7,y\n"), "items")
    assert [one.id for one in items] == ["7"]
    assert "'id'" in reasons[0] and reason in reasons[0]


@pytest.mark.parametrize("cell", ["007", "1e3", "3.5.1", "a.0", "-", "１２", "0x1F"])
def test_codes_stay_text(tmp_path: Path, cell: str) -> None:
    assert entities(written(tmp_path / "x.csv", f"id,title\n{cell},x\n"), "items")[0][0].id == cell


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["05/01/2024", "05/13/2024"], ["2024-05-01T00:00:00", "2024-05-13T00:00:00"]),
        (["05/01/2024", "13/05/2024"], ["2024-01-05T00:00:00", "2024-05-13T00:00:00"]),
        (["05-01-2024 10:30", "28-02-2024 11:00"], ["2024-01-05T10:30:00", "2024-02-28T11:00:00"]),
        (["05/05/2024"], ["2024-05-05T00:00:00"]), (["01.05.2024", "02.05.2024"], ["2024-05-01T00:00:00", "2024-05-02T00:00:00"]),
        (["45413", "45413.4375"], ["2024-05-01T00:00:00", "2024-05-01T10:30:00"]),
        (["1714559400000", "1714559400001"], ["2024-05-01T10:30:00", "2024-05-01T10:30:00"]),
        (["May 1, 2024", "1-May-2024 10:30", "Wed, 01 May 2024 18:30:00 +0800"], ["2024-05-01T00:00:00", "2024-05-01T10:30:00", "2024-05-01T10:30:00"]),
        (["2024年5月1日", "2024年5月1日 下午3:05"], ["2024-05-01T00:00:00", "2024-05-01T15:05:00"]),
    ],
    ids=lambda values: str(values[0]),
)  # fmt: skip
def test_a_column_of_times(tmp_path: Path, values: list[str], expected: list[str]) -> None:
    assert times(tmp_path, values) == expected


def test_the_whole_column_tells_the_order(tmp_path: Path) -> None:
    assert times(tmp_path, ["05/01/2024"] * 1_500 + ["13/01/2024"])[0] == "2024-01-05T00:00:00"


def test_an_order_that_no_row_tells_is_refused_and_the_advice_works(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--time-format dmy .* --time-format mdy"):
        times(tmp_path, ["05/01/2024 10:30", "06/02/2024 10:30"])
    assert times(tmp_path, ["05/01/2024 10:30"], clock=Clock("dmy")) == ["2024-01-05T10:30:00"]
    assert times(tmp_path, ["05/01/2024 10:30"], clock=Clock("mdy")) == ["2024-05-01T10:30:00"]
    with pytest.raises(InvalidInput, match="others with the month"):
        times(tmp_path, ["13/01/2024", "01/13/2024"])
    with pytest.raises(InvalidInput, match="the day or the month"):
        entities(
            written(tmp_path / "x.jsonl", '{"user": 1, "type": "view", "item": 2, "ts": "05/01/2024"}\n'), "events"
        )


@pytest.mark.parametrize(
    ("format", "value", "expected"),
    [
        ("%d.%m.%y %H:%M", "01.05.24 10:30", "2024-05-01T10:30:00"), ("%d-%b-%y", "01-MAY-24", "2024-05-01T00:00:00"),
        ("s", "300", "1970-01-01T00:05:00"), ("ms", "1714559400000", "2024-05-01T10:30:00"), ("us", "1714559400000000", "2024-05-01T10:30:00"),
        ("ns", "1714559400000000000", "2024-05-01T10:30:00"), ("excel", "45413.4375", "2024-05-01T10:30:00"),
    ],
)  # fmt: skip
def test_a_format_that_is_named(tmp_path: Path, format: str, value: str, expected: str) -> None:
    assert times(tmp_path, [value], clock=Clock(format)) == [expected]
    assert "'ts'" in times(tmp_path, ["soon"], clock=Clock(format))[0]


def test_names_of_formats_and_zones_are_checked() -> None:
    with pytest.raises(InvalidInput, match="--time-format"):
        Clock("day first")
    with pytest.raises(InvalidInput, match="cannot be used"):
        Clock("%Q")
    with pytest.raises(InvalidInput, match="--time-zone"):
        zone_named("Mars/Olympus")


def test_a_zone_for_times_without_one_is_said_aloud(tmp_path: Path) -> None:
    path = table(tmp_path, "ts", ["2024-05-01 18:30"])
    read, _, assumed = entities(path, "events", clock=Clock(ways=Ways(zone=ZoneInfo("Asia/Shanghai"))))
    assert read[0].ts == datetime(2024, 5, 1, 10, 30, tzinfo=UTC)
    assert assumed == ("times without a zone are in Asia/Shanghai (--time-zone)",)
    assert entities(path, "events")[2] == ("times without a zone are in UTC (--time-zone)",)


@pytest.mark.parametrize(
    "value", ["05/01/24", "May 1", "1 May 24", "May 1, 2024 10:00 PST", "12:30", "1.71E+09", "0", "9999", "maybe"]
)
def test_times_that_are_none_are_refused(tmp_path: Path, value: str) -> None:
    assert times(tmp_path, [value, "2024-05-01"])[0] == "2024-05-01T00:00:00"
    assert times(tmp_path, [value])[0].startswith("Event: 'ts': ")


CLICKS = [
    {"user": "u", "type": "view", "item": "a"},
    {"user": "u", "type": "view", "item": "a"},
    {"user": "v", "type": "view", "item": "b"},
]


def test_events_without_times_are_dated_by_their_line_and_loading_twice_changes_nothing(
    rec: Recommender, tmp_path: Path
) -> None:
    text = "user,type,item\nu,view,a\nu,view,a\nv,view,b\n"
    for name in ("x.csv", "copy.csv"):
        result, _ = load_text(rec, tmp_path, text, name, kind="events")
        assert (result.written, result.undated) == (3, 3)
    stored = events(rec)
    assert [event["item_id"] for event in stored] == ["a", "a", "b"]
    assert [event["ts"][:19] for event in stored] == [
        "2000-01-01T00:00:02",
        "2000-01-01T00:00:03",
        "2000-01-01T00:00:04",
    ]
    load_text(rec, tmp_path, text.replace("u,view,a\n", "u,like,a\n", 1), kind="events", name="other.csv")
    assert len(events(rec)) == 6  # another file: its first row differs


def test_a_time_for_all_events_can_be_set(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", "".join(json.dumps(click) + "\n" for click in CLICKS))
    read, _, _ = entities(path, "events", recipe=Recipe(constants={"ts": "2024-05-01"}))
    assert {one.ts for one in read} == {datetime(2024, 5, 1, tzinfo=UTC)}
