"""Ways to run a model, each against the model's own code; tiny models created here, and the real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.errors import SpaceMismatch
from workers.encoding.backends import Backend, ThroughModules, batches, builders
from workers.encoding.encoder import SentenceEncoder, sentence_model

TEXTS = [[2, 5, 6, 7, 8, 3], [2, 9, 3], [2, 9, 10, 11, 3], [2, 5, 3]]
"""Token ids with the special ones, of four lengths but one."""
CPU = torch.device("cpu")
REAL = [
    "astronauts cross a wormhole in search of a new home for humanity",
    "a cook opens a food truck",
    "Stainless steel hex bolts M6 x 20, pack of 50, with nuts and washers",
    "robots",
    "An old fisherman, unlucky for eighty-four days, goes far out and hooks a marlin that tows his boat for two days. "
    "Drama, classic, sea, Cuba",
    "Amélie à Paris 😀🎬",
    "The film Interstellar (星际穿越) by Nolan",
] * 3


ON_CPU = pytest.mark.skipif(
    torch.cuda.is_available(), reason="8-bit integers are for CPUs; this machine encodes on a GPU"
)


def by_hand(model: Any, text: Sequence[int], pooling: str) -> np.ndarray:
    """One text alone, so nothing is padded."""
    with torch.no_grad():
        states = model(input_ids=torch.tensor([list(text)])).last_hidden_state[0]
    return np.asarray(states[0] if pooling == "cls" else states.mean(dim=0))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_plain_transformer_folder_is_encoded_as_its_own_code_does(folder: Path, pooling: str) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    encoder = SentenceEncoder(SpaceConfig(model=str(folder), size=32, pooling=pooling, max_tokens=16), "fp32")
    rows = encoder.encode(["Robots learn to love", "a", "a garden grows", "robots"])
    for row, text in zip(rows, TEXTS, strict=True):
        wanted = by_hand(model, text, pooling)
        assert row == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-6)


@pytest.mark.parametrize("way", ["bf16", "auto"])
def test_other_ways_agree(folder: Path, way: str) -> None:
    config = SpaceConfig(model=str(folder), size=32, max_tokens=16)
    texts = ["Robots learn to love", "a", "a garden grows", "robots"]
    exact, found = SentenceEncoder(config, "fp32").encode(texts), SentenceEncoder(config, way).encode(texts)
    assert (exact * found).sum(axis=1).min() > 0.98


def test_batches_keep_to_the_budget_and_hold_every_text_once() -> None:
    lengths = [int(n) for n in np.random.default_rng(0).integers(1, 90, 500)]
    found = list(batches(lengths, budget=300))
    assert sorted(index for batch in found for index in batch) == list(range(500))
    assert all(len(batch) * max(lengths[k] for k in batch) <= 300 for batch in found)
    shown = [lengths[index] for batch in found for index in batch]
    assert shown == sorted(lengths, reverse=True)


def test_a_text_beyond_the_budget_is_alone_and_few_texts_are_shared_out() -> None:
    assert list(batches([500, 3, 4], budget=100)) == [[0], [2, 1]]
    assert [len(batch) for batch in batches([10] * 8, budget=1_000, workers=2)] == [4, 4]
    assert list(batches([], budget=10)) == []


def test_a_backend_returns_rows_in_the_order_of_the_texts() -> None:
    def lengths(texts: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([[float(len(text))] for text in texts])

    given = [[1] * n for n in np.random.default_rng(1).integers(1, 200, 300)]
    rows = Backend("lengths", lengths, CPU).encode(given)
    assert rows[:, 0].tolist() == [len(text) for text in given]


@pytest.mark.model
@pytest.mark.parametrize(
    ("way", "mean", "worst"),
    [("fp32", 0.999999, 0.99999), ("bf16", 0.9995, 0.999), pytest.param("int8", 0.995, 0.98, marks=ON_CPU)],
)
def test_the_real_model_in_every_way_as_sentence_transformers_has_it(way: str, mean: float, worst: float) -> None:
    wanted = sentence_model(SpaceConfig()).encode(REAL, normalize_embeddings=True, show_progress_bar=False)
    rows = SentenceEncoder(SpaceConfig(), way).encode(REAL)
    cosines = (rows * wanted).sum(axis=1)
    assert cosines.mean() > mean
    assert cosines.min() > worst
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(REAL)), abs=1e-5)


@pytest.mark.model
@ON_CPU
def test_in_int8_neighbours_change_no_more_than_a_rounding() -> None:
    encoder = SentenceEncoder(SpaceConfig(), "int8")
    together, alone = encoder.encode(REAL[:7]), np.concatenate([encoder.encode([text]) for text in REAL[:7]])
    assert (together * alone).sum(axis=1).min() > 0.999


@pytest.mark.model
def test_modules_after_the_pooling_are_kept() -> None:
    from sentence_transformers.sentence_transformer.modules import Dense

    model = sentence_model(SpaceConfig())
    torch.manual_seed(0)
    model.append(Dense(in_features=384, out_features=16, activation_function=torch.nn.Tanh()).to(model.device))
    tokens = model.tokenizer(REAL[:3])["input_ids"]
    found = builders(model)["fp32"]()(tokens)
    assert found.cpu().numpy() == pytest.approx(model.encode(REAL[:3], show_progress_bar=False), abs=1e-5)
    assert ThroughModules(model)(tokens).cpu().numpy() == pytest.approx(found.cpu().numpy(), abs=1e-5)


def test_the_size_of_the_space_is_the_size_of_the_model(folder: Path) -> None:
    with pytest.raises(SpaceMismatch, match="create a space with size=32"):
        SentenceEncoder(SpaceConfig(model=str(folder), size=16, max_tokens=16))


def test_a_batch_beyond_the_memory_of_an_accelerator_is_halved_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks the branch of an accelerator: one batch at a time, far more tokens in each."""
    freed: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(True))
    sizes: list[int] = []

    def forward(texts: Sequence[Sequence[int]]) -> torch.Tensor:
        sizes.append(len(texts))
        if len(texts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.tensor([[float(text[0])] for text in texts])

    rows = Backend("fp32", forward, torch.device("cuda")).encode([[n] * 5 for n in range(10)])
    assert rows.ravel().tolist() == list(range(10))
    assert sizes == [10, 5, 2, 3, 5, 2, 3] and len(freed) == 3


def test_a_single_text_beyond_the_memory_is_an_error() -> None:
    def forward(texts: Sequence[Sequence[int]]) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Backend("fp32", forward, torch.device("meta")).encode([[1, 2], [3]])
