"""Any item and event comes back from CSV, JSON lines, Parquet and SQL as it was."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrec_qdrant import Event, Item
from llmrec_qdrant.load.columns import ROUNDED, WHOLE
from llmrec_qdrant.load.loader import How, look
from llmrec_qdrant.query.conversion import MISSING_WORDS
from tests.loading import Maker, comma, jsonl, parquet, sqlite, tab

every_source = pytest.mark.parametrize("maker", [comma, tab, jsonl, parquet, sqlite], ids=lambda maker: maker.__name__)

characters = st.characters(exclude_categories=["Cs"])
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: (
        text == text.strip()
        and text not in MISSING_WORDS
        and not WHOLE.fullmatch(text)  # 318.0 is 318
        and not ROUNDED.fullmatch(text)
    )
)
texts = st.text(characters, max_size=30).filter(lambda text: text != "\\N")
items = st.builds(
    dict, id=ids, title=texts, text=texts,
    year=st.none() | st.integers(-(2**62), 2**62), score=st.none() | st.floats(-1e15, 1e15).map(lambda x: x + 0.5).filter(lambda x: x % 1),
    free=st.none() | st.booleans(), brand=st.none() | st.from_regex(r"[a-z]+ [a-z,;\t\"]{1,8}x", fullmatch=True),
)  # fmt: skip
moments = st.integers(631_152_000_000_000, 1_700_000_000_000_000)
events = st.builds(
    dict, user=ids, type=st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True).filter(lambda word: word != "rating"),
    item=ids, text=st.none() | texts, value=st.none() | st.floats(-1e6, 1e6), ts=moments, session=st.none() | ids, id=st.none() | ids,
)  # fmt: skip
often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def back(maker: Maker, rows: list[dict[str, Any]], kind: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    kinds: Any = {"free": "bool"}  # SQLite has no truth values
    with TemporaryDirectory() as folder:
        source, seen = look(maker(Path(folder), rows, monkeypatch), kind, How(keep_html=True), kinds)
        return [seen.reader.read(data, row) for row in source.rows() for data in seen.reader.parts(row)]


@every_source
@often
@given(rows=st.lists(items, min_size=1, max_size=6))
def test_items(maker: Maker, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    for row, item in zip(rows, back(maker, rows, "items", monkeypatch), strict=True):
        own = {name: row[name] for name in ("year", "score", "free", "brand") if row[name] is not None}
        assert item == Item(id=row["id"], title=row["title"], text=row["text"], payload=own)


@every_source
@often
@given(rows=st.lists(events, min_size=1, max_size=6))
def test_events(maker: Maker, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [Event(**{name: value for name, value in row.items() if value is not None}) for row in rows]
    read = back(maker, rows, "events", monkeypatch)
    assert read == expected
    assert [event.event_id for event in read] == [event.event_id for event in expected]
