"""Code as users write it: `mypy --strict` reads this file in a test; nobody runs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, assert_type

from qdrant_client import QdrantClient, models

from llmrec_qdrant import (
    AsyncRecommender,
    Event,
    Evidence,
    Interest,
    InvalidInput,
    Item,
    Job,
    JobStatus,
    LlmrecError,
    Moved,
    NotFound,
    PartlyRejected,
    Receipt,
    Recommendation,
    Recommender,
    Shelf,
    SimilarUser,
    SpaceConfig,
    SpaceStatus,
    Topic,
    WhyNot,
    Words,
)
from llmrec_qdrant.contracts.answers import Failure, Rejected
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.queues.base import JobQueue
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.testing import MemoryQueue


def connecting() -> Recommender:
    Recommender.connect("http://localhost:6333", space="movies", broker="redis://localhost:6379/0", api_key="k")
    Recommender.connect(path="./data", space="movies", tenant="acme")
    Recommender.from_env()
    queue: JobQueue = MemoryQueue()
    queue = NoQueue()
    rec = Recommender(QdrantClient(":memory:"), queue, "movies")
    Recommender(rec=1)  # type: ignore[call-arg]
    return rec


def space(rec: Recommender) -> None:
    assert_type(rec.create(SpaceConfig(size=768, fields={"year": "integer"}, weights={"dense": 2.0})), SpaceConfig)
    rec.create({"size": 768})
    rec.create()
    assert_type(rec.status(), SpaceStatus)
    assert_type(rec.status().items_stale, int)
    assert_type(rec.config.size, int)
    assert_type(rec.reconcile(), bool)


def knowing(rec: Recommender) -> None:
    assert_type(rec.train("towers", epochs=2), Job)
    assert_type(rec.tune(users=400, dry_run=True), Job)
    assert_type(rec.generate(users=10, language="zh", dry_run=True), Job)
    assert_type(rec.generate(what="topics"), Job)
    assert_type(rec.jobs(limit=5), list[JobStatus])
    assert_type(rec.job("train-1").result, dict[str, Any])
    assert_type(rec.fit_topics(), Job)
    with rec.watch(lambda stage, done, total: print(stage, done, total)):
        rec.reconcile()
    rec.fit_topics(20)
    assert_type(rec.topics(), list[Topic])
    assert_type(rec.topic_items("7", limit=5), list[Recommendation])
    assert_type(rec.merge_topics(["3", "7"]), Job)
    assert_type(rec.split_topic("5", into=3), Job)
    assert_type(rec.rename_topic("7", "space films"), Topic)
    assert_type(rec.interests("alice"), list[Interest])
    assert_type(rec.steer("alice", "7", 0.0), list[Interest])
    assert_type(rec.shelves("alice", rows=3, limit=5), list[Shelf])
    assert_type(rec.portrait("alice"), Words)
    assert_type(rec.blurb("alice", "tt0816692", language="zh"), Words)
    rec.recommend("alice", interests="auto")
    rec.recommend("alice", interests="all")  # type: ignore[arg-type]


def drawing(rec: Recommender) -> None:
    """Figures and the report."""
    assert_type(rec.report(), str)
    for figure in (rec.visualize_topics(), rec.visualize_interests("alice"), rec.visualize_item("tt1")):
        figure.show()
    rec.visualize_quality({"rows": []}).show()


def writing(rec: Recommender) -> None:
    film = Item(id="tt0816692", title="Interstellar", text="…", payload={"year": 2014, "genres": ["sci-fi"]})
    seen = Event(user="alice", type="view", item=film.id, ts=datetime.now(UTC))
    Item(id=603)
    Event(user=42, type="rating", item=603, value=4, ts=1_700_000_000)
    Event(user="alice", type="search", text="time travel", ts="2023-11-14T22:13:20Z")
    assert_type(rec.upsert_items([film, {"id": "tt1", "title": "Chef"}]), Receipt)
    assert_type(rec.upsert_items(iter([film])), Receipt)
    assert_type(rec.track(event for event in [seen]), Receipt)
    assert_type(rec.load_events([seen]), Receipt)


def moving(rec: Recommender) -> None:
    job = rec.reembed(model="some/model", size=768)
    assert_type(job.progress(), JobStatus)
    assert_type(job.wait(timeout=60, on_progress=lambda status: print(status.stage, status.done)), JobStatus)
    assert_type(job.cancel(), bool)
    assert_type(rec.rollback(), int)
    assert_type(rec.clean_up(), list[int])
    assert_type(rec.push("http://localhost:6333", api_key="k", space="shop", versions="all", replace=True), Moved)
    assert_type(
        rec.pull("http://localhost:6333", on_progress=lambda stage, done, total: print(stage, done, total)), Moved
    )
    assert_type(rec.failures(), list[Failure])
    assert_type(rec.retry(), int)


def more_writing(rec: Recommender, film: Item, seen: Event) -> None:
    assert_type(seen.ts, datetime)
    assert_type(seen.event_id, str)
    assert_type(rec.upsert_items([film], notify=False, replace=True), Receipt)
    assert_type(rec.update_items([{"id": "tt1", "payload": {"price": 9.5}}]), Receipt)
    assert_type(rec.get_items(["tt1"])[0].title, str)
    assert_type(list(rec.iter_items(filter={"year": 2014})), list[Item])
    assert_type(list(rec.users()), list[str])
    assert_type(rec.events("alice", 10), list[Event])
    assert_type(rec.delete_items(["tt1"]), int)
    assert_type(rec.forget_user("alice"), int)
    assert_type(rec.traces_of("alice"), dict[str, int])
    assert_type(rec.remove_events(user="alice", item="a"), int)
    try:
        rec.upsert_items([{"id": ""}])
    except PartlyRejected as refused:
        assert_type(refused.receipt.rejected, list[Rejected])
        print(refused.receipt.rejected[0].reason)


def reading(rec: Recommender) -> list[str]:
    weights: dict[Leg, float] = {"dense": 1.0, "collab": 2.0}
    year = models.Filter(must=[models.FieldCondition(key="year", range=models.Range(gte=2000))])
    found = rec.recommend("alice", limit=5, filter=year, exclude=("tt1",), diversity=0.3, weights=weights, explain=True)
    assert_type(found, list[Recommendation])
    found += rec.recommend("alice", 5, filter={"year": {"gte": 2000}}, exclude_seen=False)
    found += rec.recommend_from(["tt1"], negative=["tt2"])
    for user, listed in rec.recommend_many(rec.users(), 5):
        assert_type((user, listed), tuple[str, list[Recommendation]])
    found += rec.similar_items("tt1", filter={"lang": ["en", "zh"]})
    found += rec.top(by="year", filter={"lang": "zh"})
    found += rec.search("heist in a dream", user="alice")
    assert_type(rec.similar_users("alice"), list[SimilarUser])
    assert_type(rec.explain("alice", "i1"), Evidence)
    assert_type(rec.why_not("alice", "i1"), WhyNot)
    assert_type(rec.request("alice", limit=10), dict[str, Any])
    assert_type(found[0].legs, dict[str, float])
    return [f"{one.title}: {one.score:.2f} {one.reason}" for one in found]


def mending(rec: Recommender) -> None:
    try:
        rec.similar_items("tt1")
    except NotFound:
        pass
    except InvalidInput as refused:
        assert_type(refused.args, tuple[Any, ...])
    except LlmrecError as error:
        raise SystemExit(str(error)) from error


async def awaiting() -> None:
    async with AsyncRecommender.connect("http://localhost:6333", space="movies") as rec:
        assert_type(await rec.create(), SpaceConfig)
        assert_type(await rec.upsert_items([Item(id="tt1")]), Receipt)
        assert_type(await rec.recommend("alice"), list[Recommendation])
        many = await asyncio.gather(*(rec.similar_items(item) for item in ("tt1", "tt2")))
        assert_type(many, list[list[Recommendation]])


def mistakes(rec: Recommender) -> None:
    """Each of these must be a type error: an ignore that is not needed is one itself."""
    rec.recommend(5)  # type: ignore[arg-type]
    rec.recommend("alice", limit="10")  # type: ignore[arg-type]
    rec.recommend("alice", weights={"bm25": 1.0})  # type: ignore[dict-item]
    rec.recommend("alice", 10, {"year": 2000})  # type: ignore[call-arg, arg-type]
    rec.recommend_from("alice", limit="x")  # type: ignore[arg-type]
    rec.upsert_items(Item(id="tt1"))  # type: ignore[arg-type]
    rec.search("dream", users="alice")  # type: ignore[call-arg]
    Item(title="Chef")  # type: ignore[call-arg]
    Item(id="tt1", titel="Chef")  # type: ignore[call-arg]
    Event(user="alice", type="view", item=["tt1"])  # type: ignore[arg-type]
    SpaceConfig(fields={"year": "number"})  # type: ignore[dict-item]
    SpaceConfig(pooling="max")  # type: ignore[arg-type]
    Recommender.connect("http://localhost:6333")  # type: ignore[call-arg]
