"""Sources that cannot be read, and formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.load.sources import Source


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
