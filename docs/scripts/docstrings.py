"""A griffe extension for the API reference: what the code says in its own ways, in the words of the site.

Docstrings name classes as ``:class:`NotFound` ``, as Python's own docs do; the site shows inline code. Fields of
contracts are described by ``Field(description=…)``; the site shows the description and the default.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc):`~?([^`]+)`")


class Docstrings(griffe.Extension):
    """Rewrites docstrings as they are loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Turn roles of reStructuredText into inline code."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Take the description and the default out of a pydantic field."""
        call = _field_call(attr)
        if call is None:
            return
        arguments = {keyword.arg: keyword.value for keyword in call.keywords}
        description = arguments.get("description")
        if isinstance(description, ast.Constant):
            attr.docstring = griffe.Docstring(str(description.value), parent=attr)
        default = arguments.get("default") or next(iter(call.args), None)
        factory = arguments.get("default_factory")
        attr.value = (
            ast.unparse(default) if default else f"{ast.unparse(factory)}()" if isinstance(factory, ast.Name) else None
        )


def _field_call(attr: griffe.Attribute) -> ast.Call | None:
    text = str(attr.value or "")
    if not text.startswith("Field("):
        return None
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    return call if isinstance(call, ast.Call) else None
