"""Messages to the workers. The state is in Qdrant, so a lost or repeated message changes nothing but latency."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmrec_qdrant.contracts.checks import Contract

__all__ = [
    "EmbedItems",
    "EmbedTexts",
    "FitCollab",
    "Message",
    "Reconcile",
    "RefreshUsers",
    "RunJob",
]


MAX_BATCH = 1_000
"""Point ids in one message."""


class Message(Contract):
    """A hint that there is work: names and ids, never texts. Losing one changes nothing but latency."""

    task: ClassVar[str]
    queue: ClassVar[str]

    v: Literal[1] = 1
    space: str = Field(min_length=1, max_length=100)

    def destination(self) -> str:
        """Name of the queue that the message goes to."""
        return self.queue


PointIds = Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH)]


class EmbedItems(Message):
    """Encode these items: dense and tfidf legs."""

    task = "llmrec.embed_items"
    queue = "encode"
    ids: PointIds


class EmbedTexts(Message):
    """Encode these free texts: searches, reviews, queries."""

    task = "llmrec.embed_texts"
    queue = "refresh"
    ids: PointIds


class RefreshUsers(Message):
    """Fold the events of these users into their vectors."""

    task = "llmrec.refresh_users"
    queue = "refresh"
    ids: PointIds


class FitCollab(Message):
    """Rebuild the collab leg and the popularity of items from events."""

    task = "llmrec.fit_collab"
    queue = "batch"
    ids: list[str] = Field([], max_length=MAX_BATCH, description="Point ids of items; empty: every item.")


class RunJob(Message):
    """Take up a job of the space, unless another worker is running it."""

    task = "llmrec.run_job"
    queue = "batch"
    job: str = Field(min_length=1, max_length=100, description="Id of the job, such as `train-7`.")

    def destination(self) -> str:
        """Name of the queue; trainings go to the encoders' queue, since they need the same hardware, and texts to their own."""
        return {"train": "encode", "generate": "generate"}.get(self.job.rpartition("-")[0], self.queue)


class Reconcile(Message):
    """Search Qdrant for stale points and pending jobs, and enqueue their work."""

    task = "llmrec.reconcile"
    queue = "batch"
    everything: bool = Field(False, description="Also enqueue work that was announced a moment ago.")


MESSAGES: tuple[type[Message], ...] = (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Reconcile,
    RefreshUsers,
    RunJob,
)
