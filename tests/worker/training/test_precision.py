"""The number format of a training follows from the hardware alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from llmrec_qdrant import SpaceConfig
from tests.models import save_tiny
from workers.training import encoder, precision
from workers.training.catalogue import Catalogue
from workers.training.examples import Examples
from workers.training.precision import mixed_precision
from workers.training.recipe import Recipe


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_used_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    """It was measured before: under load a resumed training could choose another format and end with other weights."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: supported, raising=False)
    with mixed_precision("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if supported else torch.float32)


def test_both_passes_of_a_cached_loss_run_in_the_same_format_and_every_weight_gets_a_gradient(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GradCache runs the encoder once without gradients and again while going backward; the second pass was in float32."""
    monkeypatch.setattr(precision, "device", lambda: "cpu")
    monkeypatch.setattr(precision, "_has_bfloat16", lambda on: True)
    monkeypatch.setattr(encoder, "device", lambda: "cpu")
    config = SpaceConfig(model=str(save_tiny("bert", tmp_path)), size=32, max_tokens=16)
    catalogue = Catalogue(
        points=list("abcd"), texts=["robots learn to", "love a garden", "a garden grows", "to love robots"]
    )
    examples = Examples(*(np.empty((2, 0)) if n == 1 else np.empty(0, np.int64) for n in range(6)), taken=[])
    learner = encoder.EncoderLearner(
        Recipe.of("texts", batch=4), config, catalogue, np.ones((4, 32), np.float32), examples
    )
    passes: list[tuple[bool, torch.dtype]] = []
    layer = learner._model[0].auto_model.encoder.layer[0].attention.self.query
    layer.register_forward_hook(lambda _, __, out: passes.append((torch.is_grad_enabled(), out.dtype)))
    learner.step(0, 10)
    assert {grad for grad, _ in passes} == {False, True}
    assert {dtype for _, dtype in passes} == {torch.bfloat16}
    assert layer.weight.grad is not None and float(layer.weight.grad.abs().sum()) > 0
