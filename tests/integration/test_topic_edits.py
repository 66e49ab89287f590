"""Topics merged and split by hand, embedded and on a server: what users, items and later fits make of it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from llmrec_qdrant import InvalidInput, Item, JobFailed, NotFound, Recommender, SpaceMismatch
from llmrec_qdrant.testing import MemoryQueue
from tests.integration.test_topic_fits import Killed, before_write, check
from tests.integration.test_topics import CONFIG, WORDS, items, kind_of, views
from tests.integration.test_topics import rec as rec  # a fixture
from tests.spaces import fresh_name, store_of
from workers.topics import record as record_of


def members(rec: Recommender, topic: str) -> set[str]:
    return {item.id for item in rec.topic_items(topic, 100)}


def steering(rec: Recommender, user: str) -> dict[str, float]:
    """Weights that are not neutral."""
    points, _ = rec.client.scroll(rec._space.users, limit=100, with_payload=True)
    (stored,) = [dict(point.payload["steer"]) for point in points if point.payload and point.payload["user_id"] == user]
    return {topic: weight for topic, weight in stored.items() if weight != 1}


def test_a_merge_moves_items_labels_interests_and_steering_and_lasts(rec: Recommender) -> None:
    cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
    before = {topic.id: topic for topic in rec.topics()}
    rec.steer("ann", space, 0.5)
    rec.steer("new", space, 0.0)  # without events
    rec.steer("both", space, 0.0)
    rec.steer("both", cooking, 3.0)
    assert members(rec, cooking) == {f"c{n}" for n in range(30)}
    assert rec.merge_topics([cooking, space]).result == {"topics": 2}
    check_merged(rec, cooking, tennis)
    assert {topic.label for topic in rec.topics()} == {before[cooking].label, before[tennis].label}
    assert [steering(rec, user) for user in ("ann", "new", "both")] == [{cooking: 0.5}, {cooking: 0.0}, {cooking: 3.0}]
    assert [interest.topic for interest in rec.interests("ann")] == [cooking]
    rec.upsert_items([Item(id="new", title="rocket orbit moon")])
    assert "new" in members(rec, cooking)
    rec.delete_items(["new"])
    for number in (None, 2, 4):
        rec.fit_topics(number)
        check_merged(rec, cooking, tennis, exact=number != 4)
    with pytest.raises(NotFound, match="no topic"):
        rec.steer("ann", space)


def check_merged(rec: Recommender, cooking: str, tennis: str, exact: bool = True) -> None:
    assert members(rec, cooking) == {f"{kind}{n}" for kind in "cs" for n in range(30)}
    words = {word for topic in rec.topics() if topic.id == cooking for word in topic.keywords}
    assert words & set(WORDS["c"]) and words & set(WORDS["s"])
    assert not exact or {topic.id for topic in rec.topics()} == {cooking, tennis}


def test_a_split_undoes_a_merge_and_lasts(rec: Recommender) -> None:
    cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
    rec.merge_topics([cooking, space])
    rec.rename_topic(cooking, "both")
    assert rec.split_topic("both").result == {"topics": 3}
    parts = {topic.id: members(rec, topic.id) for topic in rec.topics() if topic.id != tennis}
    assert sorted(map(sorted, parts.values())) == sorted(sorted(f"{kind}{n}" for n in range(30)) for kind in "cs")
    assert {topic.label for topic in rec.topics()} > {"both"} and cooking in parts and space not in parts
    labels = {topic.id: topic.label for topic in rec.topics()}
    for number in (None, 3):
        rec.fit_topics(number)
        assert {topic: members(rec, topic) for topic in parts} == parts
        assert number or {topic.id: topic.label for topic in rec.topics()} == labels
    assert {interest.topic for interest in rec.interests("ann")} == set(parts)


def test_a_topic_that_a_person_named_remains_whatever_the_order(rec: Recommender) -> None:
    cooking, space = kind_of(rec, "c"), kind_of(rec, "s")
    rec.rename_topic(space, "mine")
    rec.merge_topics([cooking, "mine"])
    assert "mine" in {topic.label for topic in rec.topics() if topic.id == space}
    assert len(members(rec, space)) == 60


def test_edits_that_mean_nothing_are_refused(rec: Recommender) -> None:
    known = [topic.id for topic in rec.topics()]
    for topics, words in (
        ("12", "must be a list"), ([], "two topics or more"), ([known[0], known[0]], "two topics or more"), (known, "at least two must remain"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=words):
            rec.merge_topics(topics)
    with pytest.raises(NotFound):
        rec.merge_topics([known[0], "nothing"])
    for into in (1, 0, -2, 10_000, True, "2"):
        with pytest.raises(InvalidInput, match="into must be a whole number"):
            rec.split_topic(known[0], into)  # type: ignore[arg-type]
    job = rec.split_topic(known[0], 40)  # it has 30 items
    with pytest.raises(JobFailed, match="fewer than 40 kinds of items"):
        _ = job.result
    assert [topic.id for topic in rec.topics()] == known
    rec.reconcile()
    check(rec)


def test_a_decision_is_not_replaced_by_a_fit_nor_a_fit_by_a_decision() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as first:
        first.create(CONFIG)
        first.upsert_items(items())
        first.fit_topics(3)
        waiting = Recommender(first.client, MemoryQueue(), first.space)
        ids = [topic.id for topic in first.topics()]
        job = waiting.merge_topics(ids[:2])
        for ask in (waiting.fit_topics, lambda: waiting.split_topic(ids[0]), lambda: waiting.merge_topics(ids[1:])):
            with pytest.raises(SpaceMismatch, match=f"job {job.id} .* is under way"):
                ask()
        assert waiting.merge_topics(ids[:2]).id == job.id
        job.cancel()
        fit = waiting.fit_topics()
        with pytest.raises(SpaceMismatch, match=f"job {fit.id} .* is under way"):
            waiting.merge_topics(ids[:2])


@pytest.mark.parametrize("kind", ["merge", "split"])
def test_an_edit_killed_at_any_write_is_finished_by_the_reconciler(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> None:
        raise Killed

    for write in range(1, 60):
        with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
            rec.create(CONFIG)
            rec.upsert_items(items())
            rec.track(views("ann", "c1", "c2", "s1"))
            rec.fit_topics(3)
            cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
            if kind == "split":
                rec.merge_topics([cooking, space])
            rec.steer("ann", space if kind == "merge" else cooking, 0.5)
            end = before_write(rec, write, die)
            with suppress(Killed):
                if kind == "merge":
                    rec.merge_topics([cooking, space])
                else:
                    rec.split_topic(cooking)
            if not end():
                break
            if not [job for job in rec.jobs() if job.options.get("merge" if kind == "merge" else "split")]:
                continue  # nobody has heard of it
            with monkeypatch.context() as patched:
                patched.setattr("workers.storage.lease.JOB_LEASE_SECONDS", 0.0)
                rec.reconcile()
                rec.reconcile()
            check(rec)
            sizes = sorted(topic.size for topic in rec.topics())
            assert sizes == ([30, 60] if kind == "merge" else [30, 30, 30]), write
            assert steering(rec, "ann") == {cooking: 0.5}
            kept = record_of.read(store_of(rec)).kept
            assert set(kept) == ({cooking} if kind == "merge" else {topic.id for topic in rec.topics()} - {tennis})
    else:
        pytest.fail("an edit does not end")
    assert write > 8
