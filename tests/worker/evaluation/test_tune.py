"""Choosing settings where the best ones are known, and what becomes of a space whose settings change."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space
from llmrec_qdrant.testing import MemoryQueue
from tests.spaces import EITHER, space_on, store_of
from workers.dispatch import Worker
from workers.evaluation.journal import Journal
from workers.evaluation.tune import Tuning, tune
from workers.reconcile import reconcile

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def chained(rec: Recommender) -> None:
    """The next item follows from the last view; likes are random and only mislead."""
    rec.upsert_items([Item(id=f"i{k}", title=f"w{k % 7} x{k % 5}") for k in range(30)])
    events = []
    for n in range(80):
        for step in range(4):
            events.append(
                Event(user=f"u{n}", item=f"i{(n + step) % 30}", type="view", ts=1_600_000_000 + step * 86_400)
            )
        events.append(
            Event(user=f"u{n}", item=f"i{(n * n * 7 + 11) % 30}", type="like", ts=1_600_000_000 + 2.5 * 86_400)
        )
    rec.track(events)
    rec.reconcile()


@pytest.mark.slow
def test_tuning_only_reads_the_space(rec: Recommender) -> None:
    chained(rec)
    before = (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})
    found = tune(store_of(rec), CONFIG, users=40, minutes=0.2)
    assert found.chosen_on == found.confirmed_on == 20
    assert found.tried > 3
    assert found.changes == {name: getattr(found.config, name) for name in found.changes} and found.changes
    assert found.after > found.before and found.low <= found.after - found.before <= found.high
    assert before == (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})


def test_a_tuning_that_is_taken_up_deletes_the_trial_space_of_its_predecessor(rec: Recommender) -> None:
    chained(rec)
    left = f"{rec.space[:20]}-trial-0123abcd"
    for kind in ("items", "events"):
        rec.client.create_collection(Space(left).versioned(kind), vectors_config={})
    journal = Journal(trial=left, seconds=59.0)
    tune(store_of(rec), CONFIG, users=40, minutes=1, journal=journal)
    assert re.fullmatch(r".+-trial-[0-9a-f]{8}", journal.trial) and journal.trial != left
    assert not [one.name for one in rec.client.get_collections().collections if "-trial-" in one.name]


def test_too_few_users_are_refused(rec: Recommender) -> None:
    rec.upsert_items([Item(id="a", title="a"), Item(id="b", title="b")])
    rec.track([Event(user="u", item=item, type="view", ts=1_600_000_000 + k) for k, item in enumerate("ab")])
    with pytest.raises(InvalidInput, match="has 1 user who took two items"):
        tune(store_of(rec), CONFIG)


@pytest.mark.slow
def test_changed_settings_reach_users_and_items_after_a_crash(rec: Recommender) -> None:
    """No message arrives; the reconciler finds what was computed with other settings."""
    chained(rec)
    (user,) = rec.client.retrieve(rec._space.users, [point_id("user", "u1")], with_vectors=True)
    (item,) = rec.client.retrieve(rec._space.items, [point_id("item", "i5")], with_vectors=True)
    rec._queue = queue = MemoryQueue()
    rec.create(CONFIG.model_copy(update={"weights": {"dense": 1.0, "tfidf": 1.0, "collab": 5.0}}))
    assert sum(one["using"] == "collab" for one in rec.request("u1")["prefetch"]) == 5  # at once
    queue.sent.clear()
    kinds = [type(one).__name__ for one in reconcile(store_of(rec))]
    assert kinds == []  # weights are no business of vectors
    rec.create(CONFIG.model_copy(update={"position_decay": 0.1, "collab_distance": 4.0}))
    assert [type(one) for one in queue.sent] == [Reconcile]
    queue.sent.clear()  # lost
    work = list(reconcile(store_of(rec)))
    assert {type(one).__name__ for one in work} == {"RefreshUsers", "FitCollab"}
    Worker(rec.client).drain(work)
    (user_after,) = rec.client.retrieve(rec._space.users, [point_id("user", "u1")], with_vectors=True)
    (item_after,) = rec.client.retrieve(rec._space.items, [point_id("item", "i5")], with_vectors=True)
    assert user.vector["dense"] != user_after.vector["dense"]  # type: ignore[index,call-overload]
    assert item.vector["collab"] != item_after.vector["collab"]  # type: ignore[index,call-overload]
    assert list(reconcile(store_of(rec))) == []


@pytest.mark.slow
def test_changed_settings_outlive_a_reembedding(rec: Recommender) -> None:
    chained(rec)
    job = rec.reembed(size=16)
    rec.create(rec.config.model_copy(update={"position_decay": 0.2}))
    assert job.wait(120).state == "done"
    assert (rec.config.size, rec.config.position_decay) == (16, 0.2)


@pytest.mark.slow
def test_a_gain_within_noise_is_not_confirmed(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the held-out users win and half lose, the winners slightly more."""
    chained(rec)
    chosen = CONFIG.model_copy(update={"prefetch": 100})
    gain = {"choosing": np.full(20, 0.1), "confirming": np.tile([0.1001, -0.1], 10)}

    def ndcg(self: object, config: SpaceConfig, targets: object) -> np.ndarray:
        return np.full(20, 0.5) + (gain[side[-1]] if config.prefetch == 100 else 0)

    side = ["choosing"]
    monkeypatch.setattr("workers.evaluation.tune.SettingsBench.ndcg", ndcg)
    monkeypatch.setattr("workers.evaluation.search.Search.run", lambda *given: side.append("confirming") or chosen)
    monkeypatch.setattr("workers.evaluation.search.Search.simplify", lambda *given: iter([(None, chosen)]))
    found = tune(store_of(rec), CONFIG, users=40)
    assert found.after > found.before and found.low < 0 < found.high
    assert not found.better
    gain["confirming"] = np.tile([0.1, 0.0], 10)
    assert tune(store_of(rec), CONFIG, users=40).better


def test_concurrent_changes_of_other_settings_stay() -> None:
    found = Tuning(
        10, 20, CONFIG, CONFIG.model_copy(update={"event_weights": {**CONFIG.event_weights, "like": 4.0, "ad": 0.5}})
    )
    meanwhile = CONFIG.model_copy(update={"event_weights": {**CONFIG.event_weights, "view": 0.3}, "prefetch": 77})
    stored = found.onto(meanwhile)
    assert stored.event_weights == {**CONFIG.event_weights, "like": 4.0, "ad": 0.5, "view": 0.3}
    assert stored.prefetch == 77
