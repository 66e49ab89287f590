"""The commands that answer with a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmrec_qdrant.contracts.answers import Recommendation
from llmrec_qdrant.operations import judge
from llmrec_qdrant.operations.steps import Steps
from tests.commandline import CLICKS, FILMS, Llmrec, lines, one_sentence


def test_recommend(filled: Llmrec) -> None:
    listed = filled("recommend", "ann", "--limit", "2", "--explain", "--json").json
    assert listed[0]["id"] == "m2"
    assert len(listed) == 2
    assert listed[0]["legs"] and listed[0]["reason"] and listed[0]["payload"] == {"year": 2015, "lang": "en"}
    assert "m1" not in [item["id"] for item in listed]
    everything = [item["id"] for item in filled("recommend", "ann", "--include-seen", "--json").json]
    assert "m1" in everything
    again = {item["id"] for item in filled("recommend", "bob", "--include-last", "--json").json}
    assert "m2" in again and "m1" not in again
    table = filled("recommend", "ann", "--explain").out
    assert "The Martian" in table and "m2" in table
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "\x1b" not in table


def test_weights_and_exclusions(filled: Llmrec) -> None:
    listed = filled("recommend", "ann", "--weights", "tfidf=1", "--explain", "--json").json
    assert {leg for one in listed for leg in one["legs"]} == {"tfidf"}
    ids = [item["id"] for item in filled("recommend", "ann", "--exclude", "m2", "--json").json]
    assert ids and "m2" not in ids
    two = [item["id"] for item in filled("top", "--exclude", 'm2, "m3"', "--json").json]
    assert two and not {"m2", "m3"} & set(two)


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


@pytest.mark.parametrize(
    "command", [["recommend", "ann"], ["top"], ["similar", "m1"], ["search", "astronaut"], ["recommend", "stranger"]]
)
def test_pages(filled: Llmrec, command: list[str]) -> None:
    whole = filled(*command, "--limit", "3", "--json").json
    pages = [filled(*command, "--limit", "1", "--offset", str(offset), "--json").json for offset in range(3)]
    assert [one for page in pages for one in page] == whole != []
    assert "offset" in one_sentence(filled(*command, "--offset", "1000"))


def test_the_body_of_a_request_takes_the_options_of_a_list(filled: Llmrec) -> None:
    excluded = [
        len(filled("request", "ann", *options).json.get("filter", {}).get("must_not", [{"has_id": []}])[0]["has_id"])
        for options in ([], ["--include-last"], ["--include-seen"])
    ]
    assert excluded[0] == excluded[1] + 1 > excluded[2] == 0
    body = filled("request", "ann", "--offset", "2", "--filter", "year>=2010", "--exclude", "m3").json
    assert body["offset"] == 2 and "year" in str(body["filter"])


def test_an_empty_list_says_why(llmrec: Llmrec, tmp_path: Path) -> None:
    for command in (["recommend", "ann"], ["top"], ["search", "x"]):
        assert llmrec(*command).out.endswith("nothing matches\nspace 'main' has no items yet: llmrec load items FILE\n")
        assert llmrec(*command, "--json").json == []
    assert "space 'main' has no items of tenant 'acme' yet" in llmrec("top", "--tenant", "acme").out
    assert llmrec("load", "items", lines(tmp_path / "items.jsonl", FILMS[:1])).code == 0
    assert llmrec("load", "events", lines(tmp_path / "events.jsonl", CLICKS[:1])).code == 0
    assert llmrec("recommend", "ann").out.endswith("what ann has seen is left out; --include-seen lists it, too\n")
    assert llmrec("top", "--filter", "year=1900").out == "top by popularity: nothing matches\n"


@pytest.mark.parametrize("args", [["similar", "nope"], ["similar-users", "nope"]])
def test_what_is_not_there(filled: Llmrec, args: list[str]) -> None:
    assert "'nope'" in one_sentence(filled(*args))


def test_a_search_that_nobody_can_encode_names_what_to_install(filled: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("connect", "cli.watching"):
        monkeypatch.setattr(f"llmrec_qdrant.{module}.inline_available", lambda: False)
    ran = filled("search", "a text that nobody has encoded")
    assert ran.code == 2
    assert "error: the search text cannot be encoded: no broker is set and the workers are not installed" in ran.err


def test_explain_and_why_not(filled: Llmrec) -> None:
    told = filled("explain", "ann", "m2", "--json").json
    parts = [*told["legs"], *told["adjustments"]]
    assert sum(part["contribution"] for part in parts) == pytest.approx(told["score"], abs=1e-4)
    assert told["listed"] and told["legs"][0]["events"][0]["title"] == "Interstellar"
    table = filled("explain", "ann", "m2").out
    assert "Interstellar" in table and "collab" in table
    assert "《Interstellar》" in filled("explain", "ann", "m2", "--chinese").out
    assert filled("why-not", "ann", "m1").out == "m1: 'ann' has seen it\n"
    assert filled("why-not", "ann", "m99", "--json").json["stage"] == "unknown"
    assert "has seen it; explained all the same with --include-seen" in one_sentence(filled("explain", "ann", "m1"))
    assert filled("explain", "ann", "m1", "--include-seen").code == 0


def test_columns_add_up_to_the_score(filled: Llmrec) -> None:
    rows = [line.split() for line in filled("recommend", "ann", "--explain").out.splitlines()]
    (row,) = [row for row in rows if "m2" in row]
    numbers = [float(cell) for cell in row[row.index("m2") + 1 :] if cell != "·"]
    assert sum(numbers[1:]) == pytest.approx(numbers[0], abs=0.003)


def test_a_language_model_orders_the_list_only_where_one_is_set(
    filled: Llmrec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLMREC_LLM_URL", "LLMREC_LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    refused = one_sentence(filled("recommend", "ann", "--rerank", "llm"))
    assert refused.startswith("error: rerank='llm': no language model is set: set LLMREC_LLM_URL and LLMREC_LLM_MODEL")
    assert "'gpt'" in filled("recommend", "ann", "--rerank", "gpt").err
    before = [item["id"] for item in filled("recommend", "ann", "--json").json]
    assert len(before) >= 2
    monkeypatch.setenv("LLMREC_LLM_URL", "http://localhost:9/v1")
    monkeypatch.setenv("LLMREC_LLM_MODEL", "scripted")
    monkeypatch.setattr(judge, "_judged", _reversed)  # tests/adapter/operations/test_judge.py asks a model
    assert [item["id"] for item in filled("recommend", "ann", "--rerank", "llm", "--json").json] == before[::-1]
    assert [item["id"] for item in filled("recommend", "ann", "--json").json] == before


def _reversed(bound: Any, user: str, settings: Any, items: Sequence[Recommendation]) -> Steps[Sequence[Recommendation]]:
    return items[::-1]
    yield
