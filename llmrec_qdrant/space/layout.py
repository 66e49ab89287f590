"""How a space lies in Qdrant: collections, aliases, vectors, payload keys and their indexes.

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

from qdrant_client import models

from llmrec_qdrant.contracts.config import FieldKind, SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from llmrec_qdrant.space.job_record import JOB_INDEXES

__all__ = [
    "COLLAB",
    "DENSE",
    "INTERESTS",
    "KINDS",
    "PLAIN",
    "TFIDF",
    "CollectionKind",
    "Key",
    "Space",
    "collection_spec",
    "indexes",
    "metadata",
    "read_metadata",
]


FORMAT = 1
"""Raised when stored data of older code can no longer be read as it is."""


DENSE: Literal["dense"] = "dense"


TFIDF: Literal["tfidf"] = "tfidf"


COLLAB: Literal["collab"] = "collab"


INTERESTS = "interests"


CollectionKind = Literal["items", "users", "topics", "texts", "events", "jobs"]


KINDS: tuple[CollectionKind, ...] = ("items", "users", "topics", "texts", "events", "jobs")


PLAIN: frozenset[CollectionKind] = frozenset({"events", "jobs"})
"""Kinds without versions."""


class Key:
    """Payload keys."""

    ITEM_ID = "item_id"
    USER_ID = "user_id"
    EVENT_ID = "event_id"
    TENANT = "tenant"
    TITLE = "title"
    TEXT = "text"
    TOPICS = "topics"
    """Of an item: labels of its topics, for people and filters."""
    TOPIC_IDS = "topic_ids"
    """Of an item: ids of its topics, which outlive a change of label."""
    FIT = "topics_fit"
    """Of an item: the fit its topic is of; of a topic: the fit that wrote it. What differs from the last fit is outdated."""
    TOPIC_ID = "topic_id"
    KEYWORDS = "keywords"
    SIZE = "size"
    EXAMPLES = "examples"
    LABEL_BY = "label_by"
    """Of a topic: who named it; a name by an admin is never replaced."""
    CUT = "cut"
    """Of a topic: the score below which an item is an outlier, with and without a dense vector."""
    INTERESTS = INTERESTS
    """Of a user: interests in words; the vector of the same name holds one row for each."""
    RECENT = "recent"
    """Of a user: the last ten events with the titles of their items, newest first."""
    STEER = "steer"
    """Of a user: topic → weight, set by the user. Not derived from anything: workers keep it."""
    TERMS = "terms"
    """Readable words: of an item by frequency, of a user by interest."""
    POPULARITY = "popularity"
    COLLAB_SINCE = "collab_since"
    """Of an item: since when there are events that its collab leg does not know."""
    SRC_HASH = "src_hash"
    """Digest of what a vector was made from; guards every write of a worker."""
    STALE = "stale"
    """True: the vectors lag their source."""
    MODEL = "model"
    LEGS = "legs"
    """Names of the vectors the point has."""
    EMBEDDED_AT = "embedded_at"
    UPDATED_AT = "updated_at"
    REVISION = "revision"
    """Of a user: changes with every new event; guards every write of a worker."""
    WAITING = "waiting"
    """Of a user: items of events that were not in the catalogue, or not encoded, at the last refresh."""
    FOLDING = "folding"
    """Of a user: digest of the settings its vectors were made with, and the fit of topics its interests are of."""
    SEEN = "seen"
    LAST = "last_taken"
    """Of a user: the item of the latest event that counts for its item."""
    N_EVENTS = "n_events"
    TYPE = "type"
    VALUE = "value"
    TS = "ts"
    SESSION = "session"
    FOLDED = "folded"
    """Of an event: its user's vectors know it."""
    LABEL = "label"
    LEASE = "lease"
    """Until then somebody is on it: reconcile does not enqueue it again."""
    ATTEMPTS = "attempts"
    """Tries since the last success; see workers/storage/attempts.py."""
    SET_ASIDE = "set_aside"
    """True: it failed too often, and waits for an edit or for `llmrec retry`."""
    SET_ASIDE_WHY = "set_aside_why"


WORK = (Key.LEASE, Key.ATTEMPTS, Key.SET_ASIDE, Key.SET_ASIDE_WHY)
"""Keys that record the progress of work on a point."""


ITEM_INTERNAL = (
    Key.ITEM_ID, Key.TENANT, Key.TITLE, Key.TEXT, Key.TOPICS, Key.TOPIC_IDS, Key.FIT, Key.TERMS, Key.POPULARITY, Key.SRC_HASH,
    Key.STALE, Key.MODEL, Key.LEGS, Key.EMBEDDED_AT, Key.COLLAB_SINCE, *WORK,
)  # fmt: skip


ITEM_HEAVY = (Key.TEXT, Key.FIT, Key.SRC_HASH, Key.STALE, Key.MODEL, Key.LEGS, Key.EMBEDDED_AT, Key.COLLAB_SINCE, *WORK)
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


def _dense(config: SpaceConfig) -> models.VectorParams:
    return models.VectorParams(size=config.size, distance=models.Distance.COSINE)


def _interests(config: SpaceConfig) -> models.VectorParams:
    return models.VectorParams(
        size=config.size,
        distance=models.Distance.COSINE,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        hnsw_config=models.HnswConfigDiff(m=0),  # read by id, never searched: no graph
    )


def collection_spec(kind: CollectionKind, config: SpaceConfig) -> dict[str, Any]:
    """Arguments of ``create_collection`` for one kind.

    ``tfidf`` of items carries Qdrant's IDF modifier: stored values are term frequencies and the
    server multiplies each *query* value by the live inverse document frequency, so IDF is never stale.
    """
    dense = {DENSE: _dense(config)}
    sparse = {
        TFIDF: models.SparseVectorParams(modifier=models.Modifier.IDF),
        COLLAB: models.SparseVectorParams(),
    }
    match kind:
        case "items":
            return {"vectors_config": dense, "sparse_vectors_config": sparse}
        case "users":
            return {"vectors_config": {**dense, INTERESTS: _interests(config)}, "sparse_vectors_config": sparse}
        case "texts":
            return {"vectors_config": dense, "sparse_vectors_config": {TFIDF: sparse[TFIDF]}}
        case "topics":
            return {"vectors_config": dense, "sparse_vectors_config": {TFIDF: sparse[TFIDF]}}
        case "events" | "jobs":
            return {"vectors_config": {}}


_BUILT_IN: dict[CollectionKind, dict[str, FieldKind]] = {
    "items": {
        Key.ITEM_ID: "keyword", Key.SRC_HASH: "keyword", Key.STALE: "bool", Key.TOPICS: "keyword",
        Key.TOPIC_IDS: "keyword", Key.FIT: "keyword",
        Key.TERMS: "keyword", Key.LEGS: "keyword", Key.POPULARITY: "float", Key.COLLAB_SINCE: "datetime",
    },
    "users": {
        Key.USER_ID: "keyword", Key.STALE: "bool", Key.REVISION: "keyword", Key.WAITING: "keyword",
        Key.UPDATED_AT: "datetime", Key.FOLDING: "keyword",
    },
    "texts": {Key.USER_ID: "keyword", Key.SRC_HASH: "keyword", Key.STALE: "bool"},
    "topics": {Key.LABEL: "keyword", Key.TOPIC_ID: "keyword"},
    "events": {
        Key.USER_ID: "keyword", Key.ITEM_ID: "keyword", Key.TYPE: "keyword", Key.TS: "datetime", Key.FOLDED: "bool",
        Key.SRC_HASH: "keyword",
    },
    "jobs": {},
}  # fmt: skip


def indexes(kind: CollectionKind, config: SpaceConfig) -> dict[str, Any]:
    """Payload key → index schema; to be created before any data."""
    if kind == "jobs":
        return dict(JOB_INDEXES)
    own: dict[str, Any] = dict(_BUILT_IN[kind])
    tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    work: dict[str, Any] = {Key.LEASE: "datetime", Key.SET_ASIDE: "bool"} if Key.STALE in own else {}
    return {Key.TENANT: tenant, **own, **work, **(config.fields if kind == "items" else {})}


def filterable(config: SpaceConfig) -> frozenset[str]:
    """Payload keys of items on which a filter is fast."""
    return frozenset(indexes("items", config))


COLLAB_FIT = "collab_fit"
"""Metadata of the items collection: what the collab leg was fitted on."""


TOPICS_FIT = "topics_fit"
"""Metadata of the items collection: how far the last fit of topics is; see workers/topics/record.py."""


TOPICS_EDITED = "topics_edited"
"""Metadata of the items collection: when somebody last gave a topic a label."""


TRIAL = "trial"
"""Metadata of the items collection: last sign of life of who measures in this space; see workers/trial.py."""


MIGRATION = "migration"
"""Metadata of the items collection of a version: which job fills it, and whether it is ready; see operations/reembed.py."""


def metadata(config: SpaceConfig) -> dict[str, Any]:
    """What the items collection records about its space, readable in the Web UI."""
    return {"llmrec": {"format": FORMAT, "config": config.model_dump(mode="json")}}


def read_metadata(space: Space, stored: dict[str, Any] | None) -> SpaceConfig:
    """The configuration out of collection metadata; refuses what this code cannot read."""
    ours = (stored or {}).get("llmrec")
    if not isinstance(ours, dict):
        raise SpaceMismatch(
            f"the collection {space.items!r} exists but was not made by llmrec: choose another space name, or delete it"
        )
    if ours.get("format") != FORMAT:
        raise SpaceMismatch(
            f"space {space.name!r} has format {ours.get('format')!r}, this version of llmrec reads format {FORMAT}: "
            "install the version that made it, or load the space anew under another name"
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
"""What a new source says of the work on it: all of it is still to do."""


_NEW_ITEM: dict[str, Any] = {Key.TOPICS: [], Key.TOPIC_IDS: [], Key.TERMS: [], Key.POPULARITY: 0.0}
_NEW_USER: dict[str, Any] = {
    Key.INTERESTS: [], Key.RECENT: [], Key.TERMS: [], Key.STEER: {}, Key.N_EVENTS: 0, Key.UPDATED_AT: None,
}  # fmt: skip


def new_item(source: Mapping[str, Any]) -> dict[str, Any]:
    """The first payload of an item, from what a write owns.

    All keys are there from the beginning, in the order people read them: Qdrant keeps the order of the first write.
    """
    last = {Key.TENANT: source.get(Key.TENANT, "")}
    first = {key: value for key, value in source.items() if key not in last}
    return {**first, **_NEW_ITEM, **last, **FRESH, Key.LEGS: []}


def new_user(user: str, tenant: str, revision: str) -> dict[str, Any]:
    """The first payload of a user, in the order people read it."""
    return {
        Key.USER_ID: user, Key.TENANT: tenant, **_NEW_USER, **FRESH, Key.REVISION: revision, Key.LEGS: [], Key.SEEN: [],
    }  # fmt: skip
