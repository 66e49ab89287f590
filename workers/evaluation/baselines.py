"""The baseline of an evaluation: the most popular items."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.query.options import MAX_LIMIT
from llmrec_qdrant.space.layout import Space

from ..behaviour.cooccurrence import Interactions
from ..storage.store import SpaceStore
from .histories import Who
from .splits import Target
from .trial_lists import recommended

__all__ = ["most_popular"]


def most_popular(
    copy: SpaceStore, targets: Sequence[Target], interactions: Interactions, limit: int
) -> list[list[str]]:
    """Return for each target the list of an unknown user, without the items that the target's user took."""
    popular = {tenant: _for_unknown_user(copy, tenant) for tenant in {target.tenant for target in targets}}
    taken: dict[Who, set[str]] = {}
    for user, item in zip(interactions.users.tolist(), interactions.items.tolist(), strict=True):
        taken.setdefault(interactions.owners[user], set()).add(interactions.names[item][1])
    return [
        [item for item in popular[target.tenant] if item not in taken.get((target.tenant, target.user), set())][:limit]
        for target in targets
    ]


def _for_unknown_user(copy: SpaceStore, tenant: str) -> list[str]:
    config = copy.run(load_config(Space(copy.name)))
    return [item.id for item in recommended(copy, config, tenant, f"unknown {uuid.uuid4()}", MAX_LIMIT)]
