"""Moves of a space between an embedded folder and a server, and back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from llmrec_qdrant import (
    AsyncRecommender,
    InvalidInput,
    Item,
    NotFound,
    QdrantUnavailable,
    Recommender,
    ServerTooOld,
    SpaceIncomplete,
    SpaceMismatch,
    SpaceNotFound,
    Unauthorized,
)
from llmrec_qdrant.contracts.checks import MAX_TEXT
from llmrec_qdrant.space.layout import COLLECTION_KINDS
from tests.moving import everything, lists, load_demo, same_lists, sample, server_space
from tests.services import QdrantServer
from tests.spaces import fresh_name

pytestmark = pytest.mark.qdrant


@pytest.fixture
def laptop() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        load_demo(rec)
        yield rec


@pytest.fixture
def server(qdrant_url: str, laptop: Recommender) -> Iterator[Recommender]:
    """The space of the laptop on a server, where it does not exist yet."""
    with server_space(qdrant_url, laptop.space) as rec:
        yield rec


@pytest.fixture
def fresh(laptop: Recommender) -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=laptop.space) as rec:
        yield rec


def held(rec: Recommender) -> dict[str, Any]:
    return everything(rec.client, rec.space)


def interrupted(monkeypatch: pytest.MonkeyPatch, rec: Recommender, method: str, after: int) -> None:
    """The next calls of a method of this client succeed ``after`` times; then the process dies."""
    whole, calls = getattr(rec.client, method), iter(range(after))

    def call(*arguments: Any, **more: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return whole(*arguments, **more)

    monkeypatch.setattr(rec.client, method, call)


# --- equal ----------------------------------------------------------------------------------------


def test_push_then_pull_gives_back_the_space(
    laptop: Recommender, server: Recommender, fresh: Recommender, qdrant_url: str
) -> None:
    pushed = laptop.push(qdrant_url)
    pulled = fresh.pull(qdrant_url)
    original = held(laptop)
    assert set(original) == {*(laptop._space.versioned(kind) for kind in COLLECTION_KINDS), "aliases"}
    assert held(server) == original
    assert held(fresh) == original
    assert same_lists(lists(laptop), lists(server)) and same_lists(lists(laptop), lists(fresh))
    counts = {name: len(part["points"]) for name, part in original.items() if name != "aliases"}
    for report in (pushed, pulled):
        assert report.model_dump() == {
            "space": laptop.space, "live": 1, "versions": [1], "points": counts, "written": sum(counts.values()),
            "removed": 0,
        }  # fmt: skip
    assert counts[laptop._space.versioned("items")] == len(sample("items")[::4]) and counts[laptop._space.events] > 100


@pytest.mark.slow
def test_the_longest_texts_arrive(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    """Forty texts of a million characters are more than Qdrant takes in a request."""
    texts = {f"long{number}": f"{number} ".ljust(MAX_TEXT, "y") for number in range(40)}
    for item, text in texts.items():
        laptop.upsert_items([Item(id=item, title=item, text=text)], notify=False)
    laptop.reconcile()
    laptop.push(qdrant_url)
    assert {item.id: item.text for item in server.iter_items() if item.id in texts} == texts


def test_work_goes_on_at_the_target(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    laptop.upsert_items([Item(id="new", title="Solaris", text="an ocean on a planet that thinks")], notify=False)
    laptop.push(qdrant_url)
    assert server.status().items_stale == laptop.status().items_stale == 1
    server.reconcile()
    assert server.status().items_stale == 0
    assert "new" in {item.id for item in server.search("an ocean that thinks")}


def test_the_asynchronous_recommender_moves_too(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    laptop.push(qdrant_url)
    shown: list[tuple[str, float, float | None]] = []

    async def copy() -> None:
        async with AsyncRecommender.connect(qdrant_url, space=f"{laptop.space}-copy") as rec:
            report = await rec.pull(qdrant_url, space=laptop.space, on_progress=lambda *seen: shown.append(seen))
            assert report.space == f"{laptop.space}-copy"
            await rec.push(qdrant_url, space=f"{laptop.space}-third")

    asyncio.run(copy())
    for name in ("copy", "third"):
        copied = everything(server.client, f"{laptop.space}-{name}", laptop.space)
        assert copied == {part: values for part, values in held(server).items() if laptop.space + "-" not in part}
    total = sum(len(part["points"]) for name, part in held(laptop).items() if name != "aliases")
    assert shown[-1][1:] == (total, total) and shown[0][0] == f"copying {laptop.space}-copy_events"


# --- versions -------------------------------------------------------------------------------------


def reembedded(rec: Recommender) -> None:
    rec.reembed(size=24).wait()
    assert rec.config.size == 24


def test_all_versions_keep_rollback_possible(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    reembedded(laptop)
    report = laptop.push(qdrant_url, versions="all")
    assert (report.live, report.versions) == (2, [1, 2])
    assert held(server) == held(laptop)
    assert server.config.size == 24
    assert same_lists(lists(laptop), lists(server))
    assert server.rollback() == 1
    assert server.config.size == 16
    assert not same_lists(lists(laptop), lists(server))
    assert laptop.rollback() == 1
    assert same_lists(lists(laptop), lists(server))


def test_the_live_version_keeps_its_number(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    reembedded(laptop)
    report = laptop.push(qdrant_url)
    assert (report.live, report.versions) == (2, [2])
    expected = {name: part for name, part in held(laptop).items() if not name.endswith("_v1")}
    assert expected[laptop._space.versioned("items", 2)]["metadata"].pop("version_1")  # which does not move
    assert held(server) == expected
    with pytest.raises(NotFound, match="no earlier version"):
        server.rollback()


# --- interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "after"),
    [("create_collection", 3), ("create_payload_index", 9), ("upsert", 4), ("retrieve", 2), ("update_collection_aliases", 0)],
)  # fmt: skip
def test_an_interrupted_pull_shows_nothing_and_resumes(
    laptop: Recommender, server: Recommender, fresh: Recommender, qdrant_url: str, method: str, after: int
) -> None:
    laptop.push(qdrant_url)
    with pytest.MonkeyPatch.context() as patched:
        interrupted(patched, fresh, method, after)
        with pytest.raises(KeyboardInterrupt):
            fresh.pull(qdrant_url)
    assert fresh.client.get_aliases().aliases == []
    for use in (fresh.status, fresh.create, lambda: fresh.recommend("maria-baker"), fresh.rollback, fresh.jobs):
        with pytest.raises(SpaceIncomplete, match="run the same `llmrec push` or `llmrec pull` again"):
            use()
    stored = sum(fresh.client.count(name.name).count for name in fresh.client.get_collections().collections)
    report = fresh.pull(qdrant_url)
    assert report.written == sum(report.points.values()) - stored
    assert held(fresh) == held(laptop)


def test_an_interruption_after_the_aliases_leaves_a_complete_space(
    laptop: Recommender, server: Recommender, fresh: Recommender, qdrant_url: str
) -> None:
    laptop.push(qdrant_url)
    whole = fresh.client.update_collection_aliases
    with pytest.MonkeyPatch.context() as patched:

        def die(**arguments: Any) -> None:
            whole(**arguments)
            raise KeyboardInterrupt

        patched.setattr(fresh.client, "update_collection_aliases", die)
        with pytest.raises(KeyboardInterrupt):
            fresh.pull(qdrant_url)
    assert same_lists(lists(laptop), lists(fresh))
    with pytest.raises(SpaceMismatch, match="already"):
        fresh.pull(qdrant_url)
    report = fresh.pull(qdrant_url, replace=True)
    assert (report.written, report.removed) == (0, 1)  # the text that was searched for meanwhile
    assert held(fresh) == held(server)


def test_an_unavailable_server_is_waited_for(laptop: Recommender, server: Recommender, qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from llmrec_qdrant.operations.moving import sides

    monkeypatch.setattr(sides, "FIRST_PAUSE", 0.01)
    whole, failures = QdrantClient.upsert, iter(range(3))

    def upsert(self: QdrantClient, *arguments: Any, **more: Any) -> Any:
        if next(failures, None) is not None:
            raise QdrantUnavailable("down")
        return whole(self, *arguments, **more)

    monkeypatch.setattr(QdrantClient, "upsert", upsert)
    laptop.push(qdrant_url)
    assert held(server) == held(laptop)


# --- written to meanwhile -------------------------------------------------------------------------


def during(monkeypatch: pytest.MonkeyPatch, rec: Recommender, change: Callable[[int], object]) -> None:
    """With every page that is read of the events, something changes at the source."""
    whole, pages = rec.client.scroll, iter(range(1000))

    def scroll(collection_name: str, **more: Any) -> Any:
        if collection_name.endswith("_topics_v1") and more.get("with_vectors"):
            change(next(pages))
        return whole(collection_name=collection_name, **more)

    monkeypatch.setattr(rec.client, "scroll", scroll)


def edit(rec: Recommender, number: int) -> None:
    """Changes a payload only: neither counts nor digests nor revisions show it."""
    rec.client.set_payload(
        rec._space.items, {"year": 3000 + number}, models.Filter(must=[models.HasIdCondition(has_id=[first_item(rec)])])
    )


def first_item(rec: Recommender) -> str:
    return str(rec.client.scroll(rec._space.items, limit=1)[0][0].id)


def test_a_write_during_the_move_is_copied_too(laptop: Recommender, server: Recommender, qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    during(monkeypatch, laptop, lambda number: edit(laptop, number) if number == 0 else None)
    report = laptop.push(qdrant_url)
    assert report.written == sum(report.points.values()) + 1
    assert held(server) == held(laptop)


def test_writes_that_go_on_leave_the_copy_hidden_and_a_second_run_transfers_the_difference(
    laptop: Recommender, server: Recommender, qdrant_url: str
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        during(patched, laptop, lambda number: edit(laptop, number))
        with pytest.raises(SpaceIncomplete) as refused:
            laptop.push(qdrant_url)
    assert f"point {first_item(laptop)} of {laptop.space}_items_v1: payload 'year' differs" in str(refused.value)
    assert "run the same again, which copies only the difference" in str(refused.value)
    with pytest.raises(SpaceIncomplete, match="incomplete"):
        server.status()
    laptop.delete_items(["zh-film-interstellar"])
    laptop.track([{"user": "new", "type": "search", "text": "coral reefs"}])
    report = laptop.push(qdrant_url)
    assert (report.written, report.removed) == (1 + 1 + 1 + 1, 1)  # the edit, an event, its user and its text; the item
    assert held(server) == held(laptop)


def test_a_job_under_way_is_not_moved(laptop: Recommender, qdrant_url: str) -> None:
    laptop._queue = type("Nobody", (), {"send": lambda self, message: None})()
    job = laptop.fit_topics(3)
    with pytest.raises(SpaceMismatch, match=f"{job.id} is under way in space '{laptop.space}'.*--cancel"):
        laptop.push(qdrant_url)


# --- refused --------------------------------------------------------------------------------------


def test_a_space_there_is_replaced_only_on_request(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    server.create({"model": "hash", "size": 8})
    server.upsert_items([Item(id="theirs", title="other")])
    with pytest.raises(
        SpaceMismatch, match=rf"127.0.0.1.*: there is a space '{laptop.space}' with 1 items already.*replace=True"
    ):
        laptop.push(qdrant_url)
    assert [item.id for item in server.top()] == ["theirs"]
    report = laptop.push(qdrant_url, replace=True)
    assert report.removed == 0  # another dimension: the collections were made anew
    assert held(server) == held(laptop)
    laptop.delete_items(["zh-film-interstellar"])
    again = laptop.push(qdrant_url, replace=True)
    assert (again.written, again.removed) == (0, 1)
    assert held(server) == held(laptop)


def test_another_name_leaves_the_space_there_alone(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    laptop.push(qdrant_url)
    before = held(server)
    with server_space(qdrant_url, fresh_name()) as other:
        laptop.push(qdrant_url, space=other.space)
        assert everything(other.client, other.space, laptop.space) == before
    assert held(server) == before


def test_names_of_others_are_not_touched(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    client = server.client
    client.create_collection(laptop._space.events, vectors_config={})
    with pytest.raises(SpaceMismatch, match=f"collections without a space use its names .{laptop._space.events}"):
        laptop.push(qdrant_url)
    assert client.get_collection(laptop._space.events).config.metadata is None
    client.create_collection(laptop._space.items, vectors_config={})
    with pytest.raises(SpaceMismatch, match=f"a collection named '{laptop._space.items}' is in the way"):
        laptop.push(qdrant_url, replace=True)


def test_a_space_is_not_moved_onto_itself(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:
    laptop.push(qdrant_url)
    before = held(server)
    for move in (server.push, server.pull):
        with pytest.raises(InvalidInput, match="both ends are the same space"):
            move(qdrant_url.replace("127.0.0.1", "localhost"), replace=True)
    assert held(server) == before


def test_a_tenant_may_not_move_the_space(laptop: Recommender, qdrant_url: str) -> None:
    bound = Recommender(laptop.client, laptop._queue, laptop.space, tenant="acme")
    for move in (bound.push, bound.pull):
        with pytest.raises(InvalidInput, match=r"bound to tenant 'acme'.*connect without a tenant"):
            move(qdrant_url)


def test_what_cannot_be_moved_is_named_with_its_side(laptop: Recommender, fresh: Recommender, qdrant_url: str) -> None:
    with pytest.raises(SpaceNotFound, match=rf"^{qdrant_url}: there is no space '{laptop.space}'"):
        fresh.pull(qdrant_url)
    with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer at http://127.0.0.1:9 \("):
        laptop.push("http://127.0.0.1:9")
    with pytest.raises(InvalidInput, match="must look like http"):
        laptop.push("localhost:6333")
    with pytest.raises(InvalidInput, match="versions must be 'live' or 'all', not 'some'"):
        laptop.push(qdrant_url, versions="some")  # type: ignore[arg-type]
    assert fresh.client.get_collections().collections == []


def test_an_old_server_is_refused(laptop: Recommender, qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QdrantClient, "info", lambda self: models.VersionInfo(title="qdrant", version="1.15.4"))
    with pytest.raises(ServerTooOld, match=rf"^{qdrant_url}: this Qdrant is version 1.15.4"):
        laptop.push(qdrant_url)


def test_the_key_of_the_other_side(laptop: Recommender) -> None:
    with QdrantServer(api_key="secret") as guarded:
        with pytest.raises(Unauthorized, match=rf"^{guarded.url}: Qdrant asks for an API key"):
            laptop.push(guarded.url)
        with pytest.raises(Unauthorized) as refused:
            laptop.push(guarded.url, api_key="wrong-one")
        assert "wrong-one" not in str(refused.value)
        assert laptop.push(guarded.url, api_key="secret").space == laptop.space


def test_indexes_of_an_admin_move_too(
    laptop: Recommender, server: Recommender, fresh: Recommender, qdrant_url: str
) -> None:
    laptop.push(qdrant_url)
    text = models.TextIndexParams(type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD)
    server.client.create_payload_index(server._space.items, "title", text)
    with server_space(qdrant_url, fresh_name()) as other:
        server.push(qdrant_url, space=other.space)
        assert other.client.get_collection(other._space.items).payload_schema["title"].params == text
        tenant = other.client.get_collection(other._space.users).payload_schema["tenant"].params
        assert tenant == models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    fresh.pull(qdrant_url)
    assert fresh.client.get_collection(fresh._space.items).payload_schema["title"] == "text"


def test_a_float_that_a_server_stores_as_its_neighbour_is_no_difference(laptop: Recommender, server: Recommender, qdrant_url: str) -> None:  # fmt: skip
    odd = {"a": -1.2789513576606002e-306, "b": [-4.452747515197814e173]}
    laptop.client.upsert(laptop._space.users, [models.PointStruct(id=str(uuid.UUID(int=1)), vector={}, payload=odd)])
    assert laptop.push(qdrant_url).removed == 0


# --- any points -----------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-(10**9), 10**9).map(lambda n: n / 1000)
    | WORDS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(WORDS, parts, max_size=3),
    max_leaves=6,
)
FLOATS = st.floats(-1e6, 1e6, width=32)
ROWS = st.lists(FLOATS, min_size=16, max_size=16)
SPARSE = st.dictionaries(st.integers(0, 2**32 - 1), FLOATS, min_size=1, max_size=5).map(
    lambda weights: models.SparseVector(indices=list(weights), values=list(weights.values()))
)
POINTS = st.builds(
    models.PointStruct,
    id=st.uuids().map(str),
    vector=st.fixed_dictionaries(
        {}, optional={"dense": ROWS, "interests": st.lists(ROWS, min_size=1, max_size=3), "tfidf": SPARSE, "collab": SPARSE}
    ),
    payload=st.dictionaries(WORDS, VALUES, max_size=4),
)  # fmt: skip


@settings(max_examples=2, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(points=st.lists(POINTS, min_size=1, max_size=40))
def test_push_and_pull_are_the_identity_for_any_points(
    laptop: Recommender, server: Recommender, fresh: Recommender, qdrant_url: str, points: list[models.PointStruct]
) -> None:
    laptop.client.upsert(laptop._space.users, points)
    laptop.push(qdrant_url, replace=True)
    fresh.pull(qdrant_url, replace=True)
    original = held(laptop)
    assert held(server) == original
    assert held(fresh) == original
