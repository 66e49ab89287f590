"""The whole public surface on a Qdrant in strict mode, and with keys that may only read or only know the aliases.

`pytest -s tests/integration/test_strict_mode.py` prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import Event, Item, LlmrecError, Recommender, SpaceStatus, Unauthorized
from llmrec_qdrant.contracts.jobs import What
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Space
from tests.adapter.test_public_surface import public_names
from tests.endpoint import honest, scripted
from tests.services import QdrantServer
from tests.strict import (
    CALLS,
    CONFIG,
    LOW,
    MAX_QUERY_LIMIT,
    READ_ONLY,
    SECRET,
    T,
    fill,
    for_aliases,
    strict_server,
    token,
)

pytestmark = [pytest.mark.qdrant, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

OUTSIDE = {"client", "close", "connect", "from_env", "generate", "pull", "push", "space", "visualize_quality", "watch"}
"""Public names that talk to no collection of the space, to another server (tests/integration/test_moving.py), or to a language model."""

READS = {
    "config", "status", "get_items", "iter_items", "users", "events", "recommend", "request", "top", "recommend_many", "recommend_from",
    "similar_items", "similar_users", "topics", "interests", "shelves", "jobs", "job", "explain", "why_not", "portrait", "blurb",
    "visualize_topics", "visualize_interests", "visualize_item", "topic_items",
}  # fmt: skip
"""Methods that work with a key for the aliases."""

ALSO_READS = {"failures", "report", "traces_of"}
"""Methods that read every version, with a key that may read everything."""


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantServer]:
    with strict_server() as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: QdrantServer) -> Iterator[Recommender]:
    with Recommender.connect(server.url, space="strict", api_key=SECRET) as rec:
        fill(rec)
        rec.fit_topics(5)
        yield rec


def test_every_public_method_is_called() -> None:
    assert sorted({*CALLS, *OUTSIDE}) == public_names(Recommender)


def told(rec: Recommender) -> dict[str, str]:
    """Method → "works", or the sentence of its error."""
    answers: dict[str, str] = {}
    for name, call in CALLS.items():
        try:
            call(rec)
            answers[name] = "works"
        except LlmrecError as error:
            answers[name] = f"{type(error).__name__}: {error}"
        print(f"{name:15} {answers[name]}")
    return answers


@pytest.mark.parametrize("right", ["aliases only", "read only"])
def test_a_key_of_fewer_rights_reads_or_says_what_is_missing(
    admin: Recommender, server: QdrantServer, right: str
) -> None:
    def stored() -> tuple[SpaceStatus, list[str]]:
        """What was refused, but is in collections that the key reaches, does no harm: an event is known again by its id, and
        the text of a search waits for a worker with rights of its own."""
        apart = dict.fromkeys(("events", "events_unfolded", "texts", "texts_stale"), 0)
        return admin.status().model_copy(update=apart), [job.id for job in admin.jobs()]

    before = stored()
    key = READ_ONLY if right == "read only" else for_aliases("strict")
    with Recommender.connect(server.url, space="strict", api_key=key) as rec:
        print(f"\n{right}")
        answers = told(rec)
    works = {name for name, answer in answers.items() if answer == "works"}
    harmless = {"clean_up"} if right == "read only" else set()  # there is nothing to clean up
    assert works == READS | (ALSO_READS | harmless if right == "read only" else set())
    missing = r"the API key does not allow this" if right == "read only" else r"the API key"
    for name in answers.keys() - works - {"rollback"}:
        assert answers[name].startswith(f"Unauthorized: {missing}"), answers[name]
    assert before == stored()


def test_everything_works_in_strict_mode_with_a_small_limit(server: QdrantServer) -> None:
    with Recommender.connect(server.url, space="whole", api_key=SECRET) as rec:
        fill(rec)
        print(f"\nstrict mode, max_query_limit={MAX_QUERY_LIMIT}")
        assert rec.client.get_collection(rec._space.items).config.strict_mode_config.max_query_limit == MAX_QUERY_LIMIT
        assert told(rec) == dict.fromkeys(CALLS, "works")
        assert [job.state for job in rec.jobs()] == ["done"] * 6
        assert (rec.status().items_stale, rec.status().users_stale, rec.status().events_unfolded) == (0, 0, 0)


@pytest.mark.timeout(900)
def test_everything_works_with_every_limit_set_low() -> None:
    with strict_server(**LOW) as low, Recommender.connect(low.url, space="low", api_key=SECRET) as rec:
        fill(rec)
        print("\nstrict mode,", ", ".join(f"{name.lower()}={value}" for name, value in LOW.items()))
        kept = rec.client.get_collection(rec._space.items).config.strict_mode_config
        assert (kept.max_query_limit, kept.upsert_max_batchsize, kept.condition_max_size) == (20, 7, 20)
        assert told(rec) == dict.fromkeys(CALLS, "works")
        assert [job.state for job in rec.jobs()] == ["done"] * 6
        assert (rec.status().items_stale, rec.status().users_stale, rec.status().events_unfolded) == (0, 0, 0)


def test_long_pages_are_read_in_pieces_and_whole(admin: Recommender) -> None:
    """The limit is a third of what is asked for."""
    items = [item.id for item in admin.iter_items()]
    assert len(items) == len(set(items)) == 300 and len(set(admin.users())) == 111
    assert [event.ts.timestamp() for event in admin.events("big")] == [T + n for n in range(399, -1, -1)]
    listed = admin.top(250)
    assert len({item.id for item in listed}) == 250
    assert [item.score for item in listed] == sorted((item.score for item in listed), reverse=True)
    assert [item.id for item in listed[120:130]] == [item.id for item in admin.top(10, offset=120)]
    admin.create({"prefetch": MAX_QUERY_LIMIT})  # a body takes no more candidates than that
    (posted,) = admin.client.query_batch_points(admin._space.items, [models.QueryRequest(**admin.request("u1"))])
    whole = admin.recommend("u1", 60)
    scores = {item.id: item.score for item in whole}
    assert [scores[(point.payload or {})["item_id"]] for point in posted.points] == [item.score for item in whole[:10]]


def test_a_key_that_does_not_reach_a_version_loses_no_write(server: QdrantServer) -> None:
    with Recommender.connect(server.url, space="moved", api_key=SECRET) as admin:
        admin.create(CONFIG)
        admin.upsert_items([Item(id="a", title="rocket")])
        space = Space("moved")
        names = [space.alias(kind) for kind in ("items", "users", "texts", "topics", "events", "jobs")]
        first = [space.versioned(kind, 1) for kind in ("items", "users", "texts", "topics")]
        key = token([{"collection": name, "access": "rw"} for name in (*names, *first)])
        with Recommender.connect(server.url, space="moved", api_key=key) as rec:
            assert (
                rec.upsert_items([Item(id="b", title="moon")]).written == 1
            )  # there is one version, and it is reached
            admin.reembed(size=32)
            admin.rollback()
            for write in (
                lambda: rec.upsert_items([Item(id="c", title="star")]),
                lambda: rec.track([Event(user="u", item="a", type="like")]),
                lambda: rec.forget_user("u"),
                lambda: rec.delete_items(["a"]),
            ):
                with pytest.raises(
                    Unauthorized,
                    match="cannot reach version 2, the collections moved_items_v2 and so on, of space 'moved'",
                ):
                    write()
            admin.clean_up()
            assert rec.upsert_items([Item(id="c", title="star")]).written == 1
            assert admin.client.get_collection(space.items).config.metadata.keys() == {
                "llmrec",
                "highest_version",
                "words",
            }


RIGHTS: dict[str, tuple[Any, str]] = {
    "may not write to one": ({"items_v1": "r"}, "it may only read 'rights_items_v1'; use one that may write to it"),
    "does not reach one": ({"users_v1": None}, "it does not reach 'rights_users_v1'; use one that does"),
    "may write everywhere": ({}, "it is for some collections only; use one for all of them"),
}


@pytest.mark.parametrize("case", RIGHTS)
def test_the_sentence_says_which_right_is_missing(server: QdrantServer, case: str) -> None:
    fewer, sentence = RIGHTS[case]
    space = Space("rights")
    kinds = {
        name.removeprefix("rights_"): name
        for kind in COLLECTION_KINDS
        for name in (space.alias(kind), space.versioned(kind))
    }
    rights = {name: fewer.get(kind, "rw") for kind, name in kinds.items()}
    key = token([{"collection": name, "access": right} for name, right in rights.items() if right])
    with Recommender.connect(server.url, space="rights", api_key=SECRET) as admin:
        admin.create(CONFIG)
    with Recommender.connect(server.url, space="rights", api_key=key) as rec:
        with pytest.raises(Unauthorized) as caught:
            rec.upsert_items([Item(id=case, title="rocket")])
            rec.track([Event(user="u", item="a", type="like")])
            rec.create({"fields": {"lang": "keyword"}})
        assert str(caught.value).endswith(sentence)


@pytest.mark.parametrize("what", ["users", "topics", "items"])
def test_texts_of_a_language_model_are_written_in_strict_mode(
    admin: Recommender, monkeypatch: pytest.MonkeyPatch, what: What
) -> None:
    def answering(system: str, document: dict[str, Any]) -> str:
        if "candidates" in document:
            return json.dumps({name: values[0] for name, values in document["candidates"].items()})
        return honest(system, document)

    admin.upsert_items([Item(id="bare", title="a rocket for 7")])
    with scripted(monkeypatch, answering):
        result = admin.generate(what=what, users=3 if what == "users" else None).result
    assert result["requests"] == result["written"] + result["refused"]
    assert result["written"], result
    admin.delete_items(["bare"])
