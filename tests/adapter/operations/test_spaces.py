"""A space as a whole: create, configure, refuse."""

from __future__ import annotations

import pytest

from llmrec_qdrant import (
    FieldWarning,
    InvalidFilter,
    InvalidInput,
    Recommender,
    SpaceConfig,
    SpaceMismatch,
    SpaceNotFound,
)
from llmrec_qdrant.contracts.config import EVENT_WEIGHTS
from tests.films import CONFIG, connect


def test_create_twice_changes_nothing_and_keeps_the_configuration(rec: Recommender) -> None:
    before = rec.status()
    assert rec.create() == CONFIG
    assert rec.create(CONFIG) == CONFIG
    assert rec.status() == before


def test_create_may_add_fields_but_not_change_vectors(rec: Recommender) -> None:
    with pytest.raises(InvalidFilter, match=r"'kind'.*llmrec init --field kind:keyword"):
        rec.recommend("ann", filter={"kind": "film"})
    rec.create(CONFIG.model_copy(update={"fields": {**CONFIG.fields, "kind": "keyword"}}))
    with pytest.warns(FieldWarning, match="has a value in 'kind'"):
        assert rec.recommend("ann", filter={"kind": "film"}) == []
    with pytest.raises(SpaceMismatch, match="size is 64, not 128"):
        rec.create(CONFIG.model_copy(update={"size": 128}))


def test_another_process_sees_the_stored_configuration(rec: Recommender) -> None:
    assert Recommender(rec._client, rec._queue, rec._space.name).config == CONFIG


def test_a_space_of_another_format_or_of_somebody_else_is_refused(rec: Recommender) -> None:
    rec._client.update_collection(rec._space.items, metadata={"llmrec": {"format": 99}})
    with pytest.raises(SpaceMismatch, match="format 99"):
        Recommender(rec._client, rec._queue, rec._space.name).recommend("ann")
    rec._client.update_collection(rec._space.items, metadata={"llmrec": "mine"})
    with pytest.raises(SpaceMismatch, match="not created by llmrec"):
        Recommender(rec._client, rec._queue, rec._space.name).create(CONFIG)


def test_a_space_of_format_1_says_how_to_load_it_anew(rec: Recommender) -> None:
    config = CONFIG.model_dump(mode="json")
    rec._client.update_collection(rec._space.items, metadata={"llmrec": {"format": 1, "config": config}})
    with pytest.raises(SpaceMismatch) as caught:
        Recommender(rec._client, rec._queue, rec._space.name).status()
    assert str(caught.value) == (
        f"space {rec.space!r} has format 1, this version of llmrec reads format 2: load its items and events again into a space "
        "of another name (`llmrec init`, `llmrec load`), or install the version of llmrec that wrote it"
    )


def test_a_missing_space_is_named_with_the_command_that_makes_it(where: dict[str, str]) -> None:
    rec = connect(where)
    with pytest.raises(SpaceNotFound, match=f"llmrec init --space {rec._space.name}"):
        rec.recommend("ann")


def test_filtered_sparse_queries_use_the_index_from_the_first_item_on(rec: Recommender) -> None:
    """With Qdrant's default a list of 8,000 items took 1.3 times as long; existing segments cannot be changed later."""
    params = rec.client.get_collection(rec._space.items).config.params
    thresholds = {name: sparse.index.full_scan_threshold for name, sparse in (params.sparse_vectors or {}).items()}  # type: ignore[union-attr]
    assert thresholds == {"tfidf": 10, "collab": 10}


def test_create_changes_only_the_settings_that_are_named(rec: Recommender) -> None:
    rec.create({"weights": {"dense": 3}, "prefetch": 50, "event_weights": {"like": 2.5, "wish": 4}})
    changed = rec.config
    assert (changed.model, changed.size, changed.fields) == (CONFIG.model, CONFIG.size, CONFIG.fields)
    assert changed.weights == {"dense": 3} and changed.event_weights["wish"] == 4
    for start_up in (
        {},
        {"fields": {"year": "integer"}},
        {"fields": {}},
        SpaceConfig(fields={"year": "integer"}),
        None,
    ):
        assert rec.create(start_up) == changed, start_up
    rec.create({"fields": {"lang": "keyword"}, "event_weights": {"like": EVENT_WEIGHTS["like"]}})
    assert rec.config.fields == {**CONFIG.fields, "lang": "keyword"}
    assert rec.config.event_weights == {**changed.event_weights, "like": EVENT_WEIGHTS["like"]}
    with pytest.raises(InvalidInput, match="prefetches"):
        rec.create({"prefetches": 3})


def test_an_application_may_name_the_settings_that_the_space_had_before(rec: Recommender) -> None:
    start_up = {**{name: getattr(CONFIG, name) for name in ("model", "size")}, "fields": {"year": "integer"}}
    rec.create(start_up)
    for size in (32, 16):
        rec.reembed(size=size)
        moved = rec.config
        assert moved.size == size and rec.create(start_up) == moved and rec.create(CONFIG) == moved
    rec.clean_up()
    assert rec.create(start_up) == moved
    assert rec.create({"size": 32}).size == 16
    with pytest.raises(SpaceMismatch, match="size is 16, not 48"):
        rec.create({"size": 48})
    with pytest.raises(SpaceMismatch, match="pooling is 'mean', not 'cls'"):
        rec.create({"size": 32, "pooling": "cls"})


def test_after_a_rollback_an_application_may_name_the_newer_settings(rec: Recommender) -> None:
    rec.reembed(size=32)
    newer = {"size": 32, "fields": {"year": "integer"}}
    rec.rollback()
    assert rec.create(newer).size == CONFIG.size
