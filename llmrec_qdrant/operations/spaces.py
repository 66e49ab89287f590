"""Checks the server; creates and configures spaces; reads their configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.errors import QdrantRefused, ServerTooOld, SpaceIncomplete, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.bound import refuse_tenant
from llmrec_qdrant.operations.fields import adopt_fields
from llmrec_qdrant.operations.steps import Steps, notify
from llmrec_qdrant.operations.versions import missing, on_every_version, versions
from llmrec_qdrant.space import layout
from llmrec_qdrant.space.layout import CollectionKind, Space
from llmrec_qdrant.space.schema import collection_spec, field_indexes, indexes

__all__ = ["CONFIG_AGE", "build_collection", "check_server", "configure", "create", "identity", "load_config"]

OLDEST_SERVER = (1, 16)
"""Oldest supported Qdrant: conditional updates and collection metadata came with 1.16."""
CONFIG_AGE = 30.0
"""Seconds after which a recommender reads the configuration of its space again."""


def check_server() -> Steps[None]:
    """Check the version of the Qdrant server.

    Raises :class:`ServerTooOld` if it lacks features that this package needs.
    """
    version = yield from calls.server_version()
    match = re.match(r"(\d+)\.(\d+)", version)
    if match and (int(match[1]), int(match[2])) < OLDEST_SERVER:
        raise ServerTooOld(
            f"this Qdrant is version {version}; llmrec needs {OLDEST_SERVER[0]}.{OLDEST_SERVER[1]} or newer "
            "(conditional updates): upgrade the server, one minor version at a time"
        )


def load_config(space: Space) -> Steps[SpaceConfig]:
    """Return the configuration stored with the space.

    Raises :class:`SpaceNotFound`, :class:`SpaceIncomplete` during a move, or :class:`SpaceMismatch` if llmrec cannot read it.
    """
    try:
        stored = yield from calls.metadata(space.items)
    except SpaceNotFound:
        raise (yield from missing(space)) from None
    return layout.read_metadata(space, stored)


def configure(
    space: Space, wanted: SpaceConfig | Mapping[str, Any] | None, tenant: str | None = None
) -> Steps[SpaceConfig]:
    """Create the space, or change those settings of an existing one that ``wanted`` names, in every version.

    Workers compare users and items with the configuration, and rebuild what the changed settings determine.
    Raises :class:`SpaceMismatch` if ``wanted`` needs other vectors than the space has, :class:`InvalidInput` if a tenant
    would change anything.
    """
    try:
        before = yield from load_config(space)
    except SpaceNotFound:
        refuse_tenant(tenant, "create it")
        before = None
    if before is not None and tenant is not None:
        if before != (yield from _merged(space, before, {} if wanted is None else wanted)):
            refuse_tenant(tenant, "change its settings")
        return before
    config = yield from create(space, wanted)
    if before is not None and before != config:
        yield from on_every_version(space, partial(_configure_at, space, before, config))
        yield from notify([Reconcile(space=space.name)])
    return config


def _configure_at(space: Space, before: SpaceConfig, config: SpaceConfig, version: int) -> Steps[None]:
    """Give one version the new settings, except those that determine its vectors, and leg weights that it has of its own."""
    at = space.at(version)
    stored = yield from load_config(at)
    unchanged = [*SpaceConfig.IDENTITY, *(["weights"] if stored.weights != before.weights else [])]
    own = config.model_copy(update={name: getattr(stored, name) for name in unchanged})
    if own != stored:
        yield from calls.update_metadata(at.items, layout.metadata(own))
        yield from adopt_fields(at.items, own)


def create(space: Space, wanted: SpaceConfig | Mapping[str, Any] | None) -> Steps[SpaceConfig]:
    """Create the missing parts of the space, and store and return its configuration. Idempotent.

    An existing space keeps the settings that ``wanted`` does not name, and a new one gets their defaults. Settings of vectors
    that the space had before a re-embedding change nothing, so an application may go on naming them when it starts.
    Raises :class:`SpaceMismatch` if ``wanted`` needs other vectors than the space has or had.
    """
    try:
        stored = yield from load_config(space)
    except SpaceIncomplete:  # its aliases would show a half-moved space
        raise
    except SpaceNotFound:
        config = SpaceConfig.parse({} if wanted is None else wanted)
    else:
        config = yield from _merged(space, stored, {} if wanted is None else wanted)
    yield from _build(space, config)
    yield from calls.update_metadata(space.items, layout.metadata(config))
    yield from adopt_fields(space.items, config)
    return config


def _merged(space: Space, stored: SpaceConfig, wanted: SpaceConfig | Mapping[str, Any]) -> Steps[SpaceConfig]:
    config = stored.merged(wanted)
    now, asked = identity(stored), identity(config)
    if asked != now:
        named = SpaceConfig.parse(wanted).model_fields_set & set(now)
        before = yield from _earlier(space)
        if not any(all(one.get(name) == asked[name] for name in named) for one in before):
            _refuse_other_vectors(space, stored, config)
    return config.model_copy(update=now)


def identity(config: SpaceConfig) -> dict[str, Any]:
    """Return the settings that determine the vectors."""
    return {name: getattr(config, name) for name in SpaceConfig.IDENTITY}


def _earlier(space: Space) -> Steps[list[dict[str, Any]]]:
    """Return the settings of the vectors of other versions, those that were deleted included."""
    existing = yield from versions(space)
    listed: list[dict[str, Any]] = []
    for number in existing.all:
        stored = yield from calls.metadata(space.versioned("items", number))
        listed += [identity(layout.read_metadata(space, stored)), *(stored.get(layout.EARLIER) or ())]
    return listed


def _refuse_other_vectors(space: Space, stored: SpaceConfig, wanted: SpaceConfig) -> None:
    differ = [name for name in SpaceConfig.IDENTITY if getattr(stored, name) != getattr(wanted, name)]
    if differ:
        lines = ", ".join(f"{name} {getattr(stored, name)!r} ≠ {getattr(wanted, name)!r}" for name in differ)
        raise SpaceMismatch(
            f"space {space.name!r} has other vectors ({lines}): move it with `llmrec reembed`, create a space "
            "under another name, or keep the stored values"
        )


def _build(space: Space, config: SpaceConfig) -> Steps[None]:
    """Create collections, then indexes, then aliases; after a crash, the next call completes them."""
    aliases = yield from calls.aliases()
    missing: list[models.CreateAliasOperation] = []
    for kind in layout.COLLECTION_KINDS:
        alias = space.alias(kind)
        collection = aliases.get(alias, space.versioned(kind))
        yield from build_collection(kind, collection, config, adopting=True)
        if kind not in layout.PLAIN and alias not in aliases:
            operation = models.CreateAlias(collection_name=collection, alias_name=alias)
            missing.append(models.CreateAliasOperation(create_alias=operation))
    if missing:
        try:
            yield from calls.change_aliases(missing)
        except QdrantRefused as error:
            raise SpaceMismatch(
                f"other collections use the names of space {space.name!r} ({error}): choose another space name"
            ) from error


def build_collection(
    kind: CollectionKind,
    name: str,
    config: SpaceConfig,
    metadata: Mapping[str, Any] | None = None,
    adopting: bool = False,
) -> Steps[None]:
    """Create a collection and its indexes if they are missing.

    A new items collection stores the configuration and ``metadata``. ``adopting``: own fields of an existing collection are
    left to :func:`adopt_fields`.
    """
    exists = yield from calls.collection_exists(name)
    if not exists:
        stored = {**layout.metadata(config), **(metadata or {})} if kind == "items" else {}
        try:
            yield from calls.create_collection(name, collection_spec(kind, config), stored)
        except QdrantRefused as error:
            if "already exists" not in str(error):  # another process was faster
                raise
    indexed = yield from calls.index_kinds(name)
    later = field_indexes(config) if kind == "items" and exists and adopting else {}
    for key, schema in indexes(kind, config).items():
        if key not in indexed and key not in later:
            yield from calls.create_index(name, key, schema)
