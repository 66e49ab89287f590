"""The inputs: items and events."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, JsonValue, field_validator, model_validator

from llmrec_qdrant.contracts.checks import MAX_PAYLOAD, Contract, ExternalId, OptionalId, Text, check_json
from llmrec_qdrant.contracts.plain import is_missing
from llmrec_qdrant.contracts.times import read_time
from llmrec_qdrant.errors import show

__all__ = ["GIVEN_BACK", "RATED", "Event", "Item"]


MAX_SKEW = timedelta(days=1)
"""How far in the future an event may lie: clocks differ, and time zones get confused."""

GIVEN_BACK = frozenset({"return", "refund"})
"""Types of events that take a purchase back."""

RATED = frozenset({"rating", "review"})
"""Types of events whose value is a rating."""

RESERVED = frozenset(
    {"item_id", "tenant", "title", "text", "topics", "topic_ids", "terms", "popularity", "bookkeeping"}
)
"""Payload keys that an item must not use for its own fields."""


def is_bookkeeping(field: str) -> bool:
    """Whether a field name, or a Qdrant path, leads into the bookkeeping.

    >>> [is_bookkeeping(path) for path in ("bookkeeping.stale", '"bookkeeping"[0]', "bookkeepings")]
    [True, True, False]
    """
    return re.match(r'"?bookkeeping"?(?:[.\[]|$)', field) is not None


class Item(Contract):
    """An item that can be recommended.

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
    title: Text = Field(default="", description="Title of the item, as people see it.")
    text: Text = Field(default="", description="What the item is about; title and text are encoded together.")
    payload: dict[str, JsonValue] = Field(default_factory=dict, description="Your own fields, for filters and display.")
    tenant: OptionalId = Field(default=None, description="Owner of the item, if several tenants share the space.")

    @field_validator("payload")
    @classmethod
    def _payload_can_be_stored(cls, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(name for name in payload if name in RESERVED or is_bookkeeping(name)):
            raise ValueError(f"the field names {taken} are reserved: rename these fields")
        if odd := [name for name in payload if not name.strip() or '"' in name or re.search(r"[\x00-\x1f]", name)]:
            raise ValueError(f"{show(odd[0])} cannot be the name of a field: use letters, digits, '_' or '-'")
        check_json(payload)
        try:
            size = len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8"))
        except UnicodeEncodeError:
            raise ValueError("a text contains half a surrogate pair, which UTF-8 cannot encode") from None
        except ValueError:
            raise ValueError("numbers must be finite: JSON has neither NaN nor infinity") from None
        if size > MAX_PAYLOAD:
            raise ValueError(f"a payload may have at most {MAX_PAYLOAD:,} bytes as JSON, and this one has {size:,}")
        return payload

    @property
    def source(self) -> str:
        """The text that is encoded: title and text, on separate lines."""
        return "\n".join(part for part in (self.title.strip(), self.text.strip()) if part)


def _now() -> datetime:
    return datetime.now(UTC)


class Event(Contract):
    """Something a user did, with an item, a text, or both.

    An event without an id gets one derived from its content, so storing it twice changes nothing.

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
    item: OptionalId = Field(default=None, description="The item's id; it may arrive later than the event.")
    text: Text = Field(default="", description="What the user wrote: a search, a review, a wish.")
    value: float | None = Field(
        default=None, description="A rating, on the rating scale of the space.", allow_inf_nan=False
    )
    ts: datetime = Field(
        default_factory=_now, description="When it happened: ISO 8601 or Unix time; without a zone, in UTC."
    )
    session: OptionalId = Field(default=None, description="Your own id of the visit.")
    id: OptionalId = Field(default=None, description="Your own id of the event.")

    @field_validator("type")
    @classmethod
    def _type_is_a_word(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", value):
            raise ValueError(f"an event type must be a short lower-case word such as 'view', not {value[:40]!r}")
        return value

    @field_validator("value", mode="before")
    @classmethod
    def _none_if_missing(cls, value: object) -> object:
        return None if is_missing(value) else value

    @field_validator("ts", mode="before", json_schema_input_type=datetime | Annotated[float, Field(ge=0)])
    @classmethod
    def _is_a_time(cls, value: object) -> datetime:
        return read_time(value).at

    @field_validator("ts")
    @classmethod
    def _not_in_the_future(cls, value: datetime) -> datetime:
        if value > _now() + MAX_SKEW:
            raise ValueError(
                f"{value.isoformat()} lies more than a day in the future: check the clock, and that numbers are seconds"
            )
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
        """The id passed by the caller, or else a digest of the content."""
        if self.id is not None:
            return self.id
        content = [self.user, self.type, self.item, self.text, self.value, self.ts.timestamp(), self.session]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
