"""The effects that operations yield, and the two drivers that perform them.

Operations are generators that yield effects and receive results, so one body serves the synchronous
and the asynchronous recommender (the "sans I/O" pattern).
"""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from qdrant_client import AsyncQdrantClient, QdrantClient

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import BrokerUnavailable, LlmrecError, QdrantUnavailable, WorkPendingWarning
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.queues.base import JobQueue

__all__ = ["Ask", "Call", "Effect", "Send", "Sleep", "Steps", "Together", "call", "drive", "drive_async", "notify"]


T = TypeVar("T")

MAX_ASKED_PAUSE = 10.0
"""Seconds that a call waits at most where Qdrant asks for a pause."""


@dataclass(frozen=True)
class Call:
    """Effect: call a method of a Qdrant client."""

    method: str
    arguments: dict[str, Any] = field(default_factory=dict)
    client: QdrantClient | None = None
    """The client to call; None: that of the recommender."""
    remember: bool = False
    """Whether the answer may be assumed to be that of the last such call; see ``operations/remember.py``."""


@dataclass(frozen=True)
class Together:
    """Effect: make several calls at the same time. Each result is that of the call, or the error it raised."""

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Send:
    """Effect: send a message to the queue."""

    message: Message


@dataclass(frozen=True)
class Sleep:
    """Effect: wait."""

    seconds: float


@dataclass(frozen=True)
class Ask:
    """Effect: ask a service other than Qdrant and the queue. The result is that of ``work``, which may block."""

    work: Callable[[], Any]


Effect = Call | Together | Send | Sleep | Ask

Steps = Generator[Effect, Any, T]


def call(method: str, *, remember: bool = False, **arguments: Any) -> Steps[Any]:
    """Yield one client call and return its result; where Qdrant asks for a short pause (rate limits), it is made."""
    waited = 0.0
    while True:
        try:
            return (yield Call(method, arguments, remember=remember))
        except QdrantUnavailable as error:
            pause = error.retry_after or 0.0
            waited += pause
            if not pause or waited > MAX_ASKED_PAUSE:
                raise
        yield Sleep(pause)


@contextmanager
def _quiet(method: str) -> Iterator[None]:
    """Silence a warning of the client's pure Python mode: indexes have no effect there, and the caller need not know."""
    if method != "create_payload_index":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Payload indexes have no effect in the local Qdrant")
        yield


def _call(call: Call, client: QdrantClient) -> Any:
    with translated(call.client or client), _quiet(call.method):
        return getattr(call.client or client, call.method)(**call.arguments)


def _attempt(call: Call, client: QdrantClient) -> Any:
    try:
        return _call(call, client)
    except LlmrecError as error:
        return error


def _perform(effect: Effect, client: QdrantClient, queue: JobQueue, threads: Executor | None = None) -> Any:
    match effect:
        case Call():
            return _call(effect, client)
        case Together((first, *others)):
            if threads is None:
                return [_attempt(call, client) for call in effect.calls]
            with translated():
                running = [threads.submit(_attempt, call, client) for call in others]
            return [_attempt(first, client), *(future.result() for future in running)]
        case Send(message):
            return queue.send(message)
        case Sleep(seconds):
            return time.sleep(seconds)
        case Ask(work):
            return work()


async def _call_async(call: Call, client: AsyncQdrantClient | QdrantClient, thread: Executor) -> Any:
    with translated(call.client or client), _quiet(call.method):
        bound = getattr(call.client or client, call.method)
        if inspect.iscoroutinefunction(bound):
            return await bound(**call.arguments)
        return await asyncio.get_running_loop().run_in_executor(thread, partial(bound, **call.arguments))


async def _attempt_async(call: Call, client: AsyncQdrantClient | QdrantClient, thread: Executor) -> Any:
    try:
        return await _call_async(call, client, thread)
    except LlmrecError as error:
        return error


async def _perform_async(
    effect: Effect, client: AsyncQdrantClient | QdrantClient, queue: JobQueue, thread: Executor
) -> Any:
    loop = asyncio.get_running_loop()
    match effect:
        case Call():
            return await _call_async(effect, client, thread)
        case Together(calls):
            return await asyncio.gather(*(_attempt_async(call, client, thread) for call in calls))
        case Send(message):
            return await loop.run_in_executor(thread, queue.send, message)
        case Sleep(seconds):
            return await asyncio.sleep(seconds)
        case Ask(work):
            return await asyncio.to_thread(work)


def drive(steps: Steps[T], client: QdrantClient, queue: JobQueue, threads: Executor | None = None) -> T:
    """Run an operation to its end on a synchronous client; without ``threads``, one call follows the other."""
    try:
        effect = next(steps)
        while True:
            try:
                result = _perform(effect, client, queue, threads)
            except LlmrecError as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def drive_async(
    steps: Steps[T], client: AsyncQdrantClient | QdrantClient, queue: JobQueue, thread: Executor
) -> T:
    """Run an operation to its end without blocking the event loop; what blocks runs in ``thread``."""
    try:
        effect = next(steps)
        while True:
            try:
                result = await _perform_async(effect, client, queue, thread)
            except LlmrecError as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


def notify(messages: Iterable[Message]) -> Steps[bool]:
    """Send messages; if the queue does not accept one, warn and return False."""
    for message in messages:
        try:
            yield Send(message)
        except BrokerUnavailable as error:
            warnings.warn(f"work is pending: {error}", WorkPendingWarning, stacklevel=2)
            return False
    return True
