"""Values of fields: what is refused is what Qdrant itself would leave out of the index."""

from __future__ import annotations

import math
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from llmrec_qdrant import InvalidInput, PartlyRejected, Recommender, SpaceConfig
from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.query.fields import check_payload
from tests.spaces import drop, fresh_name

VALUES: list[Any] = [
    "soon", "", "7", "2024-05-01", "2024-05-01T12:00:00Z", "2024-05-01 12:00:00", "2024-13-01", "2024-05-01T12:00",
    "2024-05-01T12:00Z", "2024-05-01 12:00", "2024-05-01 12:00Z", "2024-05-01T12", "20240501", "2024-W18-3", "2024-5-1",
    "2024-05-01t12:00:00z", "2024-05-01T12:00:00", "2024-05-01T12:00:00.123+02:00", "2024-05-01T12:00:00,123",
    "2024-05-01 12:00:00+02:00", "2024-05-01X12:00:00", "2024-05-01T12:00:00+02:00:30", "2024-05-01T25:00:00Z",
    "550e8400-e29b-41d4-a716-446655440000", "550E8400e29b41d4a716446655440000", "{550e8400-e29b-41d4-a716-446655440000}",
    "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "550e-8400e29b41d4a716446655440000", [[1]], [["a"]], [[True]],
    7, -(2**63), 2**63, 7.0, 7.5, 1e300, True, False,
    {"lon": 13.4, "lat": 52.5}, {"lon": 13, "lat": 52}, {"lon": "13", "lat": "52"}, {"lon": 13.4}, {"a": 1},
    {"lon": 180.1, "lat": 0}, {"lon": 0, "lat": 95}, {"lon": -180, "lat": -90},
]  # fmt: skip
INDEXES: dict[FieldKind, Any] = {
    kind: kind for kind in ("keyword", "integer", "float", "bool", "datetime", "text", "geo", "uuid")
}


def accepted(kind: FieldKind, value: Any, path: str = "x") -> bool:
    try:
        check_payload({"x": value}, {path: kind})
    except InvalidInput:
        return False
    return True


@pytest.mark.qdrant
@pytest.mark.parametrize("kind", INDEXES)
def test_what_is_accepted_is_what_qdrant_indexes(kind: FieldKind, qdrant_url: str) -> None:
    """Qdrant counts how many points an index holds: an answer that is none of ours."""
    client, name = QdrantClient(qdrant_url, check_compatibility=False), fresh_name()
    client.create_collection(name, vectors_config={})
    try:
        client.create_payload_index(name, "x", INDEXES[kind], wait=True)
        for number, value in enumerate(VALUES):
            before = client.get_collection(name).payload_schema["x"].points
            client.upsert(name, [models.PointStruct(id=number, vector={}, payload={"x": value})], wait=True)
            indexed = client.get_collection(name).payload_schema["x"].points > before
            assert accepted(kind, value) == indexed, (kind, value)
    finally:
        client.delete_collection(name)


def test_lists_gaps_and_paths() -> None:
    assert accepted("integer", [1, 2, None]) and not accepted("integer", [1, "two"])
    assert accepted("integer", None) and accepted("integer", [])
    assert not accepted("float", math.inf)
    fields: dict[str, FieldKind] = {"a.b": "integer", "cast[].name": "keyword", '"odd.key"': "bool"}
    check_payload({"a": {"b": 1}, "cast": [{"name": "Li"}, {"age": 3}], "odd.key": True, "more": "x"}, fields)
    for other in ({"a": 3}, {"a": [{"b": "x"}]}, {"cast": {"name": 3}}):  # nothing lies at these paths
        check_payload(other, fields)
    for payload in ({"a": {"b": "1"}}, {"cast": [{"name": "Li"}, {"name": 3}]}, {"odd.key": "yes"}):
        with pytest.raises(InvalidInput, match="the space indexes it as"):
            check_payload(payload, fields)


def test_the_field_at_fault_is_named_and_the_others_go_in() -> None:
    rec = Recommender.connect(path=":memory:", space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=16, fields={"year": "integer"}))
    try:
        with pytest.raises(
            PartlyRejected, match="'year': the space indexes it as integer, and 'soon' is not a whole number"
        ):
            rec.upsert_items([{"id": "a", "payload": {"year": "soon"}}, {"id": "b", "payload": {"year": 1995}}])
        assert rec.status().items == 1
    finally:
        drop(rec)
