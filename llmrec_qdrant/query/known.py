"""The fields that filters may use, and what to say about the others."""

from __future__ import annotations

import difflib
import shlex
from typing import Any

from llmrec_qdrant.contracts.config import FieldKind, SpaceConfig, is_own_field
from llmrec_qdrant.contracts.paths import canonical_path
from llmrec_qdrant.errors import InvalidFilter, InvalidInput, show
from llmrec_qdrant.query.operators import Field
from llmrec_qdrant.query.values import READERS, fitting_kind
from llmrec_qdrant.space.schema import FILTERABLE

__all__ = ["Known"]

_INSTEAD = {
    "title": "declare it with `llmrec init --field title:text` to look for words in titles",
    "text": "declare it with `llmrec init --field text:text` to look for words in texts",
    "tenant": "bind the recommender to a tenant instead: connect(tenant=…), or --tenant",
}
"""Keys of the product → how to reach what they hold."""


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
            raise InvalidFilter(self._advice(known, fitting_kind(wanted)))
        field = Field(known, self._kinds[known], inner if nested is not None else None)
        if field.kind == "text" and nested is not None:
            field.refuse(nested, f"nested, and words are kept for the whole item: look for them in {known!r} instead")
        return field

    def _advice(self, path: str, kind: FieldKind) -> str:
        names = ", ".join(sorted(self._kinds))
        if not is_own_field(path):
            instead = _INSTEAD.get(path, "it belongs to llmrec; store a copy in a field of your own and declare that")
            return f"the space has no field {path!r} to filter on: {instead}; fields to filter on: {names}"
        near = difflib.get_close_matches(path, self._kinds, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        declared = shlex.quote(f"{path}:{kind}")
        others = ", ".join(other for other in (*READERS, "text", "geo") if other != kind)
        return (
            f"the space has no field {path!r} to filter on{meant}: declare it with `llmrec init --field {declared}` or "
            f"rec.create(rec.config.with_fields({{{path!r}: {kind!r}}})) (or another kind: {others}); fields to filter on: {names}"
        )
