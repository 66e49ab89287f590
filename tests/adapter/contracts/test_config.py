"""The configuration of a space: defaults, names of encoders, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmrec_qdrant import InvalidInput, Item, SpaceConfig
from llmrec_qdrant.contracts.config import STEMMERS


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


def test_the_defaults_of_a_space() -> None:
    config = SpaceConfig()
    assert config.encoder_id == "sentence-transformers/all-MiniLM-L6-v2 (384 dimensions, max 256 tokens, mean)"
    assert (config.size, config.half_life_days, config.position_decay, config.history) == (384, 30.0, 0.6, 100)
    assert config.weights == {"dense": 1.0, "tfidf": 1.0, "collab": 2.0}
    assert SpaceConfig(revision="abc", pooling="cls").encoder_id == (
        "sentence-transformers/all-MiniLM-L6-v2@abc (384 dimensions, max 256 tokens, cls)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"revision": "abc"},
        {"pooling": "cls"},
        {"size": 256},
        {"max_tokens": 384},
        {"similarity": "pearson"},
        {"stemmer": "german"},
    ],
    ids=str,
)
def test_whatever_changes_the_vectors_changes_their_name(change: dict[str, Any]) -> None:
    assert change.keys() <= set(SpaceConfig.IDENTITY)
    assert SpaceConfig(**change).encoder_id != SpaceConfig().encoder_id
    assert SpaceConfig(half_life_days=1).encoder_id == SpaceConfig().encoder_id


def test_defaults_are_not_shared() -> None:
    SpaceConfig().weights["dense"] = 9
    SpaceConfig().event_weights["view"] = 9
    Item(id="a").payload["b"] = 1
    assert (SpaceConfig().weights["dense"], SpaceConfig().event_weights["view"], Item(id="a").payload) == (1.0, 1.0, {})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": 0}, "SpaceConfig: 'size': input should be greater than or equal to 1 (got 0)"),
        ({"prefetch": 10_001}, "SpaceConfig: 'prefetch': input should be less than or equal to 10000 (got 10001)"),
        (
            {"rating_scale": (5, 1)},
            "SpaceConfig: rating_scale must be a lower and a higher finite number, not (5.0, 1.0)",
        ),
        (
            {"rating_scale": (3, 3)},
            "SpaceConfig: rating_scale must be a lower and a higher finite number, not (3.0, 3.0)",
        ),
        (
            {"rating_scale": (math.nan, 1)},
            "SpaceConfig: rating_scale must be a lower and a higher finite number, not (nan, 1.0)",
        ),
        (
            {"event_weights": {"view": math.inf}},
            "SpaceConfig: event_weights must be finite, not {'view': inf}",
        ),
        (
            {"weights": {}},
            "SpaceConfig: weights must be zero or more, and at least one above zero, not {}",
        ),
        (
            {"weights": {"dense": 0}},
            "SpaceConfig: weights must be zero or more, and at least one above zero, not {'dense': 0.0}",
        ),
        (
            {"weights": {"x": 1}},
            "SpaceConfig: 'weights.x.[key]': input should be 'dense', 'tfidf' or 'collab' (got 'x')",
        ),
        (
            {"fields": {"text": "keyword", '"tenant"': "keyword", "item_id": "keyword"}},
            "SpaceConfig: 'fields': the fields ['item_id', 'tenant', 'text'] are reserved, and indexed already where they can be "
            "filtered: leave them out",
        ),
        (
            {"fields": {"bookkeeping.stale": "bool", "year": "integer"}},
            "SpaceConfig: 'fields': the fields ['bookkeeping.stale'] are reserved, and indexed already where they can be filtered: "
            "leave them out",
        ),
        ({"similarity": "dot"}, "SpaceConfig: 'similarity': input should be 'cosine' or 'pearson' (got 'dot')"),
        ({"half_life": 1}, "SpaceConfig: 'half_life': extra inputs are not permitted (got 1)"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_setting_that_makes_no_sense_is_refused(fields: dict[str, Any], sentence: str) -> None:
    assert refusal(SpaceConfig, **fields) == sentence


@pytest.mark.parametrize("number", [math.inf, math.nan], ids=str)
def test_a_half_life_is_finite(number: float) -> None:
    """Infinity cannot be stored as JSON, so such a space could never be opened again."""
    assert refusal(SpaceConfig, half_life_days=number).startswith("SpaceConfig: 'half_life_days': ")


@pytest.mark.parametrize("name", ["", " ", "a[", "a]b", "a..b", ".a", "[0]", 'a"b', '""', '"a'])
def test_a_field_that_qdrant_cannot_index_is_refused(name: str) -> None:
    assert refusal(SpaceConfig, fields={name: "keyword"}).startswith("SpaceConfig: 'fields")


@pytest.mark.parametrize("name", ["year", "director.name", "cast[].name", "语言", "a-b_c2", '"a b"'])
def test_a_field_is_a_path_of_qdrant(name: str) -> None:
    assert SpaceConfig(fields={name: "keyword"}).fields == {name: "keyword"}


def test_a_model_has_a_name() -> None:
    assert refusal(SpaceConfig, model="").startswith("SpaceConfig: 'model': ")


def test_a_misspelt_stemmer_is_refused_with_the_likely_one() -> None:
    with pytest.raises(InvalidInput, match=r"'englsh' is no Snowball stemmer .*: did you mean 'english'?"):
        SpaceConfig(stemmer="englsh")
    assert list(STEMMERS) == pytest.importorskip("snowballstemmer").algorithms()
