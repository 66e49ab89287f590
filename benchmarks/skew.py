"""Moves the clocks of the machines that a benchmark stands for: each process it starts gets a wall clock of its own.

A small library (``moved_clock.c``) is compiled and preloaded; it shifts the wall clock of any program, Qdrant and Redis included, and
leaves the monotonic clock alone. libfaketime cannot do it: under it, Python's waits with a timeout fail and Qdrant does not start.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.services import Service, ServiceMissing

__all__ = ["move_clocks"]

SOURCE = Path(__file__).with_name("moved_clock.c")


def move_clocks(services: Sequence[Service], seconds: int, seed: int, folder: Path) -> dict[str, int]:
    """Give each of these services, before it starts, a clock moved by up to ± ``seconds``; returns name → seconds.

    A service keeps its clock when it is started again. Raises :class:`ServiceMissing` without a C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ServiceMissing("moving clocks needs a C compiler: install gcc")
    library = folder / "moved_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    dice, moves = random.Random(seed), dict[str, int]()
    for number, service in enumerate(services):
        moves[f"{service.name} {number}"] = dice.randint(-seconds, seconds)
        service.more_environment = {
            "LD_PRELOAD": str(library), "CLOCK_MOVED_BY": str(moves[f"{service.name} {number}"])
        }  # fmt: skip
    return moves
