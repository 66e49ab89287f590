"""The port to the workers: something that takes messages. What it loses, reconcile finds again."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from llmrec_qdrant.contracts import Message
from llmrec_qdrant.errors import BrokerUnavailable, InvalidInput, MissingDependency

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["CeleryQueue", "InlineQueue", "JobQueue", "NoQueue", "mask_url", "worker_module"]


@runtime_checkable
class JobQueue(Protocol):
    """Takes messages for workers."""

    def send(self, message: Message) -> None:
        """Hand over one message.

        Raises :class:`BrokerUnavailable` if it cannot be handed over now.
        """


def mask_url(url: str) -> str:
    """A URL without its password, for logs and errors.

    >>> mask_url("redis://:secret@localhost:6379/0")
    'redis://***@localhost:6379/0'
    """
    scheme, found, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if found and "@" in rest else url


def _is_redis_url(url: str) -> bool:
    if url.startswith(("redis+socket:///", "unix:///")):
        return True
    try:
        parsed = urlsplit(url)
        database = parsed.path.strip("/")
        return (
            parsed.scheme in {"redis", "rediss"}
            and bool(parsed.hostname)
            and (parsed.port is None or 0 < parsed.port < 65_536)
            and (not database or database.isdecimal())
        )
    except ValueError:
        return False


class CeleryQueue:
    """Sends messages to Celery workers by task name; the workers' code is never imported."""

    def __init__(self, broker: str) -> None:
        try:
            from celery import Celery
        except ImportError:
            raise MissingDependency(
                "a broker needs Celery: install it with `pip install 'llmrec-qdrant[celery]'`"
            ) from None
        if not _is_redis_url(broker):
            raise InvalidInput(
                f"the broker must be a Redis URL such as redis://localhost:6379/0, not {mask_url(broker)!r}"
            )
        self._broker = broker
        self._app = Celery("llmrec", broker=broker)
        self._app.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            broker_connection_timeout=2,
            broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5, "retry_on_timeout": False},
        )

    def send(self, message: Message) -> None:
        """Publish one message; tries once and gives up within seconds."""
        try:
            self._app.send_task(message.task, kwargs=message.model_dump(mode="json"), queue=message.queue, retry=False)
        except Exception as error:  # whatever it is, the message was not taken
            raise BrokerUnavailable(
                f"Redis at {mask_url(self._broker)} did not take the message ({type(error).__name__}): "
                "what was written is stored; run `llmrec reconcile` when Redis is back"
            ) from error

    def __repr__(self) -> str:
        return f"CeleryQueue({mask_url(self._broker)!r})"


class InlineQueue:
    """Does the work in this process, at once, on the same Qdrant client: no broker, no worker."""

    def __init__(self, client: QdrantClient) -> None:
        if not inline_available():
            raise MissingDependency(_NO_WORKERS)
        self._client = client
        self._worker: Any = None

    def send(self, message: Message) -> None:
        """Do the work of a message and of all messages that follow from it."""
        if self._worker is None:
            from workers.runtime import Worker  # the one import of workers, and only when there is work

            self._worker = Worker(self._client)
        self._worker.drain([message])

    def __repr__(self) -> str:
        return "InlineQueue()"


_NO_WORKERS = (
    "there is no broker, and the `workers` package with its models is not importable here: pass "
    "broker='redis://…' and start a worker, or run from a checkout after `make install`"
)


def inline_available() -> bool:
    """Whether work can run in this process."""
    try:
        return importlib.util.find_spec("workers.runtime") is not None
    except (ImportError, ValueError):
        return False


def worker_module(name: str) -> Any:
    """A module of ``workers``, for work that a person waits for.

    Raises :class:`MissingDependency` where there are no workers.
    """
    if not inline_available():
        raise MissingDependency("this needs the `workers` package: run it from a checkout after `make install`")
    return importlib.import_module(f"workers.{name}")


class NoQueue:
    """Takes nothing: writes are stored, and wait for somebody's reconcile."""

    def send(self, message: Message) -> None:
        """Always refuses."""
        raise BrokerUnavailable(_NO_WORKERS)

    def __repr__(self) -> str:
        return "NoQueue()"
