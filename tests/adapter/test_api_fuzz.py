"""Whatever is passed to a public method, only errors of this package come out, and the space stays as it can be read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant import Event, InvalidInput, Item, LlmrecError, Recommender, SpaceConfig
from tests.adapter.test_public_surface import public_names
from tests.spaces import fresh_name

VALID: dict[str, Any] = {
    "user": "ann", "users": ["ann"], "item": "i1", "ids": ["i1"], "items": [{"id": "i1"}], "events": [{"user": "ann", "type": "view", "item": "i1"}],
    "topic": "1", "topics": ["1", "2"], "label": "Label", "text": "rocket", "positive": ["i1"], "id": "train-1", "url": "http://127.0.0.1:9", "config": None,
    "on_progress": lambda *_: None, "changes": {},
    "result": {"rows": [{"name": "recommend", "hr": 0.5, "ndcg": 0.25, "low": 0.125, "high": 0.5}]},
}  # fmt: skip
"""Parameter without a default → a value that may be passed."""

NOT_CALLED = {"close", "connect", "from_env", "client", "space", "config", "watch"}

CYCLE: list[Any] = []
CYCLE.append(CYCLE)

ODD: list[Any] = [
    None, "", " ", "x" * 70_000, "\ud800", "a\x00b", "\u202ebidi", "'; DROP TABLE", "../../etc/passwd", "NaN", "１", True, False, 0, -1, 1, 3, 10**30,
    2**63, -(2**63), 0.5, -0.0, float("nan"), float("inf"), 1e308, 1j, b"bytes", bytearray(b"x"), object(), type, len, ..., NotImplemented,
    [], {}, (), set(), [None], [[]], [{}], [1, "a", None], {"a": None}, {1: 2}, {"": ""}, {"must": []}, {"must": 5}, {"year": {"gte": {}}},
    {"year": float("nan")}, {"year": [object()]}, {"id": None}, [{"id": {}}], [{"id": "x", "payload": CYCLE}], CYCLE, [CYCLE], range(3),
    iter([]), (part for part in "ab"), np.array([1.0]), np.array("x"), np.int64(7), np.float32("nan"), np.datetime64("NaT"), Decimal("NaN"),
    date(2024, 5, 1), datetime(2024, 5, 1), Item(id="i1"), Event(user="ann", type="view", item="i1"), models.Filter(), models.Filter(must=[]),
    SpaceConfig(model="hash", size=8), {"model": 5}, {"size": "big"}, {"fields": {"a": "b"}}, {"weights": {"dense": -1}}, {"dense": float("nan")},
    {"dense": 0}, {"nope": 1}, "auto", "but_last", "live", "towers", lambda: 1, Exception("x"),
]  # fmt: skip


@pytest.fixture(scope="module")
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as made:
        made.create({"model": "hash", "size": 8, "fields": {"year": "integer"}})
        made.upsert_items([Item(id=f"i{n}", title=f"space rocket {n}", payload={"year": n}) for n in range(12)])
        made.track([Event(user="ann", item=f"i{n}", type="like", ts=1_700_000_000 + n) for n in range(4)])
        made.fit_topics(2)
        yield made


def methods() -> dict[str, inspect.Signature]:
    names = set(public_names(Recommender)) - NOT_CALLED
    return {name: inspect.signature(getattr(Recommender, name)) for name in sorted(names)}


def parameters(signature: inspect.Signature) -> dict[str, inspect.Parameter]:
    return {name: parameter for name, parameter in signature.parameters.items() if name != "self"}


def called(rec: Recommender, name: str, given: dict[str, Any]) -> None:
    """Call a method with some arguments, and valid ones for those that it needs besides."""
    signature = methods()[name]
    needed = {
        one.name: VALID[one.name]
        for one in parameters(signature).values()
        if one.default is inspect.Parameter.empty and one.kind is not inspect.Parameter.VAR_KEYWORD
    }
    answer: Any = getattr(rec, name)(**{**needed, **given})
    if inspect.isgenerator(answer):
        list(answer)


def test_every_needed_parameter_has_a_valid_value() -> None:
    for signature in methods().values():
        for one in parameters(signature).values():
            assert one.default is not inspect.Parameter.empty or one.name in VALID, one


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", methods())
def test_odd_arguments(rec: Recommender, name: str) -> None:
    before = rec.config
    for parameter in parameters(methods()[name]):
        for value in ODD:
            try:
                called(rec, name, {parameter: value})
            except LlmrecError as error:
                assert str(error).strip() and len(str(error)) < 2_000, (parameter, value)
            except TypeError as error:  # a keyword that the method does not have: **changes
                assert "unexpected keyword" in str(error), (parameter, value, error)
    rec.create({**before.model_dump(), "model": rec.config.model, "size": rec.config.size})
    assert rec.status().items >= 0 and rec.recommend("ann", 1) is not None


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_odd_arguments_together(rec: Recommender, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(methods().keys() - {"train", "tune", "reembed"})))
    taken = parameters(methods()[name])
    chosen = data.draw(st.lists(st.sampled_from(sorted(taken)), unique=True, max_size=4)) if taken else []
    given_values = {parameter: ODD[data.draw(st.integers(0, len(ODD) - 1))] for parameter in chosen}
    try:
        called(rec, name, given_values)
    except LlmrecError:
        pass
    except TypeError as error:
        assert "unexpected keyword" in str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("parameter", ["url", "space", "path", "broker", "tenant", "api_key"])
def test_odd_connections(parameter: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ODD:
        arguments: dict[str, Any] = {"path": ":memory:", "space": "x", parameter: value}
        if parameter == "url":
            arguments["path"] = None
        if parameter == "broker" and isinstance(value, str) and len(value) > 1_000:
            continue
        try:
            with Recommender.connect(**arguments):
                pass
        except LlmrecError as error:
            assert str(error).strip(), value


def test_a_space_of_the_fuzz_is_refused_with_a_sentence(rec: Recommender) -> None:
    """The table above holds what was once an error of another package."""
    with pytest.raises(InvalidInput, match="an id must be a text"):
        rec.get_items([["i1"]])  # type: ignore[list-item]
