"""What every operation works on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space

__all__ = ["Bound"]


@dataclass(frozen=True)
class Bound:
    """A space, its configuration, and the tenant whose data an operation may see (None: everybody's)."""

    space: Space
    config: SpaceConfig
    tenant: str | None = None

    def at(self, version: int) -> Bound:
        """The same, for one version of the space."""
        return replace(self, space=self.space.at(version))

    @property
    def owner(self) -> str:
        """The tenant as payloads store it: empty for none."""
        return self.tenant or ""

    @property
    def mine(self) -> models.Filter | None:
        """The points that an operation may see; None for all."""
        return tenant_filter(self.tenant)

    def item_point(self, item: str) -> str:
        """Point id of an item.

        Raises :class:`InvalidInput` for what cannot be an id; so does :meth:`user_point`.
        """
        return point_id("item", item, self.tenant)

    def item_points(self, items: Iterable[str]) -> list[str]:
        """Point ids of items, each once."""
        return [self.item_point(item) for item in dict.fromkeys(items)]

    def user_point(self, user: str) -> str:
        """Point id of a user."""
        return point_id("user", user, self.tenant)

    def query_point(self, text: str) -> str:
        """Point id of a search text."""
        return point_id("query", text, self.tenant)
