"""The command line as people and scripts meet it: what is printed where, and with which exit code."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from llmrec_qdrant import Item, Receipt, Recommender
from llmrec_qdrant.cli import catching_up, main
from llmrec_qdrant.load import loader as loading
from llmrec_qdrant.testing import MemoryQueue
from tests.services import ROOT

FILMS = [
    {"id": "m1", "title": "Interstellar", "text": "astronauts cross a wormhole", "year": 2014, "lang": "en"},
    {"id": "m2", "title": "The Martian", "text": "an astronaut stranded on planet Mars", "year": 2015, "lang": "en"},
    {"id": "m3", "title": "Chef", "text": "a cook opens a food truck", "year": 2014, "lang": "en"},
    {"id": "m4", "title": "流浪地球", "text": "科幻电影：人类推动地球离开太阳系", "year": 2019, "lang": "zh"},
]
CLICKS = [
    {"user": "ann", "item": "m1", "type": "like", "ts": 1_700_000_000},
    {"user": "ann", "type": "search", "text": "astronaut on Mars", "ts": 1_700_000_100},
    {"user": "bob", "item": "m1", "type": "view", "ts": 1_700_000_000},
    {"user": "bob", "item": "m2", "type": "view", "ts": 1_700_000_200},
]


@dataclass
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Llmrec = Callable[..., Ran]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("QDRANT_URL", "PATH", "SPACE", "BROKER", "API_KEY", "TENANT"):
        monkeypatch.delenv(f"LLMREC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Llmrec:
    """``llmrec`` in this process: a new process costs a second each time."""

    def call(*args: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["llmrec", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as left:
                main.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ran(int(left.value.code or 0), out, err)

    return call


@pytest.fixture
def llmrec(run: Llmrec, tmp_path: Path) -> Llmrec:
    """``llmrec`` on an embedded Qdrant with a space named main."""
    where = ["--path", str(tmp_path / "data")]
    config = tmp_path / "space.json"
    config.write_text(json.dumps({"model": "hash", "size": 64, "fields": {"year": "integer"}}))
    made = run("init", *where, "--config", str(config), "--field", "lang:keyword", "--json")
    assert made.code == 0, made.err
    return lambda *args, **more: run(*args, *where, **more)


@pytest.fixture
def filled(llmrec: Llmrec, tmp_path: Path) -> Llmrec:
    assert llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS)).code == 0
    assert llmrec("load", "events", lines(tmp_path / "events.jsonl", CLICKS)).code == 0
    return llmrec


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def one_sentence(ran: Ran, code: int = 1) -> str:
    """The only line on standard error, with nothing on standard output."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    (line,) = ran.err.strip().splitlines()
    return line


# --- the space -----------------------------------------------------------------------------------


def test_init_is_idempotent_and_adds_fields(llmrec: Llmrec) -> None:
    first = llmrec("init", "--json").json
    assert first["config"]["model"] == "hash"
    assert first["config"]["fields"] == {"year": "integer", "lang": "keyword"}
    assert llmrec("init", "--json").json == first
    more = llmrec("init", "--field", "kind", "--json").json
    assert more["config"]["fields"] == {"year": "integer", "lang": "keyword", "kind": "keyword"}
    shown = llmrec("init")
    assert "year (integer)" in shown.out and "llmrec load items" in shown.out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "other", "--size", "32"], "size 64 ≠ 32"),
        (["--pooling", "max"], "'pooling'"),
        (["--field", "year:number"], "'fields.year'"),
        (["--config", "nowhere.json"], "nowhere.json"),
    ],
)
def test_init_refuses(llmrec: Llmrec, options: list[str], reason: str) -> None:
    assert reason in one_sentence(llmrec("init", *options))


def test_init_finds_the_size_of_a_model(run: Llmrec) -> None:
    made = run("init", "--path", "d", "--space", "s", "--model", "hash", "--size", "32", "--json").json
    assert (made["config"]["size"], made["status"]["space"]) == (32, "s")


def test_status_counts(filled: Llmrec) -> None:
    found = filled("status", "--json").json
    assert {name: found[name] for name in ("items", "users", "events", "texts")} == {
        "items": 4, "users": 2, "events": 4, "texts": 1,
    }  # fmt: skip
    assert [found[name] for name in ("items_stale", "users_stale", "texts_stale", "events_unfolded")] == [0] * 4
    assert "4" in filled("status").out


# --- loading -------------------------------------------------------------------------------------


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
        (["items", "space.json"], "--format"),
        (["items", "sqlite:///x.db"], "--query"),
        (["items", "-", "--map", "nonsense"], "old=new"),
    ],
)
def test_load_refuses(llmrec: Llmrec, args: list[str], reason: str) -> None:
    assert reason in one_sentence(llmrec("load", *args))


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


def test_without_a_worker_the_work_is_stored(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.connect.inline_available", lambda: False)
    began = time.monotonic()
    ran = llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS), "--json")
    assert ran.code == 0
    assert time.monotonic() - began < 5  # nobody to wait for
    assert ran.json["status"]["items_stale"] == 4
    notices = ran.err.strip().splitlines()
    assert 1 <= len(notices) == len(set(notices))  # each once
    assert all(one.startswith("note: ") for one in notices)
    assert "warnings.warn" not in ran.err


def test_waiting_ends_when_nothing_moves(llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.recommender.open_queue", lambda *_: MemoryQueue())
    monkeypatch.setattr(catching_up, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(catching_up, "POLL_SECONDS", 0.05)
    path = lines(tmp_path / "items.jsonl", FILMS)
    ran = llmrec("load", "items", path)
    assert ran.code == 0
    assert "no worker seems to run" in ran.err and "`llmrec worker`" in ran.err
    assert "no worker" not in llmrec("load", "items", path, "--no-wait").err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert llmrec("reconcile", "--json").json["items_stale"] == 0


# --- lists ---------------------------------------------------------------------------------------


def test_recommend(filled: Llmrec) -> None:
    listed = filled("recommend", "ann", "--limit", "2", "--explain", "--json").json
    assert listed[0]["id"] == "m2"
    assert len(listed) == 2
    assert listed[0]["legs"] and listed[0]["reason"] and listed[0]["payload"] == {"year": 2015, "lang": "en"}
    assert "m1" not in [one["id"] for one in listed]
    everything = [one["id"] for one in filled("recommend", "ann", "--include-seen", "--json").json]
    assert "m1" in everything
    again = {one["id"] for one in filled("recommend", "bob", "--include-last", "--json").json}
    assert "m2" in again and "m1" not in again
    table = filled("recommend", "ann", "--explain").out
    assert "The Martian" in table and "m2" in table
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "\x1b" not in table


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["year>=2015"], {"m2", "m4"}),
        (["year>2014", "year<2016"], {"m2"}),
        (["lang=zh"], {"m4"}),
        (["lang!=zh", "year=2014"], {"m1", "m3"}),
        (["year=2015,2019"], {"m2", "m4"}),
        (["year=2015", "year=2019"], {"m2", "m4"}),
        (['{"year": {"gte": 2019}}'], {"m4"}),
        (['{"must": [{"key": "lang", "match": {"value": "zh"}}]}'], {"m4"}),
    ],
)
def test_filters(filled: Llmrec, filters: list[str], expected: set[str]) -> None:
    options = [part for one in filters for part in ("--filter", one)]
    listed = filled("recommend", "nobody", *options, "--json").json
    assert {one["id"] for one in listed} == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--filter", "year"], "field=value"),
        (["--filter", "{"], "not JSON"),
        (["--filter", "year=soon"], "'soon'"),
        (["--filter", "genre=x"], "llmrec init --field genre"),
        (["--weights", "dense"], "leg=number"),
        (["--weights", "bm25=1"], "'bm25'"),
        (["--limit", "0"], "limit"),
        (["--diversity", "2"], "diversity"),
    ],
)
def test_options_that_cannot_be_read(filled: Llmrec, options: list[str], reason: str) -> None:
    assert reason in one_sentence(filled("recommend", "ann", *options))


def test_weights_and_exclusions(filled: Llmrec) -> None:
    listed = filled("recommend", "ann", "--weights", "tfidf=1", "--explain", "--json").json
    assert {leg for one in listed for leg in one["legs"]} == {"tfidf"}
    ids = [one["id"] for one in filled("recommend", "ann", "--exclude", "m2", "--json").json]
    assert ids and "m2" not in ids


def test_an_unknown_user_gets_popular_items_and_is_told(filled: Llmrec) -> None:
    ran = filled("recommend", "stranger")
    assert ran.code == 0
    above, table = ran.out.split("for stranger")
    assert above.startswith("Popular: there are no events of 'stranger' yet")
    assert "Interstellar" in table
    assert filled("recommend", "stranger", "--json").json[0]["reason"].startswith("popular")


def test_similar_search_request(filled: Llmrec) -> None:
    assert filled("top", "--limit", "1", "--json").json[0]["reason"] == "by popularity"
    assert "popularity" in filled("top", "--by", "year").out  # what the number in the list is
    assert filled("similar", "m1", "--json").json[0]["id"] == "m2"
    assert filled("similar-users", "ann", "--json").json[0]["id"] == "bob"
    assert filled("search", "科幻电影", "--json").json[0]["id"] == "m4"
    assert filled("search", "astronaut", "--user", "ann", "--json").json
    body = filled("request", "ann", "--limit", "3").json
    assert body["limit"] == 3
    assert {one["lookup_from"]["collection"] for one in body["prefetch"]} == {"main_users"}
    assert "The Martian" in filled("similar", "m1").out
    assert "bob" in filled("similar-users", "ann").out
    assert "流浪地球" in filled("search", "科幻电影").out


@pytest.mark.parametrize("args", [["similar", "nope"], ["similar-users", "nope"]])
def test_what_is_not_there(filled: Llmrec, args: list[str]) -> None:
    assert "'nope'" in one_sentence(filled(*args))


def test_names_are_shown_as_they_are(llmrec: Llmrec, tmp_path: Path) -> None:
    """Square brackets are markup to the library that draws the tables."""
    rows = [{"id": "[/red]", "title": "[bold]Heat[/nope]"}, {"id": "x", "title": "[red]"}]
    llmrec("load", "items", lines(tmp_path / "[a].jsonl", rows))
    llmrec("load", "events", "-", stdin='{"user": "[/u]", "type": "view", "item": "x"}\n')
    for ran in (llmrec("recommend", "[/u]"), llmrec("recommend", "[/stranger]"), llmrec("search", "[/heat]")):
        assert ran.code == 0, ran.err
    assert "[bold]Heat[/nope]" in llmrec("recommend", "[/u]").out
    assert "[/red]" in llmrec("recommend", "[/u]").out
    assert "[/nope]" in one_sentence(llmrec("similar", "[/nope]"))


def test_delete_and_forget(filled: Llmrec) -> None:
    assert filled("delete", "m3", "nope", "--json").json == {"deleted": 1}
    asked = filled("forget", "ann", stdin="n\n")
    assert asked.code == 1
    assert filled("status", "--json").json["events"] == 4
    assert filled("forget", "ann", "--yes", "--json").json == {"events": 2}
    assert "2 events" in filled("forget", "bob", stdin="y\n").out
    found = filled("status", "--json").json
    assert (found["users"], found["events"], found["items"]) == (0, 0, 3)


# --- where, and what goes wrong ------------------------------------------------------------------


def test_no_address(run: Llmrec) -> None:
    line = one_sentence(run("status"))
    assert "--url" in line and "LLMREC_QDRANT_URL" in line and "--path" in line


def test_both_addresses(run: Llmrec, tmp_path: Path) -> None:
    assert "either" in one_sentence(run("init", "--url", "http://localhost:1", "--path", str(tmp_path)))


def test_a_folder_that_is_not_there_is_not_made(run: Llmrec, tmp_path: Path) -> None:
    assert "no folder" in one_sentence(run("status", "--path", str(tmp_path / "typo")))
    assert not (tmp_path / "typo").exists()


def test_a_space_that_is_not_there(llmrec: Llmrec) -> None:
    assert "llmrec init --space shop" in one_sentence(llmrec("status", "--space", "shop"))
    assert "space name" in one_sentence(llmrec("status", "--space", "a/b"))


def test_the_environment_names_it_and_options_come_first(
    llmrec: Llmrec, run: Llmrec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_PATH", str(tmp_path / "data"))
    assert run("status", "--json").json["space"] == "main"
    monkeypatch.setenv("LLMREC_SPACE", "shop")
    assert "'shop'" in one_sentence(run("status"))
    assert run("status", "--space", "main").code == 0
    monkeypatch.setenv("LLMREC_QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("LLMREC_PATH")
    assert llmrec("status", "--space", "main").code == 0  # --path replaces the server of the environment


def test_a_dead_qdrant(run: Llmrec) -> None:
    line = one_sentence(run("status", "--url", "http://127.0.0.1:1", "--api-key", "hunter2"))
    assert "Qdrant does not answer" in line
    assert "hunter2" not in line


def test_not_a_url(run: Llmrec) -> None:
    assert "http://" in one_sentence(run("status", "--url", "localhost:6333"))


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["llmrec", "status", "--debug"])
    with pytest.raises(Exception, match="no Qdrant is named"):
        main.main()


@pytest.mark.parametrize(
    "args", [["recomend"], ["recommend"], ["recommend", "ann", "--limit", "many"], ["load", "films"]]
)
def test_wrong_usage(run: Llmrec, args: list[str]) -> None:
    ran = run(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, run: Llmrec) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "llmrec_qdrant.cli.app")
    ran = run("status")
    assert ran.code == 2
    assert "pip install 'llmrec-qdrant[cli]'" in ran.err


# --- help ----------------------------------------------------------------------------------------

COMMANDS = [
    ["init"], ["load", "items"], ["load", "events"], ["recommend"], ["similar"], ["similar-users"], ["search"],
    ["status"], ["request"], ["reconcile"], ["forget"], ["delete"], ["demo"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(run: Llmrec, command: list[str]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    plain = re.sub(r"\s+", " ", ran.out)
    assert f"llmrec {' '.join(command)}" in plain
    assert "Example" in plain


def test_help_names_the_environment_and_the_exit_codes(run: Llmrec) -> None:
    shown = re.sub(r"\s+", " ", run("--help").out)
    for word in ("LLMREC_QDRANT_URL", "LLMREC_SPACE", "LLMREC_API_KEY", "Exit codes", "llmrec demo"):
        assert word in shown
    assert {one[0] for one in COMMANDS} <= set(re.findall(r"[a-z-]+", shown))


# --- as a process --------------------------------------------------------------------------------


@pytest.mark.slow
def test_as_a_process(tmp_path: Path) -> None:
    """Standard output is the document, whatever libraries print elsewhere."""
    lines(tmp_path / "items.jsonl", FILMS)
    where = ["--path", "data", "--json"]
    for args in (["init", "--model", "hash", "--size", "32"], ["load", "items", "items.jsonl"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-m", "llmrec_qdrant.cli", *args, *where],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert done.stderr == ""


@pytest.mark.qdrant
def test_on_a_server(run: Llmrec, qdrant_url: str, tmp_path: Path) -> None:
    from tests.spaces import drop, fresh_name

    where = ["--url", qdrant_url, "--space", fresh_name(), "--json"]
    try:
        assert run("init", "--model", "hash", "--size", "32", *where).code == 0
        loaded = run("load", "items", lines(tmp_path / "items.jsonl", FILMS), *where)
        assert loaded.json["status"]["items"] == 4
        assert run("load", "events", lines(tmp_path / "events.jsonl", CLICKS), *where).code == 0
        assert run("recommend", "ann", *where).json[0]["id"] == "m2"
    finally:
        drop(Recommender.connect(qdrant_url, space=where[3]))


@pytest.mark.model
@pytest.mark.slow
def test_the_demo(run: Llmrec, tmp_path: Path) -> None:
    if not (ROOT / "examples" / "items.jsonl").is_file():
        pytest.skip("the sample data is not in this checkout")
    ran = run("demo", "--folder", str(tmp_path / "demo"))
    assert ran.code == 0, ran.err
    assert max(len(line) for line in ran.out.splitlines()) <= 100
    for words in ("strongest words", "similar items", "search", "Popular", "llmrec init --url"):
        assert words in ran.out


def test_evaluate_gives_a_row_per_way_to_recommend(filled: Llmrec) -> None:
    found = filled("evaluate", "--users", "10", "--json").json
    assert found["users"] == 1  # of ann and bob only bob took two items
    assert [row["name"] for row in found["rows"]][:5] == [
        "recommend",
        "dense alone",
        "tfidf alone",
        "collab alone",
        "most popular",
    ]
    assert all(0 <= row["ndcg"] <= row["hr"] <= 1 for row in found["rows"])
    shown = filled("evaluate", "--split", "last", "--hide", "1").out
    assert "NDCG" in shown and "diversity" in shown and "…" not in shown


def test_evaluate_refuses_what_cannot_be_hidden(filled: Llmrec) -> None:
    assert "a number of items, 1 or more, not 0.5" in one_sentence(filled("evaluate", "--hide", "0.5"))
    assert "between 0 and 1, not 2" in one_sentence(filled("evaluate", "--split", "time", "--hide", "2"))
    for odd in ("nan", "inf", "0", "-1"):
        assert f"1 or more, not {odd}" in one_sentence(filled("evaluate", "--hide", odd))
    assert "hide less" in one_sentence(filled("evaluate", "--hide", "50"))


def test_tune_says_how_many_users_it_takes(filled: Llmrec) -> None:
    assert "takes 40 or more" in one_sentence(filled("tune"))
    assert filled("tune", "--users", "39").code == 2


def test_evaluate_says_what_is_missing(llmrec: Llmrec) -> None:
    assert "no user who took two items" in one_sentence(llmrec("evaluate"))


def test_train_teaches_before_it_is_used(run: Llmrec) -> None:
    """What the methods are, what becomes of the space, and what to do next."""
    shown = " ".join(run("train", "--help").out.split())
    for said in (
        "towers",
        "encoder",
        "texts",
        "minutes on a CPU",
        "kept but not offered",
        "llmrec reembed --model",
        "rollback",
    ):
        assert said in shown, said


@pytest.mark.slow
def test_train_makes_a_version_that_models_lists_and_reembed_takes(
    llmrec: Llmrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    assert "nothing was trained yet" in llmrec("models").out
    assert "takes 40 or more" in llmrec("train").out
    items = [{"id": f"i{k}", "title": f"word{k} other{k % 5}"} for k in range(40)]
    events = [
        {"user": f"u{n}", "item": f"i{(n + 7 * step) % 40}", "type": "view", "ts": 1_700_000_000 + 86_400 * step}
        for n in range(60) for step in range(4)
    ]  # fmt: skip
    for kind, rows in (("items", items), ("events", events)):
        (tmp_path / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert llmrec("load", kind, str(tmp_path / f"{kind}.jsonl")).code == 0
    job = llmrec("train", "--epochs", "1", "--users", "60", "--json").json
    assert (job["stage"], job["version"]) == ("done", "main-towers-1")
    assert llmrec("train", "--status", "--json").json == job
    (listed,) = llmrec("models", "--json").json
    assert listed["name"] == "main-towers-1" and listed["offered"] is True and listed["live"] is False
    assert "main-towers-1" in llmrec("models").out
    assert llmrec("reembed", "--model", "main-towers-1", "--json").json["state"] == "live"
    assert llmrec("models", "--json").json[0]["live"] is True
    before, after = (listed["metrics"][name] for name in ("leg weights before", "leg weights"))
    assert llmrec("init", "--json").json["config"]["weights"] == after != before
    again = llmrec("reembed", "--model", "main-towers-1", "--json").json
    assert again["version"] == 2  # it is there: nothing is deleted
    assert llmrec("recommend", "u1", "--json").json
    assert llmrec("rollback").code == 0
    assert llmrec("init", "--json").json["config"]["weights"] == before
