"""``llmrec worker``: a Celery worker and the clock, in one command."""

from __future__ import annotations

from llmrec_qdrant.cli.app import Connected

__all__ = ["worker"]


def worker(context: Connected) -> None:
    """Start a worker.

    Example: llmrec worker
    """
