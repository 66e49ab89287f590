"""A slow or doubled worker changes nothing that is newer; on embedded Qdrant and on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qdrant_client.http.exceptions import ResponseHandlingException

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems, RefreshUsers
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.testing import HashEncoder, MemoryQueue
from tests.spaces import drop, fresh_name, store_of
from workers.dispatch import Worker
from workers.items import embed
from workers.users import history

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    made = Recommender.connect(**where, space=fresh_name())
    made._queue = MemoryQueue()
    made.create(CONFIG)
    yield made
    drop(made)


def embed_all(rec: Recommender, *ids: str) -> None:
    points = [point_id("item", one) for one in ids]
    Worker(rec._client).run(EmbedItems(space=rec._space.name, ids=points))


def item(rec: Recommender, name: str) -> Any:
    found = rec._client.retrieve(rec._space.items, [point_id("item", name)], with_payload=True, with_vectors=["dense"])
    return found[0] if found else None


class Interrupted(HashEncoder):
    """Lets something happen while the worker encodes."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__(CONFIG.size)
        self.meanwhile = meanwhile

    def encode(self, texts: Any) -> np.ndarray:
        self.meanwhile()
        return super().encode(texts)


def interrupt(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    monkeypatch.setattr(embed, "load_encoder", lambda config: Interrupted(meanwhile))


def test_a_slow_worker_does_not_overwrite_newer_text(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id="a", title="old text"), Item(id="b", title="beside it")])
    interrupt(monkeypatch, lambda: rec.upsert_items([Item(id="a", title="new text")]))
    embed_all(rec, "a", "b")
    assert item(rec, "a").payload["stale"] is True and not item(rec, "a").vector.get("dense")
    assert item(rec, "b").payload["stale"] is False
    monkeypatch.undo()
    embed_all(rec, "a", "b")
    assert item(rec, "a").payload["stale"] is False
    assert item(rec, "a").vector["dense"] == pytest.approx(HashEncoder(32).encode(["new text"])[0], abs=1e-6)


def test_a_deleted_item_does_not_come_back_and_its_neighbours_are_written(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec.upsert_items([Item(id="a", title="to be deleted"), Item(id="b", title="stays")])
    interrupt(monkeypatch, lambda: rec.delete_items(["a"]))
    embed_all(rec, "a", "b")
    assert item(rec, "a") is None
    assert item(rec, "b").payload["stale"] is False and item(rec, "b").vector["dense"]


def test_doing_a_message_twice_encodes_once(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    rec.upsert_items([Item(id="a", title="once")])
    interrupt(monkeypatch, lambda: calls.append(1))
    embed_all(rec, "a")
    embed_all(rec, "a", "never-was")
    assert calls == [1]


def test_old_vectors_serve_until_the_new_ones_arrive(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="first text")])
    embed_all(rec, "a")
    rec.upsert_items([Item(id="a", title="second text")])
    assert item(rec, "a").payload["stale"] is True
    assert item(rec, "a").vector["dense"] == pytest.approx(HashEncoder(32).encode(["first text"])[0], abs=1e-6)


def test_a_text_that_becomes_empty_loses_its_vectors(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="words")])
    embed_all(rec, "a")
    rec.upsert_items([Item(id="a")])
    embed_all(rec, "a")
    assert item(rec, "a").payload["legs"] == [] and not item(rec, "a").vector


def refresh(rec: Recommender, *users: str) -> None:
    ids = [point_id("user", one) for one in users]
    Worker(rec._client).run(RefreshUsers(space=rec._space.name, ids=ids))


def user(rec: Recommender, name: str) -> Any:
    found = rec._client.retrieve(rec._space.users, [point_id("user", name)], with_payload=True)
    return found[0].payload if found else None


def test_an_event_during_a_refresh_leaves_the_user_stale(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1)])
    more = [Event(user="u", type="search", text="gardens", ts=2)]
    interrupt(monkeypatch, lambda: rec.track(more))
    refresh(rec, "u")
    assert user(rec, "u")["stale"] is True and user(rec, "u")["n_events"] == 0
    monkeypatch.undo()
    refresh(rec, "u")
    assert user(rec, "u")["stale"] is False and user(rec, "u")["n_events"] == 2


def test_a_forgotten_user_does_not_come_back(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1)])
    interrupt(monkeypatch, lambda: rec.forget_user("u"))
    refresh(rec, "u")
    assert user(rec, "u") is None
    status = rec.status()
    assert (status.users, status.events, status.texts) == (0, 0, 0)


def test_a_user_whose_events_are_all_gone_goes_too(rec: Recommender) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1)])
    rec._client.delete(rec._space.events, points_selector=[point_id("event", "x")])
    rec._client.delete_collection(rec._space.events)
    rec.create(CONFIG)
    refresh(rec, "u")
    assert user(rec, "u") is None


def test_an_event_whose_writer_died_before_marking_the_user_is_found(rec: Recommender) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1)])
    refresh(rec, "u")
    rec._client.set_payload(rec._space.events, {"folded": False}, points=[point_id("event", event_id())])
    rec._client.delete(rec._space.users, points_selector=[point_id("user", "u")])
    rec.track([Event(user="v", type="search", text="roses", ts=1)])
    from workers.reconcile import reconcile

    Worker(rec._client).drain(reconcile(store_of(rec)))
    assert user(rec, "u")["n_events"] == 1 and user(rec, "u")["stale"] is False
    assert rec.status().events_unfolded == 0


def event_id() -> str:
    return Event(user="u", type="search", text="robots", ts=1).event_id


def test_more_events_than_are_ever_read_are_all_folded(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS", 5)
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=k) for k in range(12)])
    refresh(rec, "u")
    assert rec.status().events_unfolded == 0
    assert user(rec, "u")["n_events"] == 12 and user(rec, "u")["seen"] == ["i11", "i10", "i9", "i8", "i7"]


def test_events_of_one_moment_at_the_edge_of_what_is_read_are_folded(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS", 5)
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=7) for k in range(12)])
    refresh(rec, "u")
    assert rec.status().events_unfolded == 0


def test_collab_forgets_items_without_events(rec: Recommender) -> None:
    from workers.items import collab

    rec.upsert_items([Item(id="a", title="a film"), Item(id="b", title="b film")])
    rec.track([Event(user="u", item=one, type="view", ts=k) for k, one in enumerate("ab")])
    collab.fit(store_of(rec), CONFIG)
    point = point_id("item", "b")
    assert rec._client.retrieve(rec._space.items, [point], with_vectors=["collab"])[0].vector
    rec.forget_user("u")
    collab.fit(store_of(rec), CONFIG)
    gone = rec._client.retrieve(rec._space.items, [point], with_vectors=["collab"], with_payload=True)[0]
    assert not gone.vector and (gone.payload or {})["popularity"] == 0


def test_a_short_absence_of_qdrant_costs_no_encoding(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id="a", title="kept")])
    calls: list[int] = []
    interrupt(monkeypatch, lambda: calls.append(1))
    real, away = rec._client.batch_update_points, iter([True, True])

    def write(*args: Any, **kwargs: Any) -> Any:
        if calls and next(away, False):  # the text is encoded
            raise ResponseHandlingException(ConnectionError("refused"))
        return real(*args, **kwargs)

    monkeypatch.setattr(rec._client, "batch_update_points", write)
    monkeypatch.setattr("workers.storage.store.time.sleep", lambda seconds: None)
    embed_all(rec, "a")
    assert calls == [1] and item(rec, "a").payload["stale"] is False
