"""Operations of training: ask for one, watch it, give it up. The training itself is in workers/trainings.py.

What was asked for and how far it is lies in the metadata of the live items collection, so a message says only that there is
something to do. A worker that takes it up says so every few seconds; where nobody has for a minute, the reconciler
sends another message, and the next worker goes on from the last checkpoint.
"""

from __future__ import annotations

import uuid
from typing import Any

from llmrec_qdrant.contracts.jobs import TrainingJob
from llmrec_qdrant.contracts.messages import Train
from llmrec_qdrant.errors import SpaceMismatch
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.space.layout import TRAINING, Space

__all__ = ["cancel", "live", "progress", "read", "start", "write"]


ASKED = ("method", "epochs", "users", "exclude_seen", "split", "seed")
"""What a person chooses."""


def read(space: Space) -> Steps[TrainingJob | None]:
    """The last training of one version of a space; None if there never was one."""
    found = yield from call("get_collection", collection_name=space.items)
    stored = (found.config.metadata or {}).get(TRAINING)
    return TrainingJob.parse(stored) if isinstance(stored, dict) and stored else None


def write(space: Space, job: TrainingJob) -> Steps[None]:
    """Store how far it is."""
    metadata = {TRAINING: job.model_dump(mode="json")}
    yield from call("update_collection", collection_name=space.items, metadata=metadata)


def live(space: Space) -> Steps[Space]:
    """The live version of a space."""
    found = yield from versions(space)
    return space.at(found.live)


def start(bound: Bound, wanted: dict[str, Any], tell: bool = True) -> Steps[TrainingJob]:
    """Ask for a training and, with ``tell``, workers to do it; the same again while it is under way goes on with it.

    Raises :class:`SpaceMismatch` while another one is under way, :class:`InvalidInput` for impossible options.
    """
    space = yield from live(bound.space)
    job = TrainingJob(run=uuid.uuid4().hex[:12], asked_at=now(), **wanted)
    running = yield from read(space)
    if running and running.under_way:
        if any(getattr(running, name) != getattr(job, name) for name in ASKED):
            raise SpaceMismatch(
                f"space {space.name!r} is already being trained ({running.method}): wait for it, or give it up with "
                "`llmrec train --cancel`"
            )
        job = running
    else:
        yield from write(space, job)
    if tell:
        yield from notify([Train(space=bound.space.name)])
    found = yield from read(space)
    return found or job


def progress(bound: Bound) -> Steps[TrainingJob | None]:
    """How far the last training is; None if there never was one."""
    space = yield from live(bound.space)
    return (yield from read(space))


def cancel(bound: Bound) -> Steps[bool]:
    """Give up a training under way, False if there was none. Whoever is at it stops within seconds."""
    space = yield from live(bound.space)
    job = yield from read(space)
    if job is None or not job.under_way:
        return False
    yield from write(space, job.model_copy(update={"stage": "failed", "holder": "", "reason": "given up"}))
    return True
