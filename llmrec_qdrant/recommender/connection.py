"""Connecting, and running operations on the connection."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from qdrant_client import QdrantClient

from llmrec_qdrant import operations
from llmrec_qdrant.connect import on_server, open_queue, open_sync
from llmrec_qdrant.contracts.checks import checked_tenant
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.operations.bound import Bound, refuse_tenant
from llmrec_qdrant.operations.handles import Job
from llmrec_qdrant.operations.remember import Memory
from llmrec_qdrant.operations.steps import Steps, drive
from llmrec_qdrant.queues.base import JobQueue
from llmrec_qdrant.queues.inline import InlineQueue
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Space

__all__ = ["Connection"]

MAX_THREADS = 32
"""Threads that verify what a list was built on while Qdrant computes the list; they start as they are needed."""

T = TypeVar("T")


class Connection:
    """A connection to one space; see :class:`Recommender`."""

    def __init__(self, client: QdrantClient, queue: JobQueue, space: str, tenant: str | None = None) -> None:
        self._client = client
        self._queue = queue
        self._space = Space(space)
        self._tenant = checked_tenant(tenant)
        self._config: SpaceConfig | None = None
        self._config_at = 0.0
        self._memory = Memory() if on_server(client) else None
        self._present: set[str] = set()
        self._threads = ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="llmrec")

    @classmethod
    def connect(
        cls, url: str | None = None, *, space: str, path: str | None = None, broker: str | None = None,
        tenant: str | None = None, api_key: str | None = None,
    ) -> Self:  # fmt: skip
        """Connect to a Qdrant server (``url``) or to a local folder (``path``).

        With ``broker`` (a Redis URL), work goes to Celery workers. Without one, it runs in this process: install the workers
        with ``pip install 'llmrec-qdrant[workers]'``. Without either, writes are stored and their work waits.
        Raises :class:`QdrantUnavailable`, :class:`Unauthorized` or :class:`ServerTooOld`.
        """
        client = open_sync(url, path, api_key)
        try:
            recommender = cls(client, open_queue(client, broker), space, tenant)
            recommender._drive(operations.spaces.check_server())
        except BaseException:
            client.close()  # it may hold a folder that one client at a time can open
            raise
        return recommender

    @classmethod
    def from_env(cls) -> Self:
        """Connect with the ``LLMREC_*`` environment variables; see :class:`llmrec_qdrant.settings.Settings`."""
        return cls.connect(**Settings().connection())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        self._threads.shutdown()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(space={self._space.name!r}, tenant={self._tenant!r}, queue={self._queue!r})"

    def _drive(self, steps: Steps[T]) -> T:
        return drive(steps, self._client, self._queue, self._threads)

    def _bound(self) -> Bound:
        if self._config is None or time.monotonic() - self._config_at > operations.spaces.CONFIG_AGE:
            self._config = self._drive(operations.spaces.load_config(self._space))
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

    def _handle(self, steps: Steps[JobStatus]) -> Job:
        status = self._drive(steps)
        self._forget_config()  # a job that has ended may have changed the configuration
        return Job(self._drive, self._space, status, self._inline, self._forget_config)

    @property
    def client(self) -> QdrantClient:
        """The Qdrant client, for what this class has no method for."""
        return self._client

    @property
    def space(self) -> str:
        """Name of the space."""
        return self._space.name

    @property
    def config(self) -> SpaceConfig:
        """The configuration stored with the space."""
        return self._bound().config
