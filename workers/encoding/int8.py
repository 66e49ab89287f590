"""BERT in 8-bit integers on a CPU, by oneDNN's kernels inside torch: no other runtime, no model file.

Weights are quantised per output channel; activations by fixed scales, measured once on a handful of texts, so a
text's vector does not depend on its neighbours. Two known obstacles are met by two known means:

- a few channels of the hidden states are far larger than the rest: their scale moves into the weights
  (SmoothQuant, Xiao et al. 2023);
- a few channels of the feed-forward layer are larger still, and no scale can move through GELU: what exceeds
  the range of the others is multiplied in float32 beside the integer product (LLM.int8(), Dettmers et al. 2022).

How well they do is printed by ``python -m benchmarks.encode``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .packed import Batch, Layer, PackedBert

__all__ = ["Int8Bert"]


OUTLIERS = 8
"""Channels of a feed-forward layer whose excess is multiplied in float32."""


MARGIN = 1.1
"""Room above the largest activation seen."""


SMOOTHING = 0.5
"""Share of a channel's scale that moves into the weights."""


_LEVELS = 255


_Range = tuple[Tensor, Tensor]
"""Lowest and highest value per channel."""


@dataclass(frozen=True)
class _Linear:
    """An 8-bit matrix with the scale and zero of its input."""

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor
    step: float
    zero: int

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, step: float, zero: int) -> _Linear:
        scales = weight.abs().amax(dim=1).clamp_min(1e-8) / 127
        rounded = (weight / scales[:, None]).round().to(torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        return cls(packed, scales, torch.zeros(len(scales), dtype=torch.int64), bias.contiguous(), step, zero)

    def _head(self, x: Tensor) -> tuple[Any, ...]:
        return (x, self.step, self.zero, self.packed, self.scales, self.zeros)

    def __call__(self, x: Tensor) -> Tensor:
        """uint8 → float32."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise.default(
            *self._head(x), self.bias, 1.0, 0, torch.float32, "none", [], ""
        )
        return product

    def gelu(self, x: Tensor, step: float, zero: int) -> Tensor:
        """uint8 → GELU → uint8."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise.default(
            *self._head(x), self.bias, step, zero, torch.uint8, "gelu", [], "none"
        )
        return product

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """uint8 → float32, added to another float32 tensor."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            *self._head(x), other, self.bias, 1.0, 0, torch.float32, 1.0, 0, "add", 1.0, "none", [], ""
        )
        return product


@dataclass(frozen=True)
class _Int8Layer:
    qkv: _Linear
    qkv_in: _Range
    out: _Linear
    up: _Linear
    up_in: _Range
    down: _Linear
    top: float
    """The largest value that the integers hold between ``up`` and ``down``."""
    outliers_up: Tensor
    outliers_bias: Tensor
    outliers_down: Tensor
    norm: _Range
    last_norm: _Range


def _bytes(scaled: Tensor) -> Tensor:
    """Round to uint8; the half that turns cutting off into rounding is already added."""
    return scaled.clamp_(0, _LEVELS).to(torch.uint8)


def _fit(low: Tensor, high: Tensor) -> tuple[float, int]:
    """Step and zero that spread a range, widened to hold zero, over the levels of a byte."""
    least, most = min(float(low.min()) * MARGIN, 0.0), max(float(high.max()) * MARGIN, 1e-6)
    step = (most - least) / _LEVELS
    return step, round(-least / step)


def _smoothing(seen: _Range, weight: Tensor) -> Tensor:
    """Factor per input channel by which activations are divided and weights multiplied."""
    largest = torch.maximum(-seen[0], seen[1]).clamp_min(1e-5)
    return largest**SMOOTHING / weight.abs().amax(dim=0).clamp_min(1e-5) ** (1 - SMOOTHING)


class _Observer(PackedBert):
    """Runs in float32 and remembers the range of every channel that will be quantised."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, "mean")
        self.seen: list[dict[str, _Range]] = [{} for _ in self._layers]

    def _transform(self, tokens: Tensor, batch: Batch) -> Tensor:
        for layer, seen in zip(self._layers, self.seen, strict=True):
            _note(seen, "qkv", tokens)
            heard = self._attend(F.linear(tokens, layer.qkv, layer.qkv_bias), batch)
            _note(seen, "out", heard)
            tokens = F.linear(heard, layer.out, layer.out_bias).add_(tokens)
            tokens = F.layer_norm(tokens, (self._width,), layer.norm, layer.norm_bias, self._eps)
            _note(seen, "up", tokens)
            wide = self._act(F.linear(tokens, layer.up, layer.up_bias))
            _note(seen, "down", wide)
            tokens = F.linear(wide, layer.down, layer.down_bias).add_(tokens)
            tokens = F.layer_norm(tokens, (self._width,), layer.last_norm, layer.last_norm_bias, self._eps)
        return tokens


def _note(seen: dict[str, _Range], name: str, values: Tensor) -> None:
    low, high = values.amin(dim=0), values.amax(dim=0)
    if name in seen:
        low, high = torch.minimum(low, seen[name][0]), torch.maximum(high, seen[name][1])
    seen[name] = (low, high)


class Int8Bert(PackedBert):
    """Token ids → pooled vectors, matrix products in 8-bit integers, everything between them in float32.

    ``samples`` are token ids of the texts on which the scales are measured.
    """

    def __init__(self, model: Any, pooling: str, samples: Sequence[Sequence[Sequence[int]]]) -> None:
        if model.config.hidden_act != "gelu":
            raise NotImplementedError(f"8-bit integers are ready for GELU, not for {model.config.hidden_act!r}")
        super().__init__(model, pooling)
        observer = _Observer(model)
        for texts in samples:
            observer(texts)
        with torch.inference_mode():
            self._int8 = [self._quantised(layer, seen) for layer, seen in zip(self._layers, observer.seen, strict=True)]
        self._layers = []

    def _quantised(self, layer: Layer, seen: dict[str, _Range]) -> _Int8Layer:
        def smoothed(name: str, weight: Tensor, bias: Tensor) -> tuple[_Linear, Tensor, int]:
            factor = _smoothing(seen[name], weight)
            step, zero = _fit(seen[name][0] / factor, seen[name][1] / factor)
            return _Linear.of(weight * factor, bias, step, zero), 1 / (factor * step), zero

        # Attention is a mean of values, so their scale can be left to the matrix that makes them.
        out, out_scale, out_zero = smoothed("out", layer.out, layer.out_bias)
        ones = torch.ones(2 * self._width)
        scale, shift = torch.cat([ones, out_scale]), torch.cat([ones * 0, torch.full_like(out_scale, out_zero + 0.5)])
        first = _smoothing(seen["qkv"], layer.qkv)
        step, zero = _fit(seen["qkv"][0] / first, seen["qkv"][1] / first)
        qkv = _Linear.of(layer.qkv * first * scale[:, None], layer.qkv_bias * scale + shift, step, zero)
        up, up_scale, up_zero = smoothed("up", layer.up, layer.up_bias)
        low, high = seen["down"]
        order = high.argsort(descending=True)
        largest = order[:OUTLIERS]
        down_step, down_zero = _fit(low, high[order[OUTLIERS:]])
        return _Int8Layer(
            qkv, (1 / (first * step), torch.full_like(first, zero + 0.5)),
            out,
            up, (layer.norm * up_scale, layer.norm_bias * up_scale + up_zero + 0.5),
            _Linear.of(layer.down, layer.down_bias, down_step, down_zero), (_LEVELS - down_zero) * down_step,
            layer.up[largest].T.contiguous(), layer.up_bias[largest], layer.down[:, largest].T.contiguous(),
            (layer.norm, layer.norm_bias), (layer.last_norm, layer.last_norm_bias),
        )  # fmt: skip

    def _transform(self, tokens: Tensor, batch: Batch) -> Tensor:
        shape = (self._width,)
        for layer in self._int8:
            heard = self._attend(layer.qkv(_bytes(torch.addcmul(layer.qkv_in[1], tokens, layer.qkv_in[0]))), batch)
            sums = layer.out.plus(_bytes(heard), tokens)
            tokens = F.layer_norm(sums, shape, *layer.norm, self._eps)
            excess = F.gelu(torch.addmm(layer.outliers_bias, tokens, layer.outliers_up)).sub_(layer.top).clamp_(min=0)
            scaled = _bytes(F.layer_norm(sums, shape, *layer.up_in, self._eps))
            wide = layer.up.gelu(scaled, layer.down.step, layer.down.zero)
            sums = layer.down.plus(wide, tokens).addmm_(excess, layer.outliers_down)
            tokens = F.layer_norm(sums, shape, *layer.last_norm, self._eps)
        return tokens
