"""A malformed point, or metadata that cannot be read, stops only its own piece of a sweep, is named, and is not looked at again."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import Event, Item, LlmrecError, Recommender, SpaceConfig, Unauthorized
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.job_record import JobRecord
from llmrec_qdrant.space.layout import COLLAB_FIT, COLLECTION_KINDS, DENSE, TOPICS_FIT, CollectionKind
from llmrec_qdrant.space.points import nested
from llmrec_qdrant.space.shapes import fault
from tests.spaces import EITHER, merged, space_on, store_of
from workers import dispatch
from workers.dispatch import Worker
from workers.evaluation import trial_space
from workers.reconcile import reconcile
from workers.topics import record as topics_record

SIZE = 16
NOW = 1_700_000_000

STALE = {"bookkeeping": {"stale": True, "src_hash": "abc", "attempts": 0}}
USER = {"bookkeeping": {"stale": True, "revision": "abc", "attempts": 0}}
ITEM = {"item_id": "x", "title": "rocket", **STALE}
TEXT = {"user_id": "ann", "text": "rocket", **STALE}
PERSON = {"user_id": "zoe", **USER}
EVENT = {
    "user_id": "ann",
    "type": "like",
    "ts": "2024-05-01T10:00:00+00:00",
    "item_id": "i1",
    "tenant": "",
    "bookkeeping": {"folded": False},
}


def without(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


MALFORMED: dict[CollectionKind, dict[str, dict[str, Any]]] = {
    "items": {
        "'item_id' is missing": without(ITEM, "item_id"),
        "'item_id' must be": {**ITEM, "item_id": 7},
        "'title' must be a text, not 5": {**ITEM, "title": 5},
        "'text' must be": {**ITEM, "text": ["rocket"]},
        "'tenant' must be": {**ITEM, "tenant": {"a": 1}},
        "'topic_ids' must be": {**ITEM, "topic_ids": "3"},
        "'popularity' must be": {**ITEM, "popularity": "much"},
        "'bookkeeping.src_hash' is missing": {**ITEM, "bookkeeping": {"stale": True}},
        "'bookkeeping.src_hash' is missing, or": {**ITEM, "bookkeeping": {"stale": True, "src_hash": 12}},
        "'bookkeeping.attempts' must be": {**ITEM, "bookkeeping": {**STALE["bookkeeping"], "attempts": "two"}},
    },
    "texts": {
        "'user_id' is missing": without(TEXT, "user_id"),
        "'text' is missing": without(TEXT, "text"),
        "'text' must be": {**TEXT, "text": 4},
        "'bookkeeping.src_hash' is missing": {**TEXT, "bookkeeping": {"stale": True}},
    },
    "users": {
        "'user_id' is missing": without(PERSON, "user_id"),
        "'steer' must be": {**PERSON, "steer": ["3"]},
        "'n_events' must be": {**PERSON, "n_events": "many"},
        "'interests' must be": {**PERSON, "interests": ["space"]},
        "'bookkeeping.revision' is missing": {**PERSON, "bookkeeping": {"stale": True}},
    },
    "events": {
        "'user_id' is missing": without(EVENT, "user_id"),
        "'user_id' must be": {**EVENT, "user_id": 9},
        "'type' is missing": without(EVENT, "type"),
        "'type' must be": {**EVENT, "type": ["like"]},
        "'ts' is missing": without(EVENT, "ts"),
        "'ts' must be a time in ISO form, not 'yesterday'": {**EVENT, "ts": "yesterday"},
        "'ts' must be": {**EVENT, "ts": NOW},
        "'item_id' must be": {**EVENT, "item_id": 8},
        "'value' must be": {**EVENT, "type": "rating", "value": "five"},
        "'text' must be": {**EVENT, "text": {"a": "b"}},
        "'session' must be": {**EVENT, "session": 5},
        "'tenant' must be": {**EVENT, "tenant": 5},
        "'tenant' is missing": without(EVENT, "tenant"),
    },
}  # fmt: skip
KINDS = {"items": "item", "texts": "text", "users": "user", "events": "event"}


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    """A space in which everything is done."""
    with space_on(request, SpaceConfig(model="hash", size=SIZE)) as made:
        made.upsert_items([Item(id=f"i{n}", title=f"rocket {n}", text="moon") for n in range(60)])
        made.track([Event(user=f"u{n}", item=f"i{n % 9}", type="like", ts=NOW + n) for n in range(30)])
        made.fit_topics(3)
        made.reconcile()
        yield made


def put(rec: Recommender, kind: CollectionKind, payload: dict[str, Any], point: str | int = "") -> str:
    """Store a point as a script would."""
    point = point or str(uuid.uuid4())
    rec.client.upsert(rec._space.alias(kind), [models.PointStruct(id=point, vector={}, payload=payload)], wait=True)
    return str(point)


def everything(rec: Recommender) -> dict[str, Any]:
    """All that is stored."""
    found: dict[str, Any] = {}
    for kind in COLLECTION_KINDS:
        page, _ = rec.client.scroll(rec._space.alias(kind), limit=1_000, with_payload=True, with_vectors=True)
        found |= {
            f"{kind} {record.id}": (merged(record.payload), sorted(map(str, (record.vector or {}).items())))
            for record in page
        }
    return found


def swept(rec: Recommender) -> None:
    """Sweep as workers do: until nothing follows."""
    Worker(rec.client).drain([Reconcile(space=rec.space, everything=True)])


def add_good(rec: Recommender) -> None:
    """Store work without a message to a worker."""
    rec.upsert_items([Item(id="good", title="rocket to the moon")], notify=False)
    rec.load_events(
        [Event(user="ann", item="good", type="like"), Event(user="ann", type="review", text="moon rocket", item="i1")]
    )


def check_good(rec: Recommender) -> None:
    assert rec.client.retrieve(rec._space.items, [point_id("item", "good")], with_vectors=[DENSE])[0].vector
    status = rec.status()
    assert (status.items_stale, status.texts_stale, status.users_stale, status.events_unfolded) == (0, 0, 0, 0)
    listed = rec.recommend("ann", 5, exclude_seen=False)
    assert listed and not any(item.reason for item in listed), (
        "a personal list gives no reason unless it is asked for one"
    )


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_points_are_set_aside_and_named_beside_good_ones(
    rec: Recommender, kind: CollectionKind, caplog: pytest.LogCaptureFixture
) -> None:
    put_in = {put(rec, kind, payload): said for said, payload in MALFORMED[kind].items()}
    add_good(rec)
    with caplog.at_level(logging.ERROR, "llmrec.worker"):
        swept(rec)
    check_good(rec)
    logged = [line.getMessage() for line in caplog.records if line.getMessage().startswith("set aside point")]
    assert len(logged) == len(put_in)
    for point, said in put_in.items():
        assert [line for line in logged if point in line and f"the point is malformed: {said}" in line], (said, logged)
    failures = [failure for failure in rec.failures() if failure.kind == KINDS[kind]]
    assert len(failures) == len(put_in) == rec.status().set_aside
    assert rec.status().items_unreadable == 0  # these have another reason
    assert all("malformed" in failure.reason and "write it again" in failure.reason for failure in failures)
    assert rec.status().notes == []
    before = everything(rec)
    assert list(reconcile(store_of(rec))) == []
    assert everything(rec) == before


def test_points_with_numbers_as_ids_stop_nothing(rec: Recommender) -> None:
    """As the Web UI and scripts number them. What they hold is sound; an event needs no more."""
    for number, (kind, payload) in enumerate({"items": ITEM, "texts": TEXT, "users": PERSON, "events": EVENT}.items()):
        put(
            rec,
            kind,
            {**payload, "bookkeeping": {**payload["bookkeeping"], "collab_since": "2024-01-01T00:00:00+00:00"}},
            7 + number,
        )
        put(rec, kind, without(payload, "user_id", "item_id"), 70 + number)
    put(rec, "topics", {"label": "x", "tenant": "", "topic_id": "9"}, 5)
    put(rec, "jobs", {"kind": "tune", "id": "tune-1"}, 6)
    add_good(rec)
    swept(rec)
    check_good(rec)
    reasons = sorted((failure.kind, failure.reason) for failure in rec.failures())
    assert [kind for kind, _ in reasons] == ["event", "item", "item", "text", "text", "user", "user"]
    assert all("the id of the point is a number" in reason for kind, reason in reasons if kind != "event")
    assert len(rec.status().notes) == 1 and f"at point 6 of {rec._space.jobs}" in rec.status().notes[0]
    assert list(reconcile(store_of(rec))) == []
    assert rec.reembed(size=8).wait().state == "done"
    swept(rec)
    check_good(rec)
    assert list(reconcile(store_of(rec))) == []


def test_malformed_points_of_every_kind_at_once(rec: Recommender) -> None:
    number = sum(len([put(rec, kind, payload) for payload in points.values()]) for kind, points in MALFORMED.items())
    add_good(rec)
    swept(rec)
    check_good(rec)
    assert rec.status().set_aside == number == len(rec.failures())
    mended = ("'bookkeeping", "'topic_ids'")  # by what a retry and a fit of topics write
    named = sorted(failure.reason for failure in rec.failures() if not any(key in failure.reason for key in mended))
    assert rec.retry() == number  # the others are looked at again, and fail again
    assert (
        sorted(failure.reason for failure in rec.failures() if not any(key in failure.reason for key in mended))
        == named
    )
    assert len(named) == number - 6
    assert list(reconcile(store_of(rec))) == []


def test_points_that_are_done_and_become_malformed_stop_nothing(rec: Recommender) -> None:
    """Nobody asks a worker to look at these: a fit, a rebuild and lists leave them out."""
    for kind, points in MALFORMED.items():
        for payload in points.values():
            inside = {
                **payload["bookkeeping"],
                "stale": False,
                "folded": True,
                "collab_since": "2024-01-01T00:00:00+00:00",
            }
            put(rec, kind, {**payload, "bookkeeping": inside})
    add_good(rec)
    swept(rec)
    check_good(rec)
    assert list(reconcile(store_of(rec))) == []
    assert rec.fit_topics(3).wait().state == "done"
    assert rec.reembed(size=8).wait().state == "done"
    swept(rec)
    assert (rec.status().items_stale, rec.status().users_stale, rec.jobs(1)[0].state) == (0, 0, "done")
    assert list(reconcile(store_of(rec))) == []


@pytest.mark.parametrize(
    "payload", [{}, {"topic_id": "7", "label": 5}, {"topic_id": "seven", "label": "x"}, {"label": "x"}]
)
def test_a_malformed_topic_is_replaced_by_a_repair(rec: Recommender, payload: dict[str, Any]) -> None:
    topics = rec.topics()
    fit = topics_record.read(store_of(rec)).done
    damaged = {**payload, "tenant": "", "bookkeeping": {"topics_fit": fit}}
    put(rec, "topics", damaged, point_id("topic", topics[0].id))
    put(rec, "topics", payload)
    add_good(rec)
    swept(rec)
    check_good(rec)
    assert rec.topics() and all(topic.label for topic in rec.topics())
    page, _ = rec.client.scroll(rec._space.topics, limit=100)
    assert [said for record in page if (said := fault("topics", merged(record.payload)))] == []
    assert list(reconcile(store_of(rec))) == []


JOBS: dict[str, dict[str, Any]] = {
    "empty": {},
    "only a kind": {"kind": "fit-topics"},
    "an unknown state": {
        "kind": "fit-topics",
        "id": "fit-topics-2",
        "state": "paused",
        "options": {},
        "created_at": "x",
    },
    "another id": {
        **JobRecord.new("fit-topics", 90, {}, "2024-05-01T10:00:00+00:00").payload(),
        "id": "fit-topics-last",
    },
    "a number as options": {**JobRecord.new("tune", 3, {}, "2024-05-01T10:00:00+00:00").payload(), "options": 5},
    "a number as kind": {"kind": 5},
}


@pytest.mark.parametrize("name", JOBS)
def test_an_unreadable_job_is_named_and_stops_no_other(rec: Recommender, name: str) -> None:
    payload = nested(JOBS[name])
    point = put(rec, "jobs", payload, JobRecord.point_of("fit-topics-2") if name == "an unknown state" else "")
    add_good(rec)
    swept(rec)
    check_good(rec)
    (note,) = rec.status().notes
    assert f"the record of a job at point {point} of {rec._space.jobs} cannot be read: delete it" in note
    assert rec.fit_topics(2).wait().state == "done"
    assert point not in [job.id for job in rec.jobs()]
    assert list(reconcile(store_of(rec))) == []
    rec.client.delete(rec._space.jobs, models.PointIdsList(points=[point]), wait=True)
    swept(rec)
    assert rec.status().notes == []


@pytest.mark.parametrize(
    ("key", "value"),
    [(TOPICS_FIT, "third"), (TOPICS_FIT, {"run": 5, "stage": ["done"], "items": "many"}), (COLLAB_FIT, 7), (COLLAB_FIT, {"events": "x", "items": "y"}),
     ("boilerplate", [1]), ("boilerplate", {"passages": 3, "items": "x"}), ("topics_edited", "now")],
    ids=str,
)  # fmt: skip
def test_unreadable_metadata_stops_its_piece_only(rec: Recommender, key: str, value: Any) -> None:
    rec.client.update_collection(rec._space.items, metadata={key: value})
    rec.load_events([Event(user="ann", item="i1", type="like")])
    try:
        swept(rec)
    except LlmrecError:
        raise
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {error}")
    assert rec.status().events_unfolded == 0
    assert [
        note
        for note in rec.status().notes
        if f"metadata of {rec.space} version 1 cannot be done: the record '{key}'" in note
    ]


def test_a_version_of_a_later_release_stops_only_work_on_that_version(
    rec: Recommender, caplog: pytest.LogCaptureFixture
) -> None:
    rec.reembed(size=8).wait()
    rec.rollback()  # version 1 is live, version 2 is complete
    hidden = rec._space.versioned("items", 2)
    stored = rec.client.get_collection(hidden).config.metadata["llmrec"]
    rec.client.update_collection(hidden, metadata={"llmrec": {**stored, "format": 99}})
    rec.upsert_items([Item(id="good", title="rocket to the moon")])
    rec.track([Event(user="ann", item="good", type="like")])
    swept(rec)
    check_good(rec)
    notes = [note for note in rec.status().notes if f"{rec.space} version 2 cannot be done" in note]
    assert notes and all("has format 99, this version of llmrec reads format" in note for note in notes), (
        rec.status().notes
    )
    rec.client.update_collection(hidden, metadata={"llmrec": stored})
    swept(rec)
    assert rec.status().notes == []
    assert store_of(rec, 2).items.retrieve([point_id("item", "good")], vectors=[DENSE])[0].dense(DENSE)


def test_a_piece_that_raises_stops_no_other_and_is_logged_once(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from workers.items import boilerplate

    def fails(*_: Any) -> None:
        raise KeyError("passages")

    monkeypatch.setattr(boilerplate, "keep", fails)
    add_good(rec)
    swept(rec)
    check_good(rec)
    sentence = f"boilerplate of {rec.space} cannot be done: KeyError: 'passages'"
    assert rec.status().notes == [sentence]
    swept(rec)
    errors = [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]
    assert errors == [f"{rec.space}: {sentence}"]


def test_a_message_that_fails_stops_no_other(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that no check foresees is raised when everything else is done."""
    whole = dispatch.embed

    def fails(store: Any, config: SpaceConfig, ids: list[str], *others: Any) -> Any:
        if point_id("item", "bad") in ids:
            raise KeyError("text")
        return whole(store, config, ids, *others)

    rec.upsert_items([Item(id="bad", title="rocket")], notify=False)
    add_good(rec)
    monkeypatch.setattr(dispatch, "embed", fails)
    monkeypatch.setattr("workers.reconcile.ITEMS_PER_MESSAGE", 1)
    with pytest.raises(KeyError, match="text"):
        swept(rec)
    rec.delete_items(["bad"])
    check_good(rec)


def test_a_trial_space_that_cannot_be_deleted_stops_no_other(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["a-trial-00000001", "a-trial-00000002", "a-trial-00000003", "a-trial-00000004"]
    beats: list[Any] = [{"at": "2001-01-01T00:00:00Z"}, {"at": "2001-01-01T00:00:00Z"}, {"at": 5}, "now"]
    for name, beat in zip(names, beats, strict=True):
        rec.client.create_collection(f"{name}_items_v1", vectors_config={}, metadata={"trial": beat})
    whole = trial_space._delete

    def fails(copy: Any) -> None:
        if copy.name == names[0]:
            raise Unauthorized("the API key does not allow this")
        whole(copy)

    monkeypatch.setattr(trial_space, "_delete", fails)
    assert {space.name for space in trial_space.running(rec.client)} & set(names) == {names[0]}
    assert f"trial space {names[0]} cannot be deleted: the API key does not allow this" in caplog.text
    left = {collection.name for collection in rec.client.get_collections().collections}
    assert [f"{name}_items_v1" in left for name in names] == [True, False, True, True]
    for name in names:
        rec.client.delete_collection(f"{name}_items_v1")
