"""Evaluation of spaces whose best lists are known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig
from tests.spaces import EITHER, space_on, store_of
from workers.evaluation.evaluate import evaluate
from workers.evaluation.splits import hide_latest

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def test_a_common_sequence_is_found_and_the_space_stays_unchanged(rec: Recommender) -> None:
    rec.upsert_items([Item(id=f"i{k}", title=f"title {chr(97 + k)}{chr(99 + k)} number {k}") for k in range(20)])
    rec.track(
        [
            Event(user=f"u{n}", item=f"i{(n + k) % 20}", type="view", ts=1_600_000_000 + k * 86_400)
            for n in range(40)
            for k in range(4)
        ]
    )
    rec.reconcile()
    before = (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})
    found = evaluate(store_of(rec), CONFIG, users=30)
    rows = {row.name: row for row in found.rows}
    assert found.users == rows["recommend"].users == 30
    assert rows["collab alone"].hr == 1.0 and rows["collab alone"].ndcg > 0.9  # what follows is always the same
    assert rows["most popular"].hr < 1.0
    assert rows["recommend"].low <= rows["recommend"].ndcg <= rows["recommend"].high
    assert rows["recommend"].p is None and rows["most popular"].p < 0.05
    assert 0 < rows["recommend"].coverage <= 1 and 0 <= rows["recommend"].diversity <= 2
    late = evaluate(store_of(rec), CONFIG, users=30, split=hide_latest)
    assert late.users > 0 and {row.name for row in late.rows} >= {"recommend", "collab alone", "most popular"}
    assert before == (rec.status(), rec.request("u1"), {one.name for one in rec.client.get_collections().collections})


def test_nothing_is_learned_from_held_out_events(rec: Recommender) -> None:
    """One user, one pair: with the future hidden only the dense leg could know the target, and it has no text."""
    rec.upsert_items([Item(id="a", title="alpha"), Item(id="b")])
    rec.track(
        [
            Event(user="u", item="a", type="view", ts=1_600_000_000),
            Event(user="u", item="b", type="view", ts=1_600_000_000 + 86_400),
        ]
    )
    rec.reconcile()
    found = evaluate(store_of(rec), CONFIG)
    rows = {row.name: row for row in found.rows}
    assert rows["collab alone"].ndcg == 0 or rows["collab alone"].hr == 1  # only by falling back to the one other item
    assert rows["recommend, items without events"].users == 1
    assert "recommend, items with events" not in rows


def test_slices_are_means_over_their_users(rec: Recommender) -> None:
    """Users of two to five events; the item of the last of each is hidden, and only x is taken by nobody else."""
    rec.upsert_items([Item(id=f"i{k}", title=f"title {k}") for k in range(8)] + [Item(id="x", title="title x")])
    rec.track(
        [
            Event(user=f"u{n}", item="x" if (n, k) == (3, n % 4 + 1) else f"i{(n + k) % 8}", type="view", ts=1_600_000_000 + k)
            for n in range(16)
            for k in range(n % 4 + 2)
        ]
    )  # fmt: skip
    rec.reconcile()
    rows = {row.name: row for row in evaluate(store_of(rec), CONFIG).rows}
    for way in ("recommend", "dense alone", "tfidf alone", "collab alone", "most popular"):
        warm, cold = rows[f"{way}, items with events"], rows[f"{way}, items without events"]
        assert (warm.users, cold.users) == (15, 1)
        assert (15 * warm.ndcg + cold.ndcg) / 16 == pytest.approx(rows[way].ndcg)
        few, many = rows[f"{way}, users with at most 3 events"], rows[f"{way}, users with more than 3 events"]
        assert (few.users, many.users) == (12, 4)  # one to four events are left of two to five
        assert (12 * few.ndcg + 4 * many.ndcg) / 16 == pytest.approx(rows[way].ndcg)
        assert few.low <= few.ndcg <= few.high and few.slice == "users with at most 3 events"


def test_a_space_without_histories_says_so(rec: Recommender) -> None:
    with pytest.raises(InvalidInput, match="no user who took two items"):
        evaluate(store_of(rec), CONFIG)


def test_evaluation_of_one_tenant_covers_its_users_only(rec: Recommender) -> None:
    for tenant in ("acme", "zoo"):
        bound = Recommender(rec.client, rec._queue, rec.space, tenant)
        bound.upsert_items([Item(id=f"i{k}", title=f"{tenant} {k}") for k in range(6)])
        bound.track(
            [
                Event(user=f"u{n}", item=f"i{(n + k) % 6}", type="view", ts=1_600_000_000 + k)
                for n in range(3)
                for k in range(3)
            ]
        )
    rec.reconcile()
    assert evaluate(store_of(rec), CONFIG).users == 6
    found = evaluate(store_of(rec), CONFIG, tenant="acme")
    assert found.users == 3
    assert found.rows[0].coverage == 1.0  # of its own six items: five are new to each user
    zoo = Recommender(rec.client, rec._queue, rec.space, "zoo")
    zoo.track(
        [Event(user=f"v{n}", item=f"i{n % 6}", type="view", ts=1_600_000_000 + k) for n in range(9) for k in range(2)]
    )
    rec.reconcile()
    assert evaluate(store_of(rec), CONFIG, tenant="acme").rows == found.rows  # users of another tenant change no figure
    with pytest.raises(InvalidInput, match="no user"):
        evaluate(store_of(rec), CONFIG, tenant="nobody")
