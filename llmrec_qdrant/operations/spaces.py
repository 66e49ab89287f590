"""Checks the server; reads the configuration of a space; creates its collections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import QdrantRefused, ServerTooOld, SpaceNotFound
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import missing
from llmrec_qdrant.space import layout
from llmrec_qdrant.space.layout import CollectionKind, Space
from llmrec_qdrant.space.schema import collection_spec, field_indexes, indexes

__all__ = ["CONFIG_AGE", "build_collection", "check_server", "identity", "load_config"]

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


def identity(config: SpaceConfig) -> dict[str, Any]:
    """Return the settings that determine the vectors."""
    return {name: getattr(config, name) for name in SpaceConfig.IDENTITY}


def build_collection(
    kind: CollectionKind,
    name: str,
    config: SpaceConfig,
    metadata: Mapping[str, Any] | None = None,
    adopting: bool = False,
) -> Steps[None]:
    """Create a collection and its indexes if they are missing.

    A new items collection stores the configuration and ``metadata``. ``adopting``: the collection exists, and its own fields are
    left to :func:`adopt_fields`.
    """
    if not adopting and not (yield from calls.collection_exists(name)):
        stored = {**layout.metadata(config), **(metadata or {})} if kind == "items" else {}
        try:
            yield from calls.create_collection(name, collection_spec(kind, config), stored)
        except QdrantRefused as error:
            if "already exists" not in str(error):  # another process was faster
                raise
    indexed = yield from calls.index_kinds(name)
    later = field_indexes(config) if adopting else {}
    for key, schema in indexes(kind, config).items():
        if key not in indexed and key not in later:
            yield from calls.create_index(name, key, schema)
