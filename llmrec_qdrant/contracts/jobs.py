"""Jobs: re-embedding, training, fitting topics and tuning. What is asked for, and how far it is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llmrec_qdrant.contracts.answers import MAX_TOPICS
from llmrec_qdrant.contracts.checks import Contract

__all__ = [
    "FitTopicsOptions", "Hide", "JobKind", "JobState", "JobStatus", "Method", "ReembedOptions", "TrainOptions",
    "TuneOptions",
]  # fmt: skip

JobKind = Literal["reembed", "train", "fit-topics", "tune"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
Method = Literal["towers", "encoder", "texts"]
Hide = Literal["last", "time"]


class JobStatus(Contract):
    """One job: its state, its progress and, at the end, its result."""

    id: str = Field(description="Kind and number, such as `train-7`.")
    kind: JobKind
    state: JobState = Field("waiting", description="waiting → running → done, failed or cancelled.")
    stage: str = Field("", description="The current step, such as `copying`.")
    done: float = Field(0, description="Units of the stage that are done.")
    total: float | None = Field(None, description="Units of the stage; null: unknown.")
    note: str = Field("", description="Interim result, such as the loss.")
    reason: str = Field("", description="Why it failed, was cancelled, or was interrupted last.")
    result: dict[str, Any] | None = Field(None, description="What it produced, once it is done.")
    options: dict[str, Any] = Field(default_factory=dict, description="What was asked for.")
    created_at: str
    started_at: str = Field("", description="First taken up by a worker; empty: not yet.")
    finished_at: str = Field("", description="Done, failed or cancelled; empty: not yet.")
    owner: str = Field("", description="The worker that runs it; empty: none at the moment.")
    heartbeat_at: str = Field("", description="Last heartbeat of its worker.")

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"waiting", "running"}


class TrainOptions(Contract):
    """What a training is asked for."""

    method: Method = Field(
        "towers",
        description="towers: MLPs on frozen vectors, from behaviour; encoder: the encoder itself, from behaviour; "
        "texts: the encoder, from the texts alone.",
    )
    epochs: int | None = Field(None, ge=1, le=1_000, description="Limit; null: the default of the method.")
    users: int = Field(1_000, ge=2, le=100_000, description="Sampled users: half to choose on, half held out.")
    exclude_seen: bool = Field(True, description="Whether lists leave out what a user took before.")
    split: Hide = Field(
        "last", description="What is held out: the last item of each user, or (time) the last tenth of all events."
    )
    seed: int = Field(0, ge=0, lt=2**31)


class FitTopicsOptions(Contract):
    """What a fit of topics is asked for."""

    topics: int | None = Field(None, ge=2, le=MAX_TOPICS, description="Number of topics; null: the data decides.")
    repair: bool = Field(False, description="Only complete the last fit: unmarked items, versions without topics.")


class ReembedOptions(Contract):
    """What a re-embedding is asked for."""

    changes: dict[str, Any] = Field(description="Settings of the space that differ from the live ones.")


class TuneOptions(Contract):
    """What tuning is asked for."""

    users: int = Field(800, ge=2, le=100_000, description="Sampled users: half to choose on, half held out.")
    limit: int = Field(10, ge=1, le=1_000, description="Length of the lists.")
    seed: int = Field(0, ge=0, lt=2**31)
    dry_run: bool = Field(False, description="Measure, and store nothing.")
