"""Messages to the workers. Each is a hint: the state lies in Qdrant, so a lost or doubled message changes only latency."""

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
"""Point ids in one job message."""


class Message(Contract):
    """A hint to a worker: names and ids, never texts. Losing one changes nothing but latency."""

    task: ClassVar[str]
    queue: ClassVar[str]

    v: Literal[1] = 1
    space: str = Field(min_length=1, max_length=100)

    def destination(self) -> str:
        """The queue it is sent to."""
        return self.queue


PointIds = Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH)]


class EmbedItems(Message):
    """Encode these item points: dense and tfidf legs."""

    task = "llmrec.embed_items"
    queue = "encode"
    ids: PointIds


class EmbedTexts(Message):
    """Encode these free texts: searches, reviews, queries."""

    task = "llmrec.embed_texts"
    queue = "refresh"
    ids: PointIds


class RefreshUsers(Message):
    """Fold the events of these user points into their vectors."""

    task = "llmrec.refresh_users"
    queue = "refresh"
    ids: PointIds


class FitCollab(Message):
    """Rebuild the collab leg and the popularity of items from events."""

    task = "llmrec.fit_collab"
    queue = "batch"
    ids: list[str] = Field([], max_length=MAX_BATCH, description="Item points; left out: every item.")


class RunJob(Message):
    """Take up a job of the space, where no worker is at it."""

    task = "llmrec.run_job"
    queue = "batch"
    job: str = Field(min_length=1, max_length=100, description="Id of the job, such as `train-7`.")

    def destination(self) -> str:
        """Trainings go where the encoders run: they want the same hardware."""
        return "encode" if self.job.startswith("train-") else self.queue


class Reconcile(Message):
    """Find what is stale from Qdrant alone and enqueue it."""

    task = "llmrec.reconcile"
    queue = "batch"
    everything: bool = Field(False, description="Also what has been announced a moment ago.")


MESSAGES: tuple[type[Message], ...] = (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Reconcile,
    RefreshUsers,
    RunJob,
)
