"""Several processes on one Qdrant, advanced call by call in any order: races happen when a test says so.

An operation of a client is a generator of calls. A worker is code that calls a client: it runs in a thread of its own, and only
while it is its turn. Nothing depends on time.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.operations.steps import Effect, Sleep, Steps, Together, drive
from llmrec_qdrant.queues.base import JobQueue

__all__ = ["Operation", "Process", "Threaded"]


class Crash(BaseException):
    """The process is gone."""


class Process(ABC):
    """Something that calls Qdrant now and then."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = False
        self.error: LlmrecError | None = None
        """The error of this package that ended it."""
        self.result: Any = None
        self.waits = False
        """Whether it sleeps, so that others go first."""

    def __repr__(self) -> str:
        return f"{self.name}({'ended' if self.ended else 'running'}, {self.error or self.result!r})"

    @abstractmethod
    def advance(self) -> None:
        """Make the next call, and go on until the one after it."""

    @abstractmethod
    def crash(self) -> None:
        """End the process where it is."""


class Operation(Process):
    """An operation of a client."""

    def __init__(self, name: str, steps: Steps[Any], client: Any, queue: JobQueue) -> None:
        super().__init__(name)
        self._steps, self._client, self._queue = steps, client, queue
        self._effect: Effect | None = None
        self._answers: list[Any] = []
        self._go_on(lambda: next(self._steps))

    def advance(self) -> None:
        """Make the next call; calls that a client makes at the same time are made one after the other."""
        effect = self._effect
        if isinstance(effect, Together):
            self._answers.append(self._attempt(effect.calls[len(self._answers)]))
            if len(self._answers) == len(effect.calls):
                answers, self._answers = self._answers, []
                self._go_on(lambda: self._steps.send(answers))
            return
        if effect is None or isinstance(effect, Sleep):
            self._go_on(lambda: self._steps.send(None))
            return
        answer = self._attempt(effect)
        failed = isinstance(answer, LlmrecError)
        self._go_on(lambda: self._steps.throw(answer) if failed else self._steps.send(answer))

    def crash(self) -> None:
        self._steps.close()
        self.ended = True

    def _attempt(self, effect: Effect) -> Any:
        def once() -> Steps[Any]:
            return (yield effect)

        try:
            return drive(once(), self._client, self._queue)
        except LlmrecError as error:
            return error

    def _go_on(self, resume: Callable[[], Effect]) -> None:
        try:
            self._effect = resume()
            self.waits = isinstance(self._effect, Sleep)
        except StopIteration as stop:
            self.result, self.ended, self.waits = stop.value, True, False
        except LlmrecError as error:
            self.error, self.ended, self.waits = error, True, False


class Threaded(Process):
    """Code that calls a client, such as a worker."""

    def __init__(self, name: str, code: Callable[[Any], Any], client: Any) -> None:
        super().__init__(name)
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._crashed = False
        self._unexpected: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(code, _Gate(client, self)), daemon=True)
        self._thread.start()

    def advance(self) -> None:
        self._turn.release()
        self._back.acquire()
        if self._unexpected is not None:
            raise self._unexpected

    def crash(self) -> None:
        self._crashed = True
        while not self.ended:
            self.advance()

    def wait_for_turn(self) -> None:
        """Called before each call of the code."""
        if threading.current_thread() is not self._thread:  # a heartbeat
            return
        self._back.release()
        self._turn.acquire()
        if self._crashed:
            raise Crash

    def _run(self, code: Callable[[Any], Any], client: Any) -> None:
        self._turn.acquire()
        try:
            if not self._crashed:
                self.result = code(client)
        except LlmrecError as error:
            self.error = error
        except Crash:
            pass
        except BaseException as error:
            self._unexpected = error
        self.ended = True
        self._back.release()


class _Gate:
    """A client whose calls wait for the turn of their process."""

    def __init__(self, client: Any, process: Threaded) -> None:
        self._wrapped, self._process = client, process

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._wrapped, name)
        if not callable(method) or name.startswith("_"):
            return method

        def called(*args: Any, **kwargs: Any) -> Any:
            self._process.wait_for_turn()
            return method(*args, **kwargs)

        return called


def run_all(processes: list[Process]) -> None:
    """Advance processes in turn until all have ended."""
    waiting = deque(processes)
    while waiting:
        process = waiting.popleft()
        if not process.ended:
            process.advance()
            waiting.append(process)
