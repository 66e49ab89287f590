"""Looks up the dimension of an encoder, and the leg weights that a trained model was chosen with."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant.contracts.config import Leg, SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.queues.inline import inline_available, worker_module
from llmrec_qdrant.recommender import Recommender
from llmrec_qdrant.testing import HASH_MODEL

__all__ = ["dimension_of", "leg_weights"]


def dimension_of(settings: dict[str, Any]) -> int:
    """Load a model and return the dimension of its vectors.

    Raises :class:`InvalidInput` if the workers, which load it, are not installed.
    """
    if settings["model"] == HASH_MODEL:
        return SpaceConfig().size  # it fills any number of dimensions
    if not inline_available():
        raise InvalidInput(
            f"the dimension of {settings['model']!r} cannot be read without the workers: pass it, such as --size 384"
        )
    return int(worker_module("encoding.encoder").model_size(SpaceConfig.parse({**settings, "size": 1})))


def leg_weights(rec: Recommender, model: str) -> dict[Leg, float] | None:
    """Return the leg weights to set when the space moves to ``model``; None to leave them unchanged.

    A trained model brings the weights it was chosen with. Moving from a trained model to another restores the weights from
    before it, unless they have been changed since.
    """
    if not inline_available():
        return None
    find = worker_module("encoding.registry").find
    if trained := find(model):
        brought: dict[Leg, float] | None = trained[0].metrics.get("leg weights")
        return brought
    current = find(rec.config.model)
    if current and current[0].metrics.get("leg weights") == rec.config.weights:
        before: dict[Leg, float] | None = current[0].metrics.get("leg weights before")
        return before
    return None
