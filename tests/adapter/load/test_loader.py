"""Loading: every source gives the same values, twice changes nothing, progress is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import Recommender
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Row
from tests.loading import (
    CLICKS,
    FILMS,
    MANY,
    Maker,
    as_jsonl,
    events,
    every_source,
    item,
    load_text,
    own_fields,
)


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


def test_progress_is_told(rec: Recommender, tmp_path: Path) -> None:
    seen: list[Row] = []
    load_text(rec, tmp_path, as_jsonl(MANY), progress=seen.append)
    assert [row.number for row in seen] == [256, 512, 768, 1_000]
    assert seen[-1].at == (tmp_path / "rows.jsonl").stat().st_size
