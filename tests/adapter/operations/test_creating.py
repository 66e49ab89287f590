"""An application that creates its space whenever it starts changes nothing of what tuning and re-embedding have made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import NotFound, Recommender, SpaceConfig, SpaceMismatch
from llmrec_qdrant.operations.creating import create
from llmrec_qdrant.operations.reembed import VersionState, make_version
from llmrec_qdrant.operations.switching import drop, next_number, switch
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space.layout import MIGRATION
from llmrec_qdrant.testing import MemoryQueue
from tests.films import CONFIG, items
from tests.processes import Operation
from tests.spaces import fresh_name
from workers.evaluation import job as tuning
from workers.evaluation.tune import Tuning


@pytest.fixture
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as made:
        made.create(CONFIG)
        made.upsert_items(items())
        yield made


START_UP: dict[str, Any] = {"model": CONFIG.model, "size": CONFIG.size, "fields": {"year": "integer"}}


def everything(rec: Recommender) -> dict[str, Any]:
    """Every collection with its metadata, indexes and aliases."""
    client = rec.client
    named = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
    infos = {one.name: client.get_collection(one.name) for one in client.get_collections().collections}
    return {
        "aliases": named,
        **{name: (info.config.metadata, sorted(info.payload_schema or {})) for name, info in infos.items()},
    }


def test_after_tuning_and_reembedding_a_start_changes_nothing(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = CONFIG.model_copy(update={"half_life_days": 7.0, "weights": {"dense": 1.0, "tfidf": 3.0, "collab": 0.5}})
    measured = Tuning(10, 20, CONFIG, better, confirmed_on=20, before=0.1, after=0.2, better=True)
    monkeypatch.setattr(tuning, "tune", lambda *_, **__: measured)
    rec.create(START_UP)
    rec.create({"fields": {"lang": "keyword"}})
    rec.tune(users=40)
    rec.reembed(size=32)
    before, config = everything(rec), rec.config
    assert (config.size, config.half_life_days, config.weights["tfidf"]) == (32, 7.0, 3.0)
    for start_up in (START_UP, SpaceConfig(**START_UP), {"fields": {}}, {}, None):
        assert rec.create(start_up) == config
        assert everything(rec) == before
    rec.rollback()
    before, config = everything(rec), rec.config
    assert rec.create({**START_UP, "size": 32}) == config and everything(rec) == before


def test_a_space_whose_aliases_are_gone_is_found_again_in_its_latest_complete_version(rec: Recommender) -> None:
    rec.reembed(size=32)
    stored = {item.id for item in rec.iter_items()}
    rec._drive(make_version(rec._space, 3, rec.config, VersionState(job="reembed-9")))  # never filled
    with pytest.raises(
        NotFound, match=r"version 3 of .* is not complete: `llmrec jobs reembed-9` shows the job that fills"
    ):
        rec.rollback(3)
    rec.client.delete_collection(rec._space.versioned("items", 1))
    for kind in ("items", "users", "topics", "texts"):
        _forget_alias(rec, rec._space.alias(kind))  # type: ignore[arg-type]
    assert rec.create(START_UP).size == 32
    assert {item.id for item in rec.iter_items()} == stored


def _forget_alias(rec: Recommender, alias: str) -> None:
    deletion = models.DeleteAlias(alias_name=alias)
    rec.client.update_collection_aliases([models.DeleteAliasOperation(delete_alias=deletion)])


def test_a_creation_that_died_is_completed_with_the_settings_it_began_with(rec: Recommender) -> None:
    begun = Recommender(rec.client, MemoryQueue(), f"{rec.space}-begun")
    creation = Operation("create", create(begun._space, {"model": "hash", "size": 24}), rec.client, MemoryQueue())
    while not rec.client.collection_exists(begun._space.versioned("users")):
        creation.advance()
    creation.crash()
    with pytest.raises(SpaceMismatch, match="size is 24, not 32"):
        begun.create({"model": "hash", "size": 32})
    assert begun.create({"model": "hash", "size": 24}).size == 24
    assert MIGRATION not in (begun.client.get_collection(begun._space.items).config.metadata or {})
    assert begun._drive(versions(begun._space)).all == (1,)


def test_a_number_is_used_once(rec: Recommender) -> None:
    rec.reembed(size=32)
    rec.rollback()
    assert rec.clean_up() == [2]
    assert rec._drive(next_number(rec._space)) == 3
    assert rec.reembed(size=24).result["version"] == 3
    rec._drive(drop(rec._space, 1))
    rec._drive(switch(rec._space, 3))
    assert rec._drive(versions(rec._space)).all == (3,)
