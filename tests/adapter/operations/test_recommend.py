"""Items for a user: the list, its options and its request."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import (
    Event,
    InvalidInput,
    Item,
    Recommender,
)
from tests.films import DAY, T0, history, scored, watched


def test_recommendations_follow_the_history(rec: Recommender) -> None:
    watched(rec)
    ids = [one.id for one in rec.recommend("ann", 3)]
    assert ids[0] == "m3", ids  # the third space film, and what bob went on to
    assert not {"m1", "m2"} & set(ids)
    assert {one.id for one in rec.recommend("cat", 3, exclude_seen=False)} == {"m4", "m5", "m6"}


def test_explain_gives_scores_per_leg_without_changing_the_list(rec: Recommender) -> None:
    watched(rec)
    plain = rec.recommend("ann", 5)
    told = rec.recommend("ann", 5, explain=True)
    assert scored(told) == scored(plain)
    assert plain[0].legs == {} and set(told[0].legs) == {"dense", "tfidf", "collab"}
    assert "because you took *The Martian* and *Interstellar*: others took this next" in told[0].reason


def test_collab_leg_is_the_sparse_product_of_history_and_cooccurrence(rec: Recommender) -> None:
    """ann: m2 then m1 back, weights 1 and 0.6·2^(-1/30), norm 1; m3 follows m2 at one step, m1 at two (bob)."""
    watched(rec)
    back = 0.6 * 0.5 ** (1 / 30)
    norm = (1 + back**2) ** 0.5
    after_m2 = 1 / 2**0.5  # one step forward; m2 has two events
    after_m1 = 2**-0.5 / 2**0.5  # two steps
    expected = (1 * after_m2 + back * after_m1) / norm
    told = rec.recommend("ann", 5, explain=True)
    assert told[0].id == "m3" and told[0].legs["collab"] == pytest.approx(expected, rel=1e-5)


def test_an_unknown_user_gets_the_popular_items_and_is_told(rec: Recommender) -> None:
    watched(rec)
    listed = rec.recommend("nobody", 2)
    assert {one.id for one in listed} == {"m1", "m2"}
    assert [one.score for one in listed] == [2.0, 2.0]
    assert all(one.reason == "popular: there are no events of 'nobody' yet" for one in listed)
    assert [one.id for one in rec.recommend("nobody", 1, filter={"year": 2007})] == ["m6"]


def test_a_list_may_hold_what_was_taken_last_and_nothing_else_of_the_past(rec: Recommender) -> None:
    past = ["m1", "m2", "m3"]
    rec.track(history("ann", *past))
    listed = {
        seen: {one.id for one in rec.recommend("ann", 20, exclude_seen=seen)} for seen in (True, "but_last", False)
    }
    assert listed[True].isdisjoint(past)
    assert listed["but_last"] == listed[True] | {past[-1]}
    assert listed[False] == listed[True] | set(past)
    rec.track(history("ann", "m4", start=T0 + 10 * DAY, kind="dislike"))  # not taken: it does not come back
    rec.track([Event(user="ann", type="search", text="space", ts=T0 + 11 * DAY)])
    again = {one.id for one in rec.recommend("ann", 20, exclude_seen="but_last")}
    assert "m3" in again and again.isdisjoint({"m1", "m2", "m4"})
    rec.track(history("eve", "m4", kind="dislike"))
    assert "m4" not in {one.id for one in rec.recommend("eve", 20, exclude_seen="but_last")}


@pytest.mark.parametrize("odd", ["last", "", 1, None, [], np.array([True, False]), object()])
def test_what_says_nothing_of_seen_items_is_refused(rec: Recommender, odd: Any) -> None:
    for ask in (rec.recommend, rec.request, rec.shelves):
        with pytest.raises(InvalidInput, match="exclude_seen must be True, False or 'but_last', not"):
            ask("nobody", exclude_seen=odd)


def test_filter_exclude_limit(rec: Recommender) -> None:
    watched(rec)
    zh = rec.recommend("ann", 9, filter={"lang": "zh"}, explain=True)
    assert {one.id for one in zh} <= {"m7", "m8"} and all(one.legs["dense"] > 0 for one in zh)
    assert "m3" not in {one.id for one in rec.recommend("ann", 9, exclude=["m3"])}
    assert len(rec.recommend("ann", 1)) == 1
    for limit in (0, -1, 1001, True):
        with pytest.raises(InvalidInput, match="limit must be"):
            rec.recommend("ann", limit)
    with pytest.raises(InvalidInput, match="exclude must be a list"):
        rec.recommend("ann", exclude="m3")
    with pytest.raises(InvalidInput, match="diversity"):
        rec.recommend("ann", diversity=2)


def test_weights_choose_the_legs(rec: Recommender) -> None:
    watched(rec)
    only = rec.recommend("ann", 5, weights={"collab": 1}, explain=True)
    assert all(set(one.legs) == {"collab"} for one in only)
    assert only[0].id == "m3"
    with pytest.raises(InvalidInput, match="weights"):
        rec.recommend("ann", weights={"colab": 1})  # type: ignore[dict-item]


def test_diversity_mixes(rec: Recommender) -> None:
    rec.track(history("ann", "m1"))
    plain = [one.id for one in rec.recommend("ann", 2, filter={"lang": "en"})]
    mixed = [one.id for one in rec.recommend("ann", 2, filter={"lang": "en"}, diversity=0.9)]
    assert set(plain) == {"m2", "m3"}
    assert mixed[0] == plain[0] and mixed[1] in {"m4", "m5", "m6"}


def test_request_is_what_recommend_sends(rec: Recommender, where: dict[str, str]) -> None:
    watched(rec)
    body = json.loads(json.dumps(rec.request("ann", 5)))
    assert {one["using"] for one in body["prefetch"]} == {"dense", "tfidf", "collab"}
    listed = rec.recommend("ann", 5)
    if "url" not in where:
        return
    url = f"{where['url']}/collections/{rec._space.items}/points/query"
    post = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(post) as answer:
        points = json.load(answer)["result"]["points"]
    assert [(one["payload"]["item_id"], pytest.approx(one["score"])) for one in points] == [
        (one.id, one.score) for one in listed
    ]


@pytest.mark.parametrize("odd", ["\ud800", "", "a\x00", "x" * 300, None, 1.5])
def test_what_cannot_be_an_id_is_refused_wherever_one_is_taken(rec: Recommender, odd: Any) -> None:
    calls: list[Any] = [
        lambda: rec.recommend(odd), lambda: rec.similar_items(odd), lambda: rec.similar_users(odd),
        lambda: rec.recommend("ann", exclude=[odd]), lambda: rec.recommend_from([odd]), lambda: rec.request(odd),
        lambda: rec.delete_items([odd]), lambda: rec.forget_user(odd),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(InvalidInput, match="id"):
            call()


def test_options_of_the_wrong_kind_are_refused(rec: Recommender) -> None:
    for options in ({"diversity": "x"}, {"diversity": None}, {"exclude": 5}, {"limit": "3"}, {"weights": 3}):
        with pytest.raises(InvalidInput):
            rec.recommend("ann", **options)  # type: ignore[arg-type]
    for single in (Item(id="a"), {"id": "a"}, "a", 5):
        with pytest.raises(InvalidInput, match="expected a list; wrap a single item or event"):
            rec.upsert_items(single)  # type: ignore[arg-type]
