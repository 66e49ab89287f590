"""A push and a pull whose process is killed with SIGKILL between two writes, and run again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmrec_qdrant import Recommender, SpaceIncomplete
from llmrec_qdrant.connect import open_sync
from tests.moving import everything, load_demo, remove
from tests.services import ROOT
from tests.spaces import fresh_name

pytestmark = pytest.mark.qdrant

MOVE = """
import os, signal, sys
from qdrant_client import QdrantClient
from llmrec_qdrant import Recommender
from llmrec_qdrant.embedded.client import EdgeClient
from llmrec_qdrant.operations.moving import copying

verb, url, path, space, writes = sys.argv[1:]
copying.PAGE = copying.PAYLOAD_PAGE = 16
owner = QdrantClient if verb == "push" else EdgeClient
write, left = owner.upsert, iter(range(int(writes)))

def upsert(self, *arguments, **more):
    write(self, *arguments, **more)
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

owner.upsert = upsert
with Recommender.connect(path=path, space=space) as rec:
    getattr(rec, verb)(url)
"""


WRITES = 16
"""Pages that arrive before the process dies: all events and a part of the items."""


def killed(verb: str, url: str, path: Path, space: str) -> None:
    command = [sys.executable, "-c", MOVE, verb, url, str(path), space, str(WRITES)]
    assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == -signal.SIGKILL


def test_a_killed_push_and_a_killed_pull_go_on(tmp_path: Path, qdrant_url: str) -> None:
    space = fresh_name()
    with Recommender.connect(path=str(tmp_path / "laptop"), space=space) as rec:
        load_demo(rec)
        original = everything(rec.client, space)
    total = sum(len(part["points"]) for name, part in original.items() if name != "aliases")
    try:
        killed("push", qdrant_url, tmp_path / "laptop", space)
        server = open_sync(qdrant_url)
        with Recommender.connect(qdrant_url, space=space) as there, pytest.raises(SpaceIncomplete):
            there.recommend("sam-quant")
        with Recommender.connect(path=str(tmp_path / "laptop"), space=space) as rec:
            assert 0 < rec.push(qdrant_url).written < total
        assert everything(server, space) == original
        server.close()

        killed("pull", qdrant_url, tmp_path / "back", space)
        with Recommender.connect(path=str(tmp_path / "back"), space=space) as rec:
            with pytest.raises(SpaceIncomplete):
                rec.recommend("sam-quant")
            assert 0 < rec.pull(qdrant_url).written < total
            assert everything(rec.client, space) == original
    finally:
        remove(qdrant_url, space)
