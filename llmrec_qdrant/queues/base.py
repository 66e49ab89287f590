"""The port to the workers: something that takes messages. What it loses, reconcile finds again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from llmrec_qdrant.contracts.messages import Message

__all__ = ["JobQueue", "OnProgress", "mask_url"]

OnProgress = Callable[[str, float, float | None], None]
"""Called as ``on_progress(stage, done, total)``; ``total`` is None where it is unknown."""

_SECRET = re.compile(r"([?&][^=&]*(?:pass|key|token|secret)[^=&]*=)[^&]*", re.IGNORECASE)
"""A parameter of a URL whose value is nobody's business."""


@runtime_checkable
class JobQueue(Protocol):
    """Takes messages for workers."""

    def send(self, message: Message) -> None:
        """Hand over one message.

        Raises :class:`BrokerUnavailable` if it cannot be handed over now.
        """


def mask_url(url: str) -> str:
    """A URL without its secrets, for logs and errors.

    >>> mask_url("redis://:secret@localhost:6379/0")
    'redis://***@localhost:6379/0'
    >>> mask_url("redis://localhost?db=1&password=secret")
    'redis://localhost?db=1&password=***'
    """
    scheme, found, rest = url.partition("://")
    if found and "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    elif not found:
        scheme = re.sub(r"^[^/]*:[^/]*@", "***@", scheme)
    return scheme + found + _SECRET.sub(r"\1***", rest)
