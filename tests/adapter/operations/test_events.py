"""Events: what they change of users, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from llmrec_qdrant import (
    Event,
    Item,
    PartlyRejected,
    Recommender,
    WorkPendingWarning,
)
from llmrec_qdrant.testing import MemoryQueue
from tests.films import CONFIG, DAY, T0, connect, history, items, payload, scored, user_payload, watched
from tests.spaces import drop


def test_tracking_the_same_events_twice_changes_nothing(rec: Recommender) -> None:
    watched(rec)
    before, status = rec.recommend("ann", 5), rec.status()
    watched(rec)
    assert scored(rec.recommend("ann", 5)) == scored(before) and rec.status() == status


def test_an_event_with_an_id_can_be_corrected(rec: Recommender) -> None:
    rec.track([Event(id="e1", user="ann", item="m4", type="rating", value=1, ts=T0)])
    rec.track([Event(id="e1", user="ann", item="m4", type="rating", value=5, ts=T0)])
    assert rec.status().events == 1
    assert rec.recommend("ann", 1, exclude_seen=False)[0].id == "m4"


def test_an_event_for_an_item_that_comes_later_counts_from_then_on(rec: Recommender) -> None:
    rec.track(history("dan", "later"))
    assert user_payload(rec, "dan")["waiting"] == ["later"]
    assert rec.recommend("dan", 3)[0].reason == "popular: no item matches what is known about 'dan'"
    rec.upsert_items([Item(id="later", title="Moon", text="an astronaut alone on the moon")])
    stored = user_payload(rec, "dan")
    assert stored["waiting"] == [] and "dense" in stored["legs"]
    assert rec.status().users_stale == 0
    assert rec.recommend("dan", 1)[0].id in {"m1", "m2", "m3"}


def test_events_that_came_before_their_items_count_for_collab_too(where: dict[str, str]) -> None:
    rec = connect(where)
    rec.create(CONFIG)
    watched(rec)
    rec.upsert_items(items())
    rec.reconcile()
    assert payload(rec, "m1")["popularity"] == 2.0
    assert "collab" in rec.recommend("ann", 3, explain=True)[0].legs
    drop(rec)


def test_dislikes_and_low_ratings_push_away(rec: Recommender) -> None:
    rec.track([*history("eve", "m1", "m4"), Event(user="eve", item="m5", type="dislike", ts=T0 + 9 * DAY)])
    rec.track(history("twin", "m1", "m4"))
    eve, twin = (
        {one.id: one.legs["dense"] for one in rec.recommend(user, 8, explain=True, exclude_seen=False)}
        for user in ("eve", "twin")
    )
    assert twin["m5"] > 0 and "m5" not in eve
    assert eve.get("m6", 0.0) < twin["m6"], "another film about French recipes"


def test_free_text_counts(rec: Recommender) -> None:
    rec.track([Event(user="fay", type="search", text="科幻电影", ts=T0)])
    first = rec.recommend("fay", 1, explain=True)[0]
    assert first.id == "m7" and "科幻" in first.reason
    assert rec.status().texts_stale == 0


def test_a_forgotten_user_is_a_new_user(rec: Recommender) -> None:
    watched(rec)
    rec.track([Event(user="ann", type="search", text="space", ts=T0)])
    before = rec.status()
    assert rec.forget_user("ann") == 3
    after = rec.status()
    assert (before.events - after.events, before.users - after.users, before.texts - after.texts) == (3, 1, 1)
    assert rec.recommend("ann", 1)[0].reason.startswith("popular")
    assert rec.forget_user("ann") == 0


def test_good_events_go_in_beside_bad_ones(rec: Recommender) -> None:
    bad: list[Any] = [
        {"user": "g", "item": "m1", "type": "view", "ts": T0},
        {"user": "g", "item": "m1", "type": "rating", "value": float("nan"), "ts": T0},
        {"user": "g\x00", "item": "m1", "type": "view"},
        {"user": "g", "type": "view"},
        {"user": "g", "item": "m1", "type": "view", "ts": "2999-01-01"},
        {"user": "g", "item": "m2", "type": "view", "ts": T0 + 1},
    ]
    with pytest.raises(PartlyRejected) as caught:
        rec.track(bad)
    assert [one.position for one in caught.value.receipt.rejected] == [1, 2, 3, 4]
    assert rec.status().events == 2 and user_payload(rec, "g")["seen"] == ["m2", "m1"]


def test_newest_events_weigh_most(rec: Recommender) -> None:
    rec.track(history("moving", "m4", "m5", "m6", "m1", "m2"))
    assert rec.recommend("moving", 1)[0].id == "m3"
    rec.track(history("back", "m1", "m2", "m3", "m4", "m5"))
    assert rec.recommend("back", 1)[0].id == "m6"


def test_writes_land_while_no_worker_can_be_told(rec: Recommender) -> None:
    deaf = Recommender(rec._client, MemoryQueue(down=True), rec._space.name)
    with pytest.warns(WorkPendingWarning, match="work is pending"):
        receipt = deaf.upsert_items([Item(id="n1", title="new astronauts in space")])
    assert receipt.written == 1 and receipt.queued is False
    with pytest.warns(WorkPendingWarning):
        assert deaf.track(history("ann", "n1")).queued is False
    status = deaf.status()
    assert (status.items_stale, status.users_stale, status.events_unfolded) == (1, 1, 1)
    assert deaf.recommend("ann", 1)[0].reason.endswith("are not encoded yet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rec.reconcile()
    status = rec.status()
    assert (status.items_stale, status.users_stale, status.events_unfolded) == (0, 0, 0)
    assert rec.recommend("ann", 1)[0].id in {"m1", "m2", "m3"}


@pytest.mark.parametrize(
    ("scale", "kind", "value", "advice"),
    [
        ((0.5, 5), "rating", 8, "if ratings go from 0 to 10, run `llmrec init --rating-scale 0 10`"),
        ((0.5, 5), "review", 85, "if ratings go from 0 to 100, run `llmrec init --rating-scale 0 100`"),
        ((0.5, 5), "rating", 0, "leave such events out"),
        ((1, 5), "rating", 0.5, "run `llmrec init --rating-scale 0.5 5`"),
        ((0, 10), "rating", -1, "0 to 10: correct it"),
        ((0.5, 5), "rating", 1_000, "0.5 to 5: correct it"),
    ],
)
def test_a_rating_off_the_scale_is_refused_and_the_others_are_stored(
    where: dict[str, str], scale: tuple[float, float], kind: str, value: float, advice: str
) -> None:
    rec = connect(where)
    rec.create(CONFIG.model_copy(update={"rating_scale": scale}))
    odd = Event(user="ann", item="m1", type=kind, value=value, ts=T0)
    fine = [Event(user="ann", item="m2", type="rating", value=scale[1], ts=T0), *history("ann", "m3")]
    for write in (rec.track, rec.load_events):
        with pytest.raises(PartlyRejected) as refused:
            write([odd, *fine])
        (line,) = refused.value.receipt.rejected
        assert line.position == 0 and f"the rating {value:g} is off the scale of this space" in line.reason
        assert advice in line.reason
    assert rec.status().events == 2
    rec.track([odd.model_copy(update={"type": "purchase"})])  # a price is no rating
    drop(rec)


def test_the_advice_about_the_scale_works_when_followed(rec: Recommender) -> None:
    high = Event(user="ann", item="m1", type="rating", value=8, ts=T0)
    with pytest.raises(PartlyRejected):
        rec.track([high])
    rec.create(CONFIG.model_copy(update={"rating_scale": (0, 10)}))
    assert rec.track([high]).written == 1
    assert rec.recommend("ann", 1, exclude_seen=False)[0].id == "m1"


@pytest.mark.parametrize(
    "second",
    [
        {"type": "rating", "value": 1},
        {"type": "review", "value": 1, "text": "a robot with nothing to say"},
        {"type": "dislike"},
    ],
)
def test_who_changed_their_mind_is_as_who_always_thought_so(rec: Recommender, second: dict[str, Any]) -> None:
    """Of the first, favourable opinion and the views before it nothing is left but the item among the seen."""
    rec.track([*history("both", "m1", "m1"), Event(user="both", item="m1", type="like", ts=T0 + 5 * DAY)])
    later = {"item": "m1", "ts": T0 + 6 * DAY, **second}
    rec.track([Event(user="both", **later), Event(user="only", **later)])
    first, other = ({name: user_payload(rec, user)[name] for name in ("legs", "seen")} for user in ("both", "only"))
    assert first == other
    assert scored(rec.recommend("both", 5)) == scored(rec.recommend("only", 5))


def test_an_opinion_that_arrives_late_does_not_replace_a_later_one(rec: Recommender) -> None:
    rec.track([Event(user="ann", item="m1", type="like", ts=T0 + DAY)])
    before = scored(rec.recommend("ann", 5))
    rec.track([Event(user="ann", item="m1", type="dislike", ts=T0)])
    assert scored(rec.recommend("ann", 5)) == before


def test_a_refund_takes_a_purchase_back(rec: Recommender) -> None:
    rec.track([*history("ann", "m4"), *history("bob", "m4")])
    rec.track([Event(user="ann", item="m1", type="purchase", ts=T0 + 3 * DAY)])
    rec.track([Event(user="ann", item="m1", type="refund", ts=T0 + 4 * DAY)])
    assert scored(rec.recommend("ann", 5, exclude=["m1"])) == scored(rec.recommend("bob", 5, exclude=["m1"]))


def test_ratings_off_the_scale_get_one_advice(rec: Recommender) -> None:
    odd = [Event(user="ann", item="m1", type="rating", value=value, ts=T0) for value in (0, 8, 10, 1_000)]
    for write in (rec.track, rec.load_events):
        with pytest.raises(PartlyRejected) as refused:
            write(odd)
        *likely, stray = [line.reason for line in refused.value.receipt.rejected]
        assert len(likely) == 3 and all("if ratings go from 0 to 10," in reason for reason in likely)
        assert stray.endswith("0.5 to 5: correct it")
