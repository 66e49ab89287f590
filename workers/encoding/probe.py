"""Measures at start which way of running a model is fastest on this machine.

bfloat16 is two to three times faster than float32 on a CPU that supports it and a hundred times slower on one that does
not; the same holds for 8-bit integers. A way that agrees too little with float32 is rejected, however fast.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from llmrec_qdrant.errors import InvalidInput

from .backends import Backend, Forward, ThroughModules, Tokens, builders
from .samples import SAMPLES
from .universal import UniversalModel

__all__ = ["MIN_MEAN_COSINE", "choose"]


log = logging.getLogger("llmrec.worker")


MIN_MEAN_COSINE = 0.995
"""Mean cosine with float32, over the samples, below which a faster way is rejected."""


MIN_WORST_COSINE = 0.98
"""The same for the worst sample; at a lower cosine, re-embedding would consider the vector wrong."""


MAX_SLOWDOWN_SECONDS = 0.3
"""Seconds by which a way may be slower than float32 on a single sample before it is given up."""


QUICK_SECONDS = 0.2
"""If float32 takes less than this many seconds on the samples, each way is timed three times instead of once."""


def choose(model: Any, pinned: str = "auto") -> Backend:
    """Return the fastest backend of a sentence-transformers model that agrees with float32, or the ``pinned`` one.

    Raises :class:`InvalidInput` if the pinned backend cannot run here.
    """
    tokens = model.tokenizer(SAMPLES, truncation=True, max_length=model.max_seq_length)["input_ids"]
    ways = builders(model)
    device = torch.device(model.device)
    if pinned != "auto":
        return Backend(pinned, _pinned(ways, pinned), device)
    reference = model.forward if isinstance(model, UniversalModel) else ThroughModules(model)
    with ThreadPoolExecutor(1, initializer=_use_one_core, initargs=(device,)) as pool:
        name, forward = pool.submit(_fastest, reference, ways, tokens[1::2], device).result()
    return Backend(name, forward, device)


def _use_one_core(device: torch.device) -> None:
    """Limit this thread to one core, as each batch will run on one."""
    if device.type == "cpu":
        torch.set_num_threads(1)


def _pinned(ways: dict[str, Callable[[], Forward]], name: str) -> Forward:
    if name not in ways:
        raise InvalidInput(f"this model cannot run as {name!r} here: use 'auto' or one of {', '.join(map(repr, ways))}")
    try:
        return ways[name]()
    except (NotImplementedError, RuntimeError) as error:
        raise InvalidInput(f"this model cannot run as {name!r} here ({error}): set it to 'auto'") from error


def _fastest(
    reference: Forward, ways: dict[str, Callable[[], Forward]], checked: Tokens, device: torch.device
) -> tuple[str, Forward]:
    _warm_up(reference, checked, device)
    began = time.perf_counter()
    wanted = torch.nn.functional.normalize(reference(checked))
    runs = 3 if time.perf_counter() - began < QUICK_SECONDS else 1
    patience = MAX_SLOWDOWN_SECONDS + _seconds(reference, checked[:1], device, runs=1)
    best, best_name, best_seconds = reference, "fp32", _seconds(reference, checked, device, runs)
    shown = [f"fp32 {1000 * best_seconds:.0f} ms"]
    for name, build in ways.items():
        try:
            forward = build()
            _warm_up(forward, checked, device)
            if _seconds(forward, checked[:1], device, runs=1) > patience:
                shown.append(f"{name} far slower")
                continue
            cosines = (torch.nn.functional.normalize(forward(checked)) * wanted).sum(dim=1)
            seconds = _seconds(forward, checked, device, runs)
        except (NotImplementedError, RuntimeError, AttributeError) as error:
            shown.append(f"{name} not available ({' '.join(str(error).split())[:80]})")
            continue
        shown.append(f"{name} {1000 * seconds:.0f} ms at cosine {float(cosines.mean()):.4f}")
        agrees = float(cosines.mean()) >= MIN_MEAN_COSINE and float(cosines.min()) >= MIN_WORST_COSINE
        if agrees and seconds < best_seconds:
            best, best_name, best_seconds = forward, name, seconds
    log.info("encoding as %s: %s", best_name, ", ".join(shown))
    return best_name, best


def _warm_up(forward: Forward, texts: Tokens, device: torch.device) -> None:
    """Run once, untimed, on a GPU: its first pass in a number format loads kernels, which takes longer than any later pass."""
    if device.type != "cpu":
        forward(texts).cpu()


def _seconds(forward: Forward, texts: Sequence[Sequence[int]], device: torch.device, runs: int) -> float:
    """Return the shortest of several runs in seconds; on a CPU in CPU time, so other processes do not count."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = []
    for _ in range(runs):
        began = clock()
        forward(texts).cpu()
        seconds.append(clock() - began)
    return min(seconds)
