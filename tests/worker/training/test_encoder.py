"""An encoder is fine-tuned, saved and read again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from llmrec_qdrant import Event, Item, SpaceConfig
from tests.models import WORDS, save_tiny
from tests.spaces import space_on, store_of
from workers.encoding.loading import load_encoder
from workers.training.recipe import Recipe
from workers.training.trainer import train


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
        version = train(store_of(rec).at(1), rec.config, recipe, users=60)
        assert {Path(name).suffix for name in version.files} <= {".json", ".safetensors", ".md", ".txt"}
        assert "tokenizer.json" in version.files and version.size == 32
        assert rec.reembed(model=version.name, size=version.size).wait(120).state == "done"
        config = rec.config
        texts = ["robots learn to love", "a garden grows"]
        old, new = (load_encoder(one).encode(texts) for one in (config.model_copy(update={"model": base}), config))
        assert (not np.allclose(old, new)) == (version.metrics["epochs"] > 0)
        assert rec.recommend("u1", 3)
