"""Searches are kept under their user, and expire; of a user who was forgotten nothing is left in any collection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, Recommender
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.space.conditions import only
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Space
from tests.films import CONFIG, T0, history, items
from tests.spaces import EITHER, merged, space_on, store_of
from workers.evaluation import heartbeat


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        made.upsert_items(items())
        made.track(
            [
                *history("ann", "m1", "m2"),
                *history("bob", "m3"),
                Event(user="ann", type="search", text="planets", ts=T0),
            ]
        )
        made.reconcile()
        yield made


def texts(rec: Recommender) -> dict[tuple[str, str], dict[str, Any]]:
    """(user, text) → payload of every stored text, read with the Qdrant client."""
    points, _ = rec.client.scroll(rec._space.texts, limit=1_000, with_payload=True)
    return {(payload["user_id"], payload["text"]): payload for point in points if (payload := merged(point.payload))}


def holding(rec: Recommender, word: str) -> dict[str, int]:
    """Collection of the space → points with a word in id, payload or vectors' names, read with the Qdrant client alone."""
    found = {}
    for collection in rec.client.get_collections().collections:
        if not collection.name.startswith(rec.space):
            continue
        points, _ = rec.client.scroll(collection.name, limit=10_000, with_payload=True)
        found[collection.name] = sum(word in repr(point) for point in points)
    return found


def test_a_search_is_stored_under_its_user(rec: Recommender) -> None:
    listed = rec.search("space travel", "ann"), rec.search("space travel"), rec.search("space travel", 42)  # type: ignore[arg-type]
    assert all(listed)
    assert set(texts(rec)) == {
        ("ann", "planets"),
        ("ann", "space travel"),
        ("", "space travel"),
        ("42", "space travel"),
    }
    rec.forget_user("ann")
    assert set(texts(rec)) == {("", "space travel"), ("42", "space travel")}
    rec.forget_user(42)  # type: ignore[arg-type]
    assert set(texts(rec)) == {("", "space travel")}


def dated(rec: Recommender, days: float) -> None:
    """Make every search older."""
    at = iso(_days_ago(days))
    for point in rec.client.scroll(rec._space.texts, limit=1_000, with_payload=True)[0]:
        if merged(point.payload).get("searched_at"):
            rec.client.set_payload(
                rec._space.texts, {"searched_at": at}, only(str(point.id)), key="bookkeeping", wait=True
            )


def test_searches_expire_and_texts_of_events_do_not(rec: Recommender) -> None:
    rec.search("space travel", "ann")
    rec.search("french food")
    dated(rec, 29)
    rec.reconcile()
    assert len(texts(rec)) == 3
    rec.search("french food")  # searched again: kept for longer
    assert {key: merged(value)["searched_at"] > iso(_days_ago(1)) for key, value in texts(rec).items() if key[1] != "planets"} == {
        ("ann", "space travel"): False, ("", "french food"): True,
    }  # fmt: skip
    dated(rec, 31)
    rec.search("french food")
    rec.reconcile()
    assert set(texts(rec)) == {("ann", "planets"), ("", "french food")}
    rec.create({"search_days": 400})
    dated(rec, 300)
    rec.reconcile()
    assert len(texts(rec)) == 2


def _days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def test_searches_of_earlier_releases_get_a_date(rec: Recommender) -> None:
    rec.search("space travel")
    (point,) = [one.id for one in rec.client.scroll(rec._space.texts, limit=9)[0] if one.payload["user_id"] == ""]
    rec.client.set_payload(rec._space.texts, {"searched_at": None}, only(str(point)), key="bookkeeping", wait=True)
    rec.reconcile()
    assert merged(texts(rec)["", "space travel"])["searched_at"] > iso(_days_ago(1))
    assert not merged(texts(rec)["ann", "planets"]).get("searched_at")


def test_nothing_is_left_of_a_user_who_was_forgotten(rec: Recommender) -> None:
    rec.upsert_items([item.model_copy(update={"id": f"more {item.id}"}) for item in items()])
    rec.track([*history("zoe", "m1", "m4"), Event(user="zoe", type="review", item="m1", text="zoe says so", ts=T0)])
    rec.fit_topics(2)
    rec.search("space", "zoe")
    rec.steer("zoe", rec.topics()[0].id, 2.0)
    rec.reembed(size=32)
    trial = Space(f"{rec.space[:45]}-trial-0123abcd")
    other = Recommender(rec.client, rec._queue, trial.name)
    other.create(CONFIG)
    other.upsert_items([Item(id="m1", title="x")])
    other.track(history("zoe", "m1", "m1"))
    other.search("space", "zoe")
    store_of(other).items.update_metadata(heartbeat.mark())
    before = rec.traces_of("zoe")
    assert before == {name: number for name, number in holding(rec, "'zoe'").items() if name in before}
    assert sum(before.values()) >= 10 and set(before) == set(holding(rec, "x"))
    assert rec.forget_user("zoe") == 3
    assert set(holding(rec, "zoe").values()) == {0}
    assert set(rec.traces_of("zoe").values()) == {0} and rec.traces_of("zoe").keys() == before.keys()
    assert rec.traces_of("ann")[rec._space.events] == 3
    for name in rec.traces_of("zoe"):
        if "-trial-" in name:
            rec.client.delete_collection(name)


def test_what_a_half_deleted_version_holds_is_forgotten_too(rec: Recommender) -> None:
    rec.search("space", "ann")
    rec.reembed(size=32)
    rec.client.delete_collection(
        rec._space.versioned("items", 1)
    )  # as a deletion of version 1 that was killed leaves it
    assert rec.traces_of("ann")[rec._space.versioned("users", 1)] == 1
    assert rec.forget_user("ann") == 3
    assert set(rec.traces_of("ann").values()) == {0} and set(holding(rec, "'ann'").values()) == {0}
    for kind in ("users", "texts", "topics"):
        rec.client.delete_collection(rec._space.versioned(kind, 1))


def test_a_space_named_like_a_trial_keeps_its_users(rec: Recommender) -> None:
    other = Recommender(rec.client, rec._queue, f"{rec.space}-trial-0123abcd")
    other.create(CONFIG)
    other.track(history("ann", "m1"))
    assert rec.forget_user("ann") == 3 and not [name for name in rec.traces_of("ann") if name.startswith(other.space)]
    assert other.events("ann") and list(other.users()) == ["ann"]
    for kind in COLLECTION_KINDS:
        rec.client.delete_collection(other._space.versioned(kind))


def test_tenants_forget_their_own_user_of_an_id(rec: Recommender) -> None:
    red = Recommender(rec.client, rec._queue, rec.space, "red")
    red.upsert_items(items())
    red.track(history("ann", "m1", "m2", "m3"))
    red.search("space", "ann")
    assert rec.forget_user("ann") == 3
    assert set(rec.traces_of("ann").values()) == {0} and sum(red.traces_of("ann").values()) == 5
    assert red.forget_user("ann") == 3 and set(red.traces_of("ann").values()) == {0}
    assert set(holding(rec, "'ann'").values()) == {0}


def test_a_search_of_a_user_is_no_part_of_their_history(rec: Recommender) -> None:
    before = rec.client.retrieve(
        rec._space.users, [rec._bound().user_point("ann")], with_payload=True, with_vectors=True
    )
    rec.search("french food", "ann")
    rec.search("french food", "nobody yet")
    assert before == rec.client.retrieve(
        rec._space.users, [rec._bound().user_point("ann")], with_payload=True, with_vectors=True
    )
    assert sorted(rec.users()) == ["ann", "bob"]
    rec.reembed(size=32)
    assert set(texts(rec)) == {("ann", "planets")}  # searches are encoded again when they are searched for again
    assert rec.search("french food", "ann")
