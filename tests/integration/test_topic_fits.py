"""Fits of topics that are interrupted: killed, overtaken by another fit, by a new item, by an edit, by a new label.

A fit is stopped before each of its writes in turn, and something happens there. Whatever it is, after the next look of
the reconciler the space agrees with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, JobFailed, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import RefreshUsers, RunJob
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space
from llmrec_qdrant.testing import MemoryQueue
from tests.integration.test_topics import CONFIG, NOW, filled, items, views
from tests.spaces import merged, store_of
from workers import reembed
from workers.dispatch import Worker
from workers.items import assign, embed
from workers.reconcile import reconcile
from workers.storage import store
from workers.topics import fit as topics_fit
from workers.topics import job as topics_job
from workers.topics import sample

WRITES = ("upsert", "batch_update_points", "set_payload", "delete", "delete_vectors", "update_collection")


class Killed(BaseException):
    """No error: nothing catches it, as nothing catches the death of a process."""


@pytest.fixture
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space="t") as made:
        yield filled(made)


def before_write(rec: Recommender, number: int, happens: Callable[[], None]) -> Callable[[], bool]:
    """Before the ``number``-th write from now on, ``happens``; the answer tells whether it did, and ends this."""
    kept = {name: getattr(rec.client, name) for name in WRITES}
    seen = 0

    def watched(name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                happens()
            return kept[name](*args, **more)

        return call

    for name in WRITES:
        setattr(rec.client, name, watched(name))

    def end() -> bool:
        for name in WRITES:
            setattr(rec.client, name, kept[name])
        return seen >= number

    return end


def contents(rec: Recommender, collection: str) -> list[dict[str, Any]]:
    return [merged(record.payload) for record in rec.client.scroll(collection, limit=1_000, with_payload=True)[0]]


def check(rec: Recommender, sizes: bool = True) -> None:
    """Everything names a topic that exists, by its label, and was made by the last fit."""
    space = rec._space
    known = {one["topic_id"]: one for one in contents(rec, space.topics)}
    fit = assign.read_fit(store_of(rec))
    assert fit["stage"] == "done"
    assert {one["topics_fit"] for one in known.values()} == {fit["done"]}
    assert len({one["label"] for one in known.values()}) == len(known)
    counted: dict[str, int] = {}
    for item in contents(rec, space.items):
        assert not item["stale"]
        assert item["topics_fit"] == fit["done"]
        assert item["topics"] == [known[topic]["label"] for topic in item["topic_ids"]]
        for topic in item["topic_ids"]:
            counted[topic] = counted.get(topic, 0) + 1
    assert not sizes or {topic: one["size"] for topic, one in known.items() if one["size"]} == counted
    for user in contents(rec, space.users):
        assert not user["stale"]
        assert user["interests"]
        assert {one["topic"] for one in user["interests"]} <= set(known)


@pytest.mark.parametrize("number", [None, 2])
def test_a_fit_killed_at_any_write_is_finished_by_the_reconciler(
    rec: Recommender, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise Killed

    check(rec)
    for write in range(1, 60):
        end = before_write(rec, write, die)
        with suppress(Killed):
            rec.fit_topics(number)
        if not end():
            break
        before = assign.read_fit(store_of(rec))
        rec.reconcile()
        if before["stage"] != "done":  # it may be at work elsewhere: nobody touches it for a while
            assert assign.read_fit(store_of(rec))["stage"] != "done"
        with monkeypatch.context() as patched:
            patched.setattr("workers.storage.lease.JOB_LEASE_SECONDS", 0.0)
            rec.reconcile()
            rec.reconcile()
        check(rec)
        number = None if number is None else (4 if number == 2 else 2)
    else:
        pytest.fail("a fit does not end")
    assert write > 8


def happenings(rec: Recommender) -> dict[str, Callable[[int], None]]:
    """What may happen during a fit."""

    def rename(turn: int) -> None:
        rec.rename_topic(rec.topics()[0].id, f"mine {turn}")

    def new_item(turn: int) -> None:
        rec.upsert_items([Item(id=f"new{turn}", title="moon rocket telescope")])

    def edit(turn: int) -> None:
        rec.upsert_items([Item(id="c3", title=f"orbit planet launch {turn}")])

    def other_fit(turn: int) -> None:
        rec.fit_topics(2 + turn % 3)

    def track(turn: int) -> None:
        rec.track(views("ann", "s4", at=NOW + 20 * 86_400 + turn))

    return {one.__name__: one for one in (rename, new_item, edit, other_fit, track)}


@pytest.mark.parametrize("what", ["rename", "new_item", "edit", "other_fit", "track"])
def test_whatever_happens_during_a_fit(rec: Recommender, what: str) -> None:
    happens = happenings(rec)[what]
    for write in range(1, 60):
        fired: list[int] = []

        def once(write: int = write, fired: list[int] = fired) -> None:
            if not fired:
                fired.append(write)
                happens(write)

        end = before_write(rec, write, once)
        rec.fit_topics(3 if what == "other_fit" else 3 - write % 2)
        if not end():
            break
        rec.reconcile()
        rec.reconcile()
        check(rec, sizes=what not in {"new_item", "edit"})
        labels = {one.label for one in rec.topics()}
        if what == "rename":
            assert f"mine {write}" in labels or len(labels) == 2, "the renamed topic may be gone, its label not lost"
        if what == "other_fit":
            assert len(labels) in {3, 2 + write % 3}, "one of the two, whole"


def test_the_label_of_an_admin_survives_whenever_it_is_given(rec: Recommender) -> None:
    for write in range(1, 60):
        chosen = rec.topics()[0].id
        end = before_write(rec, write, lambda topic=chosen, write=write: rec.rename_topic(topic, f"mine {write}"))  # type: ignore[misc]
        rec.fit_topics()
        if not end():
            break
        assert {one.id: one.label for one in rec.topics()}[chosen] == f"mine {write}"


def test_an_item_encoded_beside_a_fit_with_the_topics_of_before_is_marked_again(rec: Recommender) -> None:
    before = assign.load(store_of(rec, 1))
    before.of("")  # a worker has them in memory
    rec.fit_topics(2)
    point = point_id("item", "late")
    store_silently(rec, Item(id="late", title="moon rocket telescope"))
    embed.embed(store_of(rec).items, CONFIG, [point], before)
    assert list(reconcile(store_of(rec)))
    rec.reconcile()
    check(rec, sizes=False)


def store_silently(rec: Recommender, item: Item) -> None:
    """Store an item without telling anybody."""
    with pytest.warns(UserWarning, match="work is pending"):
        Recommender(rec.client, NoQueue(), rec.space).upsert_items([item])


def test_a_topic_that_grows_beyond_the_sample_has_its_true_size(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MAX_SAMPLE", 40)
    monkeypatch.setattr(store, "POINTS_PER_PAGE", 20)
    rec.fit_topics(3)
    assert sum(one.size for one in rec.topics()) == sum(
        bool(one["topic_ids"]) for one in contents(rec, rec._space.items)
    )
    check(rec)


def test_marking_goes_on_in_slices(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that takes longer than Redis waits for would be handed out again."""
    monkeypatch.setattr(store, "POINTS_PER_PAGE", 20)
    monkeypatch.setattr("workers.topics.marking.MARKING_SECONDS", 0.0)
    rec.fit_topics(2)
    check(rec)


def test_topics_asked_for_too_early_come_when_there_are_items() -> None:
    with Recommender.connect(path=":memory:", space="t") as rec:
        rec.create(CONFIG)
        rec.fit_topics()
        assert rec.topics() == []
        rec.upsert_items([Item(id="one", title="soup")])
        rec.fit_topics()
        assert rec.topics() == []
        rec.upsert_items(items())
        rec.track(views("ann", *(f"c{k}" for k in range(6))))
        rec.reconcile()
        assert len(rec.topics()) >= 2
        check(rec)


def test_a_new_tenant_gets_topics() -> None:
    with Recommender.connect(path=":memory:", space="t") as rec:
        rec.create(CONFIG)
        rec.upsert_items(items("a"))
        rec.fit_topics()
        rec.upsert_items(items("b"))
        rec.reconcile()
        assert {one.tenant for one in rec.topics()} == {"a", "b"}
        assert list(reconcile(store_of(rec))) == []


def test_a_number_that_was_asked_for_is_kept_by_later_fits(rec: Recommender) -> None:
    rec.fit_topics(5)
    rec.upsert_items([Item(id=f"more{k}", title=one.title) for k, one in enumerate(items())])
    rec.reconcile()
    assert assign.read_fit(store_of(rec))["items"] == 180
    assert len(rec.topics()) == 5


def test_two_versions_number_their_topics_alike(rec: Recommender) -> None:
    """Steering names a topic by its id: on the version one goes back to it must mean the same."""
    assert rec.reembed(size=16).wait(120).state == "done"
    rec.fit_topics(5)
    rec.upsert_items([Item(id=f"x{k}", title=f"violin cello piano opera{k % 3}") for k in range(40)])
    rec.fit_topics(4)
    found = drive(versions(rec._space), rec.client, NoQueue())
    here, there = ({one.id: one for one in assign.read_points(store_of(rec, n), "")} for n in found.all)
    for topic in here.keys() & there.keys():
        assert here[topic].label == there[topic].label
        assert len(set(here[topic].keywords) & set(there[topic].keywords)) >= 3
    rec.rollback()
    check(rec)


def test_nobody_is_without_interests_when_a_new_version_goes_live(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    switch = reembed.switch

    def watched(space: Space, number: int) -> Any:
        seen.append([bool(one.get("interests")) for one in contents(rec, space.at(number).users)])  # type: ignore[misc]
        return switch(space, number)

    monkeypatch.setattr(reembed, "switch", watched)
    assert rec.reembed(size=16).wait(120).state == "done"
    assert seen == [[True]]


def test_topics_that_cannot_be_fitted_are_not_tried_for_ever(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def broken(*args: Any, **more: Any) -> Any:
        nonlocal tries
        tries += 1
        raise RuntimeError("no")

    monkeypatch.setattr(topics_job, "fit_sample", broken)
    job = rec.fit_topics(2)
    for _ in range(6):
        rec.reconcile()
    status = job.progress()
    assert (tries, status.state, status.reason) == (3, "failed", "RuntimeError: no")
    with pytest.raises(JobFailed, match="fit-topics-2 failed: RuntimeError: no"):
        _ = job.result
    monkeypatch.undo()
    assert rec.fit_topics(3).result == {"topics": 3}
    check(rec)


def test_users_are_found_whose_refresh_was_lost(rec: Recommender) -> None:
    """The message that follows a fit may be lost, and so may the process that was to send it."""
    inline, rec._queue = rec._queue, MemoryQueue()
    job = rec.fit_topics(2)
    rec._queue = inline
    Worker(rec.client).run(RunJob(space=rec.space, job=job.id))  # what follows from it is lost
    assert any(isinstance(one, RefreshUsers) for one in reconcile(store_of(rec), everything=False))
    rec.reconcile()
    check(rec)


def test_titles_of_any_length_make_no_large_topics() -> None:
    with Recommender.connect(path=":memory:", space="t") as rec:
        rec.create(SpaceConfig(model="hash", size=8))
        rec.upsert_items([Item(id=one.id, title=one.title + " é" * 100_000) for one in items()])
        rec.fit_topics(3)
        assert max(len(example) for one in rec.topics() for example in one.examples) <= topics_fit.MAX_TITLE_LENGTH


def test_an_event_without_topics_is_no_reason_to_refresh_again(rec: Recommender) -> None:
    rec.track([Event(user="bob", item="never", type="view", ts=NOW)])
    rec.reconcile()
    assert list(reconcile(store_of(rec))) == []
