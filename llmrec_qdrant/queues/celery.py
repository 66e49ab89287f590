"""Sends messages to Celery workers over Redis."""

from __future__ import annotations

from urllib.parse import urlsplit

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import BrokerUnavailable, InvalidInput, MissingDependency
from llmrec_qdrant.queues.base import WITH_PASSWORD, mask_url, wants_password

__all__ = ["CeleryQueue"]


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
    """Sends messages to Celery workers by task name; never imports the workers.

    Raises :class:`MissingDependency` without Celery, :class:`InvalidInput` for a broker that is not a Redis URL.
    """

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
        """Publish one message; gives up after one attempt, within seconds.

        Raises :class:`BrokerUnavailable`.
        """
        try:
            self._app.send_task(
                message.task, kwargs=message.model_dump(mode="json"), queue=message.destination(), retry=False
            )
        except Exception as error:  # whatever the error, the message was not accepted
            password = wants_password(error)
            why = "it asks for a password, or for another one" if password else type(error).__name__
            when = f"after correcting the URL ({WITH_PASSWORD})" if password else "when Redis is back"
            raise BrokerUnavailable(
                f"Redis at {mask_url(self._broker)} did not accept the message ({why}): "
                f"the data is stored; run `llmrec reconcile` {when}"
            ) from error

    def __repr__(self) -> str:
        return f"CeleryQueue({mask_url(self._broker)!r})"
