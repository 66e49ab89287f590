"""Jobs (re-embedding, training, fitting topics, tuning, generating texts): their options and their status."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llmrec_qdrant.contracts.answers import MAX_TOPICS, Language
from llmrec_qdrant.contracts.checks import Contract

__all__ = [
    "FitTopicsOptions", "GenerateOptions", "Hide", "JobKind", "JobState", "JobStatus", "Method", "ReembedOptions", "TrainOptions",
    "TuneOptions", "What",
]  # fmt: skip

JobKind = Literal["reembed", "train", "fit-topics", "tune", "generate"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
Method = Literal["towers", "encoder", "texts"]
Hide = Literal["last", "time"]
What = Literal["users", "topics", "items"]


class JobStatus(Contract):
    """One job: its state, its progress and, at the end, its result."""

    id: str = Field(description="Kind and number, such as `train-7`.")
    kind: JobKind
    state: JobState = Field("waiting", description="waiting → running → done, failed or cancelled.")
    stage: str = Field("", description="The current step, such as `copying`.")
    done: float = Field(0, description="Units of the stage that are done.")
    total: float | None = Field(None, description="Units of the stage; null: unknown.")
    note: str = Field("", description="Interim result, such as the loss.")
    reason: str = Field("", description="Why it failed, was cancelled, or was last interrupted.")
    result: dict[str, Any] | None = Field(None, description="What it produced, once it is done.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the request.")
    created_at: str
    started_at: str = Field("", description="When a worker first took it up; empty: not yet.")
    finished_at: str = Field("", description="When it was done, failed or was cancelled; empty: not yet.")
    owner: str = Field("", description="Worker that runs it; empty: none at the moment.")
    heartbeat_at: str = Field("", description="Time of its worker's last heartbeat.")

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"waiting", "running"}


class TrainOptions(Contract):
    """Options of a training."""

    method: Method = Field(
        "towers",
        description="towers: small networks on frozen vectors, from behaviour; encoder: the encoder itself, from behaviour; "
        "texts: the encoder, from the texts alone.",
    )
    epochs: int | None = Field(
        None, ge=1, le=1_000, description="Maximum number of epochs; null: the default of the method."
    )
    users: int = Field(
        1_000, ge=2, le=100_000, description="Sampled users: half choose the best epoch, half confirm the gain."
    )
    exclude_seen: bool = Field(True, description="Whether lists leave out items that the user has taken before.")
    split: Hide = Field(
        "last", description="What is held out: the last item of each user, or (time) the last tenth of all events."
    )
    seed: int = Field(0, ge=0, lt=2**31)


class FitTopicsOptions(Contract):
    """Options of a fit of topics."""

    topics: int | None = Field(None, ge=2, le=MAX_TOPICS, description="Number of topics; null: the data decides.")
    repair: bool = Field(
        False, description="Only complete the last fit: items without topics, versions without topics."
    )
    merge: list[str] = Field(
        default_factory=list, description="Ids of topics to merge into the first; the others stay as they are."
    )
    split: str | None = Field(None, description="Id of a topic to split; the others stay as they are.")
    into: int = Field(2, ge=2, le=MAX_TOPICS, description="Number of topics that it is split into.")


class ReembedOptions(Contract):
    """Options of a re-embedding."""

    changes: dict[str, Any] = Field(description="New values of the settings that change.")


class TuneOptions(Contract):
    """Options of tuning."""

    users: int = Field(
        800, ge=2, le=100_000, description="Sampled users: half choose the settings, half confirm the gain."
    )
    limit: int = Field(10, ge=1, le=1_000, description="Length of the lists.")
    minutes: float = Field(30, gt=0, le=10_000, description="Time to search for, in minutes.")
    seed: int = Field(0, ge=0, lt=2**31)
    dry_run: bool = Field(False, description="Measure only; store nothing.")


class GenerateOptions(Contract):
    """Options of generating texts."""

    what: What = Field(
        "users",
        description="users: portraits and blurbs; topics: names, descriptions and titles of shelves; items: values of fields "
        "that they lack, and descriptions.",
    )
    users: int | None = Field(None, ge=1, description="Number of users to write about; null: all.")
    blurbs: int = Field(3, ge=0, le=100, description="Texts per user on the first items of the list.")
    language: Language | None = Field(None, description="Language of the texts; null: that of the items.")
    max_tokens: int | None = Field(None, ge=1, description="Estimated tokens after which the job ends; null: no limit.")
    dry_run: bool = Field(False, description="Count requests and tokens only; ask nobody.")
