"""Trial spaces: temporary copies of a space that know only the past, for measuring and for choosing settings.

A trial space holds the items, with the vectors of their text, and the events that a split does not hold out. Everything
that is fitted on events (co-occurrence, popularity, user vectors) is fitted anew inside it. It is deleted at the end; if
its owner is killed, a sweep deletes it once the heartbeat is an hour old and a worker has seen it unchanged for ten minutes,
or at once if it is a day old.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from qdrant_client import QdrantClient, models

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, LlmrecError, QdrantUnavailable
from llmrec_qdrant.operations import calls, creating, spaces
from llmrec_qdrant.operations.clock import iso, present
from llmrec_qdrant.operations.steps import call
from llmrec_qdrant.operations.traces import TRIAL_PREFIX
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Key, Space

from ..items import collab
from ..storage.observed import Observed
from ..storage.store import SpaceStore, run
from .heartbeat import beat, last_beat, mark
from .report import Report, no_report
from .splits import Split
from .trial_copy import EventTest, copy_events, copy_texts
from .trial_lists import fold_users

__all__ = ["discard", "running", "trial"]

log = logging.getLogger("llmrec.worker")

ABANDONED_AFTER = timedelta(hours=1)
"""Age of the last heartbeat from which a trial space counts as abandoned; a fit of ten million events takes minutes."""
DEAD_AFTER = timedelta(days=1)
"""Age of the last heartbeat that no wrong clock explains."""
SILENT_SECONDS = 600.0
"""Seconds for which a process must also have seen the same heartbeat, as the clock of the owner may be hours behind."""
_heartbeats = Observed()
"""Collection → its heartbeat."""
TRIAL_ITEMS = re.compile(r"(.+-trial-[0-9a-f]{8})_items_v1")


@contextmanager
def trial(
    store: SpaceStore, config: SpaceConfig, split: Split, report: Report = no_report, *, blank: bool = False
) -> Iterator[SpaceStore]:
    """Create a trial space without the events that ``split`` hides, and fold the targets' users; delete it at the end.

    With ``blank``, items and texts get no dense vectors and users are not folded, because ``config`` names another model
    than the space. Raises :class:`InvalidInput` if the split has no target.
    """
    if not split.targets:
        raise InvalidInput(
            f"space {store.name!r} has no user who took two items it holds at different times, one of them before "
            "the held-out events: load items and more events, or hold out less"
        )
    running(store.client)
    copy = SpaceStore(store.client, Space(f"{store.name[:TRIAL_PREFIX]}-trial-{uuid.uuid4().hex[:8]}"))
    try:
        _create(copy, config)
        _fill(store if store.space.version else store.versions()[0], copy, config, split, report, blank=blank)
        if not blank:
            fold_users(copy, config, split.targets, report)
        yield copy
    finally:
        _delete(copy)


def _create(copy: SpaceStore, config: SpaceConfig) -> None:
    """Create the collections. Items come first and are deleted last, so that a trial space always has its heartbeat."""
    copy.run(spaces.build_collection("items", copy.space.versioned("items"), config, mark()))
    copy.run(creating.create(copy.space, config))


def _fill(
    source: SpaceStore, copy: SpaceStore, config: SpaceConfig, split: Split, report: Report, *, blank: bool
) -> None:
    for kind in ("items", "texts"):
        for done, total in copy_texts(source, copy, kind, config.size, blank=blank):
            beat(copy)
            report(f"copying {kind}", done, total)
    _copy_events(source, copy, report, lambda event: not split.hides(event))
    if blank:  # vectors are replaced after every epoch: an index is not worth building, and a partial one misleads
        never = models.OptimizersConfigDiff(indexing_threshold=0)
        copy.run(call("update_collection", collection_name=copy.items.collection, optimizers_config=never))
    collab.fit(copy, config)
    if split.in_time:  # after the fit: these events belong to histories only
        since = models.DatetimeRange(gte=datetime.fromtimestamp(split.cutoff, UTC))
        among = conditions.where(models.FieldCondition(key=Key.TS, range=since))
        _copy_events(source, copy, report, split.recent, among)


def _copy_events(
    source: SpaceStore, copy: SpaceStore, report: Report, wanted: EventTest, among: models.Filter | None = None
) -> None:
    for done, total in copy_events(source, copy, wanted, among):
        beat(copy)
        report("copying events", done, total)


def _delete(copy: SpaceStore) -> None:
    for kind in reversed(COLLECTION_KINDS):
        copy.run(calls.delete_collection(copy.space.versioned(kind)))


def discard(store: SpaceStore, name: str) -> None:
    """Delete a trial space that a killed worker left; "" is none."""
    if name and TRIAL_ITEMS.fullmatch(Space(name).versioned("items")):
        _delete(SpaceStore(store.client, Space(name)))


def running(client: QdrantClient) -> set[Space]:
    """Return the trial spaces in use; delete abandoned ones."""
    in_use: set[Space] = set()
    for name in run(client, calls.collection_names()):
        match = TRIAL_ITEMS.fullmatch(name)
        if match is None:
            continue
        try:
            beat_at = last_beat(client, name)  # another space may have such a name, but no heartbeat
            if beat_at and _abandoned(name, beat_at):
                _delete(SpaceStore(client, Space(match[1])))
            elif beat_at:
                in_use.add(Space(match[1]))
        except LlmrecError as error:  # one that cannot be looked after stops no other, and no sweep
            if isinstance(error, QdrantUnavailable):
                raise
            log.error("trial space %s cannot be deleted: %s", match[1], error)
            in_use.add(Space(match[1]))
    return in_use


def _abandoned(name: str, beat_at: str) -> bool:
    """Whether an owner is dead: its heartbeat is a day old, or an hour by its clock and unchanged for as long as this process looks."""
    silent = _heartbeats.seconds(name, beat_at) >= SILENT_SECONDS
    return beat_at < iso(present() - (ABANDONED_AFTER if silent else DEAD_AFTER))
