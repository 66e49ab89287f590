"""Options of the commands that look at what users did."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Seed", "SplitBy"]


class SplitBy(StrEnum):
    """Which events are held out."""

    LAST = "last"
    TIME = "time"


Seed = Annotated[int, typer.Option(help="Seed of everything random: the same seed, the same figures.", min=0)]
