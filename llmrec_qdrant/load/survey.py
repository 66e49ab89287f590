"""Looks at a source before it is loaded, and decides for whole columns what single values leave open."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.contracts.times import ISO
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.columns import (
    DECIMAL_COMMA,
    FIELDS,
    ID_FIELDS,
    TYPE_WORDS,
    WHOLE,
    LoadKind,
    Reader,
)
from llmrec_qdrant.load.hints import options_for
from llmrec_qdrant.load.recipe import Recipe
from llmrec_qdrant.load.sources import Cell, Row, Source
from llmrec_qdrant.load.times import Clock, is_day_or_month, order_of
from llmrec_qdrant.query.conversion import GROUPED, as_kind, is_missing_word, without_currency

__all__ = ["Survey", "survey"]

SAMPLE_ROWS = 1_000
"""Rows that are looked at. A question that they raise is answered by the whole file."""


@dataclass(frozen=True)
class Survey:
    """What was seen and decided."""

    reader: Reader
    sample: Sequence[Row]
    rows: Iterator[Row] | None
    """All rows, of a source that can be read only once."""
    assumed: tuple[str, ...]
    """What was assumed, for people."""


def survey(
    source: Source, kind: LoadKind, recipe: Recipe, clock: Clock, indexed: Mapping[str, FieldKind], keep_html: bool = False,
    own: Recipe | None = None,
) -> Survey:  # fmt: skip
    """Look at a source; ``own`` is the part of the recipe that the user wrote.

    Raises :class:`InvalidInput` for columns that cannot be loaded, and for times that may be two.
    """
    rows = source.rows()
    sample = list(islice(rows, SAMPLE_ROWS))
    later = chain(sample, rows) if not source.again else None
    reader = Reader(kind, recipe, indexed, clock, mark=_mark(sample), keep_html=keep_html)
    _check(reader, own or recipe, sample)
    columns = _Columns(source, recipe, sample)
    dotted = frozenset(name for name in ID_FIELDS[kind] if columns.keeps_decimals(name))
    reader = replace(reader, dotted=dotted)
    assumed = [f"the ids in {name!r} keep their decimals, since some are not whole" for name in sorted(dotted)]
    if kind == "items":
        assumed += _said_of_titles(columns.names())
        reader = replace(
            reader, commas=frozenset(name for name in columns.names() if columns.has_commas(name, indexed.get(name)))
        )
        assumed += [f"{name!r} has decimal commas" for name in sorted(reader.commas)]
        reader = _with_own_fields(reader, columns, clock)
        assumed += _said_of_own_fields(reader, columns)
    if kind == "events":
        reader = replace(reader, clock=clock.for_column(columns.values("ts"), columns.day_first("ts", clock)))
        assumed += _said_of_times(reader, columns.values("ts"))
        if words := [word for word in dict.fromkeys(map(str, columns.values("type"))) if word.strip() in TYPE_WORDS]:
            assumed.append(f"types are {', '.join(f'{word} = {TYPE_WORDS[word.strip()]}' for word in words)}")
    return Survey(reader, sample, later, tuple(assumed))


def _with_own_fields(reader: Reader, columns: _Columns, clock: Clock) -> Reader:
    """Decide how the values of the declared fields are read, column by column."""
    ways = {
        name: clock.for_column(columns.values(name), columns.day_first(name, clock)).ways
        for name in columns.names()
        if reader.indexed.get(name) == "datetime"
    }
    whole = [
        name for name in columns.names() if reader.indexed.get(name) == "keyword" and columns.are_whole_floats(name)
    ]
    return replace(reader, ways=ways, whole=frozenset(whole))


def _said_of_own_fields(reader: Reader, columns: _Columns) -> Iterator[str]:
    """Say what was assumed of the values of declared fields."""
    for name in columns.names():
        kind, values = reader.indexed.get(name), columns.values(name)
        if name in reader.whole:
            yield f"the whole numbers in {name!r} lose their .0"
        if kind in {"integer", "float"} and name not in reader.commas:
            grouped = [value for value in values if isinstance(value, str) and GROUPED.fullmatch(value)]
            yield from (f"{name!r} has thousands in groups: {text} is {as_kind(text, kind)}" for text in grouped[:1])
        if kind == "datetime" and not reader.clock.fixed:
            read = [(value, as_kind(value, kind, reader.ways[name])) for value in values]
            odd = [f"{value} is {moment}" for value, moment in read if value != moment and moment is not None]
            yield from (f"{name!r} holds times: {example}" for example in odd[:1])


def _check(reader: Reader, own: Recipe, sample: Sequence[Row]) -> None:
    columns = next((row.columns for row in sample if row.columns), ())
    if columns:
        own.check(columns)
        reader.check(columns)
        return
    keys = [row.data.keys() for row in sample if row.data]
    if keys and not reader.recipe.expand:  # objects: all must have what any of them needs
        shared = [name for name in keys[0] if all(name in names for names in keys)]
        reader.check_required(list(dict.fromkeys(chain(*keys))))
        if len(keys) > 1:
            reader.check_fields(shared)


class _Columns:
    """The values of the fields in a source: in the sample, or in the whole of it."""

    def __init__(self, source: Source, recipe: Recipe, sample: Sequence[Row]) -> None:
        self._source, self._recipe = source, recipe
        self._sample = [fields for row in sample for fields in self._fields(row)]

    def _fields(self, row: Row) -> Iterable[Mapping[str, Any]]:
        if row.error:
            return []
        try:
            return [self._recipe.fields(part) for part in self._recipe.rows(row.data)]
        except InvalidInput:
            return []

    def names(self) -> list[str]:
        """Return the fields in the sample."""
        return list(dict.fromkeys(chain.from_iterable(self._sample)))

    def values(self, name: str) -> list[Any]:
        """Return the values of a field in the sample."""
        values = [fields[name] for fields in self._sample if fields.get(name) is not None]
        return [value for value in values if not is_missing_word(value)]

    def _all(self, name: str) -> Iterator[Any]:
        """Yield the values of a field in the whole source, or in the sample if it can be read only once."""
        if not self._source.again:
            yield from self.values(name)
            return
        for row in self._source.rows():
            for fields in self._fields(row):
                if fields.get(name) is not None:
                    yield fields[name]

    def has_commas(self, name: str, kind: str | None) -> bool:
        """Whether the cells of a column are numbers with a decimal comma: in groups of three, 1,999 may be a thousand.

        All cells must be numbers, unless the space declares the column to hold them.
        """
        texts = [without_currency(value) for value in self.values(name) if isinstance(value, Cell)]
        decimals = [text for text in texts if DECIMAL_COMMA.fullmatch(text)]
        numbers = len(decimals) + sum(text.lstrip("-").isdigit() for text in texts)
        if name in FIELDS["items"] or (numbers < len(texts) and kind not in {"integer", "float"}):
            return False
        return any("." in text or len(text.partition(",")[2]) != 3 for text in decimals)

    def keeps_decimals(self, name: str) -> bool:
        """Whether the texts of a field are decimals, such as versions, rather than whole numbers that became floats."""
        if not any(isinstance(value, str) and WHOLE.fullmatch(value.strip()) for value in self.values(name)):
            return False
        return any(_has_fraction(value) for value in self._all(name))

    def are_whole_floats(self, name: str) -> bool:
        """Whether some values of a field are whole numbers with a fraction of zeros, and none has another fraction."""
        texts = [str(value).strip() for value in self.values(name) if isinstance(value, str | float)]
        return any(map(WHOLE.fullmatch, texts)) and not any(_has_fraction(str(value)) for value in self._all(name))

    def day_first(self, name: str, clock: Clock) -> bool | None:
        """Decide whether times of a field such as 05/01/2024 begin with the day.

        Raises :class:`InvalidInput` if nothing in the column tells.
        """
        if clock.format or not any(map(is_day_or_month, self.values(name))):
            return None
        pairs = [pair for value in self._all(name) if (pair := is_day_or_month(value))]
        order = order_of(pairs)
        if order is None and any(first != second for first, second in pairs):
            example = next(
                value for value in self.values(name) if (pair := is_day_or_month(value)) and pair[0] != pair[1]
            )
            raise InvalidInput(
                f"times such as {example!r} may begin with the day or the month, and no row tells which: "
                "add --time-format dmy (day first) or --time-format mdy (month first)"
            )
        return order


def _has_fraction(value: Any) -> bool:
    if not isinstance(value, str) or WHOLE.fullmatch(value.strip()):
        return False
    parts = value.strip().split(".")
    return len(parts) > 1 and all(part.isascii() and part.isdigit() for part in parts)


def _said_of_titles(names: Sequence[str]) -> Iterator[str]:
    """Say that columns of other names look like title or text, where one is missing."""
    there = [name for name in ("title", "text") if name in names]
    if len(there) < 2 and (options := options_for("items", names, ["id", *there])):
        missing = "neither title nor text" if not there else "no title" if there == ["text"] else "no text"
        yield f"there is {missing}; perhaps add {options}"


def _said_of_times(reader: Reader, values: Sequence[Any]) -> Iterator[str]:
    styles, naive = Counter[str](), 0
    for value in values:
        try:
            moment = reader.clock.read(value)
        except InvalidInput:
            continue
        styles[moment.style] += 1
        naive += moment.naive
    named = [style for style, _ in styles.most_common() if style != ISO]
    if named:
        yield f"times are {' or '.join(named)}"
    if naive:
        yield f"times without a zone are in {reader.clock.ways.zone} (--time-zone)"


def _mark(sample: Sequence[Row]) -> int:
    """Derive a number below a million from the first row, which tells sources apart whose rows have no times."""
    first = next((row for row in sample if row.data), None)
    if first is None:
        return 0
    content = json.dumps({name: str(value) for name, value in first.data.items()}, sort_keys=True)
    return int.from_bytes(hashlib.sha256(content.encode("utf-8", "replace")).digest()[:6]) % 1_000_000
