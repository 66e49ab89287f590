"""The port to the workers: a queue for messages. If it loses one, reconcile finds the work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from llmrec_qdrant.contracts.messages import Message

__all__ = ["WITH_PASSWORD", "JobQueue", "OnProgress", "in_shares", "mask_url", "wants_password"]

WITH_PASSWORD = "redis://:PASSWORD@HOST:6379/0"
"""How the URL of a Redis with a password is written."""

OnProgress = Callable[[str, float, float | None], None]
"""Called as ``on_progress(stage, done, total)``; ``total`` is None if unknown."""


def in_shares(on_progress: OnProgress) -> OnProgress:
    """Return a receiver of progress that passes on shares of a total of 1, for those who may not know how much work there is."""

    def report(stage: str, done: float, total: float | None) -> None:
        on_progress(stage, done / total if total else 0.0, 1.0 if total else None)

    return report


_SECRET = re.compile(r"([?&][^=&]*(?:pass|key|token|secret)[^=&]*=)[^&]*", re.IGNORECASE)
"""A parameter of a URL whose value is nobody's business."""


@runtime_checkable
class JobQueue(Protocol):
    """Accepts messages for workers."""

    def send(self, message: Message) -> None:
        """Send one message.

        Raises :class:`BrokerUnavailable` if the message cannot be sent now.
        """


def wants_password(error: BaseException) -> bool:
    """Whether Redis answered, and asks for a password or for another one than it was given.

    >>> wants_password(ConnectionError("Authentication required.")), wants_password(ConnectionError("Connection refused."))
    (True, False)
    """
    told = str(error).lower()
    return any(words in told for words in ("authentication required", "username-password", "noauth", "wrongpass"))


def mask_url(url: str) -> str:
    """A URL without its secrets, for logs and errors.

    >>> mask_url("redis://:secret@localhost:6379/0")
    'redis://***@localhost:6379/0'
    >>> mask_url("redis://localhost?db=1&password=secret")
    'redis://localhost?db=1&password=***'
    """
    scheme, separator, rest = url.partition("://")
    if separator and "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    elif not separator:
        scheme = re.sub(r"^[^/]*:[^/]*@", "***@", scheme)
    return scheme + separator + _SECRET.sub(r"\1***", rest)
