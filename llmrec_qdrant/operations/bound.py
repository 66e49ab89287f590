"""What every operation works on: a space, its configuration and a tenant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from qdrant_client import models

from llmrec_qdrant.contracts.checks import external_id
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.remember import Memory
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space

__all__ = ["Bound", "refuse_tenant"]


def refuse_tenant(tenant: str | None, what: str) -> None:
    """Refuse, on a connection that is bound to a tenant, what concerns the whole space.

    Raises :class:`InvalidInput`.
    """
    if tenant is not None:
        raise InvalidInput(
            f"a connection bound to tenant {tenant!r} sees only a part of the space and cannot {what}: connect without a tenant "
            "(leave out --tenant or tenant=, and unset LLMREC_TENANT)"
        )


@dataclass(frozen=True)
class Bound:
    """A space, its configuration, and the tenant whose data an operation may see (None: all tenants)."""

    space: Space
    config: SpaceConfig
    tenant: str | None = None
    memory: Memory | None = None
    """What lists have read before; None where a round trip costs nothing."""
    present: set[str] = field(default_factory=set, compare=False)
    """Payload keys that an item was seen to have, shared by all operations of a connection."""

    def at(self, version: int) -> Bound:
        """Return the same, for one version of the space."""
        return replace(self, space=self.space.at(version))

    @property
    def owner(self) -> str:
        """The tenant as payloads store it: an empty string without a tenant."""
        return self.tenant or ""

    @property
    def mine(self) -> models.Filter | None:
        """Filter of the points that an operation may see; None for all."""
        return tenant_filter(self.tenant)

    def item_point(self, item: str) -> str:
        """Return the point id of an item.

        Raises :class:`InvalidInput` for a value that cannot be an id; so does :meth:`user_point`.
        """
        return point_id("item", item, self.tenant)

    def item_points(self, items: Iterable[str]) -> list[str]:
        """Return the point ids of items, without duplicates."""
        named = tuple(item if type(item) is str else external_id(item) for item in items)
        return list(_item_points(named, self.tenant))

    def user_point(self, user: str) -> str:
        """Return the point id of a user."""
        return point_id("user", user, self.tenant)

    def query_point(self, text: str, user: str | None = None) -> str:
        """Return the point id of a search text, of a user or of nobody in particular."""
        if user is None:
            return point_id("query", text, self.tenant)
        return point_id("search", f"{external_id(user)}\x1f{text}", self.tenant)


@lru_cache(maxsize=1_000)  # a user's seen items, in request after request
def _item_points(items: tuple[str, ...], tenant: str | None) -> list[str]:
    return [point_id("item", item, tenant) for item in dict.fromkeys(items)]
