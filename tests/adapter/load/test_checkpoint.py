"""A load that stopped continues where it stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Item, Receipt, Recommender
from llmrec_qdrant.load.checkpoint import Checkpoint
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Source
from tests.loading import (
    FILMS,
    MANY,
    Maker,
    comma,
    jsonl,
    parquet,
    rejects,
)


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
    rows = [{**row, **({"topics": 1} if k in {100, 600, 900} else {})} for k, row in enumerate(MANY)]
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


def test_a_foreign_file_of_that_name_is_kept(rec: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = jsonl(tmp_path, FILMS, monkeypatch)
    made = checkpoint(rec, source, tmp_path / "r")
    made.path.write_text('{"mine": 1}')
    with pytest.raises(InvalidInput, match="is no checkpoint"):
        load(rec, source, "items", checkpoint=made)
    assert made.path.read_text() == '{"mine": 1}'
