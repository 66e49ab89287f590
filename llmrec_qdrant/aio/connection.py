"""Connecting, and running operations on the connection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from qdrant_client import AsyncQdrantClient, QdrantClient

from llmrec_qdrant import operations
from llmrec_qdrant.connect import on_server, open_async, open_queue, open_sync
from llmrec_qdrant.contracts.checks import checked_tenant
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.operations.bound import Bound, refuse_tenant
from llmrec_qdrant.operations.handles import AsyncJob
from llmrec_qdrant.operations.remember import Memory
from llmrec_qdrant.operations.steps import Steps, drive_async
from llmrec_qdrant.queues.base import JobQueue
from llmrec_qdrant.queues.inline import InlineQueue
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Space

__all__ = ["AsyncConnection"]

T = TypeVar("T")


class AsyncConnection:
    """A connection to one space; see :class:`AsyncRecommender`."""

    def __init__(
        self, client: AsyncQdrantClient | QdrantClient, queue: JobQueue, space: str, tenant: str | None = None
    ) -> None:
        self._client = client
        self._queue = queue
        self._space = Space(space)
        self._tenant = checked_tenant(tenant)
        self._config: SpaceConfig | None = None
        self._config_at = 0.0
        self._memory = Memory() if on_server(client) else None
        self._present: set[str] = set()
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
            try:
                return cls(local, open_queue(local, broker), space, tenant)
            except BaseException:
                local.close()
                raise
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
        return Bound(self._space, self._config, self._tenant, self._memory, self._present)

    def _whole(self, what: str) -> Space:
        """Return the space, for what concerns all of it; raises :class:`InvalidInput` on a connection bound to a tenant."""
        refuse_tenant(self._tenant, what)
        return self._space

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
