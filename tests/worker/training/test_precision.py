"""The number format of a training follows from the hardware alone."""

from __future__ import annotations

import pytest
import torch

from workers.training.precision import mixed_precision


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_used_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    """It was measured before: under load a resumed training could choose another format and end with other weights."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: supported, raising=False)
    with mixed_precision("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if supported else torch.float32)
