"""Compares what Qdrant holds with what it should hold, and yields the messages that close the gap.

An announced point gets a lease, so that the next sweep, seconds later, does not announce it again. Each sweep announces a
bounded amount, so Redis holds little however much is left to do; the last unit of work triggers the next sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from qdrant_client import models

from llmrec_qdrant.contracts.jobs import FitTopicsOptions
from llmrec_qdrant.contracts.messages import (
    MAX_BATCH,
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Message,
    RefreshUsers,
    RunJob,
)
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable, SpaceMismatch, Unauthorized
from llmrec_qdrant.operations import job_records, reembed
from llmrec_qdrant.operations.batching import batches
from llmrec_qdrant.operations.clock import now, present
from llmrec_qdrant.operations.events import USERS_PER_MESSAGE, mark_users
from llmrec_qdrant.operations.items import ITEMS_PER_MESSAGE
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import CollectionKind, Key
from llmrec_qdrant.space.shapes import metadata_fault

from .items import boilerplate, collab_due, wording
from .storage import malformed, notes
from .storage.attempts import lease_end, leased
from .storage.lease import announcements
from .storage.notes import in_words
from .storage.revision import mark_users_stale
from .storage.store import SpaceStore, Store
from .topics import marking
from .topics import record as topics_record
from .users.derive import made_with

__all__ = ["create_users", "reconcile"]

log = logging.getLogger("llmrec.worker")

STOPPED = "stopped_"
"""How the names of notes about pieces begin that could not be done."""
SHORT_KEYS = (Key.USER_ID, Key.TENANT, Key.TYPE, Key.TS, Key.ITEM_ID, Key.VALUE, Key.SESSION)
"""Payload keys of an event that a sweep checks; whoever folds it checks the text, too."""
NUMBERED = "the id of the point is a number, and llmrec stores points under UUIDs that it derives"
MAX_MESSAGES = {"items": 24, "texts": 100, "users": 100}
"""Messages per sweep: about what workers finish within a lease, so that waiting messages are rarely repeated."""


def reconcile(space: SpaceStore, everything: bool = True) -> Iterator[Message]:
    """Yield messages for everything that is stale, as recorded in Qdrant.

    ``everything`` includes points with a lease, which were announced within the last half minute. A piece that cannot be done stops
    no other: it is logged, and noted for ``status()``. Raises
    :class:`QdrantUnavailable`, after which the whole sweep is repeated, and :class:`Unauthorized`.
    """
    versions = space.versions()
    stopped: dict[str, str] = {}
    for name, where, piece in _pieces(space, versions, everything):
        try:
            yield from piece()
        except (QdrantUnavailable, Unauthorized):
            raise
        except Exception as error:
            key = f"{STOPPED}{name}_{where}".replace(" ", "_")
            stopped[key] = f"{name} of {where} cannot be done: {in_words(error)}"
            _log_once(space, key, stopped[key], error)
    with suppress(LlmrecError):  # a report must not fail the work
        notes.keep(space, STOPPED, stopped)
    _logged[space.name] = stopped


_logged: dict[str, dict[str, str]] = {}
"""Space → what the last sweep of this process could not do."""


def _log_once(space: SpaceStore, key: str, sentence: str, error: Exception) -> None:
    """Log what cannot be done; at debug level if the sweep before has said so."""
    level = logging.DEBUG if _logged.get(space.name, {}).get(key) == sentence else logging.ERROR
    log.log(level, "%s: %s", space.name, sentence, exc_info=not isinstance(error, LlmrecError))


Piece = Callable[[], Iterable[Message]]


def _pieces(space: SpaceStore, versions: Sequence[SpaceStore], everything: bool) -> Iterator[tuple[str, str, Piece]]:
    """Yield the pieces of a sweep in order: what it does, to which version, and how."""
    leases = partial(_Announced, space.name, everything)
    items, texts, users = (
        leases("items", EmbedItems, ITEMS_PER_MESSAGE),
        leases("texts", EmbedTexts),
        leases("users", RefreshUsers),
    )
    for version in versions:
        yield "metadata", version.label, partial(_quietly, _check_metadata, version)
    yield "boilerplate", space.name, partial(_quietly, boilerplate.keep, versions)
    yield "words", space.name, partial(_quietly, wording.keep, versions)
    for stale in (items, texts):
        for version in versions:
            yield f"encoding {stale.kind}", version.label, partial(stale.of, version)
    for version in versions:
        yield "expiry of searches", version.label, partial(_quietly, _expire_searches, version)
        yield "users of new events", version.label, partial(_quietly, _mark_users_of_unfolded_events, version)
        yield "users of other settings", version.label, partial(_quietly, _mark_users_of_other_settings, version)
    for version in versions:
        yield "refreshing users", version.label, partial(users.of, version)
    yield "the collab leg", space.name, partial(_collab, versions)
    yield "topics", space.name, partial(_topics, versions)
    yield "jobs", space.name, partial(announcements, space, everything)
    yield "records of jobs", space.name, partial(_quietly, _check_jobs, space)
    if versions[1:]:
        yield "versions", space.name, partial(_quietly, _drop_orphans, space)


def _quietly(work: Callable[..., object], *arguments: Any) -> Iterator[Message]:
    """Do work from which no message follows."""
    work(*arguments)
    yield from ()


def _drop_orphans(space: SpaceStore) -> None:
    space.run(reembed.drop_orphans(space.space))


def _check_metadata(version: SpaceStore) -> None:
    """Raises :class:`SpaceMismatch` if a record in the metadata of the items cannot be read: work goes on as if there were none."""
    said = metadata_fault(version.items.metadata())
    if said:
        raise SpaceMismatch(f"the record {said}; delete it from the metadata of {version.items.collection}")


def _check_jobs(space: SpaceStore) -> None:
    """Raises :class:`SpaceMismatch` if a record of a job cannot be read."""
    unreadable = space.run(job_records.unreadable(space.space))
    if unreadable:
        raise SpaceMismatch("; ".join(unreadable))


def _collab(versions: Sequence[SpaceStore]) -> Iterator[FitCollab]:
    """Announce a whole fit if one is due, else a partial rebuild of the items that new events change."""
    if any(collab_due.fit_due(version) for version in versions):
        yield FitCollab(space=versions[0].name)
        return
    fitted = [version for version in versions if collab_due.read_collab_fit(version)]
    changed = sorted({item for version in fitted for item in collab_due.due(version)})
    if changed:
        yield FitCollab(space=versions[0].name, ids=changed[:MAX_BATCH])


@dataclass
class _Announced:
    """Announces stale points of one kind. A message covers every version, so an id is announced once."""

    space: str
    everything: bool
    kind: CollectionKind
    message: type[EmbedItems] | type[EmbedTexts] | type[RefreshUsers]
    size: int = USERS_PER_MESSAGE
    """Points per message."""
    known: set[str] = field(default_factory=set)

    def of(self, version: SpaceStore) -> Iterator[Message]:
        """Yield messages for the stale points of a version that no other version has announced."""
        for batch in _stale_at(version.of(self.kind), None if self.everything else MAX_MESSAGES[self.kind], self.size):
            fresh = [point for point in batch if point not in self.known]
            self.known.update(fresh)
            if fresh:
                yield self.message(space=self.space, ids=fresh)


def _stale_at(store: Store, max_batches: int | None, size: int) -> Iterator[list[str]]:
    """Lease and yield stale points of one collection, in at most ``max_batches``; None includes points with a lease."""
    which = models.Filter(must=[conditions.stale()], must_not=None if max_batches is None else [leased()])
    ids = (point.id for page in store.pages(which, False) for point in page)
    for found in islice(batches(ids, size), max_batches):
        batch = [point for point in found if not point.isdecimal()]
        malformed.set_aside(store, {point: NUMBERED for point in found if point.isdecimal()})
        store.set_payload({Key.LEASE: lease_end()}, conditions.where(conditions.has_id(*batch), conditions.stale()))
        yield batch


def _expire_searches(space: SpaceStore) -> None:
    """Delete the texts of searches that nobody has searched for within the days that the space allows."""
    dateless = conditions.where(conditions.equals(Key.USER_ID, ""), conditions.empty(Key.SEARCHED_AT))
    last = present() - timedelta(days=space.config().search_days)
    old = conditions.where(models.FieldCondition(key=Key.SEARCHED_AT, range=models.DatetimeRange(lt=last)))
    if space.texts.count(models.Filter(should=[dateless, old])):
        space.texts.set_payload({Key.SEARCHED_AT: now()}, dateless)  # stored before searches had a date
        space.texts.delete(old)


def _mark_users_of_unfolded_events(space: SpaceStore) -> None:
    """Mark or create users with unfolded events whose writer died before it could mark them; set malformed events aside."""
    unfolded = conditions.where(conditions.equals(Key.FOLDED, False))
    for found in space.events.raw.pages(unfolded, SHORT_KEYS):
        page, faults = malformed.split(space.events, found, keys=SHORT_KEYS)
        malformed.set_events_aside(space, faults)
        named = {(event.payload[Key.USER_ID], event.get(Key.TENANT) or None): event.payload for event in page}
        owners = {point_id("user", *name): payload for name, payload in named.items()}
        users = {user.id: user for user in space.users.raw.retrieve(owners, [Key.STALE, Key.SET_ASIDE])}
        lagging = [user.id for user in users.values() if not user.get(Key.STALE) and not user.get(Key.SET_ASIDE)]
        if lagging:
            mark_users_stale(space, conditions.only(*lagging))
        create_users(space, {point: owner for point, owner in owners.items() if point not in users})


def _mark_users_of_other_settings(space: SpaceStore) -> None:
    """Mark the users whose vectors were made with other settings or other topics."""
    fit = topics_record.read(space).done
    current = conditions.equals(Key.FOLDING, made_with(space.config(), fit))
    others = models.Filter(
        must=[conditions.equals(Key.STALE, False)], must_not=[current, conditions.equals(Key.SET_ASIDE, True)]
    )  # fmt: skip
    mark_users_stale(space, others)


def create_users(space: SpaceStore, owners: Mapping[str, Mapping[str, Any]]) -> None:
    """Create missing users, and mark all stale; ``owners``: point id → payload with user id and tenant."""
    by_tenant: dict[str, dict[str, str]] = {}
    for point, owner in owners.items():
        by_tenant.setdefault(owner.get(Key.TENANT) or "", {})[point] = owner[Key.USER_ID]
    for tenant, users in by_tenant.items():
        space.run(mark_users(space.space, tenant or None, users))


def _topics(versions: Sequence[SpaceStore]) -> Iterator[RunJob]:
    """Announce a job that fits topics, if a fit was interrupted, a version lacks topics, or the catalogue has grown."""
    live, *others = versions
    records = live.run(job_records.list_records(live.space))
    fits = job_records.of_kind(records, "fit-topics")
    if any(record.active for record in fits):
        return
    topics = topics_record.read(live).topics
    if fits and fits[0].state == "done" and topics_record.interrupted(live):
        yield _fit(live, FitTopicsOptions(topics=fits[0].options.get("topics")))
        return
    filling = any(record.active and record.kind == "reembed" for record in records)
    for version in [live] if filling else [live, *others]:
        encoded = version.items.count(conditions.where(conditions.stale())) == 0
        if topics_record.unfinished(version) or (topics_record.outdated(version, live) and encoded):
            yield _fit(live, FitTopicsOptions(topics=topics, repair=True))
            return
        if marking.lately_edited(version):
            marking.mend_labels(version)
    if topics_record.due(live):
        yield _fit(live, FitTopicsOptions(topics=topics))


def _fit(space: SpaceStore, options: FitTopicsOptions) -> RunJob:
    record = space.run(job_records.request(space.space, "fit-topics", options.model_dump()))
    return RunJob(space=space.name, job=record.id)
