"""The stored form of an interest in a user's payload: readable, with the titles of its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmrec_qdrant.contracts.answers import Interest

__all__ = ["read_interest", "stored_interest"]


def stored_interest(interest: Interest) -> dict[str, Any]:
    """Return the stored form: what people read comes first, and each item of the evidence has its title.

    The steering weight is left out: it is the user's own setting, stored once beside the interests.
    """
    evidence = [{"id": item, "title": interest.titles.get(item, "")} for item in interest.items]
    values = interest.model_dump(mode="json", exclude={"items", "titles", "steer"})
    first = {name: values.pop(name) for name in ("label", "weight", "trend")} | {"keywords": values.pop("keywords")}
    return {**first, "items": evidence, **values}


def read_interest(stored: Mapping[str, Any]) -> Interest:
    """Read an interest that :func:`stored_interest` wrote."""
    evidence = stored.get("items") or []
    titles = {item["id"]: item["title"] for item in evidence if isinstance(item, Mapping)}
    items = [item["id"] if isinstance(item, Mapping) else item for item in evidence]
    shown = {item: title for item, title in titles.items() if title}
    return Interest.parse({**stored, "items": items, "titles": shown})
