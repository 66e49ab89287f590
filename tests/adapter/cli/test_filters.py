"""``--filter`` and ``--weights``, as people write them."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from llmrec_qdrant.cli.filters import parse_filter
from tests.commandline import Llmrec, one_sentence


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
        (["--filter", "year=="], "'' is not a number"),
        (["--filter", "=2014"], "field=value"),
        (["--filter", 'lang="zh'], "quotes"),
        (["--filter", "{"], "not valid JSON"),
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


@pytest.mark.parametrize(
    "key", ["colour", "a key", "director.name", "cast[].role", '"odd.key"', "title", "text", "语言", "it's"]
)
def test_every_command_that_a_refusal_advises_runs(filled: Llmrec, key: str) -> None:
    quoted = key if re.fullmatch(r"[\w.\[\]]+", key) else f'"{key}"' if '"' not in key else key
    refused = filled("top", "--filter", f"{quoted}=x")
    assert refused.code == 1
    advised = re.findall(r"`llmrec ([^`]+)`", refused.err)
    assert advised
    for command in advised:
        assert filled(*shlex.split(command)).code == 0
    sign = "~" if key in {"title", "text"} else "="
    assert filled("top", "--filter", f"{quoted}{sign}x").code == 0


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["year>=2000"], {"year": {"gte": "2000"}}),
        (["genre=a,b"], {"genre": {"any": ["a", "b"]}}),
        (['genre="Action, Adventure",Drama'], {"genre": {"any": ["Action, Adventure", "Drama"]}}),
        (['name="say ""hi"" <now>"'], {"name": {"any": ['say "hi" <now>']}}),
        (["name=a b"], {"name": {"any": ["a b"]}}),
        (["price=9.99,19.99"], {"price": {"any": ["9.99", "19.99"]}}),
        (["price<9.99", "price>1"], {"price": {"lt": "9.99", "gt": "1"}}),
        (["released>=2024-05"], {"released": {"gte": "2024-05"}}),
        (["title~two words, and more"], {"title": {"text": "two words, and more"}}),
        (["title!~word"], {"title": {"not": {"text": "word"}}}),
        (["sequel"], {"sequel": {"exists": True}}),
        (["!sequel"], {"sequel": {"exists": False}}),
        (["year==2014"], {"year": {"any": ["2014"]}}),
        (["year＞＝２０１４", "year≤2015"], {"year": {"gte": "２０１４", "lte": "2015"}}),
        (["year=>2014", "year=<2015"], {"year": {"gte": "2014", "lte": "2015"}}),
        (["genre＝剧情，喜剧"], {"genre": {"any": ["剧情，喜剧"]}}),
        (["genre≠drama"], {"genre": {"not": ["drama"]}}),
        (["genre<>drama"], {"genre": {"not": ["drama"]}}),
        (["title～words", "title！～word"], {"title": {"text": "words", "not": {"text": "word"}}}),
        (["！sequel"], {"sequel": {"exists": False}}),
        (['genre="=x"'], {"genre": {"any": ["=x"]}}),
        (["genre="], {"genre": {"any": [""]}}),
        (["url=a=b"], {"url": {"any": ["a=b"]}}),
        (['"odd=key">=5'], {'"odd=key"': {"gte": "5"}}),
        (["cast[].name!=Li"], {"cast[].name": {"not": ["Li"]}}),
        (["lang!=zh", "lang!=en"], {"must": [{"lang": {"not": ["zh"]}}, {"lang": {"not": ["en"]}}]}),
        (["year=2014", "year=2015", "year!=2016"], {"year": {"any": ["2014", "2015"], "not": ["2016"]}}),
        (['{"should": [{"year": 2014}, {"lang": "zh"}]}'], {"should": [{"year": 2014}, {"lang": "zh"}]}),
    ],
)
def test_the_syntax_of_conditions(parts: list[str], expected: dict[str, Any]) -> None:
    assert parse_filter(parts) == expected


VALUES: dict[str, tuple[str, Any]] = {
    "adult": ("bool", True), "price": ("float", 9.99), "released": ("datetime", "2024-05-17"), "genre": ("keyword", "a, b"),
    "blurb": ("text", "Two words"), "pages": ("integer", 300),
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("adult=1", True), ("adult=yes", True), ("adult=true", True), ("adult=0", False), ("adult=no", False), ("adult!=no", True),
        ("price=9.99", True), ("price=9.99,5", True), ("price=5,6.5", False), ("price<9.99", False), ("price<=９．９９", True),
        ("released=2024-05", True), ("released>=2024-05", True), ("released>2024-05", False), ("released<=2024", True),
        ("released<2024-05-17", False), ("pages=300.0", True), ("pages=３００", True), ("pages>299.5", True),
        ('genre="a, b"', True), ("genre=a, b", False), ("blurb~WORDS", True), ("blurb!~words", False), ("blurb~word", False),
        ("pages", True), ("!pages", False),
    ],
)  # fmt: skip
def test_values_are_read_by_the_kind_of_the_field(filled: Llmrec, condition: str, matches: bool) -> None:
    options = [part for name, (kind, _) in VALUES.items() for part in ("--field", f"{name}:{kind}")]
    assert filled("init", *options).code == 0
    row = {"id": "new", "title": "new", **{name: value for name, (_, value) in VALUES.items()}}
    with open("new.jsonl", "w", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")
    assert filled("load", "items", "new.jsonl").code == 0
    listed = filled("top", "--filter", condition, "--json").json
    assert ("new" in {item["id"] for item in listed}) == matches


@pytest.mark.parametrize(
    "text", ["year:2014", "year：2014", "year in 2014", "year, genre", "year & genre", "year|genre", "=5", ""]
)
def test_a_condition_without_an_operator_is_refused(filled: Llmrec, text: str) -> None:
    ran = filled("top", "--filter", text)
    assert ran.code == 1 and "--filter must be field=value" in ran.err


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ("price<5", "integer"), ("price<5.5", "float"), ("released>=2024-05", "datetime"), ("blurb~words", "text"),
        ("tag=a", "keyword"), ("pages=7", "integer"), ("pages=7,8.5", "float"), ("!tag", "keyword"),
    ],
)  # fmt: skip
def test_the_kind_that_a_refusal_advises_answers_the_condition(filled: Llmrec, condition: str, kind: str) -> None:
    refused = filled("top", "--filter", condition)
    (advised,) = re.findall(r"`llmrec (init [^`]+)`", refused.err)
    assert advised.endswith(f":{kind}")
    assert filled(*shlex.split(advised)).code == 0
    assert filled("top", "--filter", condition).code == 0


def test_a_field_that_no_item_has_is_said(filled: Llmrec) -> None:
    filled("init", "--field", "genre:keyword")
    ran = filled("top", "--filter", "genre=x", "--json")
    assert ran.json == [] and "has a value in 'genre'" in ran.err
