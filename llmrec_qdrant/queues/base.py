"""The port to the workers: a queue for messages. If it loses one, reconcile finds the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from llmrec_qdrant.contracts.messages import Message

__all__ = ["JobQueue", "OnProgress", "mask_url"]

OnProgress = Callable[[str, float, float | None], None]
"""Called as ``on_progress(stage, done, total)``; ``total`` is None if unknown."""


@runtime_checkable
class JobQueue(Protocol):
    """Accepts messages for workers."""

    def send(self, message: Message) -> None:
        """Send one message.

        Raises :class:`BrokerUnavailable` if the message cannot be sent now.
        """


def mask_url(url: str) -> str:
    """Return a URL without its user and password, for logs and errors.

    >>> mask_url("redis://:secret@localhost:6379/0")
    'redis://***@localhost:6379/0'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if separator and "@" in rest else url
