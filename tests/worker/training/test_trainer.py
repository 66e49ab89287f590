"""Models that learn what is known, on a real Qdrant: better ones are offered, worse ones kept, killed ones resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy import sparse

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig, SpaceMismatch
from llmrec_qdrant.contracts.config import Leg
from llmrec_qdrant.contracts.messages import Train
from llmrec_qdrant.operations import training
from llmrec_qdrant.operations.clock import iso
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.testing import MemoryQueue
from tests.models import WORDS, save_tiny
from tests.services import ROOT
from tests.spaces import EITHER, space_on, store_of
from workers.dispatch import Worker
from workers.encoding import registry
from workers.encoding.loading import load_encoder
from workers.encoding.towers import Bags, Towers, _read
from workers.reconcile import reconcile
from workers.training import job as training_job
from workers.training import job as trainings
from workers.training import judge, trainer
from workers.training.judge import heavier
from workers.training.learner import Recipe
from workers.training.trainer import train

CONFIG = SpaceConfig(model="hash", size=32)
SMALL = {"hidden": 16, "own": 8, "width": 64, "batch": 64, "rate": 2e-3}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


@pytest.fixture
def served(request: pytest.FixtureRequest, qdrant_url: str) -> Iterator[Recommender]:
    request.param = "server"
    with space_on(request, CONFIG) as made:
        yield made


def follow(rec: Recommender, users: int = 90, steps: int = 5, chance: random.Random | None = None) -> None:
    """Item k is followed by item k + 7, whose words are others; with ``chance`` nothing follows from anything."""
    rec.upsert_items([Item(id=f"i{k}", title=f"word{k} other{k % 5}") for k in range(40)])
    rec.track(
        Event(
            user=f"u{n}", item=f"i{chance.randrange(40) if chance else (n + 7 * step) % 40}", type="view",
            ts=1_700_000_000 + step * 86_400,
        )
        for n in range(users)
        for step in range(steps)
    )  # fmt: skip
    rec.reconcile()


def run(rec: Recommender, *, exclude_seen: bool = True, **changes: object) -> registry.Version:
    recipe = Recipe.of("towers", **{**SMALL, "epochs": 2, **changes})
    return train(rec.client, rec._space.at(1), rec.config, recipe, users=60, exclude_seen=exclude_seen)


@pytest.mark.slow
def test_a_better_model_is_offered_and_rolled_out(rec: Recommender, models: Path) -> None:
    follow(rec)
    before = {one.name for one in rec.client.get_collections().collections}
    version = run(rec)
    assert {one.name for one in rec.client.get_collections().collections} == before  # no trial is left
    assert [path.name for path in models.iterdir()] == [version.name]  # and no checkpoint
    assert version.offered, version.metrics
    assert version.metrics["dense"] > version.metrics["dense before"] + 0.3
    assert version.base["model"] == "hash" and version.size == 32 + 8 + 64 + 64 and len(version.data) == 64
    assert rec.reembed(model=version.name, size=version.size).wait(120).state == "live"
    (user,) = rec.client.retrieve(rec._space.users, [point_id("user", "u3")], with_vectors=True)
    (item,) = rec.client.retrieve(rec._space.items, [point_id("item", "i9")], with_vectors=True)
    assert user.payload["model"] == item.payload["model"] == rec.config.encoder_id  # type: ignore[index]
    assert version.name in rec.config.encoder_id
    assert len(user.vector["dense"]) == len(item.vector["dense"]) == version.size  # type: ignore[index,call-overload,arg-type]
    listed = rec.recommend("u3", 3, weights={"dense": 1.0})  # u3 took 3, 10, 17, 24, 31
    assert "i38" in [one.id for one in listed]
    assert rec.rollback() == 1 and rec.recommend("u3", 3)


def test_better_is_a_question_with_a_direction() -> None:
    """Gains of a mean of 1.8 standard errors: more than 1.64, less than 1.96."""
    gains = np.tile([1.0, -1.0], 200) + 1.8 / 20
    still, weights = np.zeros(400), {"dense": 1.0}
    before = judge.Outcome(still, still, weights)  # type: ignore[arg-type]
    for dense, fused, expected in ((gains, still, True), (gains * 0.8 - 0.015, still, False), (gains, -gains, False)):
        metrics, better = judge.verdict(before, judge.Outcome(dense, fused, weights), 10)  # type: ignore[arg-type]
        assert better is expected
        assert metrics["gain of dense, 95 %"][0] < 0 < metrics["gain of dense, 95 %"][1]


def test_a_model_that_learns_from_noise_is_kept_and_not_offered(served: Recommender) -> None:
    follow(served, chance=random.Random(1))
    version = run(served, epochs=1)
    assert not version.offered, version.metrics
    assert [(one.name, one.offered) for one in registry.versions(served.space)] == [(version.name, False)]


def test_untrained_towers_give_the_encoders_order(served: Recommender) -> None:
    """Before the first step an item's first block is its encoder's vector, and so is a user's."""
    texts = [f"word{k} other{k % 5}" for k in range(9)]
    rows = load_encoder(CONFIG).encode(texts)
    towers = Towers(32, 16, 0, 8, 64)
    nothing = Bags.of(sparse.csr_matrix((9, 0)))
    firsts = towers.eval().firsts(torch.from_numpy(rows), nothing)
    assert np.allclose(firsts.detach().numpy()[:, :32], rows, atol=1e-6)
    wishes = towers.wishes(firsts[:, None].expand(-1, 2, -1))
    assert np.allclose(wishes.detach().numpy()[:, :32], rows, atol=1e-6)


def test_what_is_encoded_is_what_was_measured(served: Recommender) -> None:
    """The encoder of a version gives the vectors that the learner had in the trial space."""
    follow(served)
    version = run(served, epochs=1, exclude_seen=False)
    config = CONFIG.model_copy(update={"model": version.name, "size": version.size})
    rows = load_encoder(config).encode(["word3 other3", "never seen", ""])
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 1, 0], atol=1e-5)
    known, new, unread = np.split(rows, [1, 2])
    assert np.abs(known[:, 32:40]).sum() > 0 and np.abs(known[:, 40:104]).sum() > 0
    assert np.abs(new[:, 32:104]).sum() == 0 and not unread.any()  # what is new has no behaviour
    with pytest.raises(SpaceMismatch, match="re-embed with size=168"):
        load_encoder(config.model_copy(update={"size": 32}))
    weights = registry.folder() / version.name / "towers.safetensors"
    older = {name: one for name, one in load_file(weights).items() if name != "towers.view"}
    save_file(older, weights)
    with pytest.raises(InvalidInput, match="older release: train it anew"):
        _read(weights.parent)


def test_too_few_users_are_refused(served: Recommender) -> None:
    follow(served, users=30)
    with pytest.raises(InvalidInput, match=r"has 30 users .* takes 40 or more"):
        run(served)


KILLED = """
import sys
from qdrant_client import QdrantClient
from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.space.layout import KINDS, Space
from workers.training import trainer as train
from workers.training.learner import Recipe
train.EVERY = 0
url, name, folder = sys.argv[1:]
recipe = Recipe.of("towers", hidden=16, own=8, width=64, batch=8, rate=2e-3, epochs=6, patience=9)
from pathlib import Path
version = train.train(QdrantClient(url), Space(name).at(1), SpaceConfig(model="hash", size=32), recipe, users=60,
    exclude_seen=False, folder=Path(folder))
print(version.name)
"""


def begin(rec: Recommender, url: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, url, rec.space, str(folder)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def step_of(folder: Path) -> int:
    try:
        with safe_open(folder / trainer.CHECKPOINT, "pt") as handle:
            return int(json.loads(handle.metadata()["progress"])["step"])
    except OSError:
        return 0


def test_killed_at_any_step_and_resumed_it_ends_with_the_same_weights(
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
    looks = [np.array(one.pop("looks")) for one in (first, second)]
    assert first == second
    assert np.allclose(*looks, atol=0.02)  # Qdrant lists items of equal score in any order


# --- the job --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_is_asked_for_watched_and_done(rec: Recommender) -> None:
    follow(rec)
    job = rec.train(epochs=1, users=60)
    assert (job.stage, job.method, job.offered) == ("done", "towers", True)
    assert [one.name for one in registry.versions(rec.space)] == [job.version] == [rec.training().version]  # type: ignore[union-attr]


def test_a_training_may_hide_the_latest_events_and_learns_from_them_in_the_end(
    served: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last tenth of all events lies in the fifth of five days: four are learned from, then all five."""
    seen: list[int] = []
    build = trainer.dataset.build

    def watched(people: Any, *given: Any, **options: Any) -> Any:
        seen.append(sum(map(len, people.values())))
        return build(people, *given, **options)

    monkeypatch.setattr(trainer.dataset, "build", watched)
    follow(served)
    job = served.train(epochs=1, users=60, split="time")
    assert (job.stage, job.split, job.offered) == ("done", "time", True)
    assert seen == [90 * 4, 90 * 5]


def test_the_reconciler_finds_a_training_that_nobody_is_at(
    served: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(served)
    served._queue = queue = MemoryQueue()
    served.train(epochs=1, users=60)
    assert [type(one) for one in queue.sent] == [Train]
    queue.sent.clear()  # lost
    place = served._space.at(1)
    assert Train(space=served.space) in list(reconcile(store_of(served)))
    job = training_job.read(served.client, place)
    assert job is not None
    busy = job.model_copy(update={"stage": "training", "holder": "somebody", "beat": iso(datetime.now(UTC))})
    drive(training.write(place, busy), served.client, NoQueue())
    assert Train(space=served.space) not in list(reconcile(store_of(served)))
    assert training_job.work(served.client, place, served.config) is None  # a doubled message
    dead = busy.model_copy(update={"beat": iso(datetime.now(UTC) - timedelta(seconds=61))})
    drive(training.write(place, dead), served.client, NoQueue())
    assert Train(space=served.space) in list(reconcile(store_of(served)))
    Worker(served.client).run(Train(space=served.space))
    assert served.training().stage == "done"  # type: ignore[union-attr]


def test_another_training_waits_for_the_one_under_way_or_its_end(served: Recommender) -> None:
    follow(served)
    served._queue = MemoryQueue()
    first = served.train(users=60)
    assert served.train(users=60).run == first.run
    with pytest.raises(SpaceMismatch, match="already being trained"):
        served.train("texts")
    assert served.cancel_training() and not served.cancel_training()
    assert served.training().reason == "given up"  # type: ignore[union-attr]


def test_whoever_is_at_a_training_that_is_given_up_stops(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    monkeypatch.setattr(trainings, "BEAT", 0.0)
    served._queue = MemoryQueue()
    served.train(users=60)

    def tell(what: str, done: float, total: float) -> None:
        if "loss" in what:
            served.cancel_training()

    place = served._space.at(1)
    assert training_job.work(served.client, place, served.config, tell) is None
    assert served.training().reason == "given up"  # type: ignore[union-attr]
    assert registry.versions(served.space) == []


def test_input_that_cannot_be_learned_from_ends_the_training_with_a_reason(served: Recommender) -> None:
    follow(served, users=3)
    job = served.train()
    assert job.stage == "failed" and "takes 40 or more" in job.reason


def test_a_training_that_dies_at_one_place_is_given_up(served: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(served)
    monkeypatch.setattr(trainings, "train", lambda *given, **options: 1 / 0)
    job = served.train()
    for _ in range(training_job.TRIES):
        served.reconcile()
    job = served.training()  # type: ignore[assignment]
    assert job.stage == "failed" and job.reason == "ZeroDivisionError: division by zero"


# --- the encoder itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["encoder", "texts"])
def test_an_encoder_is_trained_saved_and_read_again(
    method: Literal["encoder", "texts"], request: pytest.FixtureRequest, qdrant_url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LLMREC_ENCODER_BACKEND", "fp32")  # a probe may choose another number format for each model
    request.param = "server"
    base = str(save_tiny("bert", tmp_path / "tiny"))
    with space_on(request, SpaceConfig(model=base, size=32, max_tokens=16)) as rec:
        rec.upsert_items([Item(id=f"i{k}", title=" ".join(random.Random(k).sample(WORDS[5:12], 4))) for k in range(40)])
        rec.track(
            Event(user=f"u{n}", item=f"i{(n + 7 * step) % 40}", type="view", ts=1_700_000_000 + step * 86_400)
            for n in range(60) for step in range(4)
        )  # fmt: skip
        rec.reconcile()
        recipe = Recipe.of(method, epochs=1, batch=16, rate=1e-3)
        version = train(rec.client, rec._space.at(1), rec.config, recipe, users=60)
        assert {Path(name).suffix for name in version.files} <= {".json", ".safetensors", ".md", ".txt"}
        assert "tokenizer.json" in version.files and version.size == 32
        assert rec.reembed(model=version.name, size=version.size).wait(120).state == "live"
        config = rec.config
        texts = ["robots learn to love", "a garden grows"]
        old, new = (load_encoder(one).encode(texts) for one in (config.model_copy(update={"model": base}), config))
        assert (not np.allclose(old, new)) == (version.metrics["epochs"] > 0)
        assert rec.recommend("u1", 3)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"dense": 1.0, "tfidf": 1.0, "collab": 2.0}, 4.0),
        ({"dense": 4.0, "tfidf": 1.0, "collab": 2.0}, 6.0),  # no leg can be named more often in a request
        ({"dense": 8.0, "tfidf": 1.0, "collab": 2.0}, 8.0),
        ({"dense": 0.0, "tfidf": 100.0, "collab": 200.0}, 400.0),
        ({"tfidf": 1.0}, 4.0),
        ({"dense": 2.0}, 2.0),
    ],
)
def test_a_trained_dense_leg_counts_more_as_far_as_it_can(weights: dict[Leg, float], expected: float) -> None:
    assert heavier(weights, 4.0) == {**weights, "dense": expected}
