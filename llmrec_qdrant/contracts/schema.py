"""Exports the contracts as JSON Schema files; ``make schemas`` runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from llmrec_qdrant.contracts.answers import Interest, Recommendation, Topic
from llmrec_qdrant.contracts.checks import Contract
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.contracts.messages import MESSAGES

SCHEMAS: tuple[type[Contract], ...] = (
    Item, Event, Recommendation, Topic, Interest, SpaceConfig, JobStatus, *MESSAGES,
)  # fmt: skip


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
    """Write the JSON Schema files of all public contracts to ``folder``, which is created if it is missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
