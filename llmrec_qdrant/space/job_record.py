"""The record of a job in Qdrant, and its state machine.

::

    waiting ──▶ running ──▶ done
       │          │ ▲ │
       │          └─┘ ├──▶ failed
       └──────────────┴──▶ cancelled

A running job has an owner, or none between two slices of work. Transitions are pure functions from a record to the next
one; ``operations/jobs.py`` stores the next one only where the previous one is still stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from llmrec_qdrant.contracts.jobs import JobKind, JobState, JobStatus
from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.points import BOOKKEEPING, Point

__all__ = ["JOB_INDEXES", "MAX_ATTEMPTS", "REVISION", "IllegalTransition", "JobRecord"]

MAX_ATTEMPTS = 3
"""Times a job is taken up without getting further; then it fails."""
MAX_REASON = 500
"""Characters of a reason."""
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    "waiting": frozenset({"running", "failed", "cancelled"}),
    "running": frozenset({"running", "done", "failed", "cancelled"}),
    "done": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
BOOKKEEPING_FIELDS = ("owner", "heartbeat_at", "attempts", "cursor", "revision")
"""Fields that only the product reads."""
REVISION = f"{BOOKKEEPING}.revision"
"""Payload path of what changes with every write."""
JOB_INDEXES = {"kind": "keyword", "state": "keyword", REVISION: "keyword"}


class IllegalTransition(LlmrecError):
    """A finished job cannot change."""


class JobRecord(JobStatus):
    """A job as it is stored: its status, and the bookkeeping of the workers."""

    attempts: int = Field(0, description="Times it was taken up since it last got further.")
    cursor: dict[str, Any] = Field(default_factory=dict, description="Where its worker goes on.")
    revision: str = Field("", description="Changes with every write.")

    @classmethod
    def new(cls, kind: JobKind, number: int, options: Mapping[str, Any], at: str) -> Self:
        """A job that waits for a worker."""
        return cls(id=f"{kind}-{number}", kind=kind, options=dict(options), created_at=at)

    @classmethod
    def of(cls, point: Point) -> Self:
        """A record from its point."""
        return cls(**{key.removeprefix(f"{BOOKKEEPING}."): value for key, value in point.payload.items()})

    @staticmethod
    def point_of(job: str) -> str:
        """Point id of a job."""
        return point_id("job", job)

    @property
    def point(self) -> str:
        """Point id."""
        return self.point_of(self.id)

    @property
    def number(self) -> int:
        """The number in its id."""
        return int(self.id.rpartition("-")[2])

    def payload(self) -> dict[str, Any]:
        """Flat payload: what people read first, bookkeeping last."""
        values = self.model_dump(mode="json")
        inside = {f"{BOOKKEEPING}.{key}": values.pop(key) for key in BOOKKEEPING_FIELDS}
        return values | inside

    def status(self) -> JobStatus:
        """The public part."""
        return JobStatus(**self.model_dump(include=set(JobStatus.model_fields)))

    # --- transitions ------------------------------------------------------------------------------

    def _to(self, state: JobState, **values: Any) -> Self:
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"job {self.id} is {self.state}: it cannot become {state}")
        return self.model_copy(update={"state": state, **values})

    def claimed(self, owner: str, at: str) -> Self:
        """``owner`` takes it up. Counts as an attempt until it gets further."""
        began = self.started_at or at
        return self._to("running", owner=owner, heartbeat_at=at, attempts=self.attempts + 1, started_at=began)

    def reported(self, at: str, **progress: Any) -> Self:
        """A heartbeat, with new values of stage, done, total or note."""
        return self._to("running", heartbeat_at=at, **progress)

    def kept(self, cursor: Mapping[str, Any]) -> Self:
        """The next worker goes on at ``cursor``."""
        return self._to("running", cursor={**self.cursor, **cursor})

    def advanced(self, cursor: Mapping[str, Any]) -> Self:
        """It got further: as :meth:`kept`, and earlier attempts are forgiven."""
        return self.kept(cursor).model_copy(update={"attempts": 0})

    def released(self, at: str, reason: str = "", forgiven: bool = True) -> Self:
        """Its owner lets go of it, and it goes on; ``forgiven``: this was no failed attempt."""
        attempts = 0 if forgiven else self.attempts
        return self._to("running", owner="", heartbeat_at=at, reason=reason[:MAX_REASON], attempts=attempts)

    def finished(self, result: Mapping[str, Any], at: str) -> Self:
        """It has a result."""
        return self._to("done", result=dict(result), reason="", finished_at=at)

    def failed(self, reason: str, at: str) -> Self:
        """It ends without a result."""
        return self._to("failed", reason=reason[:MAX_REASON], finished_at=at)

    def cancelled(self, reason: str, at: str) -> Self:
        """It is stopped before its end."""
        return self._to("cancelled", reason=reason[:MAX_REASON], finished_at=at)
