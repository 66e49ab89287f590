"""Compressed files, and files of other encodings, hold the same rows as the plain file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llmrec_qdrant import InvalidInput, Recommender
from llmrec_qdrant.load.loader import load
from llmrec_qdrant.load.sources import Source
from tests.loading import entities, item, written

TABLE = "id,title,year\r\n1,Café Orléans,1999\r\n2,Über den Wolken,2001\r\n"


def zipped(data: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._x.csv", b"noise")
        archive.writestr("x.csv", data)
    return content.getvalue()


def zstandard(data: bytes) -> bytes:
    arrow = pytest.importorskip("pyarrow")
    half = len(data) // 2  # two frames, as parallel compressors write them
    return bytes(b"".join(arrow.compress(part, "zstd", asbytes=True) for part in (data[:half], data[half:])))


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped, "zst": zstandard,
}  # fmt: skip


@pytest.mark.parametrize("extension", COMPRESSORS)
@pytest.mark.parametrize("name", ["x.csv", "x"])
def test_a_compressed_file_is_read_like_the_plain_one(tmp_path: Path, extension: str, name: str) -> None:
    """Whatever its name is: the first bytes tell."""
    path = tmp_path / (f"{name}.{extension}" if "." in name else name)
    path.write_bytes(COMPRESSORS[extension](TABLE.encode()))
    items, reasons, assumed = entities(path, "items")
    assert [(one.id, one.title, one.payload) for one in items] == [
        ("1", "Café Orléans", {"year": 1999}), ("2", "Über den Wolken", {"year": 2001}),
    ]  # fmt: skip
    assert reasons == [] and "compressed with" in assumed[0]


@pytest.mark.parametrize("extension", COMPRESSORS)
def test_a_file_that_is_cut_off_is_said_to_be(rec: Recommender, tmp_path: Path, extension: str) -> None:
    rows = "".join(f'{{"id": "m{k}", "title": "{k * k * 7919 % 100_003} words {k}"}}\n' for k in range(20_000))
    path = tmp_path / f"x.jsonl.{extension}"
    whole = COMPRESSORS[extension](rows.encode())
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        load(rec, Source(str(path)), "items")


def test_archives_and_workbooks_are_refused_with_advice(tmp_path: Path) -> None:
    for members, reason in (
        (["a.csv", "b.csv"], "holds 2 files"),
        (["[Content_Types].xml", "xl/workbook.xml"], "workbook of Excel"),
    ):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for member in members:
                archive.writestr(member, "id\n1\n")
        with pytest.raises(InvalidInput, match=reason):
            Source(str(tmp_path / "x.zip")).kind()
    (tmp_path / "x.csv").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(InvalidInput, match="binary file"):
        Source(str(tmp_path / "x.csv")).kind()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_an_encoding_is_recognised(tmp_path: Path, encoding: str, name: str) -> None:
    if encoding == "utf-16-le" and name == "x.json":
        pytest.skip("the same path as x.jsonl")
    rows = {"x.csv": TABLE, "x.jsonl": '{"id": 1, "title": "Café Orléans"}\n{"id": 2, "title": "Über den Wolken"}\n'}
    text = rows.get(name, '[\n{"id": 1, "title": "Café Orléans"},\n{"id": 2, "title": "Über den Wolken"}\n]')
    items, reasons, _ = entities(written(tmp_path / name, text, encoding), "items")
    assert [(one.id, one.title) for one in items] == [("1", "Café Orléans"), ("2", "Über den Wolken")]
    assert reasons == []


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("gb18030", "流浪地球：人类推动地球离开太阳系"), ("gb18030", "你好"), ("big5", "你好世界電影"), ("shift_jis", "こんにちは世界、映画です"),
        ("euc_kr", "안녕하세요 영화입니다"), ("cp1251", "Привет мир фильм"), ("cp1250", "Žluťoučký kůň příšerně"), ("cp1252", "Jürgen"),
        ("cp1252", "naïve"),
    ],
)  # fmt: skip
def test_one_line_tells_the_encoding(tmp_path: Path, encoding: str, title: str) -> None:
    items, _, assumed = entities(written(tmp_path / "x.csv", f"id,title\n1,{title}\n", encoding), "items")
    assert items[0].title == title
    assert f"encoded in {encoding}" in assumed[0]


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,title\n1,Łódź\n", "cp1250")
    assert entities(path, "items", encoding="windows-1250")[0][0].title == "Łódź"
    for wrong in ("klingon", "base64", "rot13"):
        with pytest.raises(InvalidInput, match="--encoding"):
            entities(path, "items", encoding=wrong)


def test_a_broken_line_of_utf_8_changes_nothing_for_the_others(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("id,title\n1,Café\n".encode() + b"2,caf\xe9\n3,plain\n")
    items, reasons, _ = entities(tmp_path / "x.csv", "items")
    assert [one.title for one in items] == ["Café", "plain"]
    assert "not UTF-8" in reasons[0] and "--encoding" in reasons[0]


def test_a_character_across_two_reads_is_no_fault(tmp_path: Path) -> None:
    """A long line without ASCII is read in pieces, which cut characters in two."""
    text = '[{"id": 1, "title": "' + "字" * 900_000 + '"}]'
    items, reasons, assumed = entities(written(tmp_path / "x.json", text), "items")
    assert len(items[0].title) == 900_000
    assert (reasons, assumed) == ([], ("read as JSON",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard], ids=["plain", "gz", "zst"])
def test_standard_input_is_recognised_too(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(TABLE.replace(",", ";").encode(encoding))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert load(rec, Source("-"), "items").written == 2
    assert (item(rec, "1") or {})["title"] == "Café Orléans"


def test_a_zero_byte_in_a_text_does_not_make_it_binary(tmp_path: Path) -> None:
    assert entities(written(tmp_path / "x.csv", "id,title\n1,a\x00b\n"), "items")[0][0].title == "a\x00b"
