"""Turns the columns of a row into the fields of an item or an event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmrec_qdrant.contracts.checks import MAX_EXACT_FLOAT
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.entities import RESERVED, Event, Item
from llmrec_qdrant.contracts.plain import is_missing
from llmrec_qdrant.contracts.times import Ways
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.cleaning import without_html
from llmrec_qdrant.load.hints import options_for
from llmrec_qdrant.load.layouts import published_as
from llmrec_qdrant.load.recipe import LINE, NOTHING, Recipe, named
from llmrec_qdrant.load.sources import Cell, Row
from llmrec_qdrant.load.times import Clock, derived_time
from llmrec_qdrant.query.conversion import as_kinds, is_missing_word, iso, without_currency

__all__ = ["FIELDS", "ID_FIELDS", "LoadKind", "Reader", "clean_id", "event_of", "item_of"]


LoadKind = Literal["items", "events"]

FIELDS: dict[LoadKind, frozenset[str]] = {
    "items": frozenset(Item.model_fields), "events": frozenset(Event.model_fields),
}  # fmt: skip
"""Names that columns may have."""

REQUIRED_FIELDS: dict[LoadKind, tuple[str, ...]] = {"items": ("id",), "events": ("user", "type")}
"""Columns that a table must have."""

ID_FIELDS: dict[LoadKind, tuple[str, ...]] = {"items": ("id", "tenant"), "events": ("user", "item", "session", "id")}

TYPE_WORDS = {
    "浏览": "view", "点击": "view", "查看": "view", "阅读": "view", "观看": "view", "收藏": "like", "点赞": "like", "喜欢": "like", "点踩": "dislike",
    "不喜欢": "dislike", "购买": "purchase", "下单": "purchase", "支付": "purchase", "加购": "cart", "加入购物车": "cart", "评分": "rating",
    "打分": "rating", "评论": "review", "评价": "review", "搜索": "search",
}  # fmt: skip
"""Chinese words for types of events, which could not be types as they are."""

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,19}))\.0+")
"""A whole number that a gap in its column made a float."""

DECIMAL_COMMA = re.compile(r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+|[0-9]{1,3}( [0-9]{3})+),[0-9]+")

ROUNDED = re.compile(r"-?[0-9](\.[0-9]+)?[eE]\+[0-9]+")
"""A number that a spreadsheet or a float has rounded."""


@dataclass
class Reader:
    """Reads rows as items or events, and counts what it had to assume."""

    kind: LoadKind
    recipe: Recipe = NOTHING
    indexed: Mapping[str, FieldKind] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    dotted: frozenset[str] = frozenset()
    """Fields whose ids keep their decimals, since some are not whole: 1.0 beside 1.5."""
    commas: frozenset[str] = frozenset()
    """Columns whose numbers have a decimal comma."""
    whole: frozenset[str] = frozenset()
    """Keyword fields whose whole numbers a gap in the column made floats: 862.0 is 862."""
    ways: Mapping[str, Ways] = field(default_factory=dict)
    """How the times of a payload field are read."""
    mark: int = 0
    """Mark of the source, in microseconds: part of the times of events that have none."""
    keep_html: bool = False
    undated: int = 0
    """Events whose time was derived."""
    decoded: int = 0
    """Titles and texts in which HTML was decoded."""

    def parts(self, row: Row) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of events that a row holds, usually itself.

        Raises :class:`InvalidInput` if the row cannot be read.
        """
        if row.error:
            raise InvalidInput(row.error)
        yield from self.recipe.rows(row.data)

    def read(self, data: Mapping[str, Any], row: Row, part: int = 0) -> Item | Event:
        """Read a row, or a part of it, as an item or an event.

        Raises :class:`InvalidInput` if it is refused.
        """
        fields = self._plain(self.recipe.fields(data, row.place))
        for name in self.commas & fields.keys():
            fields[name] = with_point(fields[name])
        for name in self.whole & fields.keys():
            fields[name] = without_point(fields[name])
        if self.kind == "items":
            for name in self.ways.keys() & fields.keys() if self.clock.fixed else ():
                fields[name] = self._formatted(fields[name], name)
            return item_of(fields, self.indexed, self.ways)
        if self.recipe.drop_others:
            fields = {name: value for name, value in fields.items() if name in FIELDS["events"]}
        return event_of(self._dated(fields, row, part))

    def _formatted(self, value: Any, name: str) -> Any:
        """Read a time of an own field in the format that was named."""
        if is_missing(value) or is_missing_word(value):
            return None
        return iso(self.clock.read(value, f"Item: {name!r}").at)

    def _plain(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Clean ids and texts."""
        for name in ID_FIELDS[self.kind]:
            if name in fields:
                fields[name] = clean_id(fields[name], name, self.kind, keep_decimals=name in self.dotted)
        for name in ("title", "text"):
            if name in fields:
                fields[name] = self._text(fields[name])
        return {name: value for name, value in fields.items() if value is not None or name not in FIELDS[self.kind]}

    def _text(self, value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = "\n".join(part for part in value if part)
        if type(value) in {int, float} and value == value:
            value = str(value)
        if not isinstance(value, str) or self.keep_html:
            return value
        clean = without_html(value)
        self.decoded += clean != value
        return clean

    def _dated(self, fields: dict[str, Any], row: Row, part: int) -> dict[str, Any]:
        for name in ("ts", "value"):
            if is_missing_word(fields.get(name)):
                del fields[name]
        if "ts" in fields:
            return {**fields, "ts": self.clock.read(fields["ts"]).at}
        self.undated += 1
        mark = self.mark if row.mark is None else row.mark
        return {**fields, "ts": derived_time(row.place, (mark + part) % 1_000_000)}

    def check(self, columns: Sequence[str]) -> None:
        """Check the columns of a table, once instead of once per row; a source without columns passes.

        Raises :class:`InvalidInput` for a required column that is missing, or one that cannot be loaded.
        """
        if not columns or self.recipe.expand:
            return
        self.check_required(columns)
        self.check_fields(columns)

    def check_required(self, columns: Sequence[str]) -> None:
        """Check that the required columns are there.

        Raises :class:`InvalidInput` with the options that supply those that are missing.
        """
        names = self.recipe.renamed(columns)
        missing = [name for name in REQUIRED_FIELDS[self.kind] if name not in names]
        if missing:
            wanted = " and no column ".join(map(repr, missing))
            known = published_as(self.kind, columns)
            raise InvalidInput(
                f"the table has no column {wanted}, which {self.kind} need (it has {named(columns)}): "
                f"add {f'--format {known}, or ' if known else ''}{self._options(columns)}{_headerless(columns)}"
            )

    def check_fields(self, columns: Sequence[str]) -> None:
        """Check that every column can be loaded.

        Raises :class:`InvalidInput` with the options that rename or drop the others.
        """
        names = self.recipe.renamed(columns)
        if self.kind == "events" and (odd := [name for name in self.recipe.constants if name not in FIELDS["events"]]):
            raise InvalidInput(f"--set {odd[0]}: events have no such field (but {', '.join(Event.model_fields)})")
        if self.kind == "events" and not self.recipe.drop_others:
            unknown = [name for name in names if name not in FIELDS["events"]]
            if unknown:
                raise InvalidInput(
                    f"events have no field {', '.join(map(repr, unknown))} (but {', '.join(Event.model_fields)}): "
                    f"add {self._options(columns)} to rename or drop columns"
                )
        for name in names:
            if self.kind == "items" and name in RESERVED - FIELDS["items"]:
                raise InvalidInput(
                    f"the column {name!r} has a reserved name: rename it with --map {name}=NEW, or drop it with --map {name}="
                )

    def _options(self, columns: Sequence[str]) -> str:
        fields = [name for name in self.recipe.renamed(columns) if name in FIELDS[self.kind]]
        options = options_for(self.kind, [name for name in columns if name not in self.recipe.rename], fields)
        return f"{options}, or number the rows with --map {LINE}=id" if "COLUMN=id" in options else options


def _headerless(columns: Sequence[str]) -> str:
    """Advice for a table whose first line is a row: one of its cells is a number."""
    if any(re.fullmatch(r"-?[0-9.]+", name) for name in columns):
        return f"; or, if its first line is a row, name its {len(columns)} columns with --columns A,B,…"
    return ""


def clean_id(value: Any, name: str, kind: str, keep_decimals: bool = False) -> Any:
    """Return an id in its stored form; None if it is missing.

    >>> clean_id("318.0", "item", "events"), clean_id("007", "item", "events"), clean_id("nan", "item", "events")
    ('318', '007', None)
    """
    if not isinstance(value, str):
        return value
    text = value.strip() if isinstance(value, Cell) else str(value)
    if is_missing_word(text):
        return None
    whole = None if keep_decimals else WHOLE.fullmatch(text)
    if ROUNDED.fullmatch(text) or (whole and abs(int(whole[1])) > MAX_EXACT_FLOAT):
        raise InvalidInput(
            f"{kind.removesuffix('s').title()}: {name!r}: {text!r} has lost digits of an id: export the column as text or whole numbers"
        )
    return whole[1] if whole else text


def with_point(value: Any) -> Any:
    """Return a number with a decimal comma, as spreadsheets in much of Europe write it, with a point; other values as they are.

    >>> with_point(Cell("3,5")), with_point(Cell("1.299,50 €")), with_point("3,5")
    ('3.5', '1299.50', '3,5')
    """
    if isinstance(value, Cell) and DECIMAL_COMMA.fullmatch(bare := without_currency(value)):
        return Cell(re.sub("[. ]", "", bare).replace(",", "."))
    return value


def without_point(value: Any) -> Any:
    """Return a whole number without its fraction of zeros, also in a list; other values as they are.

    >>> without_point("862.0"), without_point(862.0), without_point("862.5")
    ('862', '862', '862.5')
    """
    if isinstance(value, list):
        return [without_point(part) for part in value]
    match = WHOLE.fullmatch(str(value).strip()) if type(value) in {str, Cell, float} else None
    return match[1] if match else value


def item_of(
    data: Mapping[str, Any], kinds: Mapping[str, FieldKind] | None = None, ways: Mapping[str, Ways] | None = None
) -> Item:
    """Build an item from a row; columns that are not fields of an item go into the payload.

    A value is converted to the kind of its field, according to ``kinds``; times are read in the ``ways`` of the field. A cell of an untyped table whose field has no kind
    becomes the number or truth value that it spells, and otherwise stays text.

    >>> item_of({"id": "1", "title": "Heat", "year": 1995}).payload
    {'year': 1995}
    """
    others = {name: value for name, value in data.items() if name not in FIELDS["items"]}
    fields = {name: value for name, value in data.items() if name in FIELDS["items"]}
    payload = {**_as_object(fields.pop("payload", {})), **others}
    kinds = kinds or {}
    typed = {name: _text_of(value) if name in kinds else _typed(value) for name, value in payload.items()}
    return Item(**{"id": None, **fields}, payload=as_kinds(typed, kinds, ways or {}))


def _as_object(payload: Any) -> Mapping[str, Any]:
    """Read the column ``payload``: an object, or its JSON text."""
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            raise InvalidInput(f"Item: 'payload': not valid JSON: {payload[:60]!r}") from None
    if not isinstance(payload, Mapping):
        raise InvalidInput(f"Item: 'payload': expected an object, not {str(payload)[:60]!r}")
    return payload


def event_of(data: Mapping[str, Any]) -> Event:
    """Build an event from a row.

    Raises :class:`InvalidInput` for a column that is not a field of an event.
    """
    unknown = sorted(data.keys() - FIELDS["events"])
    if unknown:
        raise InvalidInput(
            f"Event: unknown fields {unknown}: rename one with --map {unknown[0]}=NEW, or drop it with --map {unknown[0]}="
        )
    fields = dict(data)
    if isinstance(kind := fields.get("type"), str):
        fields["type"] = TYPE_WORDS.get(kind.strip()) or _word(kind)
    if "value" in fields:
        fields["value"] = with_point(fields["value"])
    return Event(**{"user": None, **fields})


def _word(kind: str) -> str:
    """Return a single word in lower case; anything else as it is."""
    return kind.strip().lower() if re.fullmatch(r"\s*[A-Za-z][A-Za-z0-9_-]*\s*", kind) else kind


def _text_of(value: Any) -> Any:
    return str(value) if isinstance(value, Cell) else value


def _typed(value: Any) -> Any:
    """Convert a cell of an untyped table to the number or truth value it spells; codes such as 007 stay text."""
    if not isinstance(value, Cell):
        return value
    text = value.strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]{1,2})?|[eE][+-][0-9]{1,2})", text):
        return float(text)
    return str(value)
