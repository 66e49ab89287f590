"""Converts the state of a training to and from a flat table of named tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ..encoding.tower_encoder import under

__all__ = ["flatten", "restore"]

MODEL_PREFIX, OPTIMIZER_PREFIX = "model.", "optimizer."
"""Prefixes of the tensors' names."""


def flatten(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the weights of the model and the state of the optimizer, by name."""
    tensors = {f"{MODEL_PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in _distinct(model).items()}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"{OPTIMIZER_PREFIX}{number}.{name}"] = torch.as_tensor(value).cpu().contiguous()
    return tensors


def restore(tensors: dict[str, Tensor], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load what :func:`flatten` returned into a model and an optimizer of the same shape."""
    model.load_state_dict(under(MODEL_PREFIX, tensors), strict=False)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in under(OPTIMIZER_PREFIX, tensors).items():
        number, _, value = name.partition(".")
        state.setdefault(int(number), {})[value] = tensor.clone()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _distinct(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return each tensor once, under its first name: safetensors rejects shared memory."""
    first_names: dict[int, str] = {}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if first_names.setdefault(tensor.data_ptr() or id(tensor), name) == name
    }
