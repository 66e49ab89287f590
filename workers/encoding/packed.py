"""A BERT without padding: the tokens of a batch lie end to end in one matrix, only attention sees texts apart.

Serves every model that is built as BERT is (BERT, RoBERTa, XLM-R and what is trained from them): most English, Chinese
and multilingual sentence encoders. Others go through their own code, see ``workers/backends.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.activations import ACT2FN

__all__ = ["Batch", "Layer", "PackedBert", "built_as_bert"]


_LIKE_BERT = {"BertModel", "CamembertModel", "RobertaModel", "XLMRobertaModel"}


def built_as_bert(model: Any) -> bool:
    """Whether :class:`PackedBert` computes what this transformer computes."""
    config = model.config
    absolute = getattr(config, "position_embedding_type", None) in (None, "absolute")
    return type(model).__name__ in _LIKE_BERT and absolute and not getattr(config, "is_decoder", False)


@dataclass(frozen=True)
class Layer:
    """The weights of one layer; query, key and value are one matrix."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm: Tensor
    norm_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor
    last_norm: Tensor
    last_norm_bias: Tensor

    @classmethod
    def of(cls, layer: Any) -> Layer:
        """The weights of a layer of transformers."""
        attention = layer.attention.self
        parts = [attention.query, attention.key, attention.value]
        modules = [layer.attention.output.dense, layer.attention.output.LayerNorm, layer.intermediate.dense]
        modules += [layer.output.dense, layer.output.LayerNorm]
        pairs = [(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))]
        pairs += [(module.weight, module.bias) for module in modules]
        return cls(*(tensor.detach() for tensor in chain.from_iterable(pairs)))

    def to(self, dtype: torch.dtype) -> Layer:
        """The same weights as other numbers."""
        return Layer(*(getattr(self, field.name).to(dtype) for field in fields(self)))


@dataclass(frozen=True)
class Batch:
    """Texts end to end: T tokens of B texts, the longest of L tokens."""

    ids: Tensor
    """(T,) token ids."""
    places: Tensor
    """(T,) place of each token in its text."""
    rows: Tensor
    """(T,) text of each token."""
    lengths: Tensor
    """(B,) tokens per text."""
    longest: int
    slots: Tensor | None
    """(T,) place of each token in a padded (B·L) layout; None where all texts have one length."""
    mask: Tensor | None
    """(B, 1, 1, L) which of those places hold a token."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], device: torch.device) -> Batch:
        """Lay out token ids and send them to the device."""
        lengths = torch.tensor([len(text) for text in texts])
        longest = int(lengths.max())
        rows = torch.repeat_interleave(torch.arange(len(texts)), lengths)
        places = torch.arange(len(rows)) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        tensors = [torch.tensor(list(chain.from_iterable(texts))), places, rows, lengths]
        if int(lengths.min()) < longest:
            tensors += [rows * longest + places, (torch.arange(longest) < lengths[:, None])[:, None, None]]
        if device.type == "cuda":  # from pinned memory the copy runs beside the computation
            tensors = [tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors]
        ids, places, rows, lengths, *padded = tensors
        slots, mask = padded or (None, None)
        return cls(ids, places, rows, lengths, longest, slots, mask)


class PackedBert:
    """Token ids → pooled vectors, in float32 or bfloat16."""

    def __init__(self, model: Any, pooling: str, dtype: torch.dtype = torch.float32) -> None:
        config = model.config
        self._embeddings = model.embeddings.eval()
        self._first_place = 0 if config.model_type == "bert" else config.pad_token_id + 1
        self._heads, self._width, self._eps = config.num_attention_heads, config.hidden_size, config.layer_norm_eps
        self._act = ACT2FN[config.hidden_act] if isinstance(config.hidden_act, str) else config.hidden_act
        self._pooling, self._dtype = pooling, dtype
        self._layers = [Layer.of(layer).to(dtype) for layer in model.encoder.layer]
        self.device: torch.device = model.device

    @torch.inference_mode()
    def __call__(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Float32 tensor (len(texts), width) on the model's device."""
        batch = Batch.of(texts, self.device)
        kinds = torch.zeros_like(batch.ids)[None]
        places = (batch.places + self._first_place)[None]
        tokens = self._embeddings(input_ids=batch.ids[None], token_type_ids=kinds, position_ids=places)[0]
        tokens = self._transform(tokens.to(self._dtype), batch).float()
        if self._pooling == "cls":
            return tokens[batch.places == 0]
        sums = tokens.new_zeros(len(texts), self._width).index_add_(0, batch.rows, tokens)
        return sums / batch.lengths[:, None]

    def _transform(self, tokens: Tensor, batch: Batch) -> Tensor:
        """All layers over (T, width)."""
        for layer in self._layers:
            seen = self._attend(F.linear(tokens, layer.qkv, layer.qkv_bias), batch)
            tokens = F.linear(seen, layer.out, layer.out_bias).add_(tokens)
            tokens = F.layer_norm(tokens, (self._width,), layer.norm, layer.norm_bias, self._eps)
            wide = self._act(F.linear(tokens, layer.up, layer.up_bias))
            tokens = F.linear(wide, layer.down, layer.down_bias).add_(tokens)
            tokens = F.layer_norm(tokens, (self._width,), layer.last_norm, layer.last_norm_bias, self._eps)
        return tokens

    def _attend(self, qkv: Tensor, batch: Batch) -> Tensor:
        """Softmax attention within each text: (T, 3·width) → (T, width)."""
        places = len(batch.lengths) * batch.longest
        if batch.slots is not None:
            padded = qkv.new_zeros(places, qkv.shape[1])
            padded[batch.slots] = qkv
            qkv = padded
        q, k, v = qkv.view(-1, batch.longest, 3, self._heads, self._width // self._heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=batch.mask)
        seen = seen.transpose(1, 2).reshape(places, self._width)
        return seen if batch.slots is None else seen[batch.slots]
