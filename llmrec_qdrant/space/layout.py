"""How a space is stored in Qdrant: names of collections, aliases, vectors, payload keys and metadata.

No other module spells out the name of a collection, a vector or a payload key.

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
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch, show
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
"""Version of the storage format; raised when older data can no longer be read."""

DENSE: Literal["dense"] = "dense"

TFIDF: Literal["tfidf"] = "tfidf"

COLLAB: Literal["collab"] = "collab"

INTERESTS = "interests"

CollectionKind = Literal["items", "users", "topics", "texts", "events", "jobs"]

COLLECTION_KINDS: tuple[CollectionKind, ...] = ("items", "users", "topics", "texts", "events", "jobs")
"""Every kind of collection of a space."""

PLAIN: frozenset[CollectionKind] = frozenset({"events", "jobs"})
"""Kinds of collections without versions."""


def _bookkeeping(name: str) -> str:
    return f"{BOOKKEEPING}.{name}"


class Key:
    """Keys of flat payloads: those that people read, and the paths of the bookkeeping."""

    # --- what people read -------------------------------------------------------------------------
    ITEM_ID = "item_id"
    USER_ID = "user_id"
    EVENT_ID = "event_id"
    TOPIC_ID = "topic_id"
    TENANT = "tenant"
    TITLE = "title"
    TEXT = "text"
    TOPICS = "topics"
    """Items: labels of the topics, for people and filters."""
    TOPIC_IDS = "topic_ids"
    """Items: ids of the topics, which stay the same when a label changes."""
    TERMS = "terms"
    """Items: most frequent words; users: strongest words."""
    POPULARITY = "popularity"
    INTERESTS = INTERESTS
    """Users: interests in readable form; the multivector of the same name has one row per interest."""
    RECENT = "recent"
    """Users: the latest ten events with the titles of their items, newest first."""
    STEER = "steer"
    """Users: topic → weight, as the user set it. It cannot be derived again, so workers never overwrite it."""
    N_EVENTS = "n_events"
    UPDATED_AT = "updated_at"
    TYPE = "type"
    VALUE = "value"
    TS = "ts"
    SESSION = "session"
    LABEL = "label"
    LABEL_BY = "label_by"
    """Topics: who chose the label; a label chosen by an admin is never replaced."""
    KEYWORDS = "keywords"
    SIZE = "size"
    THEME = "theme"
    """Topics: the group of topics that it belongs to."""
    EXAMPLES = "examples"

    # --- bookkeeping ------------------------------------------------------------------------------
    SRC_HASH = _bookkeeping("src_hash")
    """Digest of the source of the vectors; a worker writes only if it is unchanged."""
    REVISION = _bookkeeping("revision")
    """Users: changes with every new event; a worker writes only if it is unchanged."""
    STALE = _bookkeeping("stale")
    """True: the vectors are older than their source."""
    LEGS = _bookkeeping("legs")
    """Names of the vectors that the point has."""
    MODEL = _bookkeeping("model")
    """Encoder of the vectors; see :attr:`SpaceConfig.encoder_id`."""
    EMBEDDED_AT = _bookkeeping("embedded_at")
    COLLAB_SINCE = _bookkeeping("collab_since")
    """Items: time of the first event that the collab leg does not include."""
    FIT = _bookkeeping("topics_fit")
    """Items: the fit that assigned the topic; topics: the fit that wrote them. Outdated unless it is the last fit."""
    GENERATED = _bookkeeping("generated")
    """Items: field → value that a language model found in the item's own text; not generated any more if the field has another value."""
    CUT = _bookkeeping("cut")
    """Topics: the score below which an item is an outlier, with and without a dense vector."""
    FOLDING = _bookkeeping("folding")
    """Users: digest of the settings behind the vectors, and the topic fit behind the interests."""
    SEEN = _bookkeeping("seen")
    """Users: ids of seen items, latest first."""
    DISLIKED = _bookkeeping("disliked")
    """Users: ids of items that the user disliked, rated low or returned, latest first; no list has them."""
    LAST = _bookkeeping("last_taken")
    """Users: the item of the latest event with a positive weight."""
    EVIDENCE = _bookkeeping("made_of")
    """Users: the events behind the vectors with their weights, the norms of their sums, and word → index; see ``operations/evidence.py``."""
    WAITING = _bookkeeping("waiting")
    """Users: items of events that were missing from the catalogue, or not encoded, at the last refresh."""
    FOLDED = _bookkeeping("folded")
    """Events: whether the vectors of the user include the event."""
    SEARCHED_AT = _bookkeeping("searched_at")
    """Texts of searches: when the text was last searched for, within a day; written texts: when they were written."""
    LEASE = _bookkeeping("lease")
    """Until this time a worker holds the point, and reconcile does not enqueue it again."""
    ATTEMPTS = _bookkeeping("attempts")
    """Attempts since the last success; see workers/storage/attempts.py."""
    SET_ASIDE = _bookkeeping("set_aside")
    """True: the point failed too often, and waits for an edit or for `llmrec failures --retry`."""
    SET_ASIDE_WHY = _bookkeeping("set_aside_why")


WORK = (Key.LEASE, Key.ATTEMPTS, Key.SET_ASIDE, Key.SET_ASIDE_WHY)
"""Keys that record the progress of work on a point."""

ITEM_INTERNAL = (
    Key.ITEM_ID, Key.TENANT, Key.TITLE, Key.TEXT, Key.TOPICS, Key.TOPIC_IDS, Key.TERMS, Key.POPULARITY, BOOKKEEPING,
)  # fmt: skip
"""Top-level payload keys of an item that belong to the product."""


def own_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's own fields of a flat item payload."""
    return {
        key: value
        for key, value in payload.items()
        if key not in ITEM_INTERNAL and not key.startswith(f"{BOOKKEEPING}.")
    }


ITEM_HEAVY = (Key.TEXT, BOOKKEEPING)
"""Payload keys that a list of recommendations leaves out, since they are large and not shown."""


@dataclass(frozen=True)
class Space:
    """The collection names of a space: its aliases or, with a version, the collections of that version.

    >>> Space("movies").items, Space("movies").at(2).items, Space("movies").at(2).events
    ('movies_items', 'movies_items_v2', 'movies_events')
    """

    name: str
    version: int | None = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise InvalidInput(
                f"a space name has 1 to 64 letters a-z or A-Z, digits, '_' or '-' and begins with a letter or digit, not {show(name)}"
            )

    def at(self, version: int | None) -> Space:
        """Return the same space at one version; None: the aliases."""
        return replace(self, version=version)

    def collection(self, kind: CollectionKind) -> str:
        """Return the alias, or with a version its collection; events and jobs have no versions."""
        return self.alias(kind) if self.version is None else self.versioned(kind, self.version)

    def alias(self, kind: CollectionKind) -> str:
        """Return the name that readers use."""
        return f"{self.name}_{kind}"

    @classmethod
    def of_alias(cls, alias: str) -> Space | None:
        """Return the space whose items an alias points to; None for any other alias."""
        name, separator, rest = alias.rpartition("_items")
        return cls(name) if separator and not rest and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name) else None

    def versioned(self, kind: CollectionKind, version: int = 1) -> str:
        """Return the collection of a version; events and jobs have no versions."""
        return self.alias(kind) if kind in PLAIN else f"{self.alias(kind)}_v{version}"

    @property
    def items(self) -> str:
        """Collection of the items, with three legs."""
        return self.collection("items")

    @property
    def users(self) -> str:
        """Collection of the users, with three legs and the interests."""
        return self.collection("users")

    @property
    def texts(self) -> str:
        """Collection of the free texts: searches, reviews, queries."""
        return self.collection("texts")

    @property
    def topics(self) -> str:
        """Collection of the topics."""
        return self.collection("topics")

    @property
    def events(self) -> str:
        """Collection of the events, the source of all users."""
        return self.alias("events")

    @property
    def jobs(self) -> str:
        """Collection of the jobs."""
        return self.alias("jobs")


# --- metadata of the items collection --------------------------------------------------------------

COLLAB_FIT = "collab_fit"
"""Events and settings that the collab leg was last fitted on."""

TOPICS_FIT = "topics_fit"
"""Progress of the last topic fit; see workers/topics/record.py."""

TOPICS_EDITED = "topics_edited"
"""Time when a topic was last renamed."""

BOILERPLATE = "boilerplate"
"""Passages that are left out of items' texts; see workers/items/boilerplate.py."""

WORDS = "words"
"""The rules by which the words of a version were read; see workers/items/wording.py."""

TRIAL = "trial"
"""Heartbeat of the measurement that this space was created for; see workers/evaluation."""

EARLIER = "earlier"
"""Settings that determined the vectors of earlier versions; see operations/spaces.py."""

MIGRATION = "migration"
"""Which job fills this version, and whether it is ready; see operations/reembed.py."""


HIGHEST_VERSION = "highest_version"
"""Highest number that a version of the space ever had."""

MOVE = "move"
"""In the metadata of the events collection: the push or pull that fills this space; see operations/moving/target.py."""


def metadata(config: SpaceConfig) -> dict[str, Any]:
    """Return the metadata that the items collection stores: format and configuration of its space."""
    return {"llmrec": {"format": FORMAT, "config": config.model_dump(mode="json")}}


def read_metadata(space: Space, stored: dict[str, Any] | None) -> SpaceConfig:
    """Read the configuration from the metadata of the items collection.

    Raises :class:`SpaceMismatch` for a collection that llmrec did not create, or one of another format.
    """
    ours = (stored or {}).get("llmrec")
    if not isinstance(ours, dict):
        raise SpaceMismatch(
            f"the collection {space.items!r} exists but was not created by llmrec: choose another space name, or delete it"
        )
    if ours.get("format") != FORMAT:
        raise SpaceMismatch(
            f"space {space.name!r} has format {ours.get('format')!r}, this version of llmrec reads format {FORMAT}: "
            "load its items and events again into a space of another name (`llmrec init`, `llmrec load`), or install the version of "
            "llmrec that wrote it"
        )
    try:
        return SpaceConfig.parse(ours["config"])
    except (KeyError, InvalidInput) as error:
        raise SpaceMismatch(
            f"the stored configuration of space {space.name!r} cannot be read: {error}; install the version of llmrec that "
            "wrote it, or create a space of another name"
        ) from None


WORKERS_OWN = frozenset({
    Key.TOPICS, Key.TOPIC_IDS, Key.FIT, Key.GENERATED, Key.TERMS, Key.POPULARITY, Key.COLLAB_SINCE, Key.STALE, Key.MODEL, Key.LEGS,
    Key.EMBEDDED_AT, *WORK,
})  # fmt: skip
"""Keys that workers write and writes of the caller leave alone."""

FRESH: dict[str, Any] = {Key.STALE: True, Key.ATTEMPTS: 0, Key.LEASE: None, Key.SET_ASIDE: False}
"""Bookkeeping of a point with a new source: no work has been done on it."""

_NEW_ITEM: dict[str, Any] = {Key.TOPICS: [], Key.TOPIC_IDS: [], Key.TERMS: [], Key.POPULARITY: 0.0}
_NEW_TEXT: dict[str, Any] = {Key.TERMS: []}
_NEW_USER: dict[str, Any] = {
    Key.INTERESTS: [], Key.RECENT: [], Key.TERMS: [], Key.STEER: {}, Key.N_EVENTS: 0, Key.UPDATED_AT: None,
}  # fmt: skip


def new_item(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first payload of an item; ``source`` holds the keys that a write owns."""
    return _first_payload(source, _NEW_ITEM)


def new_text(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first payload of a free text; ``source`` holds the keys that a write owns."""
    return _first_payload(source, _NEW_TEXT)


def new_user(user: str, tenant: str, revision: str) -> dict[str, Any]:
    """Return the first payload of a user."""
    source = {Key.USER_ID: user, Key.TENANT: tenant, Key.REVISION: revision}
    return {**_first_payload(source, _NEW_USER), Key.SEEN: [], Key.DISLIKED: []}


def _first_payload(source: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, Any]:
    """Return all keys in the order people read them; Qdrant keeps the order of the first write.

    Keys that a write owns come first, then those that workers derive, the tenant, and the bookkeeping.
    """
    last = {Key.TENANT: source.get(Key.TENANT, "")}
    first = {key: value for key, value in source.items() if key not in last}
    return {**first, **derived, **last, **FRESH, Key.LEGS: []}
