"""Runs many operations together: what they read at the same time is read in one request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable
from llmrec_qdrant.operations.steps import Call, Effect, Sleep, Steps, Together

__all__ = ["run_together"]

T = TypeVar("T")


def run_together(operations: Sequence[Steps[T]]) -> Steps[list[T]]:
    """Run operations that only read, step by step; returns their results in order.

    Reads of points and queries of the same collection become one request. Raises the first error of an operation, when all
    have ended.
    """
    results: dict[int, T | LlmrecError] = {}
    running = dict(enumerate(operations))
    answers: dict[int, Any] = dict.fromkeys(running)
    while running:
        effects: dict[int, Effect] = {}
        for number, operation in list(running.items()):
            try:
                effects[number] = _advance(operation, answers[number])
            except StopIteration as end:
                results[number] = end.value
                del running[number]
            except LlmrecError as error:
                results[number] = error
                del running[number]
        answers = yield from _perform(effects)
    return [_result(results[number]) for number in range(len(operations))]


def _advance(operation: Generator[Effect, Any, T], answer: Any) -> Effect:
    return operation.throw(answer) if isinstance(answer, LlmrecError) else operation.send(answer)


def _result(result: T | LlmrecError) -> T:
    if isinstance(result, LlmrecError):
        raise result
    return result


def _perform(effects: dict[int, Effect]) -> Steps[dict[int, Any]]:
    """Perform the effects of all operations; returns number → result or error."""
    answers: dict[int, Any] = {}
    calls = {number: effect for number, effect in effects.items() if isinstance(effect, Call)}
    merged = list(_merged(calls))
    if merged:
        first, *others = (one.call for one in merged)
        answered = (yield Together((first, *others))) if others else [(yield from _single(first))]
        for one, answer in zip(merged, answered, strict=True):
            answers |= yield from one.share(answer, calls)
    if pauses := [effect.seconds for effect in effects.values() if isinstance(effect, Sleep)]:
        yield Sleep(max(pauses))
    for number, effect in effects.items():
        if not isinstance(effect, Call | Sleep):
            answers[number] = yield from _single(effect)
    return {number: answers.get(number) for number in effects}


def _single(effect: Effect) -> Steps[Any]:
    try:
        return (yield effect)
    except LlmrecError as error:
        return error


@dataclass(frozen=True)
class _Merged:
    """A call that answers those of several operations."""

    call: Call
    numbers: Sequence[int]

    def share(self, answer: Any, calls: dict[int, Call]) -> Steps[dict[int, Any]]:
        """Return number → its share of the answer. If Qdrant refused one of several calls, each is made alone."""
        if len(self.numbers) == 1 or isinstance(answer, QdrantUnavailable):
            return dict.fromkeys(self.numbers, answer)
        if isinstance(answer, LlmrecError):
            alone: dict[int, Any] = {}
            for number in self.numbers:
                alone[number] = yield from _single(calls[number])
            return alone
        if self.call.method == "query_batch_points":
            rest = iter(answer)
            return {number: [next(rest) for _ in calls[number].arguments["requests"]] for number in self.numbers}
        records = {str(record.id): record for record in answer}
        return {
            number: [records[point] for point in calls[number].arguments["ids"] if point in records]
            for number in self.numbers
        }


def _merged(calls: dict[int, Call]) -> Iterator[_Merged]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, call in calls.items():
        groups[_kind(number, call)].append(number)
    for numbers in groups.values():
        first = calls[numbers[0]]
        if len(numbers) > 1:
            part = "requests" if first.method == "query_batch_points" else "ids"
            every: Iterable[Any] = (value for number in numbers for value in calls[number].arguments[part])
            values = list(every) if part == "requests" else list(dict.fromkeys(every))
            first = Call(first.method, {**first.arguments, part: values})
        yield _Merged(first, numbers)


def _kind(number: int, call: Call) -> Hashable:
    """Return what calls that can be merged have in common."""
    arguments = call.arguments
    if (
        call.client is None
        and call.method == "query_batch_points"
        and arguments.keys() == {"collection_name", "requests"}
    ):
        return call.method, arguments["collection_name"]
    if call.client is None and call.method == "retrieve":
        selected = tuple(repr(arguments[name]) for name in ("with_payload", "with_vectors"))
        return call.method, arguments["collection_name"], selected
    return number
