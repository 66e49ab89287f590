"""Moving a space to another model: nothing is lost, nothing is seen half done; on embedded Qdrant and on a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Job, JobFailed, NotFound, Recommender, SpaceConfig, SpaceMismatch
from llmrec_qdrant.contracts.messages import EmbedItems, RunJob
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import COLLECTION_KINDS
from llmrec_qdrant.testing import HashEncoder, MemoryQueue
from tests.spaces import fresh_name, merged, store_of
from workers import reconcile, reembed
from workers.dispatch import Worker
from workers.storage import lease

CONFIG = SpaceConfig(model="hash", size=32)
ITEMS = [Item(id=f"i{k}", title=f"{'space war' if k % 2 else 'garden love'} number {k}") for k in range(30)]
EVENTS = [
    Event(user=f"u{n}", item=f"i{(n + 2 * k) % 30}", type="view", ts=1_600_000_000 + k)
    for n in range(6)
    for k in range(4)
]
EVENTS += [Event(user="u0", type="search", text="space war", ts=1_600_000_000 + 9)]


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    where = {"path": ":memory:"} if request.param == "local" else {"url": request.getfixturevalue("qdrant_url")}
    made = Recommender.connect(**where, space=fresh_name())
    made.create(CONFIG)
    made.upsert_items(ITEMS)
    made.track(EVENTS)
    made.reconcile()
    yield made
    for number in drive(versions(made._space), made.client, NoQueue()).all:
        for kind in COLLECTION_KINDS:
            made.client.delete_collection(made._space.versioned(kind, number))
    made.close()


def live(rec: Recommender) -> int:
    return drive(versions(rec._space), rec.client, NoQueue()).live


def take_up(rec: Recommender, job: Job) -> None:
    """A worker does one slice of a job."""
    Worker(rec.client).run(RunJob(space=rec.space, job=job.id))


def contents(rec: Recommender, number: int) -> dict[str, dict[str, Any]]:
    """Point by point what a version holds, without stamps."""
    found: dict[str, dict[str, Any]] = {}
    for kind in ("items", "users", "texts"):
        collection = rec._space.versioned(kind, number)
        points, _ = rec.client.scroll(collection, limit=1_000, with_payload=True, with_vectors=True)
        stamps = {"embedded_at", "updated_at", "lease", "revision"}
        for point in points:
            payload = {key: value for key, value in merged(point.payload).items() if key not in stamps}
            vector = point.vector if isinstance(point.vector, dict) else {}
            found[f"{kind}/{point.id}"] = {"payload": payload, "dense": vector.get("dense"), "legs": sorted(vector)}
    return found


def test_another_dimension_without_a_reader_noticing(rec: Recommender) -> None:
    before = [one.id for one in rec.recommend("u1", 5, weights={"collab": 1})]
    job = rec.reembed(size=48)
    assert job.wait().state == "done"
    assert job.result == {"version": 2, "model": rec.config.encoder_id, "items": 30, "users": 6, "items_set_aside": 0}
    assert live(rec) == 2 and rec.config.size == 48
    assert [one.id for one in rec.recommend("u1", 5, weights={"collab": 1})] == before
    (point,) = rec.client.retrieve(rec._space.items, [point_id("item", "i3")], with_vectors=["dense"])
    assert isinstance(point.vector, dict)
    assert point.vector["dense"] == pytest.approx(HashEncoder(48).encode([ITEMS[3].title])[0], abs=1e-6)


def test_the_new_version_equals_one_built_from_scratch(rec: Recommender) -> None:
    rec.reembed(size=48).wait()
    scratch = Recommender(rec.client, rec._queue, fresh_name())
    scratch.create(CONFIG.model_copy(update={"size": 48}))
    scratch.upsert_items(ITEMS)
    scratch.track(EVENTS)
    scratch.reconcile()
    got, wanted = contents(rec, 2), contents(scratch, 1)
    assert got.keys() == wanted.keys()
    for name, point in wanted.items():
        expected = {**point["payload"], "model": got[name]["payload"].get("model")}
        assert {key: got[name]["payload"].get(key) for key in expected} == expected
        assert got[name]["legs"] == point["legs"]
        if point["dense"]:
            assert got[name]["dense"] == pytest.approx(point["dense"], abs=1e-5)


def test_writes_during_the_filling_reach_both_sides(rec: Recommender) -> None:
    worker, rec._queue = Worker(rec.client), MemoryQueue()
    job = rec.reembed(size=48)
    take_up(rec, job)
    rec.upsert_items([Item(id="i1", title="edited while moving"), Item(id="new", title="new while moving")])
    rec.delete_items(["i2"])
    rec.track(
        [
            Event(user="late", item="i3", type="view", ts=1_600_000_000 + 5),
            Event(user="late", type="search", text="war", ts=1_600_000_000 + 6),
        ]
    )
    rec.forget_user("u0")
    for _ in range(10):
        if job.progress().state == "done":
            break
        from workers.reconcile import reconcile

        worker.drain(reconcile(store_of(rec)))
    assert live(rec) == 2
    titles = {
        point["payload"].get("title"): point for name, point in contents(rec, 2).items() if name.startswith("items/")
    }
    assert "edited while moving" in titles and "new while moving" in titles and len(titles) == 30
    assert titles["edited while moving"]["dense"] == pytest.approx(
        HashEncoder(48).encode(["edited while moving"])[0], abs=1e-6
    )
    names = {point["payload"].get("user_id") for name, point in contents(rec, 2).items() if name.startswith("users/")}
    assert names == {"late", "u1", "u2", "u3", "u4", "u5"}
    assert not [name for name in contents(rec, 2) if name == f"texts/{point_id('event', EVENTS[-1].event_id)}"]


def test_what_a_dying_writer_left_on_one_side_is_mended(rec: Recommender) -> None:
    worker, rec._queue = Worker(rec.client), MemoryQueue()
    take_up(rec, rec.reembed(size=48))
    rec.client.delete(rec._space.versioned("items", 1), points_selector=[point_id("item", "i4")])  # and then it died
    from workers.reconcile import reconcile

    for _ in range(10):
        worker.drain(reconcile(store_of(rec)))
    assert live(rec) == 2
    assert not rec.client.retrieve(rec._space.items, [point_id("item", "i4")])


def test_rollback_is_the_same_call_backwards(rec: Recommender) -> None:
    with pytest.raises(NotFound, match=r"no earlier version of space .*: its first version is live$"):
        rec.rollback()
    rec.reembed(size=48).wait()
    rec.upsert_items([Item(id="after", title="written after the switch")])
    assert rec.rollback() == 1 and live(rec) == 1 and rec.config.size == 32
    assert rec.search("written after the switch", limit=1)[0].id == "after"
    with pytest.raises(
        NotFound, match="its first version is live; complete, too: version 2, which `llmrec rollback --to 2`"
    ):
        rec.rollback()
    for missing, why in ((1, "is live already"), (7, "there is no version 7 .*; complete, too: version 2")):
        with pytest.raises(NotFound, match=why):
            rec.rollback(missing)
    assert rec.rollback(2) == 2 and rec.config.size == 48
    assert rec.clean_up() == [1]
    with pytest.raises(
        NotFound, match=r"no earlier version of space .*: earlier ones were deleted, or not moved to this Qdrant$"
    ):
        rec.rollback()
    assert rec.status().items == 31


def test_each_version_keeps_leg_weights_of_its_own(rec: Recommender) -> None:
    """A model brings its own: a setting changed while it fills or lives must not carry them to the other version, or back."""
    before = rec.config.weights
    queue, rec._queue = rec._queue, MemoryQueue()
    heavy = {"dense": 4.0, "tfidf": 1.0, "collab": 2.0}
    first = rec.reembed(size=48, weights=heavy)
    rec.create({**rec.config.model_dump(), "fields": {"year": "integer"}})
    job = rec.reembed(size=48, weights=heavy)  # it resumes, though the configuration has changed
    rec._queue = queue
    assert job.id == first.id and job.wait().state == "done" and job.result["version"] == 2
    assert rec.config.weights == heavy and rec.config.fields == {"year": "integer"}
    rec.create({**rec.config.model_dump(), "fields": {"year": "integer", "genre": "keyword"}})
    rec.rollback()
    assert rec.config.weights == before and set(rec.config.fields) == {"year", "genre"}
    indexed = rec.client.get_collection(rec._space.items).payload_schema
    assert not indexed or {"year", "genre"} <= indexed.keys()  # embedded Qdrant has no indexes
    both = {"dense": 1.0, "tfidf": 3.0, "collab": 1.0}
    rec.rollback(2)
    rec.create({**rec.config.model_dump(), "weights": both})
    rec.rollback()
    assert rec.config.weights == before


def test_only_one_at_a_time_and_the_same_again_resumes(rec: Recommender) -> None:
    rec._queue = MemoryQueue()
    job = rec.reembed(size=48)
    assert rec.reembed(size=48).id == job.id == "reembed-1"
    with pytest.raises(SpaceMismatch, match=r"job reembed-1 of .* is under way with other options"):
        rec.reembed(size=16)
    take_up(rec, job)
    assert drive(versions(rec._space), rec.client, NoQueue()).all == (1, 2)
    assert job.cancel() and not job.cancel()
    assert drive(versions(rec._space), rec.client, NoQueue()).all == (1,)
    with pytest.raises(JobFailed, match="reembed-1 was cancelled: on request"):
        _ = job.result
    assert rec.reembed(size=16).id == "reembed-2"


def test_a_model_that_cannot_be_loaded_fails_the_job_before_there_is_a_version(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: SpaceConfig) -> Any:
        raise InvalidInput(f"model {config.model!r} cannot be loaded")

    with monkeypatch.context() as patched:
        patched.setattr(reembed, "load_encoder", refuse)
        job = rec.reembed(model="no/such")
    assert (job.progress().state, job.progress().reason) == ("failed", "model 'no/such' cannot be loaded")
    assert drive(versions(rec._space), rec.client, NoQueue()).all == (1,)
    rec.upsert_items([Item(id="later", title="still works")])
    assert rec.status().items_stale == 0


def test_settings_that_are_live_already_are_a_job_that_is_done(rec: Recommender) -> None:
    job = rec.reembed(size=32)
    assert job.progress().state == "done" and job.result["version"] == 1
    assert live(rec) == 1 and [one.id for one in rec.jobs()] == ["reembed-1"]


def test_the_same_request_ends_a_job_whose_worker_died_right_after_the_switch(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live settings are the requested ones already, and those of the job that has not ended."""

    class Died(BaseException):
        pass

    def die(*_: Any) -> Any:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(reembed, "_end", die)
        with suppress(Died):
            rec.reembed(size=48)
    assert live(rec) == 2 and rec.jobs()[0].active
    rec._forget_config()
    monkeypatch.setattr(lease, "unchanged_for", lambda *_: True)
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0)
    job = rec.reembed(size=48)
    assert (job.id, job.progress().state, job.result["version"]) == ("reembed-1", "done", 2)


def test_a_text_is_encoded_once_per_model(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.items import embed

    encoded: list[str] = []

    class Counting(HashEncoder):
        def encode(self, texts: Any) -> Any:
            encoded.extend(texts)
            return super().encode(texts)

    monkeypatch.setattr(embed, "load_encoder", lambda config: Counting(config.size))
    rec.reembed(size=48).wait()
    rec.rollback()
    rec.reconcile()
    assert len(encoded) == len(set(encoded)) == 31


def test_a_poison_item_is_set_aside_and_the_job_finishes(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.items import embed

    class Allergic(HashEncoder):
        def encode(self, texts: Any) -> Any:
            if any("number 7" in text for text in texts):
                raise RuntimeError("this text breaks the tokenizer")
            return super().encode(texts)

    monkeypatch.setattr(embed, "load_encoder", lambda config: Allergic(config.size))
    job = rec.reembed(size=48)
    assert job.wait().state == "done" and job.result["items_set_aside"] == 1
    (point,) = rec.client.retrieve(rec._space.items, [point_id("item", "i7")])
    assert merged(point.payload)["set_aside_why"].startswith("RuntimeError: this text breaks the tokenizer (in ")
    monkeypatch.undo()
    rec.upsert_items([Item(id="i7", title="mended number seven")])
    assert rec.search("mended number seven", limit=1)[0].id == "i7"


def test_a_worker_that_dies_every_time_is_found_out(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A death leaves no exception: only the tries that were recorded beforehand tell."""
    from workers.items import embed

    class Killed(BaseException):
        pass

    class Deadly(HashEncoder):
        def encode(self, texts: Any) -> Any:
            if any("poison" in text for text in texts):
                raise Killed
            return super().encode(texts)

    monkeypatch.setattr(embed, "load_encoder", lambda config: Deadly(config.size))
    rec._queue = MemoryQueue()
    rec.upsert_items([Item(id="bad", title="poison"), Item(id="good", title="innocent")])
    message = EmbedItems(space=rec.space, ids=[point_id("item", "bad"), point_id("item", "good")])
    deaths = 0
    for _ in range(8):
        try:
            Worker(rec.client).run(message)
        except Killed:
            deaths += 1
    assert deaths == 4  # once together, three times alone
    (bad,) = rec.client.retrieve(rec._space.items, [point_id("item", "bad")])
    (good,) = rec.client.retrieve(rec._space.items, [point_id("item", "good")])
    assert merged(bad.payload)["set_aside"] is True and "died each time" in merged(bad.payload)["set_aside_why"]
    assert merged(good.payload)["stale"] is False and not merged(good.payload)["set_aside"]


def marks(rec: Recommender) -> tuple[float, ...]:
    """Scores tell the versions apart, and do not depend on how equal ones are ordered."""
    return tuple(round(one.score, 3) for one in rec.recommend("u1", 8, weights={"dense": 1}))


@pytest.mark.qdrant
def test_switches_under_constant_reads_show_no_error_and_no_mixture(qdrant_url: str) -> None:
    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(CONFIG)
    rec.upsert_items(ITEMS)
    rec.track(EVENTS)
    rec.reconcile()
    rec.reembed(size=48).wait()
    expected = {marks(rec)}
    rec.rollback()
    expected.add(marks(rec))
    assert len(expected) == 2
    errors: list[str] = []
    seen: set[tuple[float, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        mine = Recommender.connect(qdrant_url, space=rec.space)
        while not stop.is_set():
            try:
                seen.add(marks(mine))
            except Exception as error:
                errors.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for turn in range(40):
        rec.rollback(2 - turn % 2)
    stop.set()
    for one in readers:
        one.join()
    assert errors == []
    assert seen <= expected
    for number in (1, 2):
        for kind in COLLECTION_KINDS:
            rec.client.delete_collection(rec._space.versioned(kind, number))


def test_a_look_announces_a_point_once_though_two_versions_wait_for_it(rec: Recommender) -> None:
    from workers.reconcile import reconcile

    queue, inline = MemoryQueue(), rec._queue
    rec._queue = queue
    take_up(rec, rec.reembed(size=48))
    rec.upsert_items([Item(id=f"i{k}", title=f"another text {k}") for k in range(30)])
    announced = [one for message in reconcile(store_of(rec)) if isinstance(message, EmbedItems) for one in message.ids]
    assert len(announced) == len(set(announced)) == 30
    assert not [m for m in reconcile(store_of(rec), everything=False) if isinstance(m, EmbedItems)]
    rec._queue = inline
    rec.reconcile()


def test_fitting_passes_over_a_version_that_is_dropped_meanwhile(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrec_qdrant.contracts.messages import FitCollab
    from workers.items import collab
    from workers.storage.store import SpaceStore

    rec._queue = MemoryQueue()
    job = rec.reembed(size=48)
    take_up(rec, job)
    fitted: list[int | None] = []
    real = collab.fit

    def fit(space: SpaceStore, config: SpaceConfig) -> None:
        real(space, config)
        fitted.append(space.space.version)
        if space.space.version == 1:
            job.cancel()

    monkeypatch.setattr(collab, "fit", fit)
    Worker(rec.client).run(FitCollab(space=rec._space.name))
    assert fitted == [1]


def test_one_chain_of_messages_fills_a_version_and_a_broken_one_is_taken_up(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline, rec._queue = rec._queue, MemoryQueue()
    job = rec.reembed(size=48)
    monkeypatch.setattr(reembed, "SLICE_SECONDS", 0.0)

    def announced() -> int:
        messages = reconcile.reconcile(store_of(rec), everything=False)
        return sum(isinstance(message, RunJob) for message in messages)

    assert announced() == 0  # the request has announced it a moment ago
    with monkeypatch.context() as patched:
        patched.setattr(lease, "ANNOUNCE_SECONDS", 0.0)
        assert announced() == 1  # nobody has begun
    for seconds in (0.0, 0.01):
        monkeypatch.setattr(reembed, "SLICE_SECONDS", seconds)
        take_up(rec, job)
        assert announced() == 0  # the message that follows from the slice is under way
    monkeypatch.setattr(lease, "ANNOUNCE_SECONDS", 0.0)
    assert announced() == 1  # and was lost
    rec._queue = inline
    rec.reconcile()
    assert job.wait(60).state == "done"
