"""What Qdrant holds against what it should hold → the messages that close the gap.

A point that is announced gets a lease, so that the next look, seconds later, does not announce it again.
Each look announces a bounded amount, so Redis holds little however much there is to do; the end of the
last unit of work starts the next look.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.jobs import TrainingJob
from llmrec_qdrant.contracts.messages import (
    MAX_BATCH,
    EmbedItems,
    EmbedTexts,
    FitCollab,
    FitTopics,
    Message,
    Migrate,
    RefreshUsers,
    Train,
)
from llmrec_qdrant.operations import training
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.events import MESSAGE, mark_users
from llmrec_qdrant.operations.items import ITEMS_MESSAGE
from llmrec_qdrant.operations.reembed import read_state
from llmrec_qdrant.operations.spaces import load_config
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import FRESH, CollectionKind, Key, Space

from .items import collab
from .items.collab import read_collab_fit
from .storage import store
from .storage.lease import lease_end
from .topics import marking
from .topics import record as topics_record
from .users.refresh import made_with

__all__ = ["collab_due", "make_users", "reconcile", "somebody_trains", "spaces"]


GROWTH = 1.1
"""The collab leg is rebuilt when there are this many times the events or items it was fitted on."""


PORTION = {"items": 24, "texts": 100, "users": 100}
"""Messages per look: what workers get through in about a lease, so that waiting messages are rarely repeated."""


TRAIN_LEASE = 60.0
"""Seconds without a sign of life after which a training is taken up by somebody else."""


MIGRATE_LEASE = 15.0
"""Seconds without a sign of life after which the filling of a version is taken up by another message."""


def reconcile(client: QdrantClient, space: Space, everything: bool = True) -> Iterator[Message]:
    """Messages for everything that is stale, found in Qdrant alone.

    ``everything`` includes what has a lease: what was announced within the last half minute.
    """
    found = drive(versions(space), client, NoQueue())
    places = [space.at(number) for number in found.all]
    for ids in _stale(client, places, "items", everything, ITEMS_MESSAGE):
        yield EmbedItems(space=space.name, ids=ids)
    for ids in _stale(client, places, "texts", everything):
        yield EmbedTexts(space=space.name, ids=ids)
    for at in places:
        _mark_users_of_unfolded_events(client, at)
        _mark_users_of_other_settings(client, at)
    for ids in _stale(client, places, "users", everything):
        yield RefreshUsers(space=space.name, ids=ids)
    if any(collab_due(client, at) for at in places):
        yield FitCollab(space=space.name)
    elif changed := sorted({one for at in places if read_collab_fit(client, at) for one in collab.due(client, at)}):
        yield FitCollab(space=space.name, ids=changed[:MAX_BATCH])
    yield from _topics(client, space, places)
    job = drive(training.read(places[0]), client, NoQueue())
    if job is not None and job.under_way and not somebody_trains(job):
        yield Train(space=space.name)
    if found.others and (everything or not _migrating(client, space, found.others)):
        yield Migrate(space=space.name)


def _migrating(client: QdrantClient, space: Space, others: Sequence[int]) -> bool:
    """Whether a worker is at it: a second chain of messages would only repeat what the first does."""
    states = [drive(read_state(space, number), client, NoQueue()) for number in others]
    since = lease_end(-MIGRATE_LEASE)
    return any(state is not None and state.stage == "filling" and state.written_at > since for state in states)


def _stale(
    client: QdrantClient, places: Sequence[Space], kind: CollectionKind, everything: bool, size: int = MESSAGE
) -> Iterator[list[str]]:
    """Ids of stale points, in messages. A message is for every version, so an id is announced once."""
    announced: set[str] = set()
    for at in places:
        for batch in _stale_at(client, at.collection(kind), None if everything else PORTION[kind], size):
            fresh = [one for one in batch if one not in announced]
            announced.update(fresh)
            if fresh:
                yield fresh


def _stale_at(client: QdrantClient, collection: str, portion: int | None, size: int) -> Iterator[list[str]]:
    """Stale points of one collection; without a portion also those with a lease. Announced points get a lease."""
    leased = models.FieldCondition(key=Key.LEASE, range=models.DatetimeRange(gt=datetime.now(UTC)))
    which = models.Filter(must=[conditions.stale()], must_not=[leased] if portion else None)
    ids = (str(record.id) for page in store.scroll(client, collection, which, False) for record in page)
    for batch in islice(batches(ids, size), portion):
        with translated():
            client.set_payload(
                collection,
                {Key.LEASE: lease_end()},
                points=conditions.where(conditions.has_id(*batch), conditions.stale()),
                wait=True,
            )
        yield batch


def _mark_users_of_unfolded_events(client: QdrantClient, space: Space) -> None:
    """An event was stored, but its writer died before it could mark the user."""
    unfolded = conditions.where(conditions.equals(Key.FOLDED, False))
    for page in store.scroll(client, space.events, unfolded, [Key.USER_ID, Key.TENANT]):
        owners = {
            point_id("user", payload[Key.USER_ID], payload.get(Key.TENANT) or None): payload
            for record in page
            if (payload := record.payload or {})
        }
        with translated():
            found = client.retrieve(space.users, list(owners), with_payload=[Key.STALE, Key.SET_ASIDE])
        known = {str(record.id): record.payload or {} for record in found}
        lagging = [point for point, user in known.items() if not user.get(Key.STALE) and not user.get(Key.SET_ASIDE)]
        if lagging:
            fresh = {**FRESH, Key.REVISION: uuid.uuid4().hex}
            with translated():
                client.set_payload(space.users, fresh, points=conditions.where(conditions.has_id(*lagging)), wait=True)
        make_users(client, space, {point: owner for point, owner in owners.items() if point not in known})


def _topics(client: QdrantClient, space: Space, places: Sequence[Space]) -> Iterator[FitTopics]:
    """A fit that was interrupted, items that it left out, a version without topics, a catalogue that has grown."""
    live = places[0]
    for at in places:
        filling = at != live and store.count(client, at.items, conditions.where(conditions.stale())) > 0
        if topics_record.unfinished(client, at) or (topics_record.outdated(client, at, live) and not filling):
            yield FitTopics(space=space.name, resume=True)
            return
        if marking.lately_edited(client, at):
            marking.mend_labels(client, at)
    if topics_record.due(client, live):
        yield FitTopics(space=space.name, topics=topics_record.read(client, live).topics)


def somebody_trains(job: TrainingJob) -> bool:
    """Whether there was a sign of life within the lease."""
    return bool(job.holder) and job.beat > iso(datetime.now(UTC) - timedelta(seconds=TRAIN_LEASE))


def _mark_users_of_other_settings(client: QdrantClient, space: Space) -> None:
    """The configuration of the space has changed since their vectors were made, or its topics have."""
    config = drive(load_config(space), client, NoQueue())
    current = conditions.equals(Key.FOLDING, made_with(config, topics_record.read(client, space).done))
    theirs = models.Filter(
        must=[conditions.equals(Key.STALE, False)], must_not=[current, conditions.equals(Key.SET_ASIDE, True)]
    )  # fmt: skip
    with translated():
        client.set_payload(space.users, {**FRESH, Key.REVISION: uuid.uuid4().hex}, points=theirs, wait=True)


def make_users(client: QdrantClient, space: Space, owners: Mapping[str, Mapping[str, Any]]) -> None:
    """Make missing users, and mark all stale: point id → payload with user id and tenant."""
    by_tenant: dict[str, dict[str, str]] = {}
    for point, owner in owners.items():
        by_tenant.setdefault(owner.get(Key.TENANT) or "", {})[point] = owner[Key.USER_ID]
    for tenant, users in by_tenant.items():
        drive(mark_users(space, tenant or None, users), client, NoQueue())


def collab_due(client: QdrantClient, space: Space) -> bool:
    """Whether enough events, or items that events may be about, have come since the collab leg was fitted.

    Not in the middle of a load: while more than a hundredth of the items wait, a fit would be outdated at once.
    """
    fitted = read_collab_fit(client, space)
    if fitted and fitted.get("fitting") != drive(load_config(space), client, NoQueue()).fitting:
        return True
    events, items = store.count(client, space.events), store.count(client, space.items)
    grown = events > GROWTH * fitted.get("events", 0) or (events > 0 and items > GROWTH * fitted.get("items", 0))
    return grown and store.count(client, space.items, conditions.where(conditions.stale())) <= items / 100


def spaces(client: QdrantClient) -> list[Space]:
    """Every space in this Qdrant."""
    with translated():
        aliases = client.get_aliases().aliases
    return [space for one in aliases if (space := Space.of_alias(one.alias_name)) is not None]
