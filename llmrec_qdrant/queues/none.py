"""TODO: llmrec_qdrant.queues.none."""

from __future__ import annotations

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import BrokerUnavailable
from llmrec_qdrant.queues.inline import NO_WORKERS

__all__ = ["NoQueue"]


class NoQueue:
    """Takes nothing: writes are stored, and wait for somebody's reconcile."""

    def send(self, message: Message) -> None:
        """Always refuses."""
        raise BrokerUnavailable(NO_WORKERS)

    def __repr__(self) -> str:
        return "NoQueue()"
