"""Saves a round trip: what an operation reads first is remembered, and verified in the same round trip as its query.

A list needs what is stored about a user (seen items, steering, legs) before its query can be built. So the operation runs on the
last answer to that read, and its query is sent at the same time as the read itself. If the answer is still the same, the list
stands; otherwise the operation runs again on the new answer. A list always follows what is stored now, whoever wrote it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qdrant_client import models

from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.operations.steps import Call, Effect, Steps, Together

__all__ = ["Memory", "remembered"]

MAX_REMEMBERED = 1_000
"""Reads that a recommender remembers; that of a user with 60 seen items takes about 8 KB."""
_HARMLESS = frozenset({"retrieve", "query_batch_points"})
"""Methods that may be called on an assumption, since they change nothing."""

T = TypeVar("T")
Records = list[models.Record]


class Memory:
    """The last answers to reads; the least recently used are forgotten. Threads may share it."""

    def __init__(self, size: int = MAX_REMEMBERED) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, Records] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Records | None:
        """Return the last answer; None if it is not remembered."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def put(self, key: Hashable, answer: Records) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)


def remembered(memory: Memory | None, operation: Callable[[], Steps[T]]) -> Steps[T]:
    """Run an operation; a read with ``Call.remember`` is answered from memory, and verified before any result counts.

    ``operation`` starts it, and starts it anew if an answer has changed. Until an answer is verified, the operation may read
    more, but it writes nothing and does not end. Without a memory, it runs as it is.
    """
    if memory is None:
        return (yield from operation())
    verified: dict[Hashable, Records] = {}
    while True:
        try:
            return (yield from _run(_Attempt(memory, verified), operation()))
        except _Outdated:
            continue


class _Outdated(Exception):
    """An assumed answer is no longer what is stored."""


@dataclass
class _Attempt:
    """The reads of one run of an operation."""

    memory: Memory
    verified: dict[Hashable, Records]
    """Answers that Qdrant gave to this very request."""
    assumed: dict[Hashable, tuple[Call, Records]] = field(default_factory=dict)
    """Answers from memory that are not verified yet."""

    def known(self, effect: Effect) -> Records | None:
        """Return the verified or remembered answer to a read; None for any other effect."""
        if not isinstance(effect, Call) or not effect.remember:
            return None
        key = _key(effect)
        answer = self.verified.get(key)
        if answer is None and (answer := self.memory.get(key)) is not None:
            self.assumed[key] = effect, answer
        return answer

    def learn(self, call: Call, answer: Records) -> Records:
        """Remember an answer of Qdrant."""
        key, answer = _key(call), sorted(answer, key=lambda record: str(record.id))
        self.memory.put(key, answer)
        self.verified[key] = answer
        return answer

    def compare(self, answers: Sequence[Any]) -> None:
        """Compare what was assumed with what Qdrant answers now; raises :class:`_Outdated` for any difference."""
        changed = False
        for (call, before), answer in zip(self.assumed.values(), answers, strict=True):
            if isinstance(answer, LlmrecError):
                raise answer
            changed |= self.learn(call, answer) != before
        self.assumed.clear()
        if changed:
            raise _Outdated

    def verify(self) -> Steps[None]:
        """Verify what was assumed."""
        if self.assumed:
            self.compare((yield Together(tuple(call for call, _ in self.assumed.values()))))

    def perform(self, effect: Effect) -> Steps[Any]:
        """Perform an effect and return its result or error, after verifying what was assumed, or together with that."""
        if self.assumed and isinstance(effect, Call) and effect.method in _HARMLESS:
            answer, *now = yield Together((effect, *(call for call, _ in self.assumed.values())))
            self.compare(now)
        else:
            yield from self.verify()
            try:
                answer = yield effect
            except LlmrecError as error:
                return error
        if isinstance(effect, Call) and effect.remember and not isinstance(answer, LlmrecError):
            return self.learn(effect, answer)
        return answer


def _run(attempt: _Attempt, steps: Steps[T]) -> Steps[T]:
    answer: Any = None
    while True:
        try:
            effect = steps.throw(answer) if isinstance(answer, LlmrecError) else steps.send(answer)
        except StopIteration as end:
            yield from attempt.verify()
            result: T = end.value
            return result
        except LlmrecError:
            yield from attempt.verify()
            raise
        answer = attempt.known(effect)
        if answer is None:
            answer = yield from attempt.perform(effect)


def _key(call: Call) -> Hashable:
    arguments = call.arguments
    vectors = arguments.get("with_vectors") or ()
    return arguments["collection_name"], tuple(arguments["ids"]), tuple(arguments["with_payload"]), tuple(vectors)
