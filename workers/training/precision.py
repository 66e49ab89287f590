"""The device and the number format of a training."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

__all__ = ["device", "mixed_precision"]


def device() -> str:
    """Return ``cuda`` if there is a GPU, otherwise ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def mixed_precision(on: str) -> AbstractContextManager[object]:
    """Autocast to bfloat16 on a device that supports it in hardware.

    Without autocast's cache: a weight that is first cast without gradients, as GradCache does, would stay without them.
    """
    return torch.autocast(on, torch.bfloat16, enabled=_has_bfloat16(on), cache_enabled=False)


def _has_bfloat16(on: str) -> bool:
    """Whether the hardware supports bfloat16; a CPU that emulates it is a hundred times slower.

    Read from the hardware, not measured: under load, measurements differ between processes, and a resumed training must
    compute the same bits.
    """
    if on != "cpu":
        return True
    instructions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in instructions)
