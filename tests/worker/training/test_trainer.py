"""Models that learn known behaviour, on a real Qdrant: better ones are offered, worse ones kept."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from llmrec_qdrant import InvalidInput, Recommender, SpaceMismatch
from llmrec_qdrant.space.ids import point_id
from tests.spaces import merged
from tests.trainings import CONFIG, KINDS, VARIANTS, follow, run
from workers.encoding import registry
from workers.encoding.loading import load_encoder
from workers.encoding.tower_encoder import read_towers


@pytest.mark.slow
def test_a_better_model_is_offered_and_rolled_out(rec: Recommender, models: Path) -> None:
    follow(rec)
    before = {one.name for one in rec.client.get_collections().collections}
    version = run(rec, epochs=4, rate=5e-3)
    assert {one.name for one in rec.client.get_collections().collections} == before  # no trial is left
    assert [path.name for path in models.iterdir()] == [version.name]  # and no checkpoint
    assert version.offered, version.metrics
    assert version.metrics["dense"] > version.metrics["dense before"] + 0.2
    assert version.metrics["fused"] > version.metrics["fused before"]
    assert version.base["model"] == "hash" and version.size == 32 + 8 + 64 + 64 and len(version.data) == 64
    assert rec.reembed(model=version.name, size=version.size).wait(120).state == "done"
    (user,) = rec.client.retrieve(rec._space.users, [point_id("user", "u3")], with_vectors=True)
    (item,) = rec.client.retrieve(rec._space.items, [point_id("item", "i9")], with_vectors=True)
    assert merged(user.payload)["model"] == merged(item.payload)["model"] == rec.config.encoder_id
    assert version.name in rec.config.encoder_id
    assert len(user.vector["dense"]) == len(item.vector["dense"]) == version.size  # type: ignore[index,call-overload,arg-type]
    listed = rec.recommend("u3", VARIANTS, weights={"dense": 1.0})  # u3 took items of the kinds 3, 10, 17, 24, 31
    assert {int(item.id[1:]) % KINDS for item in listed} == {38}
    assert rec.rollback() == 1 and rec.recommend("u3", 3)


def test_a_model_trained_on_noise_is_kept_but_not_offered(served: Recommender) -> None:
    follow(served, chance=random.Random(1))
    version = run(served, epochs=1)
    assert not version.offered, version.metrics
    assert [(one.name, one.offered) for one in registry.versions(served.space)] == [(version.name, False)]


def test_a_version_encodes_to_the_vectors_that_were_measured(served: Recommender) -> None:
    """The encoder of a version returns the vectors that the learner had in the trial space."""
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
        read_towers(weights.parent)


def test_too_few_users_are_refused(served: Recommender) -> None:
    follow(served, users=30)
    with pytest.raises(InvalidInput, match=r"has 30 users .* needs at least 40"):
        run(served)
