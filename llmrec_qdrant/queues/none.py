"""No queue: writes are stored, and their work waits until a worker reconciles the space."""

from __future__ import annotations

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import BrokerUnavailable

__all__ = ["INSTALL", "NO_WORKERS", "NoQueue"]

INSTALL = "pip install 'llmrec-qdrant[workers]'"
NO_WORKERS = (
    "no broker is named and the workers are not installed here: pass broker='redis://…' and start a worker, or install "
    f"them with `{INSTALL}`"
)


class NoQueue:
    """Takes nothing: writes are stored, and wait for somebody's reconcile."""

    def send(self, message: Message) -> None:
        """Always refuses."""
        raise BrokerUnavailable(NO_WORKERS)

    def __repr__(self) -> str:
        return "NoQueue()"
