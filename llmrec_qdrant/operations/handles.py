"""Handles of jobs, for the synchronous and the asynchronous recommender. A job's state is in Qdrant, not in its handle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from llmrec_qdrant.contracts.jobs import JobKind, JobStatus
from llmrec_qdrant.errors import JobFailed, WorkPending
from llmrec_qdrant.operations import jobs
from llmrec_qdrant.operations.jobs import OnStatus
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.space.layout import Space

__all__ = ["AsyncJob", "Job"]

T = TypeVar("T")


class Driver(Protocol):
    """Runs operations to their end."""

    def __call__(self, steps: Steps[T], /) -> T:
        """Run an operation and return its result."""


class AsyncDriver(Protocol):
    """Runs operations to their end without blocking the event loop."""

    def __call__(self, steps: Steps[T], /) -> Awaitable[T]:
        """Run an operation and return its result."""


class _Handle:
    """The part of both handles that sends no request to Qdrant."""

    def __init__(self, space: Space, status: JobStatus, inline: Callable[[], bool], ended: Callable[[], None]) -> None:
        self._space, self._status, self._inline, self._ended = space, status, inline, ended

    @property
    def id(self) -> str:
        """The id, such as ``train-7``."""
        return self._status.id

    @property
    def kind(self) -> JobKind:
        """``reembed``, ``train``, ``fit-topics``, ``tune`` or ``generate``."""
        return self._status.kind

    def _seen(self, status: JobStatus) -> JobStatus:
        self._status = status
        if not status.active:
            self._ended()  # the configuration of the space may have changed
        return status

    def _result(self) -> dict[str, Any]:
        status = self._status
        if status.active:
            raise WorkPending(f"job {status.id} is {status.state}: call wait() first")
        if status.result is None:
            ended = "failed" if status.state == "failed" else "was cancelled"
            raise JobFailed(f"job {status.id} {ended}: {status.reason}")
        return status.result

    def __repr__(self) -> str:
        return f"{type(self).__name__}(space={self._space.name!r}, id={self.id!r}, state={self._status.state!r})"


class Job(_Handle):
    """A job of a space: a re-embedding, a training, a fit of topics or tuning."""

    def __init__(
        self, drive: Driver, space: Space, status: JobStatus, inline: Callable[[], bool], ended: Callable[[], None]
    ) -> None:
        super().__init__(space, status, inline, ended)
        self._drive = drive

    def progress(self) -> JobStatus:
        """Return the current status.

        Raises :class:`NotFound` once the record has been deleted, which happens after fifty newer jobs of its kind.
        """
        return self._seen(self._drive(jobs.look(self._space, self.id)))

    def wait(self, timeout: float | None = None, on_progress: OnStatus | None = None) -> JobStatus:
        """Wait until the job has ended, and return its last status; ``on_progress`` receives every status until then.

        Raises :class:`WorkPending` after ``timeout`` seconds; the job continues.
        """
        return self._seen(self._drive(jobs.wait(self._space, self.id, timeout, on_progress, self._inline())))

    def cancel(self) -> bool:
        """Stop the job; its worker stops within seconds. False if the job has ended, or can no longer be stopped."""
        return self._drive(jobs.cancel(self._space, self.id))

    @property
    def result(self) -> dict[str, Any]:
        """The result of the job.

        Raises :class:`WorkPending` while the job is under way, :class:`JobFailed` if it failed or was cancelled.
        """
        if self._status.active:
            self.progress()
        return self._result()


class AsyncJob(_Handle):
    """:class:`Job` for asyncio."""

    def __init__(
        self, drive: AsyncDriver, space: Space, status: JobStatus, inline: Callable[[], bool], ended: Callable[[], None]
    ) -> None:
        super().__init__(space, status, inline, ended)
        self._drive = drive

    async def progress(self) -> JobStatus:
        """As :meth:`Job.progress`."""
        return self._seen(await self._drive(jobs.look(self._space, self.id)))

    async def wait(self, timeout: float | None = None, on_progress: OnStatus | None = None) -> JobStatus:
        """As :meth:`Job.wait`, without blocking the event loop."""
        return self._seen(await self._drive(jobs.wait(self._space, self.id, timeout, on_progress, self._inline())))

    async def cancel(self) -> bool:
        """As :meth:`Job.cancel`."""
        return await self._drive(jobs.cancel(self._space, self.id))

    @property
    def result(self) -> dict[str, Any]:
        """As :attr:`Job.result`, from the last status received: await :meth:`wait` or :meth:`progress` first."""
        return self._result()
