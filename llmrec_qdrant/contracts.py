"""The data that crosses a boundary: items, events, results, configuration and job messages.

All are frozen pydantic models. :func:`write_schemas` (``make schemas``) writes their JSON Schemas.
Sizes are capped here and nowhere else, so bad input is refused before it costs anything.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from llmrec_qdrant.errors import InvalidInput

__all__ = [
    "LEGS",
    "EmbedItems",
    "EmbedTexts",
    "Event",
    "Failure",
    "FieldKind",
    "FitCollab",
    "FitTopics",
    "Hide",
    "Interest",
    "Item",
    "Leg",
    "Message",
    "Method",
    "Migrate",
    "Migration",
    "Receipt",
    "Recommendation",
    "Reconcile",
    "RefreshUsers",
    "Rejected",
    "Shelf",
    "SimilarUser",
    "SpaceConfig",
    "SpaceStatus",
    "Topic",
    "Train",
    "TrainingJob",
]

Leg = Literal["dense", "tfidf", "collab"]
LEGS: tuple[Leg, ...] = get_args(Leg)
Seen = bool | Literal["but_last"]
"""Whether a list leaves out what its user had: True, False, or all but what they had last."""

MAX_ID = 256
"""Characters in an external id."""
MAX_TEXT = 1_000_000
"""Characters in one text field; workers read only the first few thousand."""
MAX_PAYLOAD = 64_000
"""Bytes of an item's own payload, as JSON."""
MAX_DEPTH = 60
"""Levels of an item's own payload."""
MAX_SKEW = timedelta(days=1)
"""How far in the future an event may lie (clocks differ, time zones get mixed up)."""
MAX_BATCH = 1_000
"""Point ids in one job message."""

RESERVED = frozenset(
    {
        "item_id", "tenant", "title", "text", "topics", "topic_ids", "topics_fit", "popularity", "src_hash", "stale", "model",
        "terms", "legs", "collab_since", "embedded_at", "lease", "attempts", "set_aside", "set_aside_why",
    }
)  # fmt: skip
"""Payload keys of an item that belong to the product."""


def describe(error: ValidationError, values: bool = True) -> str:
    """One sentence out of a pydantic error: each field, what is wrong with it, and (if not secret) the value.

    >>> try: SpaceConfig(size=0)
    ... except InvalidInput as refused: print(refused)
    SpaceConfig: 'size': input should be greater than or equal to 1 (got 0)
    """
    parts = []
    for one in error.errors():
        path = ".".join(str(part) for part in one["loc"]) or "input"
        field = path if len(path) <= 80 else path[:77] + "..."
        message = re.sub(r"^(Value error|Assertion failed), ", "", one["msg"])
        shown = show(one["input"])
        got = "" if not values or one["type"] in {"missing", "value_error"} else f" (got {shown})"
        parts.append(f"{field!r}: {message[0].lower()}{message[1:]}{got}")
    return f"{error.title}: {'; '.join(parts)}"


def show(value: object) -> str:
    """The beginning of a value, also of one that is too deep or too large to be written out."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


class Contract(BaseModel):
    """A frozen model whose refusals arrive as :class:`InvalidInput`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise InvalidInput(describe(error)) from None

    @classmethod
    def parse(cls, data: object) -> Self:
        """A model from a mapping or from an instance of it.

        Raises :class:`InvalidInput` naming the field at fault.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            raise InvalidInput(f"{cls.__name__}: expected an object with named fields, not {str(data)[:60]!r}")
        return cls(**data)


def _external_id(value: object) -> object:
    """Integers become text; text must be short, printable and without surrounding space."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**MAX_ID:
            raise ValueError(f"an id may have {MAX_ID} characters, this number has more digits")
        return str(value)
    if not isinstance(value, str):
        return value
    if not value or value != value.strip():
        raise ValueError(f"an id must not be empty or begin or end with white space, not {value[:40]!r}")
    if len(value) > MAX_ID:
        raise ValueError(f"an id may have {MAX_ID} characters, this one has {len(value):,}")
    bad = next((c for c in value if unicodedata.category(c) in {"Cc", "Cs"}), None)
    if bad is not None:
        raise ValueError(f"an id must not hold control characters, found {bad!r} in {value[:40]!r}")
    return value


def external_id(value: object) -> str:
    """An id as items and users have it, from what a caller gave.

    Raises :class:`InvalidInput`.
    """
    try:
        checked = _external_id(value)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if not isinstance(checked, str):
        raise InvalidInput(f"an id is a text or a whole number, not {show(value)}")
    return checked


def _check_json(value: object, depth: int = 0) -> None:
    """Refuse what Qdrant would refuse together with the whole batch."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a payload may be nested {MAX_DEPTH} levels deep")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise ValueError(f"whole numbers have up to 64 bits, not {show(value)}: send it as text")
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_json(part, depth + 1)


def _text(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(
            f"a text may have {MAX_TEXT:,} characters, this one has {len(value):,}: send its beginning or a summary"
        )
    if isinstance(value, str):  # half a surrogate pair can be neither stored nor encoded
        return value.encode("utf-8", "replace").decode("utf-8")
    return "" if value is None else value


ExternalId = Annotated[
    str,
    BeforeValidator(_external_id, json_schema_input_type=str | int),
    Field(min_length=1, max_length=MAX_ID),
]
Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | None), Field(max_length=MAX_TEXT)]


class Item(Contract):
    """Something to recommend.

    >>> Item(id="tt0816692", title="Interstellar", payload={"year": 2014}).source
    'Interstellar'
    """

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            id: str | int,
            title: str = "",
            text: str = "",
            payload: Mapping[str, Any] = ...,
            tenant: str | int | None = None,
        ) -> None: ...

    id: ExternalId = Field(description="Your own id of the item.")
    title: Text = Field(default="", description="What a person calls the item.")
    text: Text = Field(default="", description="What the item is about; title and text are encoded together.")
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="Your own fields, for filters and display.")
    tenant: ExternalId | None = Field(default=None, description="Owner of the item, where one space serves several.")

    @field_validator("payload")
    @classmethod
    def _payload_is_ours_to_store(cls, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(RESERVED & payload.keys()):
            raise ValueError(f"the names {taken} are the product's own: rename these fields")
        if odd := [name for name in payload if not name.strip() or '"' in name or re.search(r"[\x00-\x1f]", name)]:
            raise ValueError(f"{show(odd[0])} is no name of a field: use letters, digits, '_' or '-'")
        _check_json(payload)
        try:
            size = len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8"))
        except UnicodeEncodeError:
            raise ValueError("a text holds half a surrogate pair, which UTF-8 cannot carry") from None
        except ValueError:
            raise ValueError("numbers must be finite: JSON knows neither NaN nor infinity") from None
        if size > MAX_PAYLOAD:
            raise ValueError(f"a payload may have {MAX_PAYLOAD:,} bytes as JSON, this one has {size:,}")
        return payload

    @property
    def source(self) -> str:
        """The text that is encoded."""
        return "\n".join(part for part in (self.title.strip(), self.text.strip()) if part)


def _now() -> datetime:
    return datetime.now(UTC)


class Event(Contract):
    """One behaviour of one user, about an item, a text, or both.

    An event without an id gets one derived from its content: storing it twice changes nothing.

    >>> a = Event(user="alice", type="search", text="time travel", ts=1700000000)
    >>> a.event_id == Event(user="alice", type="search", text="time travel", ts="2023-11-14T22:13:20Z").event_id
    True
    """

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            user: str | int,
            type: str,
            item: str | int | None = None,
            text: str = "",
            value: float | None = None,
            ts: datetime | float | str = ...,
            session: str | int | None = None,
            id: str | int | None = None,
        ) -> None: ...

    user: ExternalId = Field(description="Your own id of the user.")
    type: str = Field(description="view, like, dislike, purchase, rating, review, search, or a word of your own.")
    item: ExternalId | None = Field(default=None, description="The item's id; it may arrive later than the event.")
    text: Text = Field(default="", description="What the user wrote: a search, a review, a wish.")
    value: float | None = Field(default=None, description="A rating, on the space's rating scale.", allow_inf_nan=False)
    ts: datetime = Field(default_factory=_now, description="When: Unix seconds or ISO 8601; without a zone it is UTC.")
    session: ExternalId | None = Field(default=None, description="Your own id of the visit.")
    id: ExternalId | None = Field(default=None, description="Your own id of the event.")

    @field_validator("type")
    @classmethod
    def _type_is_a_word(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", value):
            raise ValueError(f"an event type is a short lower-case word such as 'view', not {value[:40]!r}")
        return value

    @field_validator("ts", mode="before", json_schema_input_type=datetime | Annotated[float, Field(ge=0, lt=1e11)])
    @classmethod
    def _unix_seconds(cls, value: object) -> object:
        if isinstance(value, str) and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not 0 <= value < 1e11:
                raise ValueError(f"a number means Unix seconds, and {show(value)} is out of range: milliseconds?")
            return datetime.fromtimestamp(value, UTC)
        return value

    @field_validator("ts")
    @classmethod
    def _not_in_the_future(cls, value: datetime) -> datetime:
        try:
            value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} lies outside the years 1 to 9999 of UTC") from None
        if value > _now() + MAX_SKEW:
            raise ValueError(f"{value.isoformat()} lies more than a day in the future: check the clock and the unit")
        return value

    @model_validator(mode="after")
    def _about_something(self) -> Event:
        if self.item is None and not self.text.strip():
            raise ValueError("an event needs an item or a text")
        if self.type == "rating" and self.value is None:
            raise ValueError("a rating needs a value")
        return self

    @property
    def event_id(self) -> str:
        """The given id, or one derived from the content."""
        if self.id is not None:
            return self.id
        content = [self.user, self.type, self.item, self.text, self.value, self.ts.timestamp(), self.session]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


class Recommendation(Contract):
    """One line of a list of items."""

    id: str = Field(description="The item's id.")
    score: float = Field(description="Fused score; comparable within one list only.")
    title: str = ""
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="Your own fields of the item.")
    legs: dict[str, float] = Field(default_factory=dict, description="Score per leg, where asked to explain.")
    reason: str = Field(default="", description="Why, in words, where asked to explain or where a fallback was used.")
    topics: list[str] = Field(default_factory=list, description="Labels of the item's topics.")


class SimilarUser(Contract):
    """One line of a list of users."""

    id: str
    score: float
    terms: list[str] = Field(default_factory=list, description="The user's strongest words.")


MAX_TOPICS = 200
"""Topics of one space and tenant."""
MAX_LABEL = 60
"""Characters in the label of a topic."""
MAX_BOOST = 4.0
"""Greatest weight that steering can give a topic."""
MAX_BOOSTED = 8
"""Topics that one user may boost: each asks all legs again."""


class Topic(Contract):
    """What a group of items is about."""

    id: str = Field(description="Stays the same over refits, as long as the topic does.")
    label: str = Field(description="Short and readable; yours if you edited it.")
    keywords: list[str] = Field(default_factory=list, description="Strongest first.")
    size: int = Field(default=0, ge=0, description="Items in it when topics were last fitted.")
    examples: list[str] = Field(default_factory=list, description="Titles of the items nearest to its middle.")
    label_by: Literal["keywords", "llm", "admin"] = Field(default="keywords", description="Who named it.")
    tenant: str = Field(default="", description="Owner of the items, where one space serves several.")


class Interest(Contract):
    """One topic that a user cares about now."""

    topic: str = Field(description="Id of the topic.")
    label: str
    keywords: list[str] = Field(default_factory=list)
    weight: float = Field(ge=0, le=1, description="Share of the user's attention; all interests add up to 1.")
    trend: Literal["rising", "steady", "fading"] = "steady"
    items: list[str] = Field(default_factory=list, description="Ids of the items that show it, strongest first.")
    last_at: datetime = Field(description="Last event about it.")
    steer: float = Field(default=1.0, description="What the user set: 0 muted, above 1 boosted.")


class Shelf(Contract):
    """One row of recommendations: an interest and items for it."""

    interest: Interest
    title: str = Field(description="Why this row is here, in words.")
    items: list[Recommendation] = Field(default_factory=list)


FieldKind = Literal["keyword", "integer", "float", "bool", "datetime", "text", "geo", "uuid"]

_KEY = r'(?:[\w-]+|"[^"\x00-\x1f]+")(?:\[\d*\])*'
_FIELD_PATH = rf"{_KEY}(?:\.{_KEY})*"

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def _default_weights() -> dict[Leg, float]:
    """Collab twice: on Amazon Beauty that raised NDCG@10 of the fused query from .0564 to .0607."""
    return dict(zip(LEGS, (1.0, 1.0, 2.0), strict=True))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


class SpaceConfig(Contract):
    """Everything that decides what the vectors of a space mean and how they are ranked.

    The first block fixes the vectors: changing it means re-embedding. The rest may change any time.
    """

    IDENTITY: ClassVar[tuple[str, ...]] = (
        "model", "revision", "pooling", "size", "max_tokens", "similarity", "stemmer",
    )  # fmt: skip

    model: str = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="A sentence-transformers or plain BERT id or folder; after 'static:', word vectors distilled from it.",
    )
    revision: str | None = Field(default=None, description="Commit of the model, pinned.")
    pooling: Literal["mean", "cls"] = Field(default="mean", description="How token vectors become one text vector.")
    size: int = Field(default=384, ge=1, le=8192, description="Numbers in a dense vector.")
    max_tokens: int = Field(default=256, ge=8, le=8192, description="Tokens of a text that the encoder reads.")
    similarity: Literal["cosine", "pearson"] = Field(default="cosine", description="Pearson centres each vector first.")
    stemmer: str = Field(default="english", description="Snowball stemmer for words in Latin script.")

    fields: dict[str, FieldKind] = Field(default_factory=dict, description="Payload fields to filter on: name, kind.")

    half_life_days: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="After so many days an event counts half."
    )
    position_decay: float = Field(default=0.6, gt=0, le=1, description="Factor per step back, for dense and tfidf.")
    collab_decay: float = Field(default=0.6, gt=0, le=1, description="Factor per step back, for collab.")
    collab_distance: float = Field(
        default=0.5, ge=0, le=4, description="Two items d steps apart count as d to the power of minus this."
    )
    history: int = Field(default=100, ge=1, le=1000, description="Most recent events that form a user's vectors.")
    event_weights: dict[str, float] = Field(
        default_factory=lambda: {
            "view": 1.0, "like": 2.0, "purchase": 3.0, "rating": 2.0, "review": 2.0, "search": 1.0, "dislike": -1.0,
        },
        description="Weight per event type; an unlisted type counts 1.",
    )  # fmt: skip
    rating_scale: tuple[float, float] = Field(default=(1.0, 5.0), description="Lowest and highest rating.")

    weights: dict[Leg, float] = Field(
        default_factory=_default_weights,
        description="Weight per leg in the fused query.",
    )
    prefetch: int = Field(default=200, ge=1, le=10_000, description="Candidates per leg.")

    @field_validator("fields")
    @classmethod
    def _fields_are_yours(cls, fields: dict[str, FieldKind]) -> dict[str, FieldKind]:
        if taken := sorted(RESERVED & fields.keys()):
            raise ValueError(f"{taken} are the product's own and need no entry")
        if odd := [name for name in fields if not re.fullmatch(_FIELD_PATH, name)]:
            raise ValueError(f"{odd[0]!r} is no path of a payload field, such as year, director.name or cast[].name")
        return fields

    @model_validator(mode="after")
    def _numbers_make_sense(self) -> SpaceConfig:
        low, high = self.rating_scale
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"rating_scale must rise, not {self.rating_scale}")
        if not all(math.isfinite(w) for w in self.event_weights.values()):
            raise ValueError(f"event_weights must be finite, not {self.event_weights}")
        if any(not math.isfinite(w) or w < 0 for w in self.weights.values()) or not any(self.weights.values()):
            raise ValueError(f"weights must be zero or more, one of them above zero, not {self.weights}")
        return self

    @property
    def folding(self) -> str:
        """Digest of what users' vectors depend on beside the model: where it changes, they are made anew."""
        return _digest(
            self.half_life_days, self.position_decay, self.collab_decay, self.history,
            sorted(self.event_weights.items()), self.rating_scale,
        )  # fmt: skip

    @property
    def fitting(self) -> str:
        """Digest of what the collab leg of items depends on: which events count, and how distance does."""
        ignored = sorted(kind for kind, weight in self.event_weights.items() if weight <= 0)
        return _digest(self.collab_distance, ignored, self.rating_scale)

    @property
    def encoder_id(self) -> str:
        """The name under which vectors record what made them."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.model}{revision} ({self.pooling}, {self.max_tokens}, {self.similarity})"


class Rejected(Contract):
    """One refused input: where it stood (from 0, or a line number), its id if it had one, and why."""

    position: int
    id: str | None = None
    reason: str


class Receipt(Contract):
    """What became of one batch of writes. Everything counted as written is durable in Qdrant."""

    written: int = Field(default=0, description="Stored, new or changed.")
    unchanged: int = Field(default=0, description="Already stored exactly like this.")
    duplicates: int = Field(default=0, description="Dropped for a later input with the same id in the batch.")
    textless: int = Field(default=0, description="Stored without any text: only behaviour can recommend them.")
    rejected: list[Rejected] = Field(default_factory=list)
    queued: bool = Field(default=True, description="False: no worker could be told; reconcile will find the work.")


class SpaceStatus(Contract):
    """Counts straight from Qdrant; true after any crash."""

    space: str
    model: str
    items: int
    items_stale: int = Field(description="Waiting for a worker.")
    items_unreadable: int = Field(
        description="Encoded, but without a dense vector: no text, or none the model can read."
    )
    users: int
    users_stale: int
    events: int
    events_unfolded: int
    texts: int
    texts_stale: int
    set_aside: int = Field(description="Items, users and texts that failed too often; `llmrec jobs --failed`.")


class Failure(Contract):
    """Something that was set aside."""

    kind: Literal["item", "user", "text"]
    id: str
    version: int
    reason: str


class Migration(Contract):
    """How far a re-embedding is, counted in Qdrant."""

    version: int
    model: str
    state: Literal["filling", "switching", "done", "failed", "live"]
    items_done: int
    items_total: int
    users_done: int
    users_total: int
    set_aside: int = Field(description="Items that could not be encoded; see `llmrec jobs --failed`.")
    reason: str = Field("", description="Why it failed, if it did.")


Method = Literal["towers", "encoder", "texts"]
Hide = Literal["last", "time"]


class TrainingJob(Contract):
    """A training: what was asked for, and how far it is. Lies in the metadata of the items collection."""

    run: str = Field(description="Its name; the checkpoint lies under it.")
    method: Method = Field(
        "towers",
        description="towers: MLPs on frozen vectors, from behaviour; encoder: the encoder itself, from behaviour; "
        "texts: the encoder, from the texts alone.",
    )
    epochs: int | None = Field(None, ge=1, le=1_000, description="At most so many; left out: as the method does.")
    users: int = Field(1_000, ge=2, le=100_000, description="Users to look at: half to choose on, half to confirm on.")
    exclude_seen: bool = Field(
        True, description="Whether lists leave out what a user took before, as they are asked for."
    )
    split: Hide = Field(
        "last",
        description="What is hidden to choose on: what each user took last, or (time) the last tenth of all events.",
    )
    seed: int = Field(0, ge=0, lt=2**31)
    asked_at: str = ""
    stage: Literal["waiting", "training", "done", "failed"] = "waiting"
    holder: str = Field("", description="Who is at it.")
    beat: str = Field("", description="When they last said so.")
    tries: int = Field(0, description="How often it was taken up without getting further.")
    says: str = Field("", description="What is being done.")
    steps: int = Field(0, description="Done so far.")
    steps_before: int = Field(0, description="Done when it was last taken up.")
    total: int = 0
    version: str = Field("", description="The trained model, when it is done.")
    offered: bool = Field(False, description="It is better than the model the space had.")
    reason: str = Field("", description="Why it failed, if it did.")

    @property
    def under_way(self) -> bool:
        """Whether somebody is at it, or should be."""
        return self.stage in {"waiting", "training"}


class Message(Contract):
    """A hint to a worker: names and ids, never texts. Losing one changes nothing but latency."""

    task: ClassVar[str]
    queue: ClassVar[str]

    v: Literal[1] = 1
    space: str = Field(min_length=1, max_length=100)


PointIds = Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH)]


class EmbedItems(Message):
    """Encode these item points: dense and tfidf legs."""

    task = "llmrec.embed_items"
    queue = "encode"
    ids: PointIds


class EmbedTexts(Message):
    """Encode these free texts: searches, reviews, queries."""

    task = "llmrec.embed_texts"
    queue = "refresh"
    ids: PointIds


class RefreshUsers(Message):
    """Fold the events of these user points into their vectors."""

    task = "llmrec.refresh_users"
    queue = "refresh"
    ids: PointIds


class FitCollab(Message):
    """Rebuild the collab leg and the popularity of items from events."""

    task = "llmrec.fit_collab"
    queue = "batch"
    ids: list[str] = Field([], max_length=MAX_BATCH, description="Item points; left out: every item.")


class FitTopics(Message):
    """Find the topics of all items, name them, and give every item its topic."""

    task = "llmrec.fit_topics"
    queue = "batch"
    topics: int | None = Field(None, ge=2, le=MAX_TOPICS, description="How many; left out: as many as the items show.")
    resume: bool = Field(
        False, description="Go on with the last fit where it was interrupted; nothing to do if it was not."
    )


class Train(Message):
    """Take up the training that the space was asked for, where nobody is at it."""

    task = "llmrec.train"
    queue = "encode"


class Migrate(Message):
    """Take the filling version of a space one step further."""

    task = "llmrec.migrate"
    queue = "batch"


class Reconcile(Message):
    """Find what is stale from Qdrant alone and enqueue it."""

    task = "llmrec.reconcile"
    queue = "batch"
    everything: bool = Field(False, description="Also what has been announced a moment ago.")


MESSAGES: tuple[type[Message], ...] = (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    FitTopics,
    Migrate,
    Reconcile,
    RefreshUsers,
    Train,
)
SCHEMAS: tuple[type[Contract], ...] = (Item, Event, Recommendation, Topic, Interest, SpaceConfig, *MESSAGES)


def schema_texts() -> dict[str, str]:
    """File name → JSON Schema text of every public contract."""
    names = {model: re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower() for model in SCHEMAS}
    return {
        f"{names[model]}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **model.model_json_schema(),
                "description": (model.__doc__ or "").partition(">>>")[0].strip(),
            },
            indent=2, ensure_ascii=False, sort_keys=True,
        ) + "\n"
        for model in SCHEMAS
    }  # fmt: skip


def write_schemas(folder: str | Path) -> None:
    """Write the JSON Schema files of all public contracts."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
