"""A training that is killed ends like one that is not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from llmrec_qdrant import Recommender
from tests.services import ROOT
from tests.trainings import follow
from workers.encoding import registry
from workers.training.checkpoint import CURRENT

KILLED = """
import sys
from pathlib import Path
from qdrant_client import QdrantClient
from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.space.layout import Space
from workers.storage.store import SpaceStore
from workers.training import epochs
from workers.training.recipe import Recipe
from workers.training.trainer import train
epochs.CHECKPOINT_SECONDS = 0
url, name, folder = sys.argv[1:]
recipe = Recipe.of("towers", hidden=16, own=8, width=64, batch=8, rate=2e-3, epochs=6, patience=9)
store = SpaceStore(QdrantClient(url), Space(name).at(1))
version = train(store, SpaceConfig(model="hash", size=32), recipe, users=60, exclude_seen=False, folder=Path(folder))
print(version.name)
"""


def begin(rec: Recommender, url: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, url, rec.space, str(folder)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def step_of(folder: Path) -> int:
    """Return the steps in the current checkpoint. Its header is read from one open file: safetensors opens it twice, and it may be replaced in between."""
    try:
        with open(folder / CURRENT, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except FileNotFoundError:
        return 0
    return int(json.loads(header["__metadata__"]["progress"])["step"])


def test_a_killed_and_resumed_training_ends_with_the_same_weights(
    served: Recommender, qdrant_url: str, tmp_path: Path, models: Path
) -> None:
    follow(served, users=60)
    whole = begin(served, qdrant_url, tmp_path / "whole")
    name = (whole.communicate(timeout=300)[0] or "").split()[-1]
    folder, kills = tmp_path / "killed", 0
    for wanted in random.Random(3).sample(range(5, 150), 3):
        child = begin(served, qdrant_url, folder)
        while child.poll() is None and step_of(folder) < wanted:
            time.sleep(0.01)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills += 1
        child.communicate()
    last = begin(served, qdrant_url, folder) if folder.exists() else None
    other = (
        registry.versions(served.space)[-1].name
        if last is None
        else (last.communicate(timeout=300)[0] or "").split()[-1]
    )
    assert kills and name != other
    one, two = (load_file(models / each / "towers.safetensors") for each in (name, other))
    assert one.keys() == two.keys() and all((one[key] == two[key]).all() for key in one)
    first, second = (registry.load(each)[0].metrics for each in (name, other))
    curves = [np.array(one.pop("NDCG by epoch")) for one in (first, second)]
    assert first == second
    assert np.allclose(*curves, atol=0.02)  # Qdrant lists items of equal score in any order
