"""Machines whose clocks are wrong by minutes or hours: nothing stops, nothing is lost, and it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import EmbedItems, FitCollab
from llmrec_qdrant.operations.clock import now, timestamp
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Key
from llmrec_qdrant.testing import MemoryQueue
from tests.clocks import moved
from tests.spaces import space_on, store_of
from workers.dispatch import Worker
from workers.evaluation import trial_space
from workers.items import collab, collab_due
from workers.reconcile import reconcile
from workers.storage import notes
from workers.storage.attempts import POINT_LEASE_SECONDS, lease_end
from workers.storage.observed import Observed
from workers.topics import marking

CONFIG = SpaceConfig(model="hash", size=16)
WRONG = [-7_200.0, -600.0, -90.0, 90.0, 600.0, 7_200.0]
"""Seconds by which the clock of a machine is ahead."""


@pytest.fixture(params=["local"])
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


@pytest.fixture
def waiting(rec: Recommender) -> Recommender:
    """A space with two items that no worker has encoded."""
    rec._queue = MemoryQueue()
    rec.upsert_items([Item(id=name, title=f"item {name}") for name in "ab"])
    return rec


@pytest.mark.parametrize("ahead", [90.0, 600.0, 7_200.0])
def test_a_worker_that_dies_with_a_fast_clock_leaves_no_work_behind(waiting: Recommender, ahead: float) -> None:
    """Its leases seem to last for minutes or hours; a real one lasts half a minute."""
    store = store_of(waiting)
    with moved(ahead):
        assert [type(message) for message in reconcile(store, everything=False)] == [EmbedItems]
    assert [type(message) for message in reconcile(store, everything=False)] == [EmbedItems]
    assert list(reconcile(store, everything=False)) == []  # it is leased now


def test_a_lease_of_a_slightly_faster_clock_counts(waiting: Recommender) -> None:
    store = store_of(waiting)
    with moved(2.5):  # below what a machine corrects
        assert list(reconcile(store, everything=False))
    assert list(reconcile(store, everything=False)) == []
    assert timestamp(lease_end()) - timestamp(lease_end(0)) == pytest.approx(POINT_LEASE_SECONDS, abs=1)


@pytest.mark.parametrize("ahead", WRONG)
def test_events_during_a_fit_are_not_forgotten_by_it(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """A user is refreshed by a worker whose clock is wrong while a fit has already read the events: the mark stays."""
    rec.upsert_items([Item(id=name, title=f"item {name}") for name in "abcd"])
    rec.track([Event(user="u", item=name, type="view", ts=1_600_000_000 + k) for k, name in enumerate("ab")])
    rec.reconcile()
    store = store_of(rec)
    write, later = collab._write_popularity, [Event(user="u", item="c", type="view", ts=1_600_000_009)]

    def meanwhile(*arguments: object) -> None:
        if later:
            with moved(ahead):
                rec.track([later.pop()])
        write(*arguments)  # type: ignore[arg-type]

    for whole in (True, False):
        later[:] = [Event(user="u", item="cd"[whole], type="view", ts=1_600_000_010 + whole)]
        monkeypatch.setattr(collab, "_write_popularity", meanwhile)
        points = [point.id for page in store.items.pages(payload=False) for point in page]
        if whole:
            collab.fit(store, CONFIG)
        else:
            collab.refit(store, CONFIG, points)
        monkeypatch.undo()
        marked = {
            point.get(Key.ITEM_ID) for page in store.items.pages() for point in page if point.get(Key.COLLAB_SINCE)
        }
        assert marked >= {"b", "cd"[whole]}
        assert set(collab_due.due(store)) == {
            point.id for page in store.items.pages() for point in page if point.get(Key.ITEM_ID) in marked
        }
        Worker(rec.client).drain([FitCollab(space=rec.space, ids=collab_due.due(store))])
        assert collab_due.due(store) == []


@pytest.mark.parametrize("ahead", WRONG)
def test_an_item_marked_with_a_wrong_clock_is_rebuilt_at_once(rec: Recommender, ahead: float) -> None:
    rec.upsert_items([Item(id=name, title=f"item {name}") for name in "ab"])
    with moved(ahead):
        rec._queue = queue = MemoryQueue()
        rec.track([Event(user="u", item=name, type="view", ts=1_600_000_000 + k) for k, name in enumerate("ab")])
        Worker(rec.client).drain(queue.sent)
    assert len(collab_due.due(store_of(rec))) == 2


def test_a_trial_of_a_slow_clock_lives_until_it_is_silent(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with moved(-7_200):  # its heartbeat looks two hours old
        trial = Recommender(rec.client, rec._queue, f"{rec.space}-trial-{0:08x}")
        copy = store_of(trial, 1)
        trial_space._create(copy, CONFIG)
    for _ in range(2):
        assert {space.name for space in trial_space.running(rec.client)} == {copy.name}
    monkeypatch.setattr(trial_space, "SILENT_SECONDS", 0.0)
    assert trial_space.running(rec.client) == set()
    assert not any(rec.client.collection_exists(copy.space.versioned(kind)) for kind in COLLECTION_KINDS)


@pytest.mark.parametrize("ahead", WRONG)
def test_a_label_edited_with_a_wrong_clock_counts_as_edited_lately(rec: Recommender, ahead: float) -> None:
    store = store_of(rec)
    with moved(ahead):
        store.items.update_metadata({"topics_edited": {"at": now()}})
    assert marking.lately_edited(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marking, "MAX_LABEL_AGE", 0.0)
        assert not marking.lately_edited(store)
        patch.setattr(marking, "MAX_EDIT_AGE", timedelta(0))
        assert not marking.lately_edited(store)


def test_an_age_is_counted_from_the_first_sight_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr("workers.storage.observed.time.monotonic", lambda: moment)
    seen = Observed()
    assert seen.seconds("a", "x") == 0
    moment = 107.0
    assert (seen.seconds("a", "x"), seen.seconds("b", "x")) == (7, 0)
    assert seen.seconds("a", "y") == 0


def test_a_worker_reports_its_clock_until_it_is_right(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    store, seconds = store_of(rec), 92.0
    monkeypatch.setattr(notes, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(notes.socket, "gethostname", lambda: "node3")
    monkeypatch.setattr(notes.clock, "ahead", lambda: seconds)
    notes.report_clock(store)
    seconds = 0.0  # of the machine that asks
    (sentence,) = rec.status().notes
    assert sentence.startswith("The clock of the worker host node3 is 92 s ahead of Qdrant's: set it by NTP.")
    notes.report_clock(store)  # set by NTP
    assert rec.status().notes == []


@pytest.mark.redis
def test_the_clock_sends_sweeps_that_never_expire_until_many_wait(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the wall clock does: the scheduler does not read it."""
    from celery import Celery

    from workers.storage.clock import BATCH, MAX_WAITING, RECONCILE_EVERY, Clock

    url = redis_url.rsplit("/", 1)[0] + "/8"
    broker = redis.Redis.from_url(url)
    broker.flushdb()
    ticking = Clock(Celery("clock", broker=url), schedule={})
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert {ticking.tick() for _ in range(3)} == {RECONCILE_EVERY}
    sent = [json.loads(message)["headers"] for message in broker.lrange(BATCH, 0, -1)]
    assert [(header["task"], header["expires"], header["eta"]) for header in sent] == [("llmrec.sweep", None, None)] * 3
    for _ in range(MAX_WAITING):
        ticking.tick()
    assert broker.llen(BATCH) == MAX_WAITING
    broker.flushdb()


def test_a_clock_without_redis_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    from celery import Celery

    from workers.storage.clock import Clock

    app = Celery("clock", broker="redis://127.0.0.1:1/0")
    app.conf.broker_transport_options = {"max_retries": 0, "socket_connect_timeout": 0.2}
    assert Clock(app, schedule={}).tick() > 0
    assert "could not send a sweep" in caplog.text
