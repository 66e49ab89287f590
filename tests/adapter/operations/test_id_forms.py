"""Every public method takes an id in any of its forms: it is the same user or item."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from qdrant_client import models

from llmrec_qdrant import AsyncRecommender, Event, InvalidInput, Item, NotFound, Recommender
from llmrec_qdrant.contracts.checks import external_id
from tests.adapter.test_public_surface import public_names
from tests.spaces import drop, fresh_name


class Shop(StrEnum):
    """Ids as some applications keep them."""

    FORTY_TWO = "42"


UUID_ID = UUID("6f1d7ad5-5f9b-4c0e-9b0e-2f6c0d4c6e11")
WRITTEN: dict[str, list[Any]] = {
    "42": ["42", 42, np.int64(42), np.uint8(42), np.str_("42"), 42.0, np.float32(42), Decimal("42"), Shop.FORTY_TWO],
    "Zoë 王": [unicodedata.normalize(form, "Zoë 王") for form in ("NFC", "NFD")] + [np.str_("Zoe\u0308 王")],
    "가": ["가", "\u1100\u1161"],
    str(UUID_ID): [UUID_ID, str(UUID_ID)],
}
"""Stored form of an id → its forms."""

FORMS = [(stored, form) for stored, forms in WRITTEN.items() for form in forms]
T = 1_700_000_000


def made(user: Any, item: Any) -> Recommender:
    """Return a space in which a user took an item, beside others; ids come in the given forms."""
    rec = Recommender.connect(path=":memory:", space=fresh_name())
    fill(rec, user, item)
    return rec


def fill(rec: Recommender, user: Any, item: Any) -> None:
    """Create the space of :func:`made`."""
    rec.create({"model": "hash", "size": 16, "fields": {"price": "integer"}})
    titles = ["space rocket orbit", "rocket star orbit", "bread oven flour", "oven dough flour"] * 6
    rec.upsert_items([Item(id=item, title="space star"), *(Item(id=f"i{n}", title=t) for n, t in enumerate(titles))])
    rec.track(
        [Event(user=user, item=item, type="like", ts=T, id=item), Event(user=user, item="i0", type="like", ts=T + 1)]
    )
    rec.track([Event(user="else", item=name, type="like", ts=T + n) for n, name in enumerate(("i0", "i1"))])


@pytest.fixture(params=WRITTEN, scope="module")
def space(request: pytest.FixtureRequest) -> Iterator[tuple[Recommender, str, list[Any]]]:
    """A space for methods that change nothing, the stored id, and its forms."""
    with made(request.param, request.param) as rec:
        rec.fit_topics(2)
        yield rec, request.param, WRITTEN[request.param]


def topic_of(rec: Recommender) -> str:
    rec.fit_topics(2)
    return rec.topics()[0].id


def _verbatim(form: Any) -> models.Filter:
    """Return a filter in Qdrant's own words; they know texts and whole numbers only."""
    text = form if isinstance(form, str) else external_id(form)
    return models.Filter(must=[models.FieldCondition(key="item_id", match=models.MatchValue(value=text))])


READS: dict[str, Callable[[Recommender, Any], Any]] = {
    "recommend": lambda rec, form: [rec.recommend(form), rec.recommend("else", exclude=[form], exclude_seen=False)],
    "request": lambda rec, form: [rec.request(form), rec.request("else", exclude=[form], exclude_seen=False)],
    "recommend_many": lambda rec, form: list(rec.recommend_many([form, "else"], exclude=["i2"])),
    "recommend_from": lambda rec, form: [rec.recommend_from([form]), rec.recommend_from(["i2"], [form])],
    "similar_items": lambda rec, form: rec.similar_items(form, exclude=[form, "i1"]),
    "similar_users": lambda rec, form: rec.similar_users(form),
    "search": lambda rec, form: [rec.search("star", form), rec.search("star", exclude=[form])],
    "top": lambda rec, form: rec.top(exclude=[form]),
    "shelves": lambda rec, form: [rec.shelves(form), rec.shelves("else", exclude=[form])],
    "interests": lambda rec, form: rec.interests(form),
    "explain": lambda rec, form: rec.explain(form, form, exclude_seen=False),
    "why_not": lambda rec, form: rec.why_not(form, form),
    "portrait": lambda rec, form: rec.portrait(form),
    "blurb": lambda rec, form: rec.blurb(form, form),
    "events": lambda rec, form: rec.events(form),
    "traces_of": lambda rec, form: rec.traces_of(form),
    "get_items": lambda rec, form: rec.get_items([form, "i1", form]),
    "iter_items": lambda rec, form: [
        [item.id for item in rec.iter_items(filter=filter)]
        for filter in ({"item_id": form}, {"item_id": ["i1", form]}, _verbatim(form))
    ],
}
"""Method that takes an id and changes nothing → its answer."""


def state(rec: Recommender) -> Any:
    """Return what is stored, as people read it."""
    users = sorted(rec.users())
    items = sorted(rec.iter_items(), key=lambda item: item.id)
    return users, items, [rec.events(user) for user in users], [rec.interests(user) for user in users]


CHANGES: dict[str, Callable[[Recommender, Any], Any]] = {
    "upsert_items": lambda rec, form: rec.upsert_items([{"id": form, "title": "comet"}]),
    "update_items": lambda rec, form: rec.update_items([{"id": form, "payload": {"price": 3}}]),
    "delete_items": lambda rec, form: rec.delete_items([form]),
    "track": lambda rec, form: rec.track([{"user": form, "item": form, "type": "dislike", "ts": T + 9, "id": form}]),
    "load_events": lambda rec, form: rec.load_events([Event(user=form, item=form, type="view", ts=T + 9, session=form)]),
    "remove_events": lambda rec, form: [
        rec.remove_events(ids=[form]), rec.remove_events(user="else", item=form), rec.remove_events(user=form, item="i0"),
    ],
    "forget_user": lambda rec, form: rec.forget_user(form),
    "steer": lambda rec, form: rec.steer(form, topic_of(rec), 2.0),
}  # fmt: skip
"""Method that takes an id and changes what is stored → its answer."""

WITHOUT_IDS = {
    "clean_up", "client", "close", "config", "connect", "create", "failures", "fit_topics", "from_env", "generate", "job", "jobs", "merge_topics", "pull", "push",
    "reconcile", "reembed", "rename_topic", "retry", "rollback", "space", "split_topic", "status", "topic_items", "topics", "train", "tune", "users", "watch",
}  # fmt: skip
"""Public names that take no id of an item or user; of topics, jobs and tenants, ids are texts."""


PICTURES = {"report", "visualize_interests", "visualize_item", "visualize_quality", "visualize_topics"}
"""Figures, which need the extra report; tests/adapter/report tests them."""


def test_every_public_method_is_tried() -> None:
    assert sorted([*READS, *CHANGES, *WITHOUT_IDS, *PICTURES]) == public_names(Recommender)


@pytest.mark.parametrize("name", READS)
def test_methods_that_read(space: tuple[Recommender, str, list[Any]], name: str) -> None:
    rec, stored, forms = space
    wanted = READS[name](rec, stored)
    if name not in {
        "blurb",
        "explain",
        "why_not",
        "recommend_from",
        "similar_items",
        "similar_users",
    }:  # which know no stranger
        assert wanted != READS[name](rec, "nobody")
    for form in forms:
        assert READS[name](rec, form) == wanted, form


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    ("stored", "form"), [("42", np.int64(42)), ("Zoë 王", unicodedata.normalize("NFD", "Zoë 王"))], ids=repr
)
def test_methods_that_change(stored: str, form: Any, name: str) -> None:
    with made(stored, stored) as rec:
        before = state(rec)
        answer, wanted = CHANGES[name](rec, stored), state(rec)
        assert wanted != before
    with made(stored, stored) as rec:
        assert CHANGES[name](rec, form) == answer and state(rec) == wanted


@pytest.mark.parametrize(("stored", "form"), FORMS, ids=repr)
def test_forms_of_an_id_that_is_stored(stored: str, form: Any) -> None:
    assert external_id(form) == stored == Item(id=form).id == Event(user=form, item=form, type="view").user


@pytest.mark.parametrize("form", [7, "e\u0301"])
def test_what_is_stored_under_a_form_is_found_under_the_id(form: Any) -> None:
    with made(form, form) as rec:
        stored = external_id(form)
        assert stored in set(rec.users()) and rec.get_items([stored])[0].id == stored
        assert rec.forget_user(stored) == 2 and stored not in set(rec.users())


@pytest.mark.parametrize(
    "form", [True, 1.5, float("nan"), None, b"42", " 42", "", "a\x00b", [42], {"id": 42}, "x" * 300]
)
def test_what_is_no_id_is_refused_everywhere(space: tuple[Recommender, str, list[Any]], form: Any) -> None:
    rec, *_ = space
    for name in sorted(READS):
        with pytest.raises((InvalidInput, NotFound)):
            READS[name](rec, form)
    for name in ("delete_items", "remove_events", "forget_user", "steer"):
        with pytest.raises(InvalidInput):
            CHANGES[name](rec, form)


def test_other_characters_are_other_ids() -> None:
    """NFC joins a letter and its accent; it does not make ４２ 42 or ﬁ fi, which may be ids of their own."""
    for one, other in (("４２", "42"), ("ﬁ", "fi"), ("A", "a"), ("Å", "A")):
        assert external_id(one) == one != external_id(other)
    assert external_id("\u212b") == external_id("A\u030a") == "\u00c5"


@pytest.mark.parametrize("form", [b"42", bytearray(b"42"), True, np.bool_(True)])
def test_bytes_and_truth_values_are_no_ids_of_anything(form: Any) -> None:
    for build in (lambda: Item(id=form), lambda: Item(id="x", tenant=form), lambda: Event(user=form, type="view")):
        with pytest.raises(InvalidInput):
            build()


def test_topics_are_named_by_number_id_or_label() -> None:
    with made("42", "42") as rec:
        known = rec.rename_topic(topic_of(rec), "Cafe\u0301s")
        assert known.label == "Caf\u00e9s"
        named = [
            known.id,
            int(known.id),
            np.int64(known.id),
            np.str_(known.id),
            "Caf\u00e9s",
            "Cafe\u0301s",
            np.str_("Caf\u00e9s"),
        ]
        assert len({repr(rec.steer("42", name, np.float32(2))) for name in named}) == 1
        assert {rec.rename_topic(name, "Caf\u00e9s").id for name in named} == {known.id}


# --- asyncio -----------------------------------------------------------------------------------------


class Blocking:
    """An :class:`AsyncRecommender` that the tables above can call: every answer is awaited."""

    def __init__(self, rec: AsyncRecommender, loop: asyncio.AbstractEventLoop) -> None:
        self._rec, self._loop = rec, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            answer = getattr(self._rec, name)(*args, **options)
            return self._loop.run_until_complete(_everything(answer) if hasattr(answer, "__aiter__") else answer)

        return call


async def _everything(pages: Any) -> list[Any]:
    return [one async for one in pages]


@pytest.mark.qdrant
def test_asyncio_takes_the_same_forms(qdrant_url: str) -> None:
    stored, form = "42", np.int64(42)
    with Recommender.connect(qdrant_url, space=fresh_name()) as rec, asyncio.Runner() as runner:
        fill(rec, form, form)
        rec.fit_topics(2)
        there = AsyncRecommender.connect(qdrant_url, space=rec.space)
        blocking: Any = Blocking(there, runner.get_loop())
        for name, call in READS.items():
            assert call(blocking, form) == call(blocking, stored) == call(rec, stored), name
        topic = rec.topics()[0].id
        assert blocking.update_items([{"id": form, "payload": {"price": 3}}]).unchanged == 0
        assert blocking.steer(form, topic, 2.0) == rec.interests(stored)
        assert blocking.remove_events(user=form, item=form) == 1 and blocking.forget_user(form) == 1
        assert set(rec.traces_of(stored).values()) == {0}
        assert blocking.delete_items([form]) == 1 and rec.get_items([stored]) == []
        runner.run(there.close())
        drop(rec)
