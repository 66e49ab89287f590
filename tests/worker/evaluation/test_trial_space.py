"""A trial space knows the past and nothing else, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.space.layout import COLLECTION_KINDS, TRIAL
from tests.spaces import EITHER, merged, space_on, store_of
from workers.evaluation import heartbeat
from workers.evaluation import trial_space as trials
from workers.evaluation.evaluate import evaluate
from workers.evaluation.splits import hide_last, hide_latest, hide_next
from workers.evaluation.trial_copy import event_payloads
from workers.evaluation.trial_space import running, trial

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def test_recent_events_are_in_histories_but_not_in_fits(rec: Recommender) -> None:
    rec.upsert_items([Item(id=one, title=one * 3) for one in "abcd"])
    events = [("u", "a", 1), ("v", "a", 1), ("v", "c", 2), ("x", "d", 3), ("x", "b", 4), ("x", "a", 5)]
    late = [("u", "b", 9), ("u", "d", 10), ("v", "b", 10), ("v", "d", 11)]
    rec.track(
        [Event(user=who, item=item, type="view", ts=1_600_000_000 + day * 86_400) for who, item, day in events + late]
    )
    rec.reconcile()
    splits = (hide_next(event_payloads(store_of(rec)), CONFIG, 10, seed, share=0.4) for seed in range(99))
    split = next(one for one in splits if {target.items for target in one.targets} == {("d",)})
    with trial(store_of(rec), CONFIG, split) as made:
        there = Recommender(rec.client, rec._queue, made.name)
        assert there.status().events == 8  # all but the targets: d, of u and of v
        taken = {one.id: one.payload["popularity"] for page in made.items.pages() for one in page}
        assert sorted(taken.values()) == [1.0, 1.0, 1.0, 3.0]  # b once, though it stands in two histories more
        assert {one.id for one in there.recommend("u", 10)} == {"c", "d"}


def test_a_space_named_like_a_trial_is_not_touched(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track(
        [Event(user=f"u{n}", item=f"i{k}", type="view", ts=1_600_000_000 + k) for n in range(3) for k in range(3)]
    )
    rec.reconcile()
    own = Recommender(rec.client, rec._queue, f"{rec.space}-trial")
    own.create(CONFIG)
    own.upsert_items([Item(id="mine", title="mine")])
    evaluate(store_of(rec), CONFIG)
    assert own.status().items == 1
    for kind in COLLECTION_KINDS:
        rec.client.delete_collection(own._space.versioned(kind))


def near(row: dict[int, float]) -> Any:
    """Equal up to rounding."""
    return pytest.approx(row, abs=1e-5)


def content(rec: Recommender, collection: str, name: str, keys: tuple[str, ...], about: Any = dict) -> dict[str, Any]:
    """Payload and vectors by id, of two spaces to be compared; ``about`` makes the expected side approximate."""
    found, _ = rec.client.scroll(collection, limit=1_000, with_payload=True, with_vectors=list(LEGS))
    result = {}
    for one in found:
        payload, vectors = merged(one.payload), one.vector or {}
        assert isinstance(vectors, dict)
        plain = {
            leg: dict(
                enumerate(vector) if isinstance(vector, list) else zip(vector.indices, vector.values, strict=True)
            )  # type: ignore[union-attr]
            for leg, vector in vectors.items()
        }
        result[payload[name]] = (
            {key: payload.get(key) for key in keys},
            {leg: about(row) for leg, row in plain.items()},
        )
    return result


@pytest.mark.parametrize("split", [hide_last, hide_latest])
def test_a_trial_equals_a_space_without_the_held_out_events(rec: Recommender, split: Any) -> None:
    """Compared with a space that never had them: popularity, co-occurrence, and everything about the users."""
    items = [Item(id=f"i{k}", title=f"title {chr(97 + k)}{chr(99 + k)} number {k}") for k in range(12)]
    events = [
        Event(
            user=f"u{n}",
            item=f"i{(n * 5 + k * k) % 11}",
            type="like" if k % 2 else "view",
            ts=1_600_000_000 + k * 86_400 + n,
        )
        for n in range(9)
        for k in range(5)
    ]
    events += [
        Event(user=f"u{n}", type="review", text=f"number {n}", ts=1_600_000_000 + 2.5 * 86_400) for n in range(9)
    ]
    rec.upsert_items(items)
    rec.track(events)
    rec.reconcile()
    found = split(event_payloads(store_of(rec)), CONFIG, 4)
    assert found.targets
    since = {who: found.hidden_from.get(("", who), found.cutoff) for who in {one.user for one in events}}
    past = Recommender(rec.client, rec._queue, f"{rec.space}-past")
    past.create(CONFIG)
    past.upsert_items(items)
    past.track([one for one in events if one.ts.timestamp() < since[one.user]])
    past.reconcile()
    with trial(store_of(rec), CONFIG, found) as made:
        known = {one.user for one in found.targets}
        keys = ("seen", "terms", "n_events", "legs", "interests")
        told = content(rec, past._space.users, "user_id", keys, near)
        assert content(rec, made.users.collection, "user_id", keys) == {who: told[who] for who in known}
        keys = ("popularity", "terms", "title")
        assert content(rec, made.items.collection, "item_id", keys) == content(
            rec, past._space.items, "item_id", keys, pytest.approx
        )
    for kind in COLLECTION_KINDS:
        rec.client.delete_collection(past._space.versioned(kind))


def test_deleted_items_are_no_targets(rec: Recommender) -> None:
    rec.upsert_items([Item(id=one, title=one * 5) for one in "abcd"])
    rec.track([Event(user="u", item=one, type="view", ts=1_600_000_000 + k * 86_400) for k, one in enumerate("abcd")])
    rec.track([Event(user="v", item=one, type="view", ts=1_600_000_000 + k * 86_400) for k, one in enumerate("ad")])
    rec.delete_items(["d"])
    for split in (hide_last, hide_latest):
        found = split(event_payloads(store_of(rec)), CONFIG, 10, **({} if split is hide_last else {"share": 0.3}))
        assert [(one.user, one.items, one.events_before) for one in found.targets] == [("u", ("c",), 2)]


def test_only_abandoned_trials_are_deleted(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=1_600_000_000 + k) for k in range(3)])
    own = Recommender(rec.client, rec._queue, f"{rec.space}-trial-deadbeef")
    own.create(CONFIG)  # somebody's space, in spite of its name

    def mine() -> set[str]:
        return {one.name for one in rec.client.get_collections().collections if one.name.startswith(rec.space)}

    before = mine()
    split = hide_last(event_payloads(store_of(rec)), CONFIG, 1)
    killed = trial(store_of(rec), CONFIG, split)
    left = killed.__enter__()
    assert left.space in running(rec.client) and own._space not in running(rec.client)
    for kind in ("events", "topics"):  # a kill in the middle of the deletion
        rec.client.delete_collection(left.space.versioned(kind))
    monkeypatch.setattr(trials, "ABANDONED_AFTER", timedelta(0))
    monkeypatch.setattr(trials, "SILENT_SECONDS", 0.0)
    evaluate(store_of(rec), CONFIG)
    assert mine() == before
    for kind in COLLECTION_KINDS:
        rec.client.delete_collection(own._space.versioned(kind))


def test_the_heartbeat_is_renewed_at_every_step(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=1_600_000_000 + k) for k in range(3)])
    seen: list[str] = []
    monkeypatch.setattr(heartbeat, "now", lambda: f"2100-01-01T00:00:{len(seen):02d}.000000Z")

    def report(stage: str, done: float, total: float) -> None:
        (made,) = [one for one in running(rec.client) if one.name.startswith(rec.space)]
        metadata = rec.client.get_collection(made.versioned("items")).config.metadata or {}
        assert metadata["llmrec"]
        seen.append(metadata[TRIAL]["at"])

    evaluate(store_of(rec), CONFIG, report=report)
    assert len(set(seen)) == len(seen) >= 4  # newer at every step


@pytest.mark.parametrize("rec", ["server"], indirect=True)
@pytest.mark.slow
@pytest.mark.qdrant
def test_long_texts_fit_into_requests(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}", text="x" * 900_000) for k in range(40)])
    rec.track(
        [Event(user="u", item=f"i{k}", type="review", text="y" * 900_000, ts=1_600_000_000 + k) for k in range(40)]
    )
    assert evaluate(store_of(rec), CONFIG).users == 1


def test_a_roll_out_during_a_trial_does_no_harm(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is of one version, although the aliases switch to vectors of another size meanwhile."""
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(20)])
    rec.track(
        [Event(user=f"u{n}", item=f"i{n + k}", type="view", ts=1_600_000_000 + k) for n in range(3) for k in range(4)]
    )
    rec.reconcile()
    monkeypatch.setattr("workers.storage.store.POINTS_PER_PAGE", 8)
    reports: list[str] = []

    def report(stage: str, done: float, total: float) -> None:
        if not reports:
            assert rec.reembed(size=16).wait(120).state == "done"
        reports.append(stage)

    assert evaluate(store_of(rec), CONFIG, report=report).users == 3
    for kind in COLLECTION_KINDS:
        rec.client.delete_collection(rec._space.versioned(kind, 2))
