"""Which way of running a model is chosen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from workers.encoding import probe
from workers.encoding.encoder import SentenceEncoder
from workers.encoding.loading import load_encoder

TEXTS = [[2, 5, 6, 7, 8, 3], [2, 9, 3], [2, 9, 10, 11, 3], [2, 5, 3]]
"""Token ids with the special ones, of four lengths but one."""
CPU = torch.device("cpu")


class Fixed:
    """A forward pass that turns each text's vector by a given cosine, after a pause on the clock it is timed by."""

    def __init__(self, cosine: float) -> None:
        self.row = torch.tensor([cosine, (1 - cosine**2) ** 0.5])

    def __call__(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        return self.row.repeat(len(texts), 1)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, float]]:
    """What each forward pass takes, instead of a clock."""
    taken: dict[int, float] = {}
    monkeypatch.setattr(probe, "_seconds", lambda forward, texts, device, runs: taken[id(forward)])
    yield taken


def chosen(ways: dict[str, tuple[Any, float]], seconds: dict[int, float]) -> str:
    for forward, took in ways.values():
        seconds[id(forward)] = took
    (_, (reference, _)), *others = ways.items()

    def build(forward: Any) -> Any:
        if isinstance(forward, Exception):
            raise forward
        return forward

    built = {name: lambda forward=forward: build(forward) for name, (forward, _) in others}
    return probe._fastest(reference, built, TEXTS, CPU)[0]


def test_the_fastest_that_agrees_is_chosen(seconds: dict[int, float]) -> None:
    ways = {"fp32": (Fixed(1), 0.1), "bf16": (Fixed(0.9999), 0.05), "int8": (Fixed(0.998), 0.03)}
    assert chosen(ways, seconds) == "int8"


def test_what_disagrees_is_not_chosen_however_fast(seconds: dict[int, float]) -> None:
    ways = {"fp32": (Fixed(1), 0.1), "bf16": (Fixed(0.9999), 0.05), "int8": (Fixed(0.99), 0.001)}
    assert chosen(ways, seconds) == "bf16"


def test_nan_is_no_agreement(seconds: dict[int, float]) -> None:
    assert chosen({"fp32": (Fixed(1), 0.1), "bf16": (Fixed(float("nan")), 0.01)}, seconds) == "fp32"


def test_what_is_slower_or_missing_is_not_chosen(seconds: dict[int, float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "llmrec.worker"):
        ways = {
            "fp32": (Fixed(1), 0.1),
            "bf16": (Fixed(0.9999), 10.0),
            "int8": (RuntimeError("no such kernel on this CPU"), 0.0),
        }
        assert chosen(ways, seconds) == "fp32"
    assert "bf16 far slower" in caplog.text
    assert "int8 not available (no such kernel on this CPU)" in caplog.text


def test_a_pinned_way_that_does_not_exist_is_an_error(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot run as 'int4' here: use 'auto' or one of 'fp32', 'bf16'"):
        SentenceEncoder(SpaceConfig(model=str(folder), size=32, max_tokens=16), "int4")


@pytest.mark.model
def test_the_choice_is_made_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_ENCODER_BACKEND", raising=False)
    first = load_encoder(SpaceConfig())
    assert load_encoder(SpaceConfig(prefetch=7)) is first
    assert isinstance(first, SentenceEncoder) and first.backend in {"fp32", "bf16", "int8"}
    monkeypatch.setenv("LLMREC_ENCODER_BACKEND", "fp32")
    pinned = load_encoder(SpaceConfig())
    assert isinstance(pinned, SentenceEncoder) and pinned.backend == "fp32"


def test_a_first_pass_on_a_gpu_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cold(Fixed):
        passes = 0

        def __call__(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
            self.passes += 1
            return super().__call__(texts)

    monkeypatch.setattr(probe, "_seconds", lambda forward, texts, device, runs: forward.took if forward.passes else 60)
    slow, fast = Cold(1), Cold(0.9999)
    slow.took, fast.took = 0.1, 0.05  # type: ignore[attr-defined]
    for device, best in (("cuda", "bf16"), ("cpu", "fp32")):
        slow.passes = fast.passes = 0
        assert probe._fastest(slow, {"bf16": lambda: fast}, TEXTS, torch.device(device))[0] == best
