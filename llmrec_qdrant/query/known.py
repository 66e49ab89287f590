"""The fields that filters may use, and what to say about the others."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_qdrant.contracts.config import FieldKind, SpaceConfig, is_own_field
from llmrec_qdrant.contracts.paths import canonical_path
from llmrec_qdrant.errors import InvalidFilter, InvalidInput, show
from llmrec_qdrant.query.fields import kind_of, paths_like
from llmrec_qdrant.query.operators import Field
from llmrec_qdrant.query.values import READERS, fitting_kind
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.schema import FILTERABLE

__all__ = ["Known", "Undeclared"]

_INSTEAD = {
    "title": "declare it with `llmrec init --field title:text` to look for words in titles",
    "text": "declare it with `llmrec init --field text:text` to look for words in texts",
    "tenant": "bind the recommender to a tenant instead: connect(tenant=…), or --tenant",
}
"""Keys of the product → how to reach what they hold."""


class Undeclared(InvalidFilter):
    """A filter on a field of the caller that is not declared; its advice names a field and a kind that can answer."""

    def __init__(
        self, path: str, kind: FieldKind, near: str, known: Sequence[str], found: str = "", held: str = ""
    ) -> None:
        meant = f" (did you mean {near!r}?)" if near else ""
        held = held or path
        declared = shlex.quote(f"{held}:{kind}")
        others = ", ".join(other for other in (*READERS, "text", "geo") if other != kind)
        super().__init__(
            f"the space has no field {path!r} to filter on{meant}{found}: declare it with `llmrec init --field {declared}` or "
            f"rec.create(rec.config.with_fields({{{held!r}: {kind!r}}})) (or another kind: {others}); fields to filter on: "
            f"{', '.join(known)}"
        )
        self.path, self.kind, self._near, self._known = path, kind, near, known

    def among(self, payloads: Sequence[Mapping[str, Any]]) -> Undeclared:
        """Return the error whose advice fits these payloads, too."""
        kind = kind_of(payloads, self.path, self.kind)
        if kind is not None:
            return Undeclared(self.path, kind, "", self._known)
        held = next((path for path in paths_like(payloads, self.path) if path not in self._known), "")
        if not held:
            absent = f", and none of {len(payloads):,} items looked at has it"
            return Undeclared(self.path, self.kind, self._near, self._known, absent)
        kind = kind_of(payloads, held, self.kind) or self.kind
        return Undeclared(self.path, kind, self._near, self._known, f"; items hold {held!r}", held)


class Known:
    """The fields of a space: the caller's own, and those of the product that filters may use."""

    def __init__(self, config: SpaceConfig) -> None:
        self._kinds = {**FILTERABLE, **{canonical_path(path): kind for path, kind in config.fields.items()}}

    def field(self, path: str, nested: str | None = None, wanted: Any = None) -> Field:
        """Return the field at a path; ``nested``: the path of the list whose objects ``path`` begins in.

        ``wanted`` is what the filter asks of it; the advice for a field that is not declared names a kind that can answer.

        Raises :class:`InvalidFilter` for a path that is not declared, in any spelling.
        """
        try:
            inner = canonical_path(path)
            known = (
                inner if nested is None else canonical_path(f"{canonical_path(nested).removesuffix('[]')}[].{inner}")
            )
        except InvalidInput as error:
            raise InvalidFilter(f"the filter uses {show(path)}: {error}") from None
        if known not in self._kinds:
            raise self._undeclared(known, wanted)
        field = Field(known, self._kinds[known], inner if nested is not None else None)
        if field.kind == "text" and nested is not None:
            field.refuse(nested, f"nested, and words are kept for the whole item: look for them in {known!r} instead")
        return field

    def _near(self, path: str) -> str:
        """Return the field that was probably meant; empty if none resembles ``path``."""
        if path.casefold() == "id":
            return Key.ITEM_ID
        alike = {known.casefold(): known for known in self._kinds}
        return next((alike[near] for near in difflib.get_close_matches(path.casefold(), alike, n=1)), "")

    def _undeclared(self, path: str, wanted: Any) -> InvalidFilter:
        if is_own_field(path):
            return Undeclared(path, fitting_kind(wanted), self._near(path), sorted(self._kinds))
        instead = _INSTEAD.get(path, "it belongs to llmrec; store a copy in a field of your own and declare that")
        names = ", ".join(sorted(self._kinds))
        return InvalidFilter(f"the space has no field {path!r} to filter on: {instead}; fields to filter on: {names}")
