"""The published JSON Schemas follow the code, and hand-written examples pass or fail both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.contracts.answers import Interest, Recommendation, Topic
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.contracts.messages import (
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Message,
    Reconcile,
    RefreshUsers,
    RunJob,
)
from llmrec_qdrant.contracts.schema import schema_texts, write_schemas
from tests.services import ROOT

FOLDER = ROOT / "schemas" / "v1"
VALID = sorted((FOLDER / "examples" / "valid").glob("*.json"))
INVALID = sorted((FOLDER / "examples" / "invalid").glob("*.json"))

CONTRACTS: dict[str, Any] = {
    "embed_items": EmbedItems,
    "embed_texts": EmbedTexts,
    "event": Event,
    "fit_collab": FitCollab,
    "interest": Interest,
    "item": Item,
    "recommendation": Recommendation,
    "reconcile": Reconcile,
    "refresh_users": RefreshUsers,
    "run_job": RunJob,
    "job_status": JobStatus,
    "space_config": SpaceConfig,
    "topic": Topic,
}


def contract(path: Path) -> str:
    return path.name.partition("-")[0]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(read(FOLDER / f"{name}.schema.json"))


# --- drift ---------------------------------------------------------------------------------------


def test_the_files_are_what_the_code_writes() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert files == schema_texts(), "run: make schemas"


def test_the_schemas_can_be_written_anywhere(tmp_path: Path) -> None:
    write_schemas(tmp_path / "v1")
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "v1").iterdir()} == schema_texts()


def test_every_contract_has_a_schema() -> None:
    assert sorted(schema_texts()) == [f"{name}.schema.json" for name in sorted(CONTRACTS)]


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_is_a_closed_draft_2020_12_schema(name: str) -> None:
    schema = read(FOLDER / f"{name}.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["properties"].keys() == CONTRACTS[name].model_fields.keys()


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_descriptions_are_for_readers_of_any_language(name: str) -> None:
    assert ">>>" not in read(FOLDER / f"{name}.schema.json")["description"]


# --- examples ------------------------------------------------------------------------------------


def test_there_are_examples_of_everything() -> None:
    valid, invalid = Counter(map(contract, VALID)), Counter(map(contract, INVALID))
    assert valid.keys() == invalid.keys() == CONTRACTS.keys()
    least = dict.fromkeys(CONTRACTS, (1, 3)) | {"item": (4, 8), "event": (4, 8), "space_config": (2, 4)}
    assert {name for name, (good, bad) in least.items() if valid[name] < good or invalid[name] < bad} == set()


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_passes_the_model_and_comes_back(path: Path) -> None:
    model = CONTRACTS[contract(path)]
    parsed = model.parse(read(path))
    written = parsed.model_dump_json()
    assert model.parse(json.loads(written)) == parsed
    assert model.parse(json.loads(written)).model_dump_json() == written


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_passes_the_schema(path: Path) -> None:
    validator(contract(path)).validate(read(path))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_what_the_model_writes_passes_the_schema(path: Path) -> None:
    parsed = CONTRACTS[contract(path)].parse(read(path))
    validator(contract(path)).validate(parsed.model_dump(mode="json"))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_is_refused_by_the_model(path: Path) -> None:
    example = read(path)
    assert example.keys() == {"why", "schema_refuses", "data"}
    with pytest.raises(InvalidInput):
        CONTRACTS[contract(path)].parse(example["data"])


@pytest.mark.parametrize("path", [path for path in INVALID if read(path)["schema_refuses"]], ids=lambda path: path.stem)
def test_an_invalid_example_is_refused_by_the_schema_where_it_can_know(path: Path) -> None:
    assert not validator(contract(path)).is_valid(read(path)["data"])


def test_the_schemas_alone_refuse_most_invalid_examples() -> None:
    refused = [path.stem for path in INVALID if not validator(contract(path)).is_valid(read(path)["data"])]
    assert len(refused) / len(INVALID) > 0.7


# --- defaults that a schema cannot carry ---------------------------------------------------------


@pytest.mark.parametrize("name", ["embed_items", "embed_texts", "refresh_users"])
@pytest.mark.parametrize(("count", "fits"), [(1, True), (1_000, True), (1_001, False)])
def test_a_message_holds_a_thousand_ids(name: str, count: int, fits: bool) -> None:
    data = {"space": "movies", "ids": [f"{number:032x}" for number in range(count)]}
    assert validator(name).is_valid(data) is fits
    model: type[Message] = CONTRACTS[name]
    if fits:
        model.parse(data)
    else:
        with pytest.raises(InvalidInput, match="'ids'"):
            model.parse(data)


@pytest.mark.parametrize("field", ["title", "text"])
def test_both_refuse_a_text_over_a_million_characters(field: str) -> None:
    longest, longer = {"id": "a", field: "x" * 1_000_000}, {"id": "a", field: "x" * 1_000_001}
    assert validator("item").is_valid(longest)
    assert not validator("item").is_valid(longer)
    assert len(getattr(Item.parse(longest), field)) == 1_000_000
    with pytest.raises(
        InvalidInput,
        match=rf"^Item: '{field}': a text may have at most 1,000,000 characters, and this one has 1,000,001",
    ):
        Item.parse(longer)
