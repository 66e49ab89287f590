"""A slice of the job: what has been written and spent, and where another worker resumes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from llmrec_qdrant.contracts.jobs import GenerateOptions
from llmrec_qdrant.errors import ServiceError
from llmrec_qdrant.operations.endpoint import FAILURES, address
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.points import Point

from ..storage.lease import Done, Lease, More, Outcome
from ..storage.store import SpaceStore
from .writer import Task, Writer, tokens_of

__all__ = ["Run", "Scroll"]

POINTS_PER_PAGE = 20
"""Users, topics or items that are read at once."""
MAX_FAILURES = 3
"""Failures of the endpoint in a row after which the job fails."""
SLICE_SECONDS = 20.0
"""Seconds after which the rest of the job is left to the next message."""
COUNTS = ("subjects", "requests", "tokens", "written", "refused", "current")

Scroll = Callable[[int, Any], tuple[Sequence[Point], Any]]
"""Number of points and offset → page, offset of the next."""


class _Spent(Exception):
    """The budget is used up."""


class Run:
    """A slice of the job, from where the last one stopped."""

    def __init__(self, lease: Lease, store: SpaceStore, options: GenerateOptions, settings: Settings) -> None:
        self.lease, self.store, self.options = lease, store, options
        self.model = settings.llm_model or ""
        self.config = store.config()
        self._settings, self._writer = settings, Writer(settings)
        self._failures = 0
        self._counts: dict[str, int] = {name: int(lease.cursor.get(name, 0)) for name in COUNTS}

    def over(self, scroll: Scroll, work: Callable[[Point], None], limit: int | None) -> Outcome:
        """Do the work for all points, ``limit`` at most, from where the last slice stopped.

        The place is stored after each point, so a worker that dies leaves at most one of them to be looked at again.
        """
        end = time.monotonic() + SLICE_SECONDS
        after = self.lease.cursor.get("after")
        while not self.lease.cursor.get("ended"):
            points, following = scroll(POINTS_PER_PAGE, after)
            for place, point in enumerate(points):
                if limit is not None and self._counts["subjects"] >= limit:
                    return self._done()
                self.lease.report("writing", self._counts["subjects"], limit)
                try:
                    work(point)
                except _Spent:
                    return self._done(spent=True)
                self._counts["subjects"] += 1
                after = points[place + 1].id if place + 1 < len(points) else following
                self._save(after)
                if time.monotonic() > end and after is not None:
                    return More()
            if not points:
                self._save(None)
        return self._done()

    def _save(self, after: Any) -> None:
        self.lease.advance(after=after, ended=after is None, **self._counts)
        self.lease.save()

    def _done(self, spent: bool = False) -> Done:
        cost = round(self._counts["tokens"] * self._settings.llm_price / 1e6, 6)
        counts = {self.options.what if name == "subjects" else name: count for name, count in self._counts.items()}
        return Done({**counts, "cost": cost, "dry_run": self.options.dry_run, "spent": spent})

    def write(self, task: Task, settled: bool, keep: Callable[[str], bool]) -> None:
        """Have a text written unless that is ``settled``; ``keep`` stores it, or "" for a refusal, and says whether it did.

        Raises :class:`ServiceError` if the endpoint fails again and again.
        """
        if settled:
            self._counts["current"] += 1
            return
        self._spend(tokens_of(task))
        if self.options.dry_run:
            return
        try:
            text = self._writer.write(task)
        except FAILURES as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise ServiceError(
                    f"the language model at {address(self._settings)} failed {self._failures} times in a row "
                    f"({type(error).__name__}): texts written so far are kept; check LLMREC_LLM_URL and start the job again"
                ) from None
            return
        self._failures = 0
        kept = keep(text)
        self._counts["written" if kept and text else "refused"] += 1

    def _spend(self, tokens: int) -> None:
        limit = self.options.max_tokens
        if limit is not None and self._counts["tokens"] + tokens > limit:
            raise _Spent
        self._counts["tokens"] += tokens
        self._counts["requests"] += 1
