"""The two ends of a move: the Qdrant of the recommender, and another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from qdrant_client import QdrantClient

from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable, ServiceError, SpaceError
from llmrec_qdrant.operations.retry import pause_after
from llmrec_qdrant.operations.spaces import check_server
from llmrec_qdrant.operations.steps import Call, Effect, Sleep, Steps, Together
from llmrec_qdrant.space.layout import Space

__all__ = ["Side"]

T = TypeVar("T")

ATTEMPTS = 6
"""Attempts of one request while Qdrant is unavailable; with the pauses between them, a restarted server is waited for."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds between attempts."""


@dataclass(frozen=True)
class Side:
    """A space and the Qdrant that holds it, or will hold it."""

    space: Space
    client: QdrantClient | None = None
    """None: the Qdrant of the recommender."""
    where: str = ""
    """Begins errors of the other Qdrant: its address, without secrets."""

    def reach(self) -> Steps[None]:
        """Check that this Qdrant answers and is not too old.

        Raises :class:`QdrantUnavailable`, :class:`Unauthorized` or :class:`ServerTooOld`.
        """
        yield from self.do(check_server(), attempts=1)

    def do(self, steps: Steps[T], attempts: int = ATTEMPTS) -> Steps[T]:
        """Run steps on this Qdrant; each request is repeated while it is unavailable, so it must be idempotent."""
        try:
            effect = next(steps)
            while True:
                try:
                    result = yield from self._perform(effect, attempts)
                except LlmrecError as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value
        except (ServiceError, SpaceError) as error:
            if not self.where or self.where.rstrip("/") in str(error):
                raise
            raise type(error)(f"{self.where}: {error}") from error

    def _addressed(self, effect: Effect) -> Effect:
        match effect:
            case Call():
                return replace(effect, client=self.client)
            case Together(together):
                return Together(tuple(replace(one, client=self.client) for one in together))
        return effect

    def _perform(self, effect: Effect, attempts: int) -> Steps[object]:
        addressed = self._addressed(effect)
        for tries in range(attempts - 1):
            try:
                return (yield addressed)
            except QdrantUnavailable as error:
                yield Sleep(pause_after(error, tries, FIRST_PAUSE, LONGEST_PAUSE))
        return (yield addressed)
