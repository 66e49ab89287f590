"""``load``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmrec_qdrant import Item, Receipt, Recommender
from llmrec_qdrant.load import loader as loading
from tests.commandline import FILMS, Llmrec, lines, one_sentence


def test_load_says_what_it_did(llmrec: Llmrec, tmp_path: Path) -> None:
    path = lines(tmp_path / "items.jsonl", FILMS)
    ran = llmrec("load", "items", path, "--json")
    assert ran.code == 0
    assert (ran.json["load"]["written"], ran.json["load"]["rejected"], ran.json["status"]["items"]) == (4, 0, 4)
    again = llmrec("load", "items", path)
    assert "4 unchanged" in again.out
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "items.jsonl", "space.json"]


def test_refused_lines_are_listed_and_the_exit_code_says_so(llmrec: Llmrec, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "good"}\n{"id": \n{"id": "also good"}\n')
    ran = llmrec("load", "items", str(path))
    assert ran.code == 3
    assert "1 row" in ran.out
    (refused,) = [json.loads(line) for line in (tmp_path / "items.jsonl.rejects.jsonl").read_text().splitlines()]
    assert refused["line"] == 2
    assert llmrec("load", "items", str(path), "--rejects", str(tmp_path / "mine.jsonl"), "--json").code == 3
    assert (tmp_path / "mine.jsonl").exists()


def test_load_from_standard_input(llmrec: Llmrec) -> None:
    text = "".join(json.dumps(row) + "\n" for row in FILMS)
    assert llmrec("load", "items", "-", "--json", stdin=text).json["load"]["written"] == 4
    events = "userId,kind,film\nann,view,m1\n"
    options = ["--map", "userId=user", "--map", "kind=type", "--map", "film=item", "--format", "csv"]
    assert llmrec("load", "events", "-", *options, "--json", stdin=events).json["load"]["written"] == 1


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["items", "nowhere.jsonl"], "no file 'nowhere.jsonl'"),
        (["items", "data"], "'data' is a folder: name one of its files"),
        (["items", "space.json"], "no column 'id'"),
        (["items", "sqlite:///x.db"], "--query"),
        (["items", "-", "--map", "nonsense"], "old=new"),
    ],
)
def test_load_refuses(llmrec: Llmrec, args: list[str], reason: str) -> None:
    assert reason in one_sentence(llmrec("load", *args))


def test_a_wrong_delimiter_shows_in_the_name_of_the_column(llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("id,title\nm1,Chef\n")
    assert "(it has 'id,title')" in one_sentence(llmrec("load", "items", "films.csv", "--delimiter", ";"))


def test_a_list_of_refusals_that_cannot_be_written(llmrec: Llmrec, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("bad\n")
    assert "--rejects" in one_sentence(llmrec("load", "items", str(path), "--rejects", str(tmp_path / "no" / "r")))


@pytest.mark.slow
def test_ctrl_c_and_the_same_command_again(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "items.jsonl", [{"id": f"m{k}"} for k in range(700)])
    upsert, given = Recommender.upsert_items, list[int]()

    def stopping(self: Recommender, batch: list[Item]) -> Receipt:
        if len(given) == 2:
            raise KeyboardInterrupt
        given.append(len(batch))
        return upsert(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "upsert_items", stopping)
        stopped = llmrec("load", "items", path)
    assert stopped.code == 130
    assert "run the same command again" in stopped.err
    kept = json.loads((tmp_path / "items.jsonl.progress.json").read_text())
    assert (kept["done"], kept["qdrant"]) == (512, str(tmp_path / "data"))
    went_on = llmrec("load", "items", path, "--json")
    assert "512" in went_on.err
    assert (went_on.json["load"]["written"], went_on.json["load"]["resumed_after"]) == (188, 512)
    assert went_on.json["status"]["items"] == 700


def test_restart_and_other_targets_begin_anew(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "items.jsonl", FILMS)
    monkeypatch.setattr(loading, "BATCH_ROWS", 2)
    upsert, calls = Recommender.upsert_items, list[int]()

    def stopping(self: Recommender, batch: list[Item]) -> Receipt:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return upsert(self, batch)

    for options in (["--restart"], ["--map", "lang="], ["--tenant", "t"]):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Recommender, "upsert_items", stopping)
            assert llmrec("load", "items", path).code == 130
        assert llmrec("load", "items", path, *options, "--json").json["load"]["resumed_after"] == 0


RATINGS = "userId,movieId,rating,timestamp\n1,m1,4.5,1714521600\n1,m2,2,1714608000\n"


def test_options_name_columns_values_and_formats(llmrec: Llmrec, tmp_path: Path) -> None:
    films = "nr;name;genres;director\n1;Heat;Crime|Drama;Mann\n2;Über;Drama;\n"
    (tmp_path / "films.csv").write_bytes(films.encode("cp1252"))
    options = [
        "--map",
        "nr=id",
        "--map",
        "name=title",
        "--split",
        "genres=|",
        "--text",
        "{title}. {director}",
        "--encoding",
        "cp1252",
    ]
    ran = llmrec("load", "items", "films.csv", *options, "--delimiter", "semicolon", "--dry-run", "--json")
    assert ran.json["stored"] == [
        {"id": "1", "title": "Heat", "text": "Heat. Mann", "genres": ["Crime", "Drama"], "director": "Mann"},
        {"id": "2", "title": "Über", "text": "Über", "genres": ["Drama"]},
    ]
    (tmp_path / "ratings.csv").write_text(RATINGS)
    options = [
        "--map",
        "userId=user",
        "--map",
        "movieId=item",
        "--map",
        "rating=value",
        "--map",
        "timestamp=ts",
        "--set",
        "type=rating",
    ]
    assert llmrec("load", "events", "ratings.csv", *options, "--json").json["load"]["written"] == 2


def test_a_dry_run_stores_nothing_and_needs_no_space(run: Llmrec, llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(RATINGS + "1,m3,high,1714608000\n")
    for ran in (run("load", "events", "ratings.csv", "--format", "movielens", "--dry-run"), llmrec("load", "events", "ratings.csv", "--format", "movielens", "--dry-run")):  # fmt: skip
        assert ran.code == 0, ran.err
        assert "rating → value" in ran.out and "times are Unix seconds" in ran.out and "2024-05-01T00:00:00Z" in ran.out
        assert "line 4 would be refused: Event: 'value'" in ran.out and "nothing was stored" in ran.out
    assert llmrec("status", "--json").json["events"] == 0
    assert not (tmp_path / "ratings.csv.rejects.jsonl").exists()


def test_a_dry_run_shows_what_a_load_stores_and_refuses(run: Llmrec, tmp_path: Path) -> None:
    kinds = {"year": "integer", "price": "float", "seen": "bool", "released": "datetime", "code": "keyword"}
    here = ["--path", "data", "--space", "x"]
    fields = [word for name, kind in kinds.items() for word in ("--field", f"{name}:{kind}")]
    (tmp_path / "space.json").write_text(json.dumps({"model": "hash", "size": 16}))
    assert run("init", *here, "--config", "space.json", *fields).code == 0
    rows = [
        "1 995;9,50 €;Y;17.05.2024;862.0", "nan;1;否;1977;7", "soon;1;Y;1977;7", "1999;12 %;Y;1977;7",
        "1999;1;perhaps;1977;7", "1999;1;Y;32/13/2024;7", ";;;;",
    ]  # fmt: skip
    text = "".join(f"m{at};Film;{row}\n" for at, row in enumerate(rows))
    (tmp_path / "x.csv").write_text(f"id;title;{';'.join(kinds)}\n{text}")
    shown = run("load", "items", "x.csv", *here, "--dry-run", "--json").json
    assert run("load", "items", "x.csv", *here, "--json").code == 3
    refused = [json.loads(line) for line in (tmp_path / "x.csv.rejects.jsonl").read_text().splitlines()]
    assert shown["refused"] == [{"line": row["line"], "reason": row["reason"]} for row in refused]
    assert [row["line"] for row in refused] == [4, 5, 6, 7]
    with Recommender.connect(path=str(tmp_path / "data"), space="x") as rec:
        stored = rec.get_items(["m0", "m1", "m6"])
    assert shown["stored"] == [{"id": item.id, "title": item.title, **item.payload} for item in stored]


def test_what_was_assumed_and_refused_is_said(llmrec: Llmrec, tmp_path: Path) -> None:
    rows = "u;view;m1;05/13/2024\nu;view;m2;\nu;View It;m3;05/01/2024\nu;Look Up;m3;05/01/2024\n"
    (tmp_path / "x.csv").write_text("user;type;item;ts\n" + rows)
    ran = llmrec("load", "events", "x.csv")
    assert ran.code == 3
    assert "a table separated by semicolon; times are month/day/year; times without a zone are in UTC" in ran.err
    assert "1 event has no time: dated by line from 2000-01-01" in ran.out
    assert "2 × Event: 'type'" in ran.out and "(first in line 4)" in ran.out


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--set", "type"], "--set must have the form field=value"), (["--split", "genres="], "column=separator"),
        (["--delimiter", "\n"], "--delimiter"), (["--time-zone", "Nowhere"], "--time-zone 'Nowhere' is not known"),
        (["--time-format", "x"], "--time-format 'x'"), (["--encoding", "x"], "--encoding 'x'"), (["--text", "{a"], "--text"),
        (["--format", "yelp"], "no file of items of yelp"), (["--rejects", "films.csv"], "is the file that is loaded"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used(llmrec: Llmrec, tmp_path: Path, args: list[str], reason: str) -> None:
    (tmp_path / "films.csv").write_text("id,title\n1,Heat\n")
    assert reason in one_sentence(llmrec("load", "items", "films.csv", *args))
    assert (tmp_path / "films.csv").read_text() == "id,title\n1,Heat\n"


def test_a_file_without_rows_fails(llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,title\n")
    assert "no rows below its header" in one_sentence(llmrec("load", "items", "x.csv"))
    (tmp_path / "x.csv").write_text("")
    assert "is empty" in one_sentence(llmrec("load", "items", "x.csv"))


def test_the_last_line_tells_the_time_of_the_whole_command(llmrec: Llmrec, tmp_path: Path) -> None:
    loaded = llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS))
    assert re.fullmatch(r"took [\d.]+ s in all, with encoding and refreshing", loaded.out.splitlines()[-1])
    assert "next: " not in llmrec("init").out
