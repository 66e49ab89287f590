"""Spaces with behaviour to learn, and small trainings on them."""

from __future__ import annotations

import random

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from tests.spaces import store_of
from workers.encoding import registry
from workers.training.recipe import Recipe
from workers.training.trainer import train

CONFIG = SpaceConfig(model="hash", size=32)
KINDS, VARIANTS = 40, 3
SMALL = {"hidden": 16, "own": 8, "width": 64, "batch": 64, "rate": 2e-3}


def taken(user: int, step: int) -> int:
    """Return the number of the item that a user of :func:`follow` takes at a step."""
    return (user + 7 * step) % KINDS + KINDS * random.Random(f"{user} {step}").randrange(VARIANTS)


def follow(rec: Recommender, users: int = 90, steps: int = 5, chance: random.Random | None = None) -> None:
    """An item of kind k is followed by some item of kind k + 7; with ``chance`` nothing follows from anything.

    Items of a kind share their words, so towers learn what follows; pairs of items are too rare for the collab leg.
    """
    rec.upsert_items([Item(id=f"i{k}", title=f"word{k % KINDS} other{k % 5}") for k in range(KINDS * VARIANTS)])
    rec.track(
        Event(
            user=f"u{n}", item=f"i{chance.randrange(KINDS) if chance else taken(n, step)}", type="view",
            ts=1_700_000_000 + step * 86_400,
        )
        for n in range(users)
        for step in range(steps)
    )  # fmt: skip
    rec.reconcile()


def run(rec: Recommender, *, exclude_seen: bool = True, **changes: object) -> registry.Version:
    recipe = Recipe.of("towers", **{**SMALL, "epochs": 2, **changes})
    return train(store_of(rec).at(1), rec.config, recipe, users=60, exclude_seen=exclude_seen)
