"""TODO: llmrec_qdrant.contracts.jobs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llmrec_qdrant.contracts.checks import Contract

__all__ = ["Hide", "Method", "Migration", "TrainingJob"]


class Migration(Contract):
    """How far a re-embedding is, counted in Qdrant."""

    version: int
    model: str
    state: Literal["filling", "switching", "done", "failed", "live"]
    items_done: int
    items_total: int
    users_done: int
    users_total: int
    set_aside: int = Field(description="Items that could not be encoded; see `llmrec jobs --failed`.")
    reason: str = Field("", description="Why it failed, if it did.")


Method = Literal["towers", "encoder", "texts"]


Hide = Literal["last", "time"]


class TrainingJob(Contract):
    """A training: what was asked for, and how far it is. Lies in the metadata of the items collection."""

    run: str = Field(description="Its name; the checkpoint lies under it.")
    method: Method = Field(
        "towers",
        description="towers: MLPs on frozen vectors, from behaviour; encoder: the encoder itself, from behaviour; "
        "texts: the encoder, from the texts alone.",
    )
    epochs: int | None = Field(None, ge=1, le=1_000, description="At most so many; left out: as the method does.")
    users: int = Field(1_000, ge=2, le=100_000, description="Users to look at: half to choose on, half to confirm on.")
    exclude_seen: bool = Field(
        True, description="Whether lists leave out what a user took before, as they are asked for."
    )
    split: Hide = Field(
        "last",
        description="What is hidden to choose on: what each user took last, or (time) the last tenth of all events.",
    )
    seed: int = Field(0, ge=0, lt=2**31)
    asked_at: str = ""
    stage: Literal["waiting", "training", "done", "failed"] = "waiting"
    holder: str = Field("", description="Who is at it.")
    beat: str = Field("", description="When they last said so.")
    tries: int = Field(0, description="How often it was taken up without getting further.")
    says: str = Field("", description="What is being done.")
    steps: int = Field(0, description="Done so far.")
    steps_before: int = Field(0, description="Done when it was last taken up.")
    total: int = 0
    version: str = Field("", description="The trained model, when it is done.")
    offered: bool = Field(False, description="It is better than the model the space had.")
    reason: str = Field("", description="Why it failed, if it did.")

    @property
    def under_way(self) -> bool:
        """Whether somebody is at it, or should be."""
        return self.stage in {"waiting", "training"}
