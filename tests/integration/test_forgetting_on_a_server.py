"""``llmrec forget --verify`` on a real server, after a user has left traces in every collection: raw pages of points prove it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from llmrec_qdrant import Recommender
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Space
from tests.commandline import Llmrec, clean_environment, lines, run
from tests.endpoint import honest, scripted
from tests.films import CONFIG, history
from tests.spaces import fresh_name, store_of
from workers.evaluation import heartbeat

__all__ = ["clean_environment", "run"]  # fixtures

pytestmark = pytest.mark.qdrant

USER = "zoe-the-unmistakable"
PAGE = 7
"""Points per raw page, so that there are several."""
T = 1_700_000_000


@pytest.fixture
def space(qdrant_url: str) -> Iterator[str]:
    name = fresh_name()
    yield name
    client = QdrantClient(qdrant_url)
    for collection in client.get_collections().collections:
        if collection.name.startswith(name):
            client.delete_collection(collection.name)
    client.close()


@pytest.fixture
def llmrec(run: Llmrec, qdrant_url: str, space: str) -> Llmrec:
    """``llmrec`` on a space of the server; this process does the work."""
    where = ["--url", qdrant_url, "--space", space]

    def call(*args: str, **more: Any) -> Any:
        ran = run(*args, *where, **more)
        assert ran.code == 0, (args, ran.err)
        return ran

    return call


def raw(url: str, prefix: str) -> dict[str, list[str]]:
    """Collection → every point as stored, with payload and vectors; then its own metadata."""
    client = QdrantClient(url)
    found: dict[str, list[str]] = {}
    for collection in client.get_collections().collections:
        if not collection.name.startswith(prefix):
            continue
        points, offset = found.setdefault(collection.name, []), None
        while True:
            page, offset = client.scroll(
                collection.name, limit=PAGE, offset=offset, with_payload=True, with_vectors=True
            )
            points += [repr((point.id, point.payload, sorted(as_dict(point.vector).items()))) for point in page]
            if offset is None:
                break
        points.append(repr(client.get_collection(collection.name).config.metadata))
    client.close()
    return found


def as_dict(vectors: Any) -> dict[str, Any]:
    """Vectors by name; Qdrant gives them in any order."""
    return vectors if isinstance(vectors, dict) else {}


def traces(url: str, space: str) -> dict[str, int]:
    """Collection → points, or metadata, in which the id of the user or of their point stands anywhere."""
    names = (USER, point_id("user", USER))
    return {
        name: sum(any(word in point for word in names) for point in points) for name, points in raw(url, space).items()
    }


def leave_traces(llmrec: Llmrec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the user and others do everything that is stored."""
    (folder / "space.json").write_text(json.dumps({"model": "hash", "size": 64}))
    llmrec("init", "--config", "space.json")
    groups = {"space": "astronaut planet space rocket", "food": "cook recipe kitchen restaurant"}
    rows = [
        {"id": f"{name}{n}", "title": f"{name} film {n}", "text": text}
        for name, text in groups.items()
        for n in range(12)
    ]
    llmrec("load", "items", lines(folder / "items.jsonl", rows))
    events = [
        {"user": user, "item": f"{group}{n}", "type": "like", "ts": T + 10 * n}
        for user, group in ((USER, "space"), ("ann", "space"), ("bob", "food"))
        for n in range(5)
    ]
    events += [{"user": USER, "type": "search", "text": "planets", "ts": T}]
    events += [{"user": USER, "item": "space1", "type": "review", "text": f"{USER} says: a rocket", "ts": T}]
    llmrec("load", "events", lines(folder / "events.jsonl", events))
    llmrec("topics", "fit", "--number", "2")
    llmrec("search", "rockets to the moon", "--user", USER)
    topic = llmrec("topics", "--json").json[0]["id"]
    llmrec("steer", USER, topic, "--weight", "2")
    llmrec("reembed", "--size", "32")
    with scripted(monkeypatch, honest):
        assert llmrec("generate").out.startswith("12 texts written")
        llmrec("generate", "--users", "1")  # ends at a user, and remembers where
    llmrec("search", "rockets to the moon", "--user", USER)


def make_trial(url: str, space: str) -> str:
    """A trial space as a measurement that was killed leaves it behind."""
    trial = Space(f"{space}-trial-0123abcd")
    with Recommender.connect(url, space=trial.name) as rec:
        rec.create(CONFIG)
        rec.track(history(USER, "m1", "m2"))
        rec.search("space", USER)
        store_of(rec).items.update_metadata(heartbeat.mark())
    return trial.name


def test_nothing_is_left_in_any_collection(
    llmrec: Llmrec, qdrant_url: str, space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_traces(llmrec, tmp_path, monkeypatch)
    trial = make_trial(qdrant_url, space)
    before = traces(qdrant_url, space)
    holding = {f"{space}_{kind}" for kind in ("events", "users_v1", "users_v2", "texts_v1", "texts_v2")}
    holding |= {f"{trial}_{kind}" for kind in ("events", "users_v1", "texts_v1")}
    assert {name for name, number in before.items() if number} >= holding, before
    others = {name: [point for point in points if "'ann'" in point] for name, points in raw(qdrant_url, space).items()}

    ran = llmrec("forget", USER, "--yes", "--verify")

    assert traces(qdrant_url, space) == dict.fromkeys(before, 0)
    counted = dict.fromkeys(before, 0)
    told = dict(line.split(": ", 1) for line in ran.out.splitlines() if line.startswith(space))
    assert told == dict.fromkeys(counted, f"0 points of {USER}")
    assert f"looked through {len(before)} collections: no point of {USER} is left" in ran.out
    after = raw(qdrant_url, space)
    assert {name: [point for point in points if "'ann'" in point] for name, points in after.items()} == others
    assert sum(map(len, others.values())) > 5
