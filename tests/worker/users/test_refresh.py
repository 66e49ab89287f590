"""Refreshing users: no event is lost, nobody comes back, and a person can read the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import RefreshUsers
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, interrupt, space_on, store_of
from workers.dispatch import Worker
from workers.reconcile import reconcile
from workers.users import history

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as rec:
        rec._queue = MemoryQueue()
        yield rec


def refresh(rec: Recommender, *users: str) -> None:
    ids = [point_id("user", user) for user in users]
    Worker(rec.client).run(RefreshUsers(space=rec.space, ids=ids))


def user(rec: Recommender, name: str) -> dict[str, Any] | None:
    """The flat payload of a user; None if there is none."""
    points = store_of(rec).users.retrieve([point_id("user", name)])
    return points[0].payload if points else None


def known(rec: Recommender, name: str) -> dict[str, Any]:
    payload = user(rec, name)
    assert payload is not None
    return payload


def test_an_event_during_a_refresh_leaves_the_user_stale(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1_600_000_000 + 1)])
    more = [Event(user="u", type="search", text="gardens", ts=1_600_000_000 + 2)]
    interrupt(monkeypatch, lambda: rec.track(more))
    refresh(rec, "u")
    assert known(rec, "u")[Key.STALE] is True and known(rec, "u")[Key.N_EVENTS] == 0
    monkeypatch.undo()
    refresh(rec, "u")
    assert known(rec, "u")[Key.STALE] is False and known(rec, "u")[Key.N_EVENTS] == 2


def test_a_forgotten_user_does_not_come_back(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1_600_000_000 + 1)])
    interrupt(monkeypatch, lambda: rec.forget_user("u"))
    refresh(rec, "u")
    assert user(rec, "u") is None
    status = rec.status()
    assert (status.users, status.events, status.texts) == (0, 0, 0)


def test_a_user_whose_events_are_all_gone_goes_too(rec: Recommender) -> None:
    rec.track([Event(user="u", type="search", text="robots", ts=1_600_000_000 + 1)])
    rec.client.delete_collection(store_of(rec).events.collection)
    rec.create(CONFIG)
    refresh(rec, "u")
    assert user(rec, "u") is None


def test_an_event_whose_writer_died_before_marking_the_user_is_found(rec: Recommender) -> None:
    event = Event(user="u", type="search", text="robots", ts=1_600_000_000 + 1)
    rec.track([event])
    refresh(rec, "u")
    store_of(rec).events.set_payload({Key.FOLDED: False}, conditions.only(point_id("event", event.event_id)))
    store_of(rec).users.delete(conditions.only(point_id("user", "u")))
    rec.track([Event(user="v", type="search", text="roses", ts=1_600_000_000 + 1)])
    Worker(rec.client).drain(reconcile(store_of(rec)))
    assert known(rec, "u")[Key.N_EVENTS] == 1 and known(rec, "u")[Key.STALE] is False
    assert rec.status().events_unfolded == 0


def test_more_events_than_are_ever_read_are_all_folded(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS_READ", 5)
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=1_600_000_000 + k) for k in range(12)])
    refresh(rec, "u")
    assert rec.status().events_unfolded == 0
    assert known(rec, "u")[Key.N_EVENTS] == 12 and known(rec, "u")[Key.SEEN] == ["i11", "i10", "i9", "i8", "i7"]


def test_events_of_one_moment_at_the_edge_of_what_is_read_are_folded(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS_READ", 5)
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=1_600_000_000 + 7) for k in range(12)])
    refresh(rec, "u")
    assert rec.status().events_unfolded == 0


def test_the_last_ten_events_are_shown_with_titles_and_times(rec: Recommender) -> None:
    rec.upsert_items([Item(id="heat", title="Heat\n(1995)"), Item(id="long", title="long " * 100)])
    rec.track([Event(user="u", item="gone", type="view", ts=1_500_000_000 + k) for k in range(10)])
    rec.track(
        [
            Event(user="u", item="heat", type="rating", value=4.0, ts=1_600_000_000),
            Event(user="u", type="search", text="bank  robbery", ts=1_600_000_060),
            Event(user="u", item="long", type="view", ts=1_600_000_120.5),
        ]
    )
    refresh(rec, "u")
    recent = known(rec, "u")[Key.RECENT]
    assert len(recent) == 10
    assert recent[0] == {
        "ts": "2020-09-13T12:28:40Z", "type": "view", "item": "long", "title": ("long " * 24)[:119].rstrip() + "…",
    }  # fmt: skip
    assert recent[1] == {"ts": "2020-09-13T12:27:40Z", "type": "search", "text": "bank robbery"}
    assert recent[2] == {
        "ts": "2020-09-13T12:26:40Z", "type": "rating", "item": "heat", "title": "Heat (1995)", "value": 4.0,
    }  # fmt: skip
    assert recent[3] == {"ts": "2017-07-14T02:40:09Z", "type": "view", "item": "gone"}, "no item, no title"


def test_a_short_history_still_shows_ten_titles(rec: Recommender) -> None:
    rec.create(CONFIG.model_copy(update={"history": 2}))
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=1_600_000_000 + k) for k in range(5)])
    refresh(rec, "u")
    assert [event["title"] for event in known(rec, "u")[Key.RECENT]] == [f"number {k}" for k in (4, 3, 2, 1, 0)]


def test_interests_are_shown_first_and_with_the_titles_of_their_evidence(rec: Recommender) -> None:
    words = {"space": "rocket orbit planet galaxy", "food": "soup bread pepper salad"}
    rec.upsert_items(
        Item(id=f"{kind}{k}", title=f"{said} {k}") for kind, said in words.items() for k in range(40)
    )  # fmt: skip
    rec.track([Event(user="u", item=f"space{k}", type="view", ts=1_600_000_000 + k) for k in range(3)])
    Worker(rec.client).drain(rec._queue.sent)  # type: ignore[attr-defined]
    rec._queue.sent.clear()  # type: ignore[attr-defined]
    rec.fit_topics(2)
    Worker(rec.client).drain(rec._queue.sent)  # type: ignore[attr-defined]
    (interest,) = known(rec, "u")[Key.INTERESTS]
    assert list(interest)[:5] == ["label", "weight", "trend", "keywords", "items"]
    assert interest["weight"] == 1.0
    assert interest["items"][0] == {"id": "space2", "title": "rocket orbit planet galaxy 2"}
    (served,) = rec.interests("u")
    assert served.items[0] == "space2" and served.titles["space2"] == "rocket orbit planet galaxy 2"


def test_users_are_written_together_but_guarded_each(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kept", "changed", "gone"):
        rec.track([Event(user=name, type="search", text=f"robots of {name}", ts=1_600_000_000 + 1)])

    def meanwhile() -> None:
        rec.track([Event(user="changed", type="search", text="gardens", ts=1_600_000_000 + 2)])
        rec.forget_user("gone")

    interrupt(monkeypatch, meanwhile)
    refresh(rec, "kept", "changed", "gone")
    assert known(rec, "kept")[Key.STALE] is False and known(rec, "kept")[Key.N_EVENTS] == 1
    assert known(rec, "changed")[Key.STALE] is True and known(rec, "changed")[Key.N_EVENTS] == 0
    assert user(rec, "gone") is None
    stored = store_of(rec)
    vectors = {
        point.id: point.vectors for point in stored.users.retrieve(map(_point, ("kept", "changed")), vectors=True)
    }
    assert vectors[_point("kept")] and not vectors[_point("changed")]


def _point(name: str) -> str:
    return point_id("user", name)
