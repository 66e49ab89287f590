"""How a space is stored in Qdrant: names of collections, aliases, vectors, payload keys and metadata.

Nobody outside this module spells the name of a collection, a vector or a payload key.

====================  =========  ==========================================================
collection            versioned  holds
====================  =========  ==========================================================
``{space}_items``     alias      one point per item, three legs
``{space}_users``     alias      one point per user, three legs and the interests
``{space}_topics``    alias      one point per topic
``{space}_texts``     alias      one point per free text (search, review, query), two legs
``{space}_events``    no         one point per event, payload only: the source of all users
``{space}_jobs``      no         one point per job, payload only; see ``space/job_record.py``
====================  =========  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from llmrec_qdrant.space.points import BOOKKEEPING

__all__ = [
    "COLLAB",
    "COLLECTION_KINDS",
    "DENSE",
    "INTERESTS",
    "PLAIN",
    "TFIDF",
    "CollectionKind",
    "Key",
    "Space",
    "metadata",
    "read_metadata",
]

FORMAT = 2
"""Format of the stored data; rises when older data can no longer be read."""

DENSE: Literal["dense"] = "dense"

TFIDF: Literal["tfidf"] = "tfidf"

COLLAB: Literal["collab"] = "collab"

INTERESTS = "interests"

CollectionKind = Literal["items", "users", "topics", "texts", "events", "jobs"]

COLLECTION_KINDS: tuple[CollectionKind, ...] = ("items", "users", "topics", "texts", "events", "jobs")

PLAIN: frozenset[CollectionKind] = frozenset({"events", "jobs"})
"""Kinds without versions."""


def _bookkeeping(name: str) -> str:
    return f"{BOOKKEEPING}.{name}"


class Key:
    """Keys of a flat payload: what people read, and the paths of the bookkeeping."""

    # --- what people read -------------------------------------------------------------------------
    ITEM_ID = "item_id"
    USER_ID = "user_id"
    EVENT_ID = "event_id"
    TOPIC_ID = "topic_id"
    TENANT = "tenant"
    TITLE = "title"
    TEXT = "text"
    TOPICS = "topics"
    """Of an item: labels of its topics, for people and filters."""
    TOPIC_IDS = "topic_ids"
    """Of an item: ids of its topics, which outlive a change of label."""
    TERMS = "terms"
    """Words: of an item by frequency, of a user by interest."""
    POPULARITY = "popularity"
    INTERESTS = INTERESTS
    """Of a user: interests in words; the vector of the same name holds one row for each."""
    RECENT = "recent"
    """Of a user: the last ten events with the titles of their items, newest first."""
    STEER = "steer"
    """Of a user: topic → weight, set by the user. Not derived from anything: workers keep it."""
    N_EVENTS = "n_events"
    UPDATED_AT = "updated_at"
    TYPE = "type"
    VALUE = "value"
    TS = "ts"
    SESSION = "session"
    LABEL = "label"
    LABEL_BY = "label_by"
    """Of a topic: who named it; a label by an admin is never replaced."""
    KEYWORDS = "keywords"
    SIZE = "size"
    EXAMPLES = "examples"

    # --- bookkeeping ------------------------------------------------------------------------------
    SRC_HASH = _bookkeeping("src_hash")
    """Digest of the source of the vectors; guards every write of a worker."""
    REVISION = _bookkeeping("revision")
    """Of a user: changes with every new event; guards every write of a worker."""
    STALE = _bookkeeping("stale")
    """True: the vectors lag their source."""
    LEGS = _bookkeeping("legs")
    """Names of the vectors that the point has."""
    MODEL = _bookkeeping("model")
    """What made the vectors; see :attr:`SpaceConfig.encoder_id`."""
    EMBEDDED_AT = _bookkeeping("embedded_at")
    COLLAB_SINCE = _bookkeeping("collab_since")
    """Of an item: time of the first event that its collab leg does not include."""
    FIT = _bookkeeping("topics_fit")
    """Of an item: the fit that its topic belongs to; of a topic: the fit that wrote it. Outdated if it is not the last fit."""
    CUT = _bookkeeping("cut")
    """Of a topic: the score below which an item is an outlier, with and without a dense vector."""
    FOLDING = _bookkeeping("folding")
    """Of a user: digest of the settings that made its vectors, and the fit of topics that its interests belong to."""
    SEEN = _bookkeeping("seen")
    """Of a user: ids of items, latest first."""
    LAST = _bookkeeping("last_taken")
    """Of a user: the item of the latest event that counts for its item."""
    WAITING = _bookkeeping("waiting")
    """Of a user: items of events that were not in the catalogue, or not encoded, at the last refresh."""
    FOLDED = _bookkeeping("folded")
    """Of an event: the vectors of its user include it."""
    LEASE = _bookkeeping("lease")
    """Until this time a worker has the point, and reconcile does not enqueue it again."""
    ATTEMPTS = _bookkeeping("attempts")
    """Tries since the last success; see workers/storage/attempts.py."""
    SET_ASIDE = _bookkeeping("set_aside")
    """True: the point failed too often, and waits for an edit or for `llmrec retry`."""
    SET_ASIDE_WHY = _bookkeeping("set_aside_why")


WORK = (Key.LEASE, Key.ATTEMPTS, Key.SET_ASIDE, Key.SET_ASIDE_WHY)
"""Keys that record the progress of work on a point."""

ITEM_INTERNAL = (
    Key.ITEM_ID, Key.TENANT, Key.TITLE, Key.TEXT, Key.TOPICS, Key.TOPIC_IDS, Key.TERMS, Key.POPULARITY, BOOKKEEPING,
)  # fmt: skip
"""Top-level payload keys of an item that belong to the product."""


def own_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The user's own fields of a flat item payload."""
    return {
        key: value
        for key, value in payload.items()
        if key not in ITEM_INTERNAL and not key.startswith(f"{BOOKKEEPING}.")
    }


ITEM_HEAVY = (Key.TEXT, BOOKKEEPING)
"""What a list of recommendations does not need to carry."""


@dataclass(frozen=True)
class Space:
    """Names of one space: of its aliases, or, with a version, of that version's collections.

    >>> Space("movies").items, Space("movies").at(2).items, Space("movies").at(2).events
    ('movies_items', 'movies_items_v2', 'movies_events')
    """

    name: str
    version: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            raise InvalidInput(
                f"a space name has 1 to 64 letters, digits, '_' or '-' and begins with a letter or digit, not {self.name[:80]!r}"
            )

    def at(self, version: int | None) -> Space:
        """The same space, one version of it."""
        return replace(self, version=version)

    def collection(self, kind: CollectionKind) -> str:
        """The alias, or the collection of the version; events are never versioned."""
        return self.alias(kind) if self.version is None else self.versioned(kind, self.version)

    def alias(self, kind: CollectionKind) -> str:
        """The name that readers use."""
        return f"{self.name}_{kind}"

    @classmethod
    def of_alias(cls, alias: str) -> Space | None:
        """The space whose items an alias names; None if it names something else."""
        name, found, rest = alias.rpartition("_items")
        return cls(name) if found and not rest and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name) else None

    def versioned(self, kind: CollectionKind, version: int = 1) -> str:
        """The collection of a version; events are never versioned."""
        return self.alias(kind) if kind in PLAIN else f"{self.alias(kind)}_v{version}"

    @property
    def items(self) -> str:
        """Items, three legs."""
        return self.collection("items")

    @property
    def users(self) -> str:
        """Users, three legs and the interests."""
        return self.collection("users")

    @property
    def texts(self) -> str:
        """Free texts: searches, reviews, queries."""
        return self.collection("texts")

    @property
    def topics(self) -> str:
        """Topics."""
        return self.collection("topics")

    @property
    def events(self) -> str:
        """Events: the source of all users."""
        return self.alias("events")

    @property
    def jobs(self) -> str:
        """Jobs."""
        return self.alias("jobs")


# --- metadata of the items collection --------------------------------------------------------------

COLLAB_FIT = "collab_fit"
"""What the collab leg was fitted on."""

TOPICS_FIT = "topics_fit"
"""Progress of the last fit of topics; see workers/topics/record.py."""

TOPICS_EDITED = "topics_edited"
"""Time of the last change of a topic's label."""

TRIAL = "trial"
"""Heartbeat of a measurement in this space; see workers/evaluation."""

MIGRATION = "migration"
"""Which job fills this version, and whether it is ready; see operations/reembed.py."""


def metadata(config: SpaceConfig) -> dict[str, Any]:
    """What the metadata of the items collection records of its space."""
    return {"llmrec": {"format": FORMAT, "config": config.model_dump(mode="json")}}


def read_metadata(space: Space, stored: dict[str, Any] | None) -> SpaceConfig:
    """The configuration stored in the metadata of the items collection.

    Raises :class:`SpaceMismatch` for a collection that is not ours, or of another format.
    """
    ours = (stored or {}).get("llmrec")
    if not isinstance(ours, dict):
        raise SpaceMismatch(
            f"the collection {space.items!r} exists but was not created by llmrec: choose another space name, or delete it"
        )
    if ours.get("format") != FORMAT:
        raise SpaceMismatch(
            f"space {space.name!r} has format {ours.get('format')!r}, this version of llmrec reads format {FORMAT}: "
            "load its items and events anew into a space of another name (`llmrec init`, `llmrec load`), or install the version of llmrec that wrote it"
        )
    try:
        return SpaceConfig.parse(ours["config"])
    except (KeyError, InvalidInput) as error:
        raise SpaceMismatch(f"the stored configuration of space {space.name!r} cannot be read: {error}") from None


WORKERS_OWN = frozenset(
    {
        Key.TOPICS,
        Key.TOPIC_IDS,
        Key.FIT,
        Key.TERMS,
        Key.POPULARITY,
        Key.COLLAB_SINCE,
        Key.STALE,
        Key.MODEL,
        Key.LEGS,
        Key.EMBEDDED_AT,
        *WORK,
    }
)

FRESH: dict[str, Any] = {Key.STALE: True, Key.ATTEMPTS: 0, Key.LEASE: None, Key.SET_ASIDE: False}
"""The bookkeeping of a point with a new source: all work on it is still to do."""

_NEW_ITEM: dict[str, Any] = {Key.TOPICS: [], Key.TOPIC_IDS: [], Key.TERMS: [], Key.POPULARITY: 0.0}
_NEW_TEXT: dict[str, Any] = {Key.TERMS: []}
_NEW_USER: dict[str, Any] = {
    Key.INTERESTS: [], Key.RECENT: [], Key.TERMS: [], Key.STEER: {}, Key.N_EVENTS: 0, Key.UPDATED_AT: None,
}  # fmt: skip


def new_item(source: Mapping[str, Any]) -> dict[str, Any]:
    """The first payload of an item, from what a write owns."""
    return _first_payload(source, _NEW_ITEM)


def new_text(source: Mapping[str, Any]) -> dict[str, Any]:
    """The first payload of a free text, from what a write owns."""
    return _first_payload(source, _NEW_TEXT)


def new_user(user: str, tenant: str, revision: str) -> dict[str, Any]:
    """The first payload of a user."""
    source = {Key.USER_ID: user, Key.TENANT: tenant, Key.REVISION: revision}
    return {**_first_payload(source, _NEW_USER), Key.SEEN: []}


def _first_payload(source: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, Any]:
    """All keys in the order people read them; Qdrant keeps the order of the first write.

    First what a write owns, then what workers derive from it, the tenant, and the bookkeeping.
    """
    last = {Key.TENANT: source.get(Key.TENANT, "")}
    first = {key: value for key, value in source.items() if key not in last}
    return {**first, **derived, **last, **FRESH, Key.LEGS: []}
