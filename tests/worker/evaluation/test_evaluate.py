"""Evaluation against a space whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.space.layout import KINDS, TRIAL
from tests.spaces import EITHER, space_on
from workers.evaluation import trial_space as trials
from workers.evaluation.evaluate import evaluate
from workers.evaluation.metrics import interval, measures, p_value
from workers.evaluation.splits import Split, hide_last, hide_latest, hide_next
from workers.evaluation.trial_space import payloads, running, trial, unheard
from workers.storage import store

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def test_measures_of_lists_worked_out_by_hand() -> None:
    """Two wanted at places 1 and 3 of 4; one at 2; one absent; nothing listed."""
    found = measures([["a", "x", "b", "y"], ["x", "c"], ["x"], []], [["a", "b"], ["c"], ["d"], ["e"]], 4)
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg"] == pytest.approx([(1 + 1 / math.log2(4)) / ideal, 1 / math.log2(3), 0, 0])
    assert found["hr"].tolist() == [1, 1, 0, 0]
    assert found["recall"].tolist() == [1, 1, 0, 0]
    assert found["mrr"].tolist() == [1, 0.5, 0, 0]
    assert found["map"] == pytest.approx([(1 + 2 / 3) / 2, 0.5, 0, 0])
    cut = measures([["x", "x2", "b"]], [["b", "c"]], 2)
    assert {name: values.tolist() for name, values in cut.items()} == {key: [0.0] for key in found}


def test_intervals_hold_the_mean_and_tests_tell_noise_from_difference() -> None:
    chance = np.random.default_rng(1)
    values = chance.random(200)
    low, high = interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.15)
    assert p_value(values, values) == 1.0
    assert p_value(values, values + chance.normal(0, 0.1, 200)) > 0.05
    assert p_value(values, values + chance.normal(0.05, 0.1, 200)) < 0.01


def event(user: str, item: str, day: int, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "tenant": "", "type": kind, "ts": f"2024-01-{day:02d}T00:00:00.000000Z"}


def hidden(found: Split, events: list[dict[str, Any]]) -> list[str]:
    return [f"{one['user_id']}{one['item_id']}" for one in events if found.hides(one)]


def test_the_target_is_the_last_item_taken_for_the_first_time() -> None:
    events = [event("u", "a", 1), event("u", "b", 2), event("u", "a", 3), event("u", "c", 4, "dislike")]
    found = hide_last(events, CONFIG, 10)
    (target,) = found.targets
    assert (target.user, target.items, target.events_before) == ("u", ("b",), 1)
    assert hidden(found, events) == ["ub", "ua", "uc"]
    assert hide_last([event("u", "a", 1), event("u", "a", 2)], CONFIG, 10).targets == ()
    (again,) = hide_last(events, CONFIG, 10, repeats=True).targets  # where lists may hold what a user had
    assert (again.items, again.events_before) == (("a",), 2)


def test_several_last_items_leave_a_past() -> None:
    events = [event("u", item, day) for day, item in enumerate("abcd", start=1)] + [
        event("v", "a", 1),
        event("v", "b", 2),
    ]
    found = hide_last(events, CONFIG, 10, hide=2)
    assert [(one.user, one.items) for one in found.targets] == [("u", ("c", "d"))]
    assert hidden(found, events) == ["uc", "ud"]


def test_of_items_taken_at_once_a_random_one_is_the_target() -> None:
    events = [event(f"u{n}", "a", 1) for n in range(40)] + [event(f"u{n}", item, 2) for n in range(40) for item in "bc"]
    found = hide_last(events, CONFIG, 40)
    assert {one.items for one in found.targets} == {("b",), ("c",)}
    assert hide_last(events, CONFIG, 40) == found != hide_last(events, CONFIG, 40, seed=1)


def test_a_split_in_time_hides_what_everybody_did_since() -> None:
    events = [event("u", "a", 1), event("v", "b", 2), event("u", "b", 9), event("v", "b", 10), event("w", "c", 10)]
    found = hide_latest(events, CONFIG, 10, share=0.5)
    assert [(one.user, one.items, one.events_before) for one in found.targets] == [
        ("u", ("b",), 1)
    ]  # v had b, w is new
    assert hidden(found, events) == ["ub", "vb", "wc"]
    assert hide_latest([], CONFIG, 10).targets == ()


def test_what_comes_next_is_asked_of_fresh_histories_and_old_models() -> None:
    """Four of eight events are the latest half: from day 9 on. v took c before it; w has no past; x did nothing lately."""
    events = [
        event("u", "a", 1), event("v", "c", 2), event("x", "a", 2), event("x", "b", 3),
        event("u", "b", 9), event("u", "d", 10), event("v", "c", 10), event("w", "c", 10),
    ]  # fmt: skip

    def asked(**options: Any) -> set[tuple[str, tuple[str, ...], int]]:
        splits = [hide_next(events, CONFIG, 10, seed, share=0.5, **options) for seed in range(20)]
        return {(one.user, one.items, one.events_before) for split in splits for one in split.targets}

    assert asked(repeats=True) == {("u", ("b",), 1), ("u", ("d",), 2), ("v", ("c",), 1)}
    assert asked() == {("u", ("b",), 1), ("u", ("d",), 2)}
    for seed in range(20):
        split = hide_next(events, CONFIG, 10, seed, share=0.5)
        (target,) = split.targets
        assert hidden(split, events) == ["ub", "ud", "vc", "wc"]
        assert [one for one in events if split.recent(one)] == events[4:5] * (target.items == ("d",))
    assert hide_next(events, CONFIG, 10, share=0.5) == hide_next(events, CONFIG, 10, share=0.5)
    assert len(hide_next(events, CONFIG, 1, share=0.5, repeats=True).targets) == 1
    assert hide_next([], CONFIG, 10).targets == ()


def test_recent_events_stand_in_histories_and_in_no_fit(rec: Recommender) -> None:
    rec.upsert_items([Item(id=one, title=one * 3) for one in "abcd"])
    events = [("u", "a", 1), ("v", "a", 1), ("v", "c", 2), ("x", "d", 3), ("x", "b", 4), ("x", "a", 5)]
    late = [("u", "b", 9), ("u", "d", 10), ("v", "b", 10), ("v", "d", 11)]
    rec.track([Event(user=who, item=item, type="view", ts=day * 86_400) for who, item, day in events + late])
    rec.reconcile()
    splits = (hide_next(payloads(rec.client, rec._space), CONFIG, 10, seed, share=0.4) for seed in range(99))
    split = next(one for one in splits if {target.items for target in one.targets} == {("d",)})
    with trial(rec.client, rec._space, CONFIG, split, unheard) as made:
        there = Recommender(rec.client, rec._queue, made.name)
        assert there.status().events == 8  # all but the targets: d, of u and of v
        taken = {
            one.id: one.payload["popularity"]
            for page in store.scroll(rec.client, made.items, None, True)
            for one in page
        }
        assert sorted(taken.values()) == [1.0, 1.0, 1.0, 3.0]  # b once, though it stands in two histories more
        assert {one.id for one in there.recommend("u", 10)} == {"c", "d"}


def test_a_sequence_everybody_follows_is_found_and_nothing_of_the_space_changes(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"title {chr(97 + k)}{chr(99 + k)} number {k}") for k in range(20)])
    rec.track(
        [Event(user=f"u{n}", item=f"i{(n + k) % 20}", type="view", ts=k * 86_400) for n in range(40) for k in range(4)]
    )
    rec.reconcile()
    before = (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})
    found = evaluate(rec.client, rec._space, CONFIG, users=30)
    rows = {row.name: row for row in found.rows}
    assert found.users == rows["recommend"].users == 30
    assert rows["collab alone"].hr == 1.0 and rows["collab alone"].ndcg > 0.9  # what follows is always the same
    assert rows["most popular"].hr < 1.0
    assert rows["recommend"].low <= rows["recommend"].ndcg <= rows["recommend"].high
    assert rows["recommend"].p is None and rows["most popular"].p < 0.05
    assert 0 < rows["recommend"].coverage <= 1 and 0 <= rows["recommend"].diversity <= 2
    late = evaluate(rec.client, rec._space, CONFIG, users=30, split=hide_latest)
    assert late.users > 0 and {row.name for row in late.rows} >= {"recommend", "collab alone", "most popular"}
    assert before == (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})


def test_what_is_hidden_is_not_learnt_from(rec: Recommender) -> None:
    """One user, one pair: with the future hidden no leg but meaning can know the target, and it has no text."""
    rec.upsert_items([Item(id="a", title="alpha"), Item(id="b")])
    rec.track([Event(user="u", item="a", type="view", ts=0), Event(user="u", item="b", type="view", ts=86_400)])
    rec.reconcile()
    found = evaluate(rec.client, rec._space, CONFIG)
    rows = {row.name: row for row in found.rows}
    assert rows["collab alone"].ndcg == 0 or rows["collab alone"].hr == 1  # only by falling back to the one other item
    assert rows["recommend, items without events"].users == 1


def test_a_space_without_histories_says_so(rec: Recommender) -> None:
    with pytest.raises(InvalidInput, match="no user who took two items"):
        evaluate(rec.client, rec._space, CONFIG)


def test_a_space_that_is_called_trial_is_not_touched(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user=f"u{n}", item=f"i{k}", type="view", ts=k) for n in range(3) for k in range(3)])
    rec.reconcile()
    own = Recommender(rec.client, rec._queue, f"{rec.space}-trial")
    own.create(CONFIG)
    own.upsert_items([Item(id="mine", title="mine")])
    evaluate(rec.client, rec._space, CONFIG)
    assert own.status().items == 1
    for kind in KINDS:
        rec.client.delete_collection(own._space.versioned(kind))


def near(row: dict[int, float]) -> Any:
    """The same but for rounding."""
    return pytest.approx(row, abs=1e-5)


def nobody(what: str, done: float, total: float) -> None:
    """Hears nothing."""


def content(rec: Recommender, collection: str, name: str, keys: tuple[str, ...], about: Any = dict) -> dict[str, Any]:
    """Payload and vectors by id, of two spaces to be compared; ``about`` makes the expected side approximate."""
    found, _ = rec.client.scroll(collection, limit=1_000, with_payload=True, with_vectors=list(LEGS))
    result = {}
    for one in found:
        payload, vectors = one.payload or {}, one.vector or {}
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
def test_a_trial_is_what_the_space_would_be_without_the_future(rec: Recommender, split: Any) -> None:
    """Beside a space that was never told of it: popularity, co-occurrence, and all that is known of the users."""
    items = [Item(id=f"i{k}", title=f"title {chr(97 + k)}{chr(99 + k)} number {k}") for k in range(12)]
    events = [
        Event(user=f"u{n}", item=f"i{(n * 5 + k * k) % 11}", type="like" if k % 2 else "view", ts=k * 86_400 + n)
        for n in range(9)
        for k in range(5)
    ]
    events += [Event(user=f"u{n}", type="review", text=f"number {n}", ts=2.5 * 86_400) for n in range(9)]
    rec.upsert_items(items)
    rec.track(events)
    rec.reconcile()
    found = split(payloads(rec.client, rec._space), CONFIG, 4)
    assert found.targets
    since = {who: found.hidden_from.get(("", who), found.everybody_from) for who in {one.user for one in events}}
    past = Recommender(rec.client, rec._queue, f"{rec.space}-past")
    past.create(CONFIG)
    past.upsert_items(items)
    past.track([one for one in events if one.ts.timestamp() < since[one.user]])
    past.reconcile()
    with trial(rec.client, rec._space, CONFIG, found, nobody) as made:
        known = {one.user for one in found.targets}
        keys = ("seen", "terms", "n_events", "legs", "interests")
        told = content(rec, past._space.users, "user_id", keys, near)
        assert content(rec, made.users, "user_id", keys) == {who: told[who] for who in known}
        keys = ("popularity", "terms", "title")
        assert content(rec, made.items, "item_id", keys) == content(
            rec, past._space.items, "item_id", keys, pytest.approx
        )
    for kind in KINDS:
        rec.client.delete_collection(past._space.versioned(kind))


def test_nobody_is_asked_for_an_item_that_was_deleted(rec: Recommender) -> None:
    rec.upsert_items([Item(id=one, title=one * 5) for one in "abcd"])
    rec.track([Event(user="u", item=one, type="view", ts=k * 86_400) for k, one in enumerate("abcd")])
    rec.track([Event(user="v", item=one, type="view", ts=k * 86_400) for k, one in enumerate("ad")])
    rec.delete_items(["d"])
    for split in (hide_last, hide_latest):
        found = split(payloads(rec.client, rec._space), CONFIG, 10, **({} if split is hide_last else {"share": 0.3}))
        assert [(one.user, one.items, one.events_before) for one in found.targets] == [("u", ("c",), 2)]


def test_a_tenant_hears_of_its_own_users(rec: Recommender) -> None:
    for tenant in ("acme", "zoo"):
        bound = Recommender(rec.client, rec._queue, rec.space, tenant)
        bound.upsert_items([Item(id=f"i{k}", title=f"{tenant} {k}") for k in range(6)])
        bound.track(
            [Event(user=f"u{n}", item=f"i{(n + k) % 6}", type="view", ts=k) for n in range(3) for k in range(3)]
        )
    rec.reconcile()
    assert evaluate(rec.client, rec._space, CONFIG).users == 6
    found = evaluate(rec.client, rec._space, CONFIG, tenant="acme")
    assert found.users == 3
    assert found.rows[0].coverage == 1.0  # of its own six items: five are new to each user
    with pytest.raises(InvalidInput, match="no user"):
        evaluate(rec.client, rec._space, CONFIG, tenant="nobody")


def test_a_trial_that_lost_its_owner_is_deleted_and_no_other(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=k) for k in range(3)])
    own = Recommender(rec.client, rec._queue, f"{rec.space}-trial-deadbeef")
    own.create(CONFIG)  # somebody's space, in spite of its name

    def mine() -> set[str]:
        return {one.name for one in rec.client.get_collections().collections if one.name.startswith(rec.space)}

    before = mine()
    split = hide_last(payloads(rec.client, rec._space), CONFIG, 1)
    killed = trial(rec.client, rec._space, CONFIG, split, nobody)
    left = killed.__enter__()
    assert left in running(rec.client) and own._space not in running(rec.client)
    for kind in ("events", "topics"):  # a kill in the middle of the deletion
        rec.client.delete_collection(left.versioned(kind))
    monkeypatch.setattr(trials, "QUIET", timedelta(0))
    evaluate(rec.client, rec._space, CONFIG)
    assert mine() == before
    for kind in KINDS:
        rec.client.delete_collection(own._space.versioned(kind))


def test_whoever_measures_gives_signs_of_life(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(5)])
    rec.track([Event(user="u", item=f"i{k}", type="view", ts=k) for k in range(3)])
    seen: list[str] = []
    monkeypatch.setattr(trials, "now", lambda: f"2100-01-01T00:00:{len(seen):02d}.000000Z")

    def tell(what: str, done: float, total: float) -> None:
        (made,) = [one for one in running(rec.client) if one.name.startswith(rec.space)]
        metadata = rec.client.get_collection(made.versioned("items")).config.metadata or {}
        assert metadata["llmrec"]
        seen.append(metadata[TRIAL]["at"])

    evaluate(rec.client, rec._space, CONFIG, tell=tell)
    assert len(set(seen)) == len(seen) >= 4  # newer at every step


@pytest.mark.parametrize("rec", ["server"], indirect=True)
@pytest.mark.slow
@pytest.mark.qdrant
def test_long_texts_fit_into_requests(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}", text="x" * 900_000) for k in range(40)])
    rec.track([Event(user="u", item=f"i{k}", type="review", text="y" * 900_000, ts=k) for k in range(40)])
    assert evaluate(rec.client, rec._space, CONFIG).users == 1


def test_another_model_in_the_middle_of_it(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is of one version, though the aliases are switched to vectors of another size meanwhile."""
    rec.upsert_items([Item(id=f"i{k}", title=f"number {k}") for k in range(20)])
    rec.track([Event(user=f"u{n}", item=f"i{n + k}", type="view", ts=k) for n in range(3) for k in range(4)])
    rec.reconcile()
    monkeypatch.setattr("workers.storage.store.PAGE", 8)
    told: list[str] = []

    def tell(what: str, done: float, total: float) -> None:
        if not told:
            assert rec.reembed(size=16).wait(120).state == "live"
        told.append(what)

    assert evaluate(rec.client, rec._space, CONFIG, tell=tell).users == 3
    for kind in KINDS:
        rec.client.delete_collection(rec._space.versioned(kind, 2))
