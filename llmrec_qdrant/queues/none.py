"""No queue: writes are stored, and the work waits until a worker reconciles the space."""

from __future__ import annotations

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import BrokerUnavailable

__all__ = ["INSTALL", "NO_WORKERS", "NoQueue"]

INSTALL = "pip install 'llmrec-qdrant[workers]'"
"""Command that installs the workers."""
NO_WORKERS = (
    "no broker is set and the workers are not installed here: pass broker='redis://…' and start a worker, or install "
    f"them with `{INSTALL}`"
)
"""Error message if nobody can do the work."""


class NoQueue:
    """Refuses every message: writes are stored, and wait until a worker reconciles the space."""

    def send(self, message: Message) -> None:
        """Raise :class:`BrokerUnavailable`."""
        raise BrokerUnavailable(NO_WORKERS)

    def __repr__(self) -> str:
        return "NoQueue()"
