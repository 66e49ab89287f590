"""What a recommender bound to a tenant may do: every public method is refused, or sees and changes the tenant's own data alone."""

from __future__ import annotations

import asyncio
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrec_qdrant import (
    AsyncRecommender,
    Event,
    Interest,
    InvalidInput,
    Item,
    LlmrecError,
    Recommendation,
    Recommender,
    Shelf,
    SimilarUser,
    Topic,
)
from tests.adapter.test_public_surface import public_names
from tests.spaces import fresh_name
from tests.tenants import CONFIG, SECRETS, T, fill, fill_both
from tests.tenants import stored_for as stored_in

REFUSED: dict[str, Callable[[Any], Any]] = {
    "reembed": lambda rec: rec.reembed(size=32),
    "rollback": lambda rec: rec.rollback(),
    "clean_up": lambda rec: rec.clean_up(),
    "train": lambda rec: rec.train(),
    "tune": lambda rec: rec.tune(),
    "fit_topics": lambda rec: rec.fit_topics(),
    "merge_topics": lambda rec: rec.merge_topics(["1", "2"]),
    "split_topic": lambda rec: rec.split_topic("1"),
    "generate": lambda rec: rec.generate(),
    "retry": lambda rec: rec.retry(),
    "jobs": lambda rec: rec.jobs(),
    "job": lambda rec: rec.job("train-1"),
    "push": lambda rec: rec.push("http://localhost:1"),
    "pull": lambda rec: rec.pull("http://localhost:1"),
    "create": lambda rec: rec.create({"prefetch": 7}),
}
"""Method → a call that concerns the whole space."""

IDS = ("m1", "m2", "hidden-item1", "nobody")
USERS = ("ann", "bob", "hidden-user1", "nobody")

OWN: dict[str, Callable[[Recommender, str, str], Any]] = {
    "create": lambda rec, user, item: rec.create(CONFIG),
    "config": lambda rec, user, item: rec.config,
    "space": lambda rec, user, item: rec.space,
    "status": lambda rec, user, item: rec.status(),
    "reconcile": lambda rec, user, item: rec.reconcile(),
    "failures": lambda rec, user, item: rec.failures(),
    "upsert_items": lambda rec, user, item: rec.upsert_items(
        [Item(id=item, title="space rocket", payload={"price": 1})]
    ),
    "update_items": lambda rec, user, item: rec.update_items([{"id": item, "payload": {"price": 2}}]),
    "get_items": lambda rec, user, item: rec.get_items([item, "hidden-item0"]),
    "iter_items": lambda rec, user, item: [
        list(rec.iter_items()),
        list(rec.iter_items(filter={"shelf": "hidden-shelf"})),
    ],
    "users": lambda rec, user, item: list(rec.users()),
    "events": lambda rec, user, item: rec.events(user),
    "traces_of": lambda rec, user, item: rec.traces_of(user),
    "track": lambda rec, user, item: rec.track([Event(user=user, item=item, type="like", ts=T)]),
    "load_events": lambda rec, user, item: rec.load_events([Event(user=user, item=item, type="view", ts=T + 1)]),
    "delete_items": lambda rec, user, item: rec.delete_items([item]),
    "remove_events": lambda rec, user, item: [
        rec.remove_events(user=user),
        rec.remove_events(item=item),
        rec.remove_events(ids=["hidden-event"]),
    ],
    "forget_user": lambda rec, user, item: rec.forget_user(user),
    "recommend": lambda rec, user, item: rec.recommend(user, 50, explain=True, exclude_seen=False),
    "recommend_many": lambda rec, user, item: list(rec.recommend_many([user, "mine"], 50, explain=True)),
    "request": lambda rec, user, item: rec.request(user),
    "top": lambda rec, user, item: rec.top(50),
    "recommend_from": lambda rec, user, item: rec.recommend_from([item], ["m3"], 50, explain=True),
    "similar_items": lambda rec, user, item: rec.similar_items(item, 50, explain=True),
    "similar_users": lambda rec, user, item: rec.similar_users(user, 50),
    "search": lambda rec, user, item: rec.search("plutonium rocket", user, 50),
    "topics": lambda rec, user, item: rec.topics(),
    "interests": lambda rec, user, item: rec.interests(user),
    "shelves": lambda rec, user, item: rec.shelves(user),
    "explain": lambda rec, user, item: rec.explain(user, item, exclude_seen=False),
    "why_not": lambda rec, user, item: rec.why_not(user, item),
    "portrait": lambda rec, user, item: rec.portrait(user),
    "blurb": lambda rec, user, item: rec.blurb(user, item),
    "steer": lambda rec, user, item: rec.steer(user, rec.topics()[0].id, 2.0),
    "topic_items": lambda rec, user, item: rec.topic_items(rec.topics()[0].id),
    "rename_topic": lambda rec, user, item: rec.rename_topic(rec.topics()[0].id, f"space of {user}"[:40]),
}
"""Method → a call about the tenant's data, with an id of a user and of an item, its own or not."""

OUTSIDE = {"client", "close", "connect", "from_env", "watch"}
"""What holds no data of a space."""


class World(NamedTuple):
    """One space, the operator's view of it, and a tenant's."""

    operator: Recommender
    bound: Recommender


@contextmanager
def two_tenants() -> Iterator[World]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as operator:
        fill_both(operator)
        yield World(operator, Recommender(operator.client, operator._queue, operator.space, "red"))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A space that tests write to."""
    with two_tenants() as made:
        yield made


def stored_for(world: World, tenant: str) -> dict[tuple[str, Any], Any]:
    """Return everything that the collections hold for a tenant."""
    return stored_in(world.operator, tenant)


PICTURES = {"report", "visualize_interests", "visualize_item", "visualize_quality", "visualize_topics"}
"""Figures, which need the extra report; tests/adapter/report tests that a tenant's show its own data."""


def test_every_public_method_is_in_a_table() -> None:
    assert sorted({*REFUSED, *OWN, *OUTSIDE, *PICTURES}) == public_names(Recommender)


@pytest.mark.parametrize("name", REFUSED)
def test_what_concerns_the_whole_space_is_refused_in_a_sentence(world: World, name: str) -> None:
    before = stored_for(world, "red"), stored_for(world, "blue"), world.operator.config, world.operator.jobs()
    with pytest.raises(
        InvalidInput, match=r"bound to tenant 'red' sees only a part of the space and cannot .*: connect without"
    ):
        REFUSED[name](world.bound)
    assert before == (stored_for(world, "red"), stored_for(world, "blue"), world.operator.config, world.operator.jobs())


@pytest.mark.qdrant
def test_asyncio_refuses_the_same(qdrant_url: str) -> None:
    async def refused() -> list[str]:
        names = []
        async with AsyncRecommender.connect(qdrant_url, space=fresh_name(), tenant="red") as rec:
            for name, call in REFUSED.items():
                answer = call(rec)
                with pytest.raises(InvalidInput, match="bound to tenant 'red'"):
                    await answer if inspect.isawaitable(answer) else None
                names.append(name)
        return names

    assert asyncio.run(refused()) == list(REFUSED)


def test_a_tenant_cannot_create_a_space() -> None:
    rec = Recommender.connect(path=":memory:", space=fresh_name(), tenant="red")
    with (
        rec,
        pytest.raises(
            InvalidInput,
            match=r"cannot create it: connect without a tenant \(leave out --tenant or tenant=, and unset LLMREC_TENANT\)",
        ),
    ):
        rec.create(CONFIG)


def assert_own(world: World, call: Callable[[], Any], before: dict[tuple[str, Any], Any]) -> None:
    try:
        answer = call()
    except LlmrecError as error:
        answer = str(error)
    assert not [word for word in SECRETS[:2] if word in repr(answer)]  # the ids are among the arguments
    assert stored_for(world, "blue") == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(OWN)), st.sampled_from(USERS), st.sampled_from(IDS)), min_size=1, max_size=4
    )
)
def test_a_tenant_sees_and_changes_its_own_data_alone(world: World, calls: list[tuple[str, str, str]]) -> None:
    before = stored_for(world, "blue")
    assert before
    for name, user, item in calls:
        assert_own(world, lambda name=name, user=user, item=item: OWN[name](world.bound, user, item), before)


def test_no_answer_to_a_tenant_holds_what_another_has() -> None:
    with two_tenants() as world:
        before = stored_for(world, "blue")
        for name, call in OWN.items():
            try:
                told = repr(call(world.bound, "ann", "m1"))
            except LlmrecError as error:
                told = str(error)
            assert not [word for word in SECRETS if word in told], (name, told)
        assert stored_for(world, "blue") == before


# --- answers do not depend on other tenants ------------------------------------------------------


def told(call: Callable[[], Any]) -> str:
    """Return everything a call tells: its answer or error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = call()
        except LlmrecError as error:
            answer = f"{type(error).__name__}: {error}"
    text = repr((plainly(answer), sorted({str(one.message) for one in caught})))
    return re.sub(r"\btopic \d+", "topic N", text)  # topics are numbered in the whole space


def plainly(answer: Any) -> Any:
    """Return an answer without what the shared statistics of words may change: scores, and the order by them."""
    if isinstance(answer, Recommendation):
        return answer.id, answer.title, sorted(answer.legs), answer.payload, answer.topics
    if isinstance(answer, SimilarUser):
        return answer.id, sorted(answer.terms)
    if isinstance(answer, Shelf):
        return plainly(answer.interest), plainly(answer.items)
    if isinstance(answer, Interest):
        return answer.label, sorted(answer.items), round(answer.weight, 6), answer.steer
    if isinstance(answer, Topic):
        return answer.label, answer.keywords, answer.size
    if isinstance(answer, list):
        return sorted(map(plainly, answer), key=repr)
    return answer


def test_no_answer_to_a_tenant_depends_on_other_tenants() -> None:
    """Every method in a space with two tenants, and in one where the tenant is alone."""
    answers: list[dict[str, str]] = []
    for others in (False, True):
        with space_of_red(others) as (operator, bound):
            name = operator.space
            stages: list[tuple[str, float, float | None]] = []
            with bound.watch(lambda *seen, stages=stages: stages.append(seen)):
                found = {method: told(lambda call=call: call(bound, "ann", "m1")) for method, call in OWN.items()}
            assert stages and {total for *_, total in stages} <= {1.0, None}
            answers.append({method: text.replace(name, "SPACE") for method, text in found.items()} | _absent(bound))
    alone, among = answers
    for method, answer in alone.items():
        assert among[method] == answer, method


def _absent(bound: Recommender) -> dict[str, str]:
    """What a tenant is told about what it does not have and the other has."""
    filters = [{"shelf": "hidden-shelf"}, {"price": 77}, {"title": "x"}, {"colour": "x"}, {"item_id": "hidden-item1"}]
    found = {
        repr(filter): told(lambda filter=filter: bound.top(filter=filter)).replace(bound.space, "SPACE")
        for filter in filters
    }
    calls: dict[str, Callable[[], Any]] = {
        "similar": lambda: bound.similar_items("hidden-item1"),
        "from": lambda: bound.recommend_from(["hidden-item1", "hidden-item2"]),
        "users": lambda: bound.similar_users("hidden-user1"),
        "update": lambda: bound.update_items([{"id": "hidden-item1", "payload": {"price": 1}}]),
        "delete": lambda: bound.delete_items(["hidden-item1"]),
        "remove": lambda: bound.remove_events(ids=["hidden-item-event1"]),
        "forget": lambda: bound.forget_user("hidden-user1"),
        "traces": lambda: list(bound.traces_of("hidden-user1").values()),
        "topic": lambda: bound.rename_topic("topic of blue", "x"),
    }
    return found | {name: told(call).replace(bound.space, "SPACE") for name, call in calls.items()}


@contextmanager
def space_of_red(others: bool) -> Iterator[tuple[Recommender, Recommender]]:
    """A space with the data of tenant red and, with ``others``, more of tenant blue; its operator and red."""
    with Recommender.connect(path=":memory:", space=fresh_name()) as operator:
        operator.create(CONFIG)
        fill(operator, "red", "rocket", "m", "ann")
        if others:
            fill(operator, "blue", "plutonium zirconium", "hidden-item", "hidden-user1", price=77, colour="hidden-x")
        operator.fit_topics(2)
        if others:
            blue = next(topic for topic in operator.topics() if topic.tenant == "blue")
            operator.rename_topic(blue.id, "topic of blue")
        yield operator, Recommender(operator.client, operator._queue, operator.space, "red")


@pytest.mark.parametrize(
    "tenant",
    [float("nan"), np.nan, "", " ", b"red", True, [], type("NAType", (), {})()],
    ids=lambda tenant: repr(tenant).split(" at ")[0],
)
def test_what_names_no_tenant_does_not_mean_all_tenants(world: World, tenant: Any) -> None:
    with pytest.raises(InvalidInput, match=r"is no tenant: .*; to see all tenants, leave it out"):
        Recommender(world.operator.client, world.operator._queue, world.operator.space, tenant)


def test_forms_of_a_tenant_are_one_tenant(world: World) -> None:
    for stored, forms in {"42": [42, np.int64(42), 42.0], "Zo\u00eb": ["Zoe\u0308", np.str_("Zo\u00eb")]}.items():
        for form in (stored, *forms):
            client, queue = world.operator.client, world.operator._queue
            assert Recommender(client, queue, world.operator.space, form)._tenant == stored


def test_scores_of_words_do_not_tell_how_common_they_are_elsewhere() -> None:
    shown, raw = [], list[float]()
    for others in (0, 40):
        with Recommender.connect(path=":memory:", space=fresh_name()) as operator:
            operator.create(CONFIG)
            red, blue = (
                Recommender(operator.client, operator._queue, operator.space, name) for name in ("red", "blue")
            )
            titles = ("rocket", "rocket moon", "garden moon", "garden")
            red.upsert_items([Item(id=f"m{n}", title=title) for n, title in enumerate(titles)])
            blue.upsert_items([Item(id=f"b{n}", title="rocket") for n in range(others)])
            listed = [red.search(text, explain=True) for text in ("rocket", "rocket garden")]
            shown.append([{item.id: item.legs.get("tfidf") for item in one} for one in listed])
            raw.append(operator.search("rocket", 1, filter={"item_id": "m0"}, explain=True)[0].legs["tfidf"])
    assert raw[0] != raw[1]  # the operator sees the scores themselves
    one = {"m0": 1.0, "m1": 0.5}
    assert [{item: place for item, place in listed[0].items() if place} for listed in shown] == [one, one]
    assert {value for legs in (*shown[0], *shown[1]) for value in legs.values() if value} <= {1.0, 0.75, 0.5, 0.25}
