"""Work that runs in this process, watched: how much is done, and how much is known to be left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qdrant_client import QdrantClient

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.queues.inline import InlineQueue
from llmrec_qdrant.recommender import Recommender

__all__ = ["WatchedQueue", "watched"]


Tell = Callable[[float, float | None], None]


class WatchedQueue(InlineQueue):
    """The inline queue, which tells after each message how many ids are done, and of how many."""

    def __init__(self, client: QdrantClient, tell: Tell) -> None:
        super().__init__(client)
        self._tell = tell

    def send(self, message: Message) -> None:
        """Do the work of a message and of all messages that follow from it."""
        queue, done = deque([message]), 0
        while queue:
            one = queue.popleft()
            queue.extend(self.worker.run(one))
            done += _size(one)
            self._tell(done, done + sum(_size(two) for two in queue))


def _size(message: Message) -> int:
    return len(getattr(message, "ids", ()))


@contextmanager
def watched(rec: Recommender, tell: Tell) -> Iterator[None]:
    """Within the block, work that runs in this process is told; work of a broker's workers is not seen here."""
    queue = rec._queue
    if isinstance(queue, InlineQueue):
        rec._queue = WatchedQueue(rec.client, tell)
    try:
        yield
    finally:
        rec._queue = queue
