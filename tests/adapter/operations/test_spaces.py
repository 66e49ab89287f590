"""A space as a whole: create, configure, refuse."""

from __future__ import annotations

import pytest

from llmrec_qdrant import (
    FieldWarning,
    InvalidFilter,
    Recommender,
    SpaceMismatch,
    SpaceNotFound,
)
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
    with pytest.raises(SpaceMismatch, match="size 64 ≠ 128"):
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
