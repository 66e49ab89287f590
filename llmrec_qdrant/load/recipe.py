"""How the columns of a source become fields: renamed, filled, split, and composed into a text."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.load.rows import Cell

__all__ = ["LINE", "NOTHING", "Recipe", "Template", "merged", "named"]

Expand = Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]]
"""Turns a row that holds several events into a row per event."""

LINE = "line"
"""Column that every row has: its line in the file."""

MAX_NAMED = 30
"""Columns that a message names."""

EDGES = " \t\n.,;:|/–—-"
"""What a text does not begin with after its first part has fallen out."""


@dataclass(frozen=True)
class Template:
    """A text with the names of columns in braces.

    >>> Template("{title}. {director}").filled({"title": "Heat", "director": "Michael Mann"})
    'Heat. Michael Mann'
    >>> Template("{title}. {director}").filled({"title": "Heat"})
    'Heat'
    """

    text: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in braces.

        Raises :class:`InvalidInput` for a brace that is never closed.
        """
        return tuple(name for _, name in self._parts() if name is not None)

    def _parts(self) -> list[tuple[str, str | None]]:
        """Return each literal and the name that follows it."""
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise InvalidInput(f"--text {self.text!r} cannot be read ({error}): write columns as {{title}}") from None
        if any(name is not None and (not name or spec or conversion) for _, name, spec, conversion in parsed):
            raise InvalidInput(f"--text {self.text!r}: braces hold the name of a column, such as {{title}}")
        return [(literal, name) for literal, name, _, _ in parsed]

    def filled(self, data: Mapping[str, Any]) -> str:
        """Fill in a row. A missing part falls out with what stands before it."""
        out, follows = "", True
        for literal, name in self._parts():
            if name is None:
                out += literal if follows else ""
                continue
            value = _as_text(data.get(name))
            follows = bool(value)
            if value:
                out += (literal if out else literal.lstrip(EDGES)) + value
        return out.strip()


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(part for part in map(_as_text, value) if part)
    return "" if value is None else str(value).strip()


@dataclass(frozen=True)
class Recipe:
    """What to do with the columns of a source."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Column → new name; an empty name drops the column."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Field → value where a row has none."""
    split: Mapping[str, str] = field(default_factory=dict)
    """Column or field → what separates the parts of its texts."""
    text: str = ""
    """Template of the field ``text``; empty leaves the field alone."""
    drop_others: bool = False
    """Whether columns that are no fields of an event are dropped instead of refused."""
    expand: Expand | None = None

    def rows(self, data: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Return the rows of events that a row holds, usually itself."""
        return self.expand(data) if self.expand else (data,)

    def fields(self, data: Mapping[str, Any], line: int = 0) -> dict[str, Any]:
        """Turn the columns of a row into fields; the column ``line`` is its line, where a table has no column of that name."""
        known = {LINE: str(line), **data} if LINE in self.rename else dict(data)
        for name, separator in self.split.items():
            if isinstance(value := known.get(name), str):
                known[name] = _split(value, separator)
        fields = {new: value for name, value in known.items() if (new := self.rename.get(name, name))}
        for name, separator in self.split.items():
            if name not in data and isinstance(value := fields.get(name), str):
                fields[name] = _split(value, separator)
        for name, value in self.constants.items():
            if fields.get(name) is None:
                fields[name] = Cell(value)
        if self.text:
            fields["text"] = Template(self.text).filled({**fields, **known})
        return fields

    def __str__(self) -> str:
        pairs = [f"{old} → {new}" for old, new in self.rename.items() if new]
        pairs += [f"{name} = {value}" for name, value in self.constants.items()]
        pairs += [f"{name} split at {separator!r}" for name, separator in self.split.items()]
        pairs += [f"text = {self.text!r}"] if self.text else []
        return ", ".join(pairs)

    def renamed(self, columns: Iterable[str]) -> list[str]:
        """Return the names of the fields that these columns become."""
        columns = [*columns, *([LINE] if LINE in self.rename else [])]
        fields = dict.fromkeys(new for name in columns if (new := self.rename.get(name, name)))
        return list(fields | dict.fromkeys(self.constants) | dict.fromkeys(["text"] if self.text else []))

    def check(self, columns: Iterable[str]) -> None:
        """Check that the columns that are named exist.

        Raises :class:`InvalidInput` naming the option and the columns that there are.
        """
        known = dict.fromkeys([*columns, *([LINE] if LINE in self.rename else [])])
        fields = self.renamed(known)
        targets = [self.rename.get(name, name) for name in known]
        if twice := next((name for name in targets if name and targets.count(name) > 1), None):
            both = [name for name in known if self.rename.get(name, name) == twice]
            raise InvalidInput(
                f"the columns {' and '.join(map(repr, both))} would both be {twice!r}: drop one with --map {both[0]}="
            )
        wanted = [("--map", name) for name in self.rename] + [("--split", name) for name in self.split]
        wanted += [("--text", name) for name in (Template(self.text).columns if self.text else ())]
        for option, name in wanted:
            if name not in known and (option == "--map" or name not in fields):
                raise InvalidInput(f"{option} names the column {name!r}, which is not there: there are {named(known)}")


NOTHING = Recipe()


def named(columns: Iterable[str]) -> str:
    """Return the names of columns for a message, which names some of very many.

    >>> named(["id", "title"]), named(["id;title"]), named(map(str, range(99)))[-9:]
    ('id, title', "'id;title'", ', 69 more')
    """
    names = [name if len(name) <= 60 else f"{name[:59]}…" for name in columns]
    names = [repr(name) if re.search(r"[,;|\t]", name) else name for name in names]
    more = len(names) - MAX_NAMED
    return ", ".join([*names[:MAX_NAMED], *([f"{more:,} more"] if more > 0 else [])])


def merged(layout: Recipe, own: Recipe) -> Recipe:
    """Return the recipe of a layout, with the user's own options counting more."""
    return replace(
        layout, rename={**layout.rename, **own.rename}, constants={**layout.constants, **own.constants},
        split={**layout.split, **own.split}, text=own.text or layout.text,
    )  # fmt: skip


def _split(value: str, separator: str) -> list[Any]:
    return [str(part).strip() for part in value.split(separator) if part.strip()]
