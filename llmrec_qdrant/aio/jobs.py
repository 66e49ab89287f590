"""Jobs: long work that workers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.contracts.jobs import GenerateOptions, Hide, JobStatus, Method, TrainOptions, TuneOptions, What
from llmrec_qdrant.operations.handles import AsyncJob
from llmrec_qdrant.queues.base import OnProgress, in_shares
from llmrec_qdrant.queues.inline import watched

__all__ = ["AsyncJobs"]


class AsyncJobs(AsyncConnection):
    """Methods that start and follow jobs."""

    async def train(
        self, method: Method = "towers", *, epochs: int | None = None, users: int = 1_000,
        exclude_seen: bool = True, split: Hide = "last", seed: int = 0,
    ) -> AsyncJob:  # fmt: skip
        """As :meth:`Recommender.train`."""
        self._whole("train on it")
        options = TrainOptions(
            method=method, epochs=epochs, users=users, exclude_seen=exclude_seen, split=split, seed=seed
        )
        return await self._handle(operations.jobs.start((await self._bound()).space, options, self._inline()))

    async def fit_topics(self, topics: int | None = None) -> AsyncJob:
        """As :meth:`Recommender.fit_topics`."""
        self._whole("fit its topics")
        return await self._handle(operations.topics.fit_topics(await self._bound(), topics, self._inline()))

    async def merge_topics(self, topics: Sequence[str]) -> AsyncJob:
        """As :meth:`Recommender.merge_topics`."""
        self._whole("merge its topics")
        return await self._handle(operations.topic_edits.merge_topics(await self._bound(), topics, self._inline()))

    async def split_topic(self, topic: str, into: int = 2) -> AsyncJob:
        """As :meth:`Recommender.split_topic`."""
        self._whole("split its topics")
        return await self._handle(operations.topic_edits.split_topic(await self._bound(), topic, into, self._inline()))

    async def tune(
        self, *, users: int = 800, limit: int = 10, minutes: float = 30, seed: int = 0, dry_run: bool = False
    ) -> AsyncJob:
        """As :meth:`Recommender.tune`."""
        self._whole("tune it")
        options = TuneOptions(users=users, limit=limit, minutes=minutes, seed=seed, dry_run=dry_run)
        return await self._handle(operations.jobs.start((await self._bound()).space, options, self._inline()))

    async def generate(
        self, *, what: What = "users", users: int | None = None, blurbs: int = 3, language: Language | None = None,
        max_tokens: int | None = None, dry_run: bool = False,
    ) -> AsyncJob:  # fmt: skip
        """As :meth:`Recommender.generate`."""
        self._whole("write texts about its users")
        options = GenerateOptions(
            what=what, users=users, blurbs=blurbs, language=language, max_tokens=max_tokens, dry_run=dry_run
        )
        return await self._handle(operations.jobs.start((await self._bound()).space, options, self._inline()))

    async def jobs(self, limit: int = 20) -> list[JobStatus]:
        """As :meth:`Recommender.jobs`."""
        self._whole("see its jobs")
        return await self._drive(operations.jobs.list_jobs((await self._bound()).space, limit))

    async def job(self, id: str) -> AsyncJob:
        """As :meth:`Recommender.job`."""
        self._whole("see its jobs")
        return await self._handle(operations.jobs.look((await self._bound()).space, id))

    @contextmanager
    def watch(self, on_progress: OnProgress) -> Iterator[None]:
        """As :meth:`Recommender.watch`; not awaited. ``on_progress`` is called from the thread that does the work."""
        with watched(self._queue, on_progress if self._tenant is None else in_shares(on_progress)):
            yield
