"""The record of a job in Qdrant, and its state machine.

::

    waiting ──▶ running ──▶ done
       │          │ ▲ │
       │          └─┘ ├──▶ failed
       └──────────────┴──▶ cancelled

A running job has an owner, except between two slices of work. Transitions are pure functions from one record to the next;
``operations/job_records.py`` stores the next record only if the previous one is still in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from llmrec_qdrant.contracts.jobs import JobKind, JobState, JobStatus
from llmrec_qdrant.errors import InvalidInput, LlmrecError
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.points import BOOKKEEPING, Point

__all__ = ["JOB_INDEXES", "MAX_ATTEMPTS", "REVISION", "IllegalTransition", "JobRecord"]

MAX_ATTEMPTS = 3
"""Attempts without progress after which a job fails."""
MAX_REASON = 500
"""Characters of a reason that are stored."""
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    "waiting": frozenset({"running", "failed", "cancelled"}),
    "running": frozenset({"running", "done", "failed", "cancelled"}),
    "done": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""State → states that may follow it."""
BOOKKEEPING_FIELDS = ("owner", "heartbeat_at", "attempts", "cursor", "revision")
"""Fields stored in the nested bookkeeping object."""
REVISION = f"{BOOKKEEPING}.revision"
"""Payload path of the revision, which changes with every write."""
JOB_INDEXES = {"kind": "keyword", "state": "keyword", REVISION: "keyword"}
"""Payload key → kind of its index."""


class IllegalTransition(LlmrecError):
    """A job cannot go from its state to the requested one: it has ended."""


class JobRecord(JobStatus):
    """A job as stored in Qdrant: its status, and the bookkeeping of the workers."""

    attempts: int = Field(0, description="Times it was taken up since it last made progress.")
    cursor: dict[str, Any] = Field(default_factory=dict, description="Where its worker continues.")
    revision: str = Field("", description="Changes with every write.")

    @classmethod
    def new(cls, kind: JobKind, number: int, options: Mapping[str, Any], at: str) -> Self:
        """Return a new job that waits for a worker."""
        return cls(id=f"{kind}-{number}", kind=kind, options=dict(options), created_at=at)

    @classmethod
    def of(cls, point: Point) -> Self:
        """Read a record from its point. Fields that a later version has added are left out."""
        values = {key.removeprefix(f"{BOOKKEEPING}."): value for key, value in point.payload.items()}
        return cls(**{key: value for key, value in values.items() if key in cls.model_fields})

    @classmethod
    def read(cls, point: Point) -> Self | None:
        """As :meth:`of`; None if the record is malformed, or lies at another point than that of its id."""
        try:
            record = cls.of(point)
        except InvalidInput:
            return None
        named = re.fullmatch(rf"{re.escape(record.kind)}-[0-9]{{1,18}}", record.id)
        return record if named and record.point == point.id else None

    @staticmethod
    def point_of(job: str) -> str:
        """Return the point id of a job."""
        return point_id("job", job)

    @property
    def point(self) -> str:
        """Point id of this job."""
        return self.point_of(self.id)

    @property
    def number(self) -> int:
        """The number in its id."""
        return int(self.id.rpartition("-")[2])

    def payload(self) -> dict[str, Any]:
        """Return the flat payload: what people read first, bookkeeping last."""
        values = self.model_dump(mode="json")
        inside = {f"{BOOKKEEPING}.{key}": values.pop(key) for key in BOOKKEEPING_FIELDS}
        return values | inside

    def status(self) -> JobStatus:
        """Return the public part of the record."""
        return JobStatus(**self.model_dump(include=set(JobStatus.model_fields)))

    # --- transitions ------------------------------------------------------------------------------

    def _to(self, state: JobState, **values: Any) -> Self:
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"job {self.id} is {self.state}: it cannot become {state}")
        return self.model_copy(update={"state": state, **values})

    def _ended(self, state: JobState, at: str, **values: Any) -> Self:
        """The job ends. Nobody continues at its cursor, which may name the point of a user."""
        return self._to(state, finished_at=at, cursor={}, **values)

    def claimed(self, owner: str, at: str) -> Self:
        """``owner`` takes the job up; this counts as an attempt until the job makes progress."""
        began = self.started_at or at
        return self._to("running", owner=owner, heartbeat_at=at, attempts=self.attempts + 1, started_at=began)

    def reported(self, at: str, **progress: Any) -> Self:
        """The owner sends a heartbeat, with new values of stage, done, total or note."""
        return self._to("running", heartbeat_at=at, **progress)

    def with_cursor(self, cursor: Mapping[str, Any]) -> Self:
        """The next worker continues at ``cursor``, which is merged into the earlier one."""
        return self._to("running", cursor={**self.cursor, **cursor})

    def advanced(self, cursor: Mapping[str, Any]) -> Self:
        """The job makes progress: as :meth:`with_cursor`, and the count of attempts starts again."""
        return self.with_cursor(cursor).model_copy(update={"attempts": 0})

    def released(self, at: str, reason: str = "", forgiven: bool = True) -> Self:
        """The owner gives the job back for another worker; ``forgiven``: this does not count as a failed attempt."""
        attempts = 0 if forgiven else self.attempts
        return self._to("running", owner="", heartbeat_at=at, reason=reason[:MAX_REASON], attempts=attempts)

    def finished(self, result: Mapping[str, Any], at: str) -> Self:
        """The job ends with a result."""
        return self._ended("done", at, result=dict(result), reason="")

    def failed(self, reason: str, at: str) -> Self:
        """The job ends without a result."""
        return self._ended("failed", at, reason=reason[:MAX_REASON])

    def cancelled(self, reason: str, at: str) -> Self:
        """The job is stopped before its end."""
        return self._ended("cancelled", at, reason=reason[:MAX_REASON])
