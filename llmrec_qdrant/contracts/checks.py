"""What all contracts share: the base model, and the checks of ids, texts and JSON values.

Limits on size are set here and nowhere else, so bad input is refused before it costs anything.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llmrec_qdrant.contracts.plain import is_missing, plain
from llmrec_qdrant.errors import InvalidInput, describe, show

__all__ = [
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_PAYLOAD",
    "MAX_TEXT",
    "Contract",
    "ExternalId",
    "OptionalId",
    "Text",
    "check_json",
    "checked_tenant",
    "external_id",
    "several",
]

MAX_ID = 256
"""Characters in an external id."""
MAX_TEXT = 1_000_000
"""Characters in one text field; workers read only the first few thousand."""
MAX_EXACT_FLOAT = 2**53
"""The largest whole number up to which every whole number is a float of its own."""
MAX_PAYLOAD = 64_000
"""Bytes of an item's own payload, as JSON."""
MAX_DEPTH = 60
"""Nesting levels of an item's own payload: Qdrant cannot parse deeper ones."""


class Contract(BaseModel):
    """Base model: frozen, without unknown fields; raises :class:`InvalidInput` where pydantic raises ValidationError."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise InvalidInput(describe(error)) from None

    @classmethod
    def parse(cls, data: object) -> Self:
        """Build the model from a mapping; an instance of the model is returned unchanged.

        Raises :class:`InvalidInput` naming the field at fault.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            raise InvalidInput(f"{cls.__name__}: expected an object with named fields, not {str(data)[:60]!r}")
        return cls(**data)


def _external_id(value: object) -> object:
    """An id as text. Whole numbers and UUIDs become text; text must be short and printable, without surrounding white space.

    A number that a gap in its column made a float is whole again: 318.0 is 318. Text is composed (Unicode NFC), so that an
    accented letter is one id however it was typed.
    """
    value = plain(value)
    if is_missing(value):
        raise ValueError("the id is missing")
    if isinstance(value, float | Decimal):
        value = _whole(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**MAX_ID:
            raise ValueError(f"an id may have at most {MAX_ID} characters, and this number has more digits")
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        if isinstance(value, bytes | bytearray):  # which pydantic would read as text
            raise ValueError(f"an id must be a text, a whole number or a UUID, not {show(value)}")
        return value
    if value.isascii() and value.isprintable() and len(value) <= MAX_ID and value == value.strip() != "":
        return value  # most ids: a bulk load checks several per event
    value = unicodedata.normalize("NFC", value)
    if not value or value != value.strip():
        raise ValueError(f"an id must not be empty, nor begin or end with white space: {value[:40]!r}")
    if len(value) > MAX_ID:
        raise ValueError(f"an id may have at most {MAX_ID} characters, and this one has {len(value):,}")
    if value.isprintable():  # the common case, at a twentieth of the cost
        return value
    bad = next((c for c in value if unicodedata.category(c) in {"Cc", "Cs"}), None)
    if bad is not None:
        raise ValueError(f"an id must not contain control characters: {bad!r} in {value[:40]!r}")
    return value


def _whole(number: float | Decimal) -> int:
    """Return a whole number without its decimals.

    Raises :class:`ValueError` if it has any, or is a float too large for exact digits.
    """
    if not math.isfinite(number) or number != int(number):
        raise ValueError(f"an id must be text or a whole number, not {number}: send it as text")
    if isinstance(number, float) and abs(number) > MAX_EXACT_FLOAT:
        raise ValueError(
            f"{number!r} has lost digits of an id, since floats are exact only to 2**53: send whole numbers or text"
        )
    return int(number)


def _none_if_missing(value: object) -> object:
    return None if is_missing(value) else value


def external_id(value: object) -> str:
    """Return the id of an item or user in its stored form: text.

    Raises :class:`InvalidInput` for anything but a short printable text or a whole number.
    """
    try:
        checked = _external_id(value)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if not isinstance(checked, str):
        raise InvalidInput(f"an id must be a text, a whole number or a UUID, not {show(value)}")
    return str.__str__(checked)  # a plain text: the member of an enumeration would be shown by its name


def checked_tenant(tenant: str | None) -> str | None:
    """Return the tenant in its stored form: an id as text; None for a connection to all tenants.

    Raises :class:`InvalidInput` for anything else. A missing value of pandas is refused: it must not mean all tenants.
    """
    if tenant is None:
        return None
    try:
        return external_id(tenant)
    except InvalidInput as error:
        raise InvalidInput(f"{show(tenant)} is no tenant: {error}; to see all tenants, leave it out") from None


def several(values: object, name: str = "ids") -> list[Any]:
    """Return the ids of a list of ids, unchecked.

    Raises :class:`InvalidInput` for what is no list, such as a single id, whose characters would be read as ids.
    """
    if isinstance(values, Iterable) and not isinstance(values, str | bytes | bytearray | Mapping):
        with suppress(TypeError):  # an array without dimensions
            return list(values)
    raise InvalidInput(f"{name} must be a list of ids, not {show(values)}")


def check_json(value: object, depth: int = 0) -> None:
    """Refuse a value that would make Qdrant refuse the whole batch.

    Raises :class:`ValueError` for nesting beyond :data:`MAX_DEPTH` levels and for whole numbers beyond 64 bits.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a payload may be nested at most {MAX_DEPTH} levels deep: flatten it")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise ValueError(f"a whole number may have at most 64 bits, and {show(value)} has more: send it as text")
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            check_json(part, depth + 1)


def _text(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(
            f"a text may have at most {MAX_TEXT:,} characters, and this one has {len(value):,}: send its beginning or a summary"
        )
    if isinstance(value, str):  # half a surrogate pair can be neither stored nor encoded
        return value.encode("utf-8", "replace").decode("utf-8")
    return "" if is_missing(value) else value


ExternalId = Annotated[
    str,
    BeforeValidator(_external_id, json_schema_input_type=str | int),
    Field(min_length=1, max_length=MAX_ID),
]

OptionalId = Annotated[ExternalId | None, BeforeValidator(_none_if_missing, json_schema_input_type=ExternalId | None)]
"""An id that may be missing: None, or NaN where pandas left a gap."""

Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | None), Field(max_length=MAX_TEXT)]
