"""``init``, ``status``, ``reconcile``."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant.cli import reembedding
from tests.commandline import Llmrec, one_sentence


def test_init_is_idempotent_and_adds_fields(llmrec: Llmrec) -> None:
    first = llmrec("init", "--json").json
    assert first["config"]["model"] == "hash"
    assert first["config"]["fields"] == {"year": "integer", "lang": "keyword"}
    assert llmrec("init", "--json").json == first
    more = llmrec("init", "--field", "kind", "--json").json
    assert more["config"]["fields"] == {"year": "integer", "lang": "keyword", "kind": "keyword"}
    shown = llmrec("init")
    assert "year (integer)" in shown.out and "llmrec load items" in shown.out


def test_init_after_a_reembedding_changes_nothing(llmrec: Llmrec) -> None:
    start_up = ("init", "--model", "hash", "--size", "64", "--field", "year:integer", "--json")
    llmrec(*start_up)
    llmrec("init", "--field", "kind", "--json")
    llmrec("reembed", "--size", "32")
    moved = llmrec("init", "--json").json["config"]
    assert moved["size"] == 32 and llmrec(*start_up).json["config"] == moved
    assert moved["fields"] == {"year": "integer", "lang": "keyword", "kind": "keyword"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--model", "other", "--size", "32"],
            "size is 64, not 32): encode it anew with `llmrec reembed --model other --size 32`",
        ),
        (["--pooling", "max"], "'pooling'"),
        (["--field", "year:number"], "'fields.year'"),
        (["--config", "nowhere.json"], "nowhere.json"),
    ],
)
def test_init_refuses(llmrec: Llmrec, options: list[str], reason: str) -> None:
    assert reason in one_sentence(llmrec("init", *options))


def test_init_with_another_model_names_reembed_without_loading_the_model(llmrec: Llmrec) -> None:
    refused = one_sentence(llmrec("init", "--model", "nowhere/such-model"))
    assert "model is 'hash', not 'nowhere/such-model'" in refused
    assert "encode it anew with `llmrec reembed --model nowhere/such-model`" in refused


def test_what_no_option_of_reembed_changes_is_named_as_a_call(llmrec: Llmrec, tmp_path: Path) -> None:
    (tmp_path / "more.json").write_text('{"max_tokens": 17}')
    assert "encode it anew with rec.reembed(max_tokens=17)" in one_sentence(llmrec("init", "--config", "more.json"))


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


def test_cleaning_up_says_what_there_was(filled: Llmrec) -> None:
    assert filled("clean-up", "--yes").out == "nothing to delete: no version is left behind\n"
    filled("reembed", "--size", "32")
    assert filled("clean-up", "--yes").out == "deleted versions: 1\n"


def test_a_reembedding_says_what_it_could_not_encode(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"version": 2, "model": "m", "items_set_aside": 3}
    reembedding._print(result, {}, unchanged=False)
    assert "3 items could not be encoded and were set aside: llmrec failures" in capsys.readouterr().out
    reembedding._print({**result, "items_set_aside": 0}, {}, unchanged=False)
    assert "set aside" not in capsys.readouterr().out


def test_the_argument_that_is_wrong_is_named(filled: Llmrec) -> None:
    assert "rows must be a whole number" in one_sentence(filled("shelves", "ann", "--rows", "0"))
    assert "limit must be a whole number" in one_sentence(filled("shelves", "ann", "--limit", "0"))
    assert "or left out for the data to decide, not 1" in one_sentence(filled("topics", "fit", "--number", "1"))
