"""The embedded engine behind the calls of a Qdrant client: what no test of the recommender reaches."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from qdrant_client import models

from llmrec_qdrant import InvalidInput, NotFound, QdrantRefused, QdrantUnavailable, SpaceMismatch, SpaceNotFound
from llmrec_qdrant.embedded.client import EdgeClient
from tests.services import ROOT

DENSE = {"dense": models.VectorParams(size=2, distance=models.Distance.COSINE)}
SPARSE = {"words": models.SparseVectorParams()}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[EdgeClient]:
    embedded = EdgeClient(str(tmp_path / "data"))
    embedded.create_collection("films", DENSE, SPARSE, {"made": "by a test"})
    yield embedded
    embedded.close()


def number(place: int) -> str:
    return str(uuid.UUID(int=place))


def store(client: EdgeClient, **payloads: dict[str, object]) -> dict[str, str]:
    ids = {name: number(place) for place, name in enumerate(payloads, 1)}
    client.upsert(
        "films", [models.PointStruct(id=ids[name], vector={}, payload=payload) for name, payload in payloads.items()]
    )
    return ids


def count(client: EdgeClient, *conditions: object) -> int:
    return client.count("films", models.Filter(must=list(conditions))).count  # type: ignore[arg-type]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_bool_is_matched_as_a_bool(client: EdgeClient, indexed: bool) -> None:
    """Qdrant Edge 0.9 takes a Python bool for an integer."""
    if indexed:
        client.create_payload_index("films", "work.stale", "bool")
    store(client, a={"work": {"stale": True}}, b={"work": {"stale": False}}, c={"work": {"stale": 1}}, d={})
    for value in (True, False):
        condition = models.FieldCondition(key="work.stale", match=models.MatchValue(value=value))
        assert count(client, condition) == 1


def test_conditions_of_every_kind(client: EdgeClient) -> None:
    ids = store(
        client,
        a={"year": 1999, "at": "2024-05-01T00:00:00Z", "tags": ["x", "y"], "place": {"lon": 13.4, "lat": 52.5}},
        b={"year": 2005, "at": "2025-05-01T00:00:00Z", "tags": [], "casts": [{"name": "ann", "lead": True}]},
    )
    nested = models.Filter(must=[models.FieldCondition(key="name", match=models.MatchValue(value="ann"))])
    one_of_two = models.MinShould(
        conditions=[
            models.FieldCondition(key="year", range=models.Range(lt=2000)), models.IsNullCondition(is_null=models.PayloadField(key="tags"))
        ],
        min_count=1,
    )  # fmt: skip
    cases: list[tuple[object, int]] = [
        (models.FieldCondition(key="year", range=models.Range(gte=2000)), 1),
        (models.FieldCondition(key="at", range=models.DatetimeRange(lt="2025-01-01T00:00:00Z")), 1),
        (models.FieldCondition(key="tags", match=models.MatchAny(any=["y", "z"])), 1),
        (models.FieldCondition(key="tags", values_count=models.ValuesCount(gte=2)), 1),
        (
            models.FieldCondition(
                key="place", geo_radius=models.GeoRadius(center=models.GeoPoint(lon=13.4, lat=52.5), radius=1_000)
            ),
            1,
        ),
        (models.IsEmptyCondition(is_empty=models.PayloadField(key="tags")), 1),
        (models.HasIdCondition(has_id=[ids["a"], number(99)]), 1),
        (models.HasIdCondition(has_id=[]), 0),
        (models.NestedCondition(nested=models.Nested(key="casts", filter=nested)), 1),
        (models.Filter(min_should=one_of_two), 1),
        (
            models.Filter(
                should=[models.FieldCondition(key="year", match=models.MatchValue(value=y)) for y in (1999, 2005)]
            ),
            2,
        ),
    ]
    for condition, wanted in cases:
        assert count(client, condition) == wanted, condition


def test_a_query_looks_vectors_up_elsewhere_and_leaves_its_own_examples_out(client: EdgeClient) -> None:
    client.create_collection("people", DENSE)
    client.upsert("people", [models.PointStruct(id=number(1), vector={"dense": [1.0, 0.0]}, payload={})])
    client.upsert(
        "films",
        [models.PointStruct(id=number(k), vector={"dense": [1.0, float(k)]}, payload={"k": k}) for k in range(4)],
    )
    person = models.QueryRequest(
        query=models.NearestQuery(nearest=number(1)), using="dense", limit=4, with_payload=["k"],
        lookup_from=models.LookupLocation(collection="people", vector="dense"),
    )  # fmt: skip
    film = models.QueryRequest(query=models.NearestQuery(nearest=number(1)), using="dense", limit=4, with_payload=["k"])
    answers = client.query_batch_points("films", [person, film])
    assert [[point.payload["k"] for point in answer.points] for answer in answers] == [[0, 1, 2, 3], [2, 3, 0]]  # type: ignore[index]
    missing = models.QueryRequest(query=models.NearestQuery(nearest=number(77)), using="dense")
    with pytest.raises(NotFound):
        client.query_batch_points("films", [missing])


def test_the_average_of_examples_is_that_of_a_server(client: EdgeClient) -> None:
    """2·mean(likes) - mean(dislikes) = 2·(1, 0) - (0, 1): the film at (2, -1) is in front."""
    rows = {1: [1.0, 0.0], 2: [0.0, 1.0], 3: [2.0, -1.0], 4: [1.0, 1.0]}
    client.upsert(
        "films", [models.PointStruct(id=number(k), vector={"dense": row}, payload={"k": k}) for k, row in rows.items()]
    )
    wish = models.RecommendInput(positive=[number(1)], negative=[number(2)])
    request = models.QueryRequest(query=models.RecommendQuery(recommend=wish), using="dense", with_payload=["k"])
    (answer,) = client.query_batch_points("films", [request])
    assert [point.payload["k"] for point in answer.points] == [3, 4]  # type: ignore[index]


def test_metadata_cannot_be_changed_from_outside(client: EdgeClient) -> None:
    inner: dict[str, object] = {"state": "new"}
    client.update_collection("films", metadata={"record": inner})
    inner["state"] = "changed by the writer"
    read = client.get_collection("films").config.metadata or {}
    read["record"]["state"] = "changed by a reader"
    assert client.get_collection("films").config.metadata == {"made": "by a test", "record": {"state": "new"}}


def test_aliases_change_in_one_step(client: EdgeClient) -> None:
    def named(alias: str, collection: str) -> models.CreateAliasOperation:
        return models.CreateAliasOperation(
            create_alias=models.CreateAlias(alias_name=alias, collection_name=collection)
        )

    client.update_collection_aliases([named("movies", "films")])
    store(client, a={"k": 1})
    assert client.count("movies").count == 1
    with pytest.raises(SpaceNotFound, match="no collection 'gone'"):
        client.update_collection_aliases([named("other", "films"), named("third", "gone")])
    with pytest.raises(QdrantRefused, match="a collection named 'films'"):
        client.update_collection_aliases([named("films", "films")])
    assert [alias.alias_name for alias in client.get_aliases().aliases] == ["movies"]
    client.delete_collection("films")
    assert client.get_aliases().aliases == []


def test_what_was_stored_is_there_after_opening_the_folder_again(tmp_path: Path) -> None:
    first = EdgeClient(str(tmp_path))
    first.create_collection("films", DENSE, SPARSE, {"a": 1})
    first.create_payload_index("films", "year", "integer")
    first.update_collection("films", metadata={"b": 2})
    store(first, a={"year": 1999})
    first.close()
    first.close()
    with pytest.raises(QdrantUnavailable, match="closed"):
        first.count("films")
    again = EdgeClient(str(tmp_path))
    info = again.get_collection("films")
    assert (info.config.metadata, info.payload_schema, info.points_count) == ({"a": 1, "b": 2}, {"year": "integer"}, 1)
    assert again.retrieve("films", [number(1)])[0].payload == {"year": 1999}
    again.close()


def test_a_collection_that_a_crash_left_half_made_is_removed(tmp_path: Path) -> None:
    client = EdgeClient(str(tmp_path))
    client.create_collection("films", DENSE)
    client.close()
    left = tmp_path / "collections" / "films.0a1b2c3d"
    left.mkdir()
    kept = tmp_path / "collections" / "my notes"
    kept.mkdir()
    EdgeClient(str(tmp_path)).close()
    assert not left.exists() and kept.exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(InvalidInput, match=r"holds other files \(thesis.doc\)"):
        EdgeClient(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "thesis.doc"]


def test_folders_of_former_code_are_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(SpaceMismatch, match="load your items and events anew"):
        EdgeClient(str(tmp_path))
    (tmp_path / "meta.json").unlink()
    (tmp_path / "catalogue.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(InvalidInput, match="format 9, this version reads format 1"):
        EdgeClient(str(tmp_path))


def test_threads_share_a_client(client: EdgeClient) -> None:
    def write(worker: int) -> None:
        for place in range(50):
            point = models.PointStruct(id=number(worker * 1000 + place), vector={"dense": [1.0, place]}, payload={})
            client.upsert("films", [point])
            request = models.QueryRequest(query=models.NearestQuery(nearest=[1.0, 0.0]), using="dense", limit=3)
            client.query_batch_points("films", [request])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert client.count("films").count == 200


WRITER = """
import sys, uuid
from qdrant_client import models
from llmrec_qdrant.embedded.client import EdgeClient
client = EdgeClient(sys.argv[1])
if not client.collection_exists("films"):
    client.create_collection("films", {"dense": models.VectorParams(size=2, distance=models.Distance.COSINE)})
for k in range(int(sys.argv[2]), 100_000):
    point = models.PointStruct(id=str(uuid.UUID(int=k)), vector={"dense": [1.0, float(k)]}, payload={"k": k})
    client.upsert("films", [point])
    print(k, flush=True)
"""


def test_nothing_acknowledged_is_lost_to_a_kill(tmp_path: Path) -> None:
    acknowledged = -1
    for turn in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged + 1)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert child.stdout is not None
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged % 97 == 31 * turn:
                child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    client = EdgeClient(str(tmp_path))
    records, following = client.scroll("films", limit=100_000)
    stored = {record.payload["k"] for record in records}  # type: ignore[index]
    assert following is None and stored >= set(range(acknowledged + 1))
    client.close()
