"""The asynchronous recommender: the same operations, awaited."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, Self, TypeVar

from qdrant_client import AsyncQdrantClient, QdrantClient

from llmrec_qdrant import operations
from llmrec_qdrant.connect import open_async, open_queue, open_sync
from llmrec_qdrant.contracts.answers import (
    Failure,
    Interest,
    Receipt,
    Recommendation,
    Seen,
    Shelf,
    SimilarUser,
    SpaceStatus,
    Topic,
)
from llmrec_qdrant.contracts.config import Leg, SpaceConfig
from llmrec_qdrant.contracts.entities import Event
from llmrec_qdrant.contracts.jobs import Hide, JobStatus, Method, TrainOptions, TuneOptions
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.handles import AsyncJob
from llmrec_qdrant.operations.items import ItemLike
from llmrec_qdrant.operations.steps import Steps, drive_async
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.queues.base import JobQueue, OnProgress
from llmrec_qdrant.queues.inline import InlineQueue, watched
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Key, Space

__all__ = ["AsyncRecommender"]


T = TypeVar("T")


class AsyncRecommender:
    """:class:`~llmrec_qdrant.recommender.Recommender` for asyncio; every method is documented there.

    Embedded Qdrant and the queue block, so they run in one thread beside the event loop. The version of the server is checked
    at the first awaited call, since connecting does not wait.
    """

    def __init__(
        self, client: AsyncQdrantClient | QdrantClient, queue: JobQueue, space: str, tenant: str | None = None
    ) -> None:
        self._client = client
        self._queue = queue
        self._space = Space(space)
        self._tenant = operations.items.checked_tenant(tenant)
        self._config: SpaceConfig | None = None
        self._config_at = 0.0
        self._checked = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmrec")

    @classmethod
    def connect(
        cls, url: str | None = None, *, space: str, path: str | None = None, broker: str | None = None,
        tenant: str | None = None, api_key: str | None = None,
    ) -> Self:  # fmt: skip
        """As :meth:`Recommender.connect`; no request is sent before the first awaited call."""
        if url is None:
            local = open_sync(url, path, api_key)
            return cls(local, open_queue(local, broker), space, tenant)
        queue = open_queue(open_sync(url, path, api_key), broker)
        return cls(open_async(url, api_key), queue, space, tenant)

    @classmethod
    def from_env(cls) -> Self:
        """As :meth:`Recommender.from_env`."""
        return cls.connect(**Settings().connection())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        if isinstance(self._client, AsyncQdrantClient):
            await self._client.close()
        else:
            self._client.close()
        self._thread.shutdown(wait=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(space={self._space.name!r}, tenant={self._tenant!r}, queue={self._queue!r})"

    async def _drive(self, steps: Steps[T]) -> T:
        if not self._checked:
            await drive_async(operations.spaces.check_server(), self._client, self._queue, self._thread)
            self._checked = True
        return await drive_async(steps, self._client, self._queue, self._thread)

    async def _bound(self) -> Bound:
        if self._config is None or time.monotonic() - self._config_at > operations.spaces.CONFIG_AGE:
            self._config = await self._drive(operations.spaces.load_config(self._space))
            self._config_at = time.monotonic()
        return Bound(self._space, self._config, self._tenant)

    def _inline(self) -> bool:
        return isinstance(self._queue, InlineQueue)

    def _forget_config(self) -> None:
        self._config = None

    async def _handle(self, steps: Steps[JobStatus]) -> AsyncJob:
        status = await self._drive(steps)
        self._forget_config()  # a job that has ended may have changed the configuration
        return AsyncJob(self._drive, self._space, status, self._inline, self._forget_config)

    @property
    def client(self) -> AsyncQdrantClient | QdrantClient:
        """The Qdrant client, for what this class has no method for."""
        return self._client

    @property
    def space(self) -> str:
        """Name of the space."""
        return self._space.name

    async def create(self, config: SpaceConfig | Mapping[str, Any] | None = None) -> SpaceConfig:
        """As :meth:`Recommender.create`."""
        wanted = None if config is None else SpaceConfig.parse(config)
        self._config = await self._drive(operations.spaces.configure(self._space, wanted))
        self._config_at = time.monotonic()
        return self._config

    async def status(self) -> SpaceStatus:
        """As :meth:`Recommender.status`."""
        return await self._drive(operations.status.status(await self._bound()))

    async def reconcile(self) -> bool:
        """As :meth:`Recommender.reconcile`."""
        return await self._drive(operations.status.reconcile(await self._bound()))

    async def failures(self, limit: int = 100) -> list[Failure]:
        """As :meth:`Recommender.failures`."""
        return await self._drive(operations.failures.list_failures(await self._bound(), limit))

    async def retry(self) -> int:
        """As :meth:`Recommender.retry`."""
        return await self._drive(operations.failures.retry(await self._bound()))

    async def reembed(self, config: SpaceConfig | Mapping[str, Any] | None = None, **changes: Any) -> AsyncJob:
        """As :meth:`Recommender.reembed`."""
        return await self._handle(operations.reembed.start(self._space, config, changes, self._inline()))

    async def rollback(self) -> int:
        """As :meth:`Recommender.rollback`."""
        number = await self._drive(operations.reembed.rollback(self._space))
        self._config = None
        return number

    async def clean_up(self) -> list[int]:
        """As :meth:`Recommender.clean_up`."""
        return await self._drive(operations.reembed.clean_up(self._space))

    async def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True) -> Receipt:
        """As :meth:`Recommender.upsert_items`."""
        return await self._drive(operations.items.upsert_items(await self._bound(), items, notify))

    async def track(self, events: Iterable[EventLike]) -> Receipt:
        """As :meth:`Recommender.track`."""
        return await self._drive(operations.events.track(await self._bound(), events))

    async def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`Recommender.load_events`."""
        return (await self._drive(operations.events.store_events(await self._bound(), events)))[0]

    async def delete_items(self, ids: Iterable[str]) -> int:
        """As :meth:`Recommender.delete_items`."""
        return await self._drive(operations.items.delete_items(await self._bound(), as_list(ids)))

    async def forget_user(self, user: str) -> int:
        """As :meth:`Recommender.forget_user`."""
        return await self._drive(operations.events.forget_user(await self._bound(), user))

    # --- jobs ------------------------------------------------------------------------------------

    async def train(
        self, method: Method = "towers", *, epochs: int | None = None, users: int = 1_000,
        exclude_seen: bool = True, split: Hide = "last", seed: int = 0,
    ) -> AsyncJob:  # fmt: skip
        """As :meth:`Recommender.train`."""
        options = TrainOptions(
            method=method, epochs=epochs, users=users, exclude_seen=exclude_seen, split=split, seed=seed
        )
        return await self._handle(operations.jobs.start((await self._bound()).space, options, self._inline()))

    async def fit_topics(self, topics: int | None = None) -> AsyncJob:
        """As :meth:`Recommender.fit_topics`."""
        return await self._handle(operations.topics.fit_topics(await self._bound(), topics, self._inline()))

    async def tune(self, *, users: int = 800, limit: int = 10, seed: int = 0, dry_run: bool = False) -> AsyncJob:
        """As :meth:`Recommender.tune`."""
        options = TuneOptions(users=users, limit=limit, seed=seed, dry_run=dry_run)
        return await self._handle(operations.jobs.start((await self._bound()).space, options, self._inline()))

    async def jobs(self, limit: int = 20) -> list[JobStatus]:
        """As :meth:`Recommender.jobs`."""
        return await self._drive(operations.jobs.list_jobs((await self._bound()).space, limit))

    async def job(self, id: str) -> AsyncJob:
        """As :meth:`Recommender.job`."""
        return await self._handle(operations.jobs.look((await self._bound()).space, id))

    @contextmanager
    def watch(self, on_progress: OnProgress) -> Iterator[None]:
        """As :meth:`Recommender.watch`; not awaited. ``on_progress`` is called from the thread that does the work."""
        with watched(self._queue, on_progress):
            yield

    # --- topics and interests ------------------------------------------------------------------

    async def topics(self) -> list[Topic]:
        """As :meth:`Recommender.topics`."""
        return await self._drive(operations.topics.list_topics(await self._bound()))

    async def rename_topic(self, topic: str, label: str) -> Topic:
        """As :meth:`Recommender.rename_topic`."""
        return await self._drive(operations.topics.rename_topic(await self._bound(), topic, label))

    async def interests(self, user: str) -> list[Interest]:
        """As :meth:`Recommender.interests`."""
        return await self._drive(operations.interests.interests_of(await self._bound(), user))

    async def steer(self, user: str, topic: str, weight: float = 0.0) -> list[Interest]:
        """As :meth:`Recommender.steer`."""
        return await self._drive(operations.steering.steer(await self._bound(), user, topic, weight))

    async def shelves(self, user: str, rows: int = 5, limit: int = 10, *, exclude_seen: Seen = True) -> list[Shelf]:
        """As :meth:`Recommender.shelves`."""
        return await self._drive(operations.shelves.shelves(await self._bound(), user, rows, limit, exclude_seen))

    async def recommend(
        self, user: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: bool = False, interests: Literal["auto"] | None = None,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.recommend`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests)
        return await self._drive(operations.recommend.recommend(await self._bound(), user, options, exclude_seen))

    async def request(
        self, user: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = False, weights: Mapping[Leg, float] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """As :meth:`Recommender.request`."""
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return await self._drive(operations.recommend.request(await self._bound(), user, options, exclude_seen))

    async def top(
        self, limit: int = 10, *, by: str = Key.POPULARITY, filter: FilterLike | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.top`."""
        return await self._drive(operations.top.top(await self._bound(), by, ListOptions(limit, filter, exclude)))

    async def recommend_from(
        self, positive: Sequence[str], negative: Sequence[str] = (), limit: int = 10, *,
        filter: FilterLike | None = None, exclude: Sequence[str] = (), diversity: float = 0.0,
        weights: Mapping[Leg, float] | None = None, explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.recommend_from`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return await self._drive(operations.similar.recommend_from(await self._bound(), positive, negative, options))

    async def similar_items(
        self, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        diversity: float = 0.0, weights: Mapping[Leg, float] | None = None, explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.similar_items`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return await self._drive(operations.similar.similar_items(await self._bound(), item, options))

    async def similar_users(self, user: str, limit: int = 10) -> list[SimilarUser]:
        """As :meth:`Recommender.similar_users`."""
        return await self._drive(operations.similar.similar_users(await self._bound(), user, limit))

    async def search(
        self, text: str, user: str | None = None, limit: int = 10, *, filter: FilterLike | None = None,
        exclude: Sequence[str] = (), diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """As :meth:`Recommender.search`."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return await self._drive(operations.search.search(await self._bound(), text, user, options))
