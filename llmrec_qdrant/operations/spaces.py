"""Operations on a space as a whole: version check, create, configuration, status."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.answers import SpaceStatus
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import Item
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import QdrantRefused, ServerTooOld, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.steps import Steps, call, notify
from llmrec_qdrant.operations.versions import on_every_version
from llmrec_qdrant.space import layout
from llmrec_qdrant.space.conditions import tenant_filter
from llmrec_qdrant.space.layout import CollectionKind, Key, Space

__all__ = ["build_collection", "check_server", "configure", "create", "load_config", "reconcile", "status"]


MINIMUM = (1, 16)
"""Conditional updates and collection metadata came with Qdrant 1.16."""


CONFIG_AGE = 30.0
"""Seconds after which a changed configuration of the space is noticed."""


def check_server() -> Steps[None]:
    """Refuse a server that lacks what we rely on.

    Raises :class:`ServerTooOld`.
    """
    info = yield from call("info")
    found = re.match(r"(\d+)\.(\d+)", str(info.version))
    if found and (int(found[1]), int(found[2])) < MINIMUM:
        raise ServerTooOld(
            f"this Qdrant is version {info.version}; llmrec needs {MINIMUM[0]}.{MINIMUM[1]} or newer "
            "(conditional updates): upgrade the server, one minor version at a time"
        )


def load_config(space: Space) -> Steps[SpaceConfig]:
    """The configuration stored with the space.

    Raises :class:`SpaceNotFound` or :class:`SpaceMismatch`.
    """
    try:
        found = yield from call("get_collection", collection_name=space.items)
    except SpaceNotFound:
        raise SpaceNotFound(
            f"there is no space {space.name!r} in this Qdrant: create it with `llmrec init --space {space.name}` "
            "or Recommender.create()"
        ) from None
    return layout.read_metadata(space, found.config.metadata)


def create(space: Space, wanted: SpaceConfig | None) -> Steps[SpaceConfig]:
    """Make the space, or bring an existing one up to ``wanted``; doing it twice changes nothing.

    Without ``wanted`` an existing space keeps its configuration and a new one gets the defaults.
    Raises :class:`SpaceMismatch` where the existing vectors were made in another way.
    """
    try:
        stored = yield from load_config(space)
    except SpaceNotFound:
        config = wanted or SpaceConfig()
    else:
        config = wanted or stored
        _same_vectors(space, stored, config)
    yield from _build(space, config)
    yield from call("update_collection", collection_name=space.items, metadata=layout.metadata(config))
    return config


def _same_vectors(space: Space, stored: SpaceConfig, wanted: SpaceConfig) -> None:
    differ = [name for name in SpaceConfig.IDENTITY if getattr(stored, name) != getattr(wanted, name)]
    if differ:
        lines = ", ".join(f"{name} {getattr(stored, name)!r} ≠ {getattr(wanted, name)!r}" for name in differ)
        raise SpaceMismatch(
            f"space {space.name!r} was made with other vectors ({lines}): create a space under another name, "
            "or keep the stored values"
        )


def _build(space: Space, config: SpaceConfig) -> Steps[None]:
    """Collections, then indexes, then aliases: a crash in between is mended by the next call."""
    listed = yield from call("get_aliases")
    aliases = {one.alias_name: one.collection_name for one in listed.aliases}
    missing: list[models.CreateAliasOperation] = []
    for kind in layout.KINDS:
        alias = space.alias(kind)
        target = aliases.get(alias, space.versioned(kind))
        yield from build_collection(kind, target, config)
        if kind != "events" and alias not in aliases:
            operation = models.CreateAlias(collection_name=target, alias_name=alias)
            missing.append(models.CreateAliasOperation(create_alias=operation))
    if missing:
        try:
            yield from call("update_collection_aliases", change_aliases_operations=missing)
        except QdrantRefused as error:
            raise SpaceMismatch(
                f"the names of space {space.name!r} are taken by other collections ({error}): choose another space name"
            ) from error


def build_collection(
    kind: CollectionKind, name: str, config: SpaceConfig, more: dict[str, Any] | None = None
) -> Steps[None]:
    """Make a collection, with its metadata (and ``more`` of it), and its indexes, where they are missing."""
    exists = yield from call("collection_exists", collection_name=name)
    if not exists:
        extra = {"metadata": {**layout.metadata(config), **(more or {})}} if kind == "items" else {}
        try:
            yield from call("create_collection", collection_name=name, **layout.collection_spec(kind, config), **extra)
        except QdrantRefused as error:
            if "already exists" not in str(error):  # another process was faster
                raise
    found = yield from call("get_collection", collection_name=name)
    present = set(found.payload_schema or {})
    for key, schema in layout.indexes(kind, config).items():
        if key not in present:
            yield from call(
                "create_payload_index", collection_name=name, field_name=key, field_schema=schema, wait=True
            )


def status(bound: Bound) -> Steps[SpaceStatus]:
    """Counts of everything and of what waits, from Qdrant alone."""
    stale = models.FieldCondition(key=Key.STALE, match=models.MatchValue(value=True))
    unfolded = models.FieldCondition(key=Key.FOLDED, match=models.MatchValue(value=False))
    aside = models.FieldCondition(key=Key.SET_ASIDE, match=models.MatchValue(value=True))
    readable = models.FieldCondition(key=Key.LEGS, match=models.MatchValue(value=layout.DENSE))
    encoded = models.FieldCondition(key=Key.STALE, match=models.MatchValue(value=False))
    unreadable = models.Filter(must=[encoded], must_not=[readable])
    counts: dict[str, int] = {}
    wanted: list[tuple[str, CollectionKind, Any]] = [
        ("items", "items", None), ("items_stale", "items", stale), ("items_unreadable", "items", unreadable),
        ("users", "users", None), ("users_stale", "users", stale),
        ("events", "events", None), ("events_unfolded", "events", unfolded),
        ("texts", "texts", None), ("texts_stale", "texts", stale),
        (Key.SET_ASIDE, "items", aside), (Key.SET_ASIDE, "users", aside), (Key.SET_ASIDE, "texts", aside),
    ]  # fmt: skip
    mine = tenant_filter(bound.tenant)
    for name, kind, condition in wanted:
        must = [part for part in (mine, condition) if part is not None]
        answer = yield from call(
            "count",
            collection_name=bound.space.alias(kind),
            count_filter=models.Filter(must=must) if must else None,
            exact=True,
        )
        counts[name] = counts.get(name, 0) + answer.count
    return SpaceStatus(space=bound.space.name, model=bound.config.encoder_id, **counts)


def configure(space: Space, wanted: SpaceConfig | None) -> Steps[SpaceConfig]:
    """As :func:`admin.create`; an existing space has the changed settings on every version.

    What they decide is made anew by the reconciler, which compares users and items with the configuration.
    Raises :class:`SpaceMismatch` where the existing vectors were made in another way.
    """
    try:
        before = yield from load_config(space)
    except SpaceNotFound:
        before = None
    config = yield from create(space, wanted)
    if before is not None and before != config:
        yield from on_every_version(space, partial(_configure_at, space, before, config))
        yield from notify([Reconcile(space=space.name)])
    return config


def _configure_at(space: Space, before: SpaceConfig, config: SpaceConfig, version: int) -> Steps[None]:
    """One version keeps what made its vectors, and leg weights that were its own, and gets the rest."""
    at = space.at(version)
    stored = yield from load_config(at)
    kept = [*SpaceConfig.IDENTITY, *(["weights"] if stored.weights != before.weights else [])]
    own = config.model_copy(update={name: getattr(stored, name) for name in kept})
    if own != stored:
        yield from build_collection("items", at.items, own)  # the indexes of new fields
        yield from call("update_collection", collection_name=at.items, metadata=layout.metadata(own))


def reconcile(bound: Bound) -> Steps[bool]:
    """Ask a worker to look for everything that is stale."""
    return (yield from notify([Reconcile(space=bound.space.name, everything=True)]))


def checked_tenant(tenant: str | None) -> str | None:
    """A tenant name as one may be stored with an item, or None."""
    return None if tenant is None else Item(id="x", tenant=tenant).tenant
