"""The target of a move: reserves the name of the space, creates collections, and makes the space visible at the end.

While a move is under way, the metadata of ``{space}_events`` names it, and the space has no aliases: no reader finds it, and
nobody can create a space of that name.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from qdrant_client import models

from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from llmrec_qdrant.operations import calls
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.operations.moving.plan import Plan, Planned
from llmrec_qdrant.operations.moving.sides import Side
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import Steps
from llmrec_qdrant.operations.versions import VERSIONED
from llmrec_qdrant.space.layout import MOVE, PLAIN, Space
from llmrec_qdrant.space.schema import SHARDS

__all__ = ["claim", "prepare", "publish"]

Move = dict[str, Any]
"""The stored record of a move: ``id`` and ``began_at``."""


def claim(source: Side, target: Side, replace: bool) -> Steps[Move]:
    """Reserve the name of the space in the target, and hide what it holds; returns the record of the move.

    Raises :class:`SpaceMismatch` for a name in use, unless ``replace``; :class:`InvalidInput` if both ends are the same space.
    """
    aliases = yield from target.do(calls.aliases())
    visible = target.space.items in aliases
    before = yield from target.do(_refuse_taken(target.space, visible, replace))
    move = before if before and not visible else {"id": uuid.uuid4().hex, "began_at": now()}
    yield from target.do(_record(target.space, move))
    if visible:
        yield from _refuse_same(source, target, move)
        yield from target.do(_hide(target.space, aliases))
    return move


def _refuse_taken(space: Space, visible: bool, replace: bool) -> Steps[Move | None]:
    """Refuse a name that something else uses; returns the record of an earlier move, if there is one."""
    names = yield from calls.collection_names()
    taken = [name for name in names if name in {space.alias(kind) for kind in VERSIONED}]
    if taken:
        raise SpaceMismatch(f"a collection named {taken[0]!r} is in the way: choose another name with `--as`")
    move = (yield from calls.metadata(space.events)).get(MOVE) if space.events in names else None
    if visible and not replace:
        items = yield from calls.count(space.items)
        raise SpaceMismatch(
            f"there is a space {space.name!r} with {items:,} items already: replace it with `--replace` (replace=True), or "
            "choose another name with `--as` (space=…)"
        )
    if visible:
        yield from load_config(space)  # refuses what llmrec did not create
    held = _collections(space, names)
    if held and not visible and not move and not replace:
        raise SpaceMismatch(
            f"collections without a space use its names ({', '.join(held[:3])}): overwrite them with `--replace` (replace=True), or "
            "choose another name with `--as` (space=…)"
        )
    return dict(move) if move else None


def _collections(space: Space, names: list[str]) -> list[str]:
    """The collections whose names belong to the space."""
    kinds = "|".join(VERSIONED)
    pattern = re.compile(rf"{re.escape(space.name)}_({kinds})_v\d+")
    return sorted(name for name in names if pattern.fullmatch(name) or name in {space.alias(kind) for kind in PLAIN})


def _record(space: Space, move: Move) -> Steps[None]:
    """Store the record, before anything else is written."""
    if (yield from calls.collection_exists(space.events)):
        yield from calls.update_metadata(space.events, {MOVE: move})
    else:
        yield from calls.create_collection(space.events, {"vectors_config": {}}, {MOVE: move})


def _refuse_same(source: Side, target: Side, move: Move) -> Steps[None]:
    """Refuse a move of a space onto itself, under whatever addresses: the record then appears in the source."""
    if source.space.events != target.space.events:
        return
    stored = (yield from source.do(calls.metadata(source.space.events))).get(MOVE)
    if isinstance(stored, dict) and stored.get("id") == move["id"]:
        yield from target.do(calls.update_metadata(target.space.events, {MOVE: None}))
        raise InvalidInput(
            f"both ends are the same space {source.space.name!r}: choose another name with `--as` (space=…)"
        )


def _hide(space: Space, aliases: Mapping[str, str]) -> Steps[None]:
    shown = [space.alias(kind) for kind in VERSIONED if space.alias(kind) in aliases]
    deletions = [models.DeleteAlias(alias_name=alias) for alias in shown]
    yield from calls.change_aliases([models.DeleteAliasOperation(delete_alias=deletion) for deletion in deletions])


# --- collections ----------------------------------------------------------------------------------


def prepare(space: Space, plan: Plan, move: Move) -> Steps[None]:
    """Create the collections of the plan with their indexes, and delete other versions. Idempotent."""
    for planned in plan.collections:
        extra = {MOVE: move} if planned.kind == "events" else {}
        yield from _create(planned.name(space), planned, {**planned.description.metadata, **extra})
    wanted = {planned.name(space) for planned in plan.collections}
    for name in _collections(space, (yield from calls.collection_names())):
        if name not in wanted:
            yield from calls.delete_collection(name)


def _create(name: str, planned: Planned, metadata: Mapping[str, Any]) -> Steps[None]:
    """Create one collection, or adapt an existing one; one with other vectors is deleted first."""
    spec = planned.description.spec
    exists = yield from calls.collection_exists(name)
    if exists and not _includes(_plain((yield from calls.describe(name)).spec), _plain(spec)):
        yield from calls.delete_collection(name)
        exists = False
    if not exists:
        yield from calls.create_collection(name, {**spec, "shard_number": SHARDS}, metadata)
    stored = yield from calls.describe(name)
    if stored.metadata != metadata:
        outdated = dict.fromkeys(stored.metadata.keys() - metadata.keys())
        yield from calls.update_metadata(name, {**outdated, **metadata})
    for key, schema in planned.description.indexes.items():
        if key not in stored.indexes:
            yield from calls.create_index(name, key, schema)


def _plain(value: Any) -> Any:
    """Models as plain values, without what they leave to Qdrant."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value


def _includes(stored: Any, wanted: Any) -> bool:
    """Whether the stored parameters are the wanted ones; a server may state defaults that nobody asked for."""
    if not isinstance(wanted, Mapping):
        return bool(stored == wanted)
    return isinstance(stored, Mapping) and all(_includes(stored.get(key), part) for key, part in wanted.items())


def publish(space: Space, live: int) -> Steps[None]:
    """Make the space visible in one atomic call, then delete the record of the move."""
    aliases = [
        models.CreateAlias(collection_name=space.versioned(kind, live), alias_name=space.alias(kind))
        for kind in VERSIONED
    ]
    yield from calls.change_aliases([models.CreateAliasOperation(create_alias=alias) for alias in aliases])
    yield from calls.update_metadata(space.events, {MOVE: None})
