"""Topics, interests, steering and shelves from the first item to the last list, embedded and on a server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from llmrec_qdrant import (
    AsyncRecommender,
    Event,
    InvalidInput,
    Item,
    NotFound,
    Recommendation,
    Recommender,
    SpaceConfig,
)
from llmrec_qdrant.operations import steering
from llmrec_qdrant.query.rerank import divergence
from llmrec_qdrant.query.templates import listed
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import INTERESTS
from tests.services import ROOT
from tests.spaces import drop, fresh_name, merged

WORDS = {
    "c": ["soup", "bread", "oven", "butter", "flour", "recipe", "kitchen"],
    "s": ["rocket", "orbit", "moon", "astronaut", "launch", "planet", "telescope"],
    "t": ["球拍", "发球", "球场", "裁判", "截击", "锦标赛", "网球"],
}
CONFIG = SpaceConfig(model="hash", size=32, weights={"dense": 1, "tfidf": 1, "collab": 1})
NOW = 1_700_000_000


def items(tenant: str | None = None) -> list[Item]:
    random = np.random.default_rng(3)
    return [
        Item(id=f"{kind}{number}", title=" ".join(random.choice(words, 4, replace=False)), tenant=tenant)
        for kind, words in WORDS.items()
        for number in range(30)
    ]


def views(user: str, *ids: str, at: int = NOW) -> list[Event]:
    return [Event(user=user, item=one, type="view", ts=at + place) for place, one in enumerate(ids)]


def filled(rec: Recommender) -> Recommender:
    rec.create(CONFIG)
    rec.upsert_items(items())
    rec.track(views("ann", *(f"c{k}" for k in range(6))))
    rec.track(views("ann", "s1", "s2", "s3", at=NOW + 10 * 86_400))
    rec.fit_topics(3)
    return rec


@pytest.fixture(params=["local", pytest.param("server", marks=pytest.mark.qdrant)])
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    if request.param == "local":
        with Recommender.connect(path=":memory:", space="t") as local:
            yield filled(local)
        return
    made = Recommender.connect(request.getfixturevalue("qdrant_url"), space=fresh_name())
    yield filled(made)
    drop(made)


def kind_of(rec: Recommender, kind: str) -> str:
    """Id of the topic of a vocabulary."""
    (found,) = [one.id for one in rec.topics() if set(one.keywords) <= set(WORDS[kind])]
    return found


def payload(rec: Recommender, kind: str, external: str) -> dict[str, Any]:
    collection = rec._space.users if kind == "user" else rec._space.items
    (found,) = rec.client.retrieve(collection, [point_id(kind, external, rec._tenant)])  # type: ignore[arg-type]
    return merged(found.payload)


def test_every_item_has_its_topic_and_a_new_one_at_once(rec: Recommender) -> None:
    topics = {one.id: one for one in rec.topics()}
    assert sorted(one.size for one in topics.values()) == [30, 30, 30]
    assert all(one.label and len(one.label) <= 40 and one.examples for one in topics.values())
    about = {kind_of(rec, kind): kind for kind in WORDS}
    for one in items():
        marked = payload(rec, "item", one.id)
        assert [about[topic] for topic in marked["topic_ids"]] in ([one.id[0]], [])  # a few are outliers
        assert marked["topics"] == [topics[topic].label for topic in marked["topic_ids"]]
    rec.upsert_items([Item(id="new", title="moon rocket telescope"), Item(id="odd", title="")])
    assert payload(rec, "item", "new")["topic_ids"] == [kind_of(rec, "s")]
    assert payload(rec, "item", "odd")["topic_ids"] == []
    found = rec.recommend(
        "nobody",
        90,
        filter=models.Filter(
            must=[models.FieldCondition(key="topics", match=models.MatchValue(value=topics[kind_of(rec, "t")].label))]
        ),
    )
    assert {one.id[0] for one in found} == {"t"}


def test_a_refit_keeps_ids_labels_and_what_an_admin_wrote(rec: Recommender) -> None:
    before = {one.id: one.label for one in rec.topics()}
    space = kind_of(rec, "s")
    assert rec.rename_topic(before[space], "  Space   films ").label == "Space films"
    assert payload(rec, "item", "s9")["topics"] in (["Space films"], [])
    assert next(one for one in rec.interests("ann") if one.topic == space).label == "Space films"
    rec.delete_items([f"c{k}" for k in range(20, 30)])
    rec.upsert_items([Item(id=f"s{k}", title="launch planet orbit") for k in range(40, 46)])
    rec.fit_topics()
    after = {one.id: one for one in rec.topics()}
    assert {topic: one.label for topic, one in after.items()} == {**before, space: "Space films"}
    assert after[space].label_by == "admin"
    assert payload(rec, "item", "s41")["topics"] == ["Space films"]
    with pytest.raises(InvalidInput, match="another topic has the label 'Space films'"):
        rec.rename_topic(kind_of(rec, "c"), "Space films")
    with pytest.raises(NotFound, match="has no topic '99'"):
        rec.rename_topic("99", "x")
    with pytest.raises(InvalidInput, match="1 to 60 visible characters"):
        rec.rename_topic(space, " ")


def test_a_theme_is_not_renamed_and_its_topics_are_named(rec: Recommender) -> None:
    space, cook = sorted((kind_of(rec, "s"), kind_of(rec, "c")))
    for topic in (space, cook):
        mine = models.Filter(must=[models.FieldCondition(key="topic_id", match=models.MatchValue(value=topic))])
        rec.client.set_payload(rec._space.topics, {"theme": "evenings at home"}, mine)
    refused = rf"'evenings at home' is a theme, which cannot be renamed.* rename its topics instead \({space}, {cook}\)"
    with pytest.raises(InvalidInput, match=refused):
        rec.rename_topic("evenings at home", "x")


def test_interests_move_with_the_next_event(rec: Recommender) -> None:
    """Six cooking events ten days ago against three space events in a session now."""
    cooking, space = kind_of(rec, "c"), kind_of(rec, "s")
    first = rec.interests("ann")
    assert [one.topic for one in first] == [space, cooking]
    assert first[0].items == ["s3", "s2", "s1"]
    assert (first[0].trend, first[1].trend) == ("rising", "fading")
    assert sum(one.weight for one in first) == pytest.approx(1, abs=1e-3)
    rec.track([Event(user="ann", type="search", text="soup and bread", ts=NOW + 20 * 86_400 + k) for k in range(4)])
    assert rec.interests("ann")[0].topic == cooking
    (point,) = rec.client.retrieve(rec._space.users, [point_id("user", "ann")], with_vectors=[INTERESTS])
    assert isinstance(point.vector, dict)
    assert np.array(point.vector[INTERESTS]).shape == (2, 32)
    assert rec.interests("nobody") == []


def test_steering_acts_at_once_and_lasts(rec: Recommender) -> None:
    cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
    assert {one.id[0] for one in rec.recommend("ann", 40)} >= {"c", "s"}
    muted = rec.steer("ann", space, 0)
    assert [(one.topic, one.steer, one.weight) for one in muted] == [(cooking, 1.0, 1.0), (space, 0.0, 0.0)]
    assert "s" not in {one.id[0] for one in rec.recommend("ann", 40)}
    assert "s" not in {one.id[0] for one in rec.recommend("ann", 10, interests="auto")}
    assert [one.interest.topic for one in rec.shelves("ann")] == [cooking]
    rec.track(views("ann", "s9", at=NOW + 30 * 86_400))
    rec.fit_topics(3)
    assert rec.reembed(size=16).wait(120).state == "done"
    assert "s" not in {one.id[0] for one in rec.recommend("ann", 40)}
    rec.steer("ann", space, 1)
    assert "s" in {one.id[0] for one in rec.recommend("ann", 40)}
    plain = [one.id[0] for one in rec.recommend("ann", 10)]
    rec.steer("ann", tennis, 4)
    assert [one.id[0] for one in rec.recommend("ann", 10)].count("t") > plain.count("t")
    assert "t" in {one.id[0] for one in rec.recommend("ann", 10, interests="auto")}
    rec.steer("ann", tennis, 1)
    rec.steer("ann", space, 0.1)
    assert [one.id[0] for one in rec.recommend("ann", 10)].count("s") < plain.count("s")
    assert rec.request("ann", 10)["query"].keys() == {"formula", "defaults"} or "formula" in rec.request("ann")["query"]
    rec.forget_user("ann")
    assert rec.client.retrieve(rec._space.users, [point_id("user", "ann")]) == []
    rec.track(views("ann", "s1"))
    assert payload(rec, "user", "ann")["steer"] == {}


def test_somebody_without_events_can_steer(rec: Recommender) -> None:
    rec.steer("bob", kind_of(rec, "s"), 0)
    rec.reconcile()
    assert payload(rec, "user", "bob")["steer"] == {kind_of(rec, "s"): 0.0}
    assert "s" not in {one.id[0] for one in rec.recommend("bob", 80)}


def test_two_who_steer_at_once_undo_nothing(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one writes between the reading and the writing of the first."""
    cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
    rec.steer("ann", tennis, 2)
    write = rec.client.batch_update_points

    def between(*args: Any, **more: Any) -> Any:
        monkeypatch.undo()
        rec.steer("ann", cooking, 0.5)
        return write(*args, **more)

    monkeypatch.setattr(rec.client, "batch_update_points", between)
    rec.steer("ann", space, 0)
    assert payload(rec, "user", "ann")["steer"] == {tennis: 2.0, cooking: 0.5, space: 0.0}
    rec.steer("ann", tennis, 1)
    assert [one.steer for one in rec.interests("ann")] == [0.5, 0.0]


def test_a_request_has_a_bounded_number_of_legs(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "MAX_BOOSTED", 2)
    cooking, space, tennis = (kind_of(rec, kind) for kind in "cst")
    rec.steer("ann", cooking, 4)
    rec.steer("ann", space, 4)
    rec.steer("ann", space, 3)
    with pytest.raises(InvalidInput, match="already boosts 2 topics"):
        rec.steer("ann", tennis, 1.5)
    rec.steer("ann", tennis, 0)
    rec.steer("ann", space, 1)
    rec.steer("ann", tennis, 1.5)


@pytest.mark.parametrize("label", ["", "x" * 61, "a\x1b[31mb", "a\u202eb", "\u200b", 7])
def test_labels_that_cannot_be_shown_are_refused(rec: Recommender, label: Any) -> None:
    with pytest.raises(InvalidInput, match="visible characters"):
        rec.rename_topic(kind_of(rec, "c"), label)


def test_shelves_are_one_row_per_interest(rec: Recommender) -> None:
    rows = rec.shelves("ann", rows=5, limit=4)
    assert [{one.id[0] for one in row.items} for row in rows] == [{"s"}, {"c"}]
    assert rows[0].title == f"Because you follow {listed(rows[0].interest.label.split(' · '), 'en')}"
    seen = {f"c{k}" for k in range(6)} | {"s1", "s2", "s3"}
    assert not seen & {one.id for row in rows for one in row.items}
    assert all(len(row.items) == 4 for row in rows)
    assert len(rec.shelves("ann", rows=1)) == 1
    assert rec.shelves("nobody") == []
    first = rows[0].items[0].id
    without = rec.shelves("ann", rows=5, limit=4, exclude=[first])
    assert [row.interest.topic for row in without] == [row.interest.topic for row in rows]
    assert [one.id for one in without[0].items][:3] == [one.id for one in rows[0].items][1:]
    only = rec.shelves("ann", rows=5, limit=4, filter={"item_id": [first]})
    assert [[one.id for one in row.items] for row in only] == [[first]]


def test_a_calibrated_list_is_nearer_to_the_interests(rec: Recommender) -> None:
    """Interests are two thirds space; the plain list is space alone."""
    wanted = {one.label: one.weight for one in rec.interests("ann")}

    def cost(listed: list[Recommendation]) -> float:
        return divergence(wanted, [one.topics[0] if one.topics else None for one in listed])

    plain, listed = rec.recommend("ann", 10), rec.recommend("ann", 10, interests="auto")
    assert cost(listed) < 0.5 * cost(plain)
    assert listed[0].id == plain[0].id
    with pytest.raises(InvalidInput, match="interests must be 'auto'"):
        rec.recommend("ann", interests="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [-1, 4.1, float("nan"), True, "0"])
def test_weights_that_mean_nothing_are_refused(rec: Recommender, weight: Any) -> None:
    with pytest.raises(InvalidInput, match="a weight must lie between 0"):
        rec.steer("ann", kind_of(rec, "s"), weight)


@pytest.mark.parametrize("number", [1, 201, 2.0, True])
def test_numbers_of_topics_that_mean_nothing_are_refused(rec: Recommender, number: Any) -> None:
    with pytest.raises(InvalidInput, match="from 2 to 200"):
        rec.fit_topics(number)


def test_tenants_have_topics_of_their_own() -> None:
    with Recommender.connect(path=":memory:", space="t") as operator:
        operator.create(CONFIG)
        one, two = (Recommender(operator.client, operator._queue, "t", tenant) for tenant in ("a", "b"))
        one.upsert_items(items())
        two.upsert_items([Item(id=f"x{k}", title=f"secret word{k % 4} plan") for k in range(20)])
        operator.fit_topics(3)
        assert len(one.topics()) == 3
        assert {topic.tenant for topic in two.topics()} == {"b"}
        assert "secret" not in {word for topic in one.topics() for word in topic.keywords}
        with pytest.raises(NotFound):
            one.steer("ann", two.topics()[0].id, 0)


def test_both_adapters_agree(rec: Recommender) -> None:
    async def ask() -> tuple[Any, ...]:
        other = AsyncRecommender(rec.client, rec._queue, rec.space)
        shelves = [[one.id for one in row.items] for row in await other.shelves("ann", 2, 3)]
        listed = [one.id for one in await other.recommend("ann", 5, interests="auto")]
        return await other.topics(), await other.interests("ann"), shelves, listed

    shelves = [[one.id for one in row.items] for row in rec.shelves("ann", 2, 3)]
    listed = [one.id for one in rec.recommend("ann", 5, interests="auto")]
    assert asyncio.run(ask()) == (rec.topics(), rec.interests("ann"), shelves, listed)


def test_the_command_line(tmp_path: Path) -> None:
    """Every command about topics, as scripts and as people see it."""
    pytest.importorskip("typer")
    rows = "".join(one.model_dump_json(include={"id", "title"}) + "\n" for one in items())
    clicks = "".join(
        one.model_dump_json(include={"user", "item", "type", "ts"}) + "\n" for one in views("ann", "s1", "c1")
    )
    (tmp_path / "items.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "events.jsonl").write_text(clicks, encoding="utf-8")
    (tmp_path / "space.json").write_text(CONFIG.model_dump_json())

    def llmrec(*args: str) -> str:
        place = ["--path", str(tmp_path / "data"), "--space", "cli"]
        done = subprocess.run(
            [sys.executable, "-m", "llmrec_qdrant.cli", *args, *place],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    llmrec("init", "--config", str(tmp_path / "space.json"))
    llmrec("load", "items", str(tmp_path / "items.jsonl"))
    llmrec("load", "events", str(tmp_path / "events.jsonl"))
    assert "no topics yet: discover them with llmrec topics fit" in llmrec("topics")
    found = json.loads(llmrec("topics", "fit", "--number", "3", "--json"))["topics"]
    space = next(one["id"] for one in found if set(one["keywords"]) <= set(WORDS["s"]))
    assert "is now called Space films" in llmrec("topics", "rename", space, "Space films")
    assert "Space films ✎" in llmrec("topics")
    shown = llmrec("interests", "ann")
    title = next(one.title for one in items() if one.id == "s1")  # what shows an interest is named by its title
    assert "█" in shown and "Space films" in shown and title[:12] in shown
    assert "Because you follow Space films" in llmrec("shelves", "ann", "-n", "2")
    assert "muted" in llmrec("steer", "ann", "Space films")
    listed = json.loads(llmrec("recommend", "ann", "--limit", "60", "--interests", "--json"))
    assert listed and "s" not in {one["id"][0] for one in listed}
