"""The state machine of a job, whatever happens to it in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.space.job_record import MAX_REASON, TRANSITIONS, IllegalTransition, JobRecord
from llmrec_qdrant.space.points import Point, flat, nested

AT = "2026-11-26T01:00:00.000000Z"
EVENTS: dict[str, Any] = {
    "claim": lambda job: job.claimed("me", AT),
    "report": lambda job: job.reported(AT, stage="copying", done=3.0, total=9.0, note=""),
    "keep": lambda job: job.with_cursor({"offset": "a"}),
    "advance": lambda job: job.advanced({"offset": "b"}),
    "release": lambda job: job.released(AT),
    "interrupt": lambda job: job.released(AT, "RuntimeError: no", forgiven=False),
    "finish": lambda job: job.finished({"topics": 3}, AT),
    "fail": lambda job: job.failed("x" * 9_999, AT),
    "cancel": lambda job: job.cancelled("cancelled", AT),
}


def waiting() -> JobRecord:
    return JobRecord.new("fit-topics", 7, {"topics": None, "repair": False}, AT)


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=30))
def test_whatever_happens_a_job_ends_once_and_stays_so(events: list[str]) -> None:
    job, interrupted = waiting(), 0
    for event in events:
        try:
            after = EVENTS[event](job)
        except IllegalTransition:
            after = None
        if not job.active:
            assert after is None, "nothing leaves a final state"
            continue
        if after is None:
            assert job.state == "waiting" and event not in {"claim", "fail", "cancel"}, "only a worker goes on"
            continue
        assert after.state in TRANSITIONS[job.state]
        interrupted = {"claim": interrupted + 1, "advance": 0, "release": 0}.get(event, interrupted)
        assert after.attempts == interrupted
        assert (after.result is not None) == (after.state == "done")
        assert bool(after.finished_at) == (not after.active)
        assert after.active or not after.cursor, "it may name the point of a user who is forgotten later"
        assert len(after.reason) <= MAX_REASON
        assert (after.id, after.kind, after.options, after.created_at) == (
            job.id,
            job.kind,
            job.options,
            job.created_at,
        )
        job = after


def test_a_record_is_readable_first_and_keeps_everything() -> None:
    job = waiting().claimed("me", AT).advanced({"run": "a1"})
    stored = nested(job.payload())
    assert list(stored)[:6] == ["id", "kind", "state", "stage", "done", "total"]
    assert list(stored)[-1] == "bookkeeping"
    assert stored["bookkeeping"] == {
        "owner": "me", "heartbeat_at": AT, "attempts": 0, "cursor": {"run": "a1"}, "revision": "",
    }  # fmt: skip
    assert JobRecord.of(Point(job.point, flat(stored))) == job


def test_an_id_names_kind_and_number() -> None:
    job = waiting()
    assert (job.id, job.number, job.state) == ("fit-topics-7", 7, "waiting")


def test_a_finished_job_says_why_it_cannot_change() -> None:
    with pytest.raises(IllegalTransition, match="job fit-topics-7 is done: it cannot become cancelled"):
        waiting().claimed("me", AT).finished({}, AT).cancelled("cancelled", AT)
