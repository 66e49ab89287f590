"""Queries: sent as they are, on a connection that cannot write; passwords stay hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.load.sources import Source
from tests.loading import (
    FILMS,
    sqlite,
)


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
