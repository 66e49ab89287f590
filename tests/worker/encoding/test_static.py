"""Static vectors against the formula, computed here step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from llmrec_qdrant.contracts.config import DEFAULT_MODEL, SpaceConfig
from llmrec_qdrant.errors import SpaceMismatch
from tests.models import WORDS, save_tiny
from workers.encoding import static
from workers.encoding.encoder import SentenceEncoder, model_size, sentence_model
from workers.encoding.static import StaticTable


def test_a_text_is_the_sum_of_its_rows() -> None:
    table = StaticTable(torch.tensor([[0.0, 0.0], [1.0, 2.0], [10.0, 20.0]]))
    assert table.encode([[0, 1, 0], [2, 1, 1], [1]]).tolist() == [[1, 2], [12, 24], [1, 2]]


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setattr(
        static, "cached_assets_path", lambda library, namespace, subfolder: tmp_path / library / namespace / subfolder
    )
    return tmp_path


def test_rows_are_centred_turned_and_weighted(assets: Path, tmp_path: Path) -> None:
    config = SpaceConfig(model=f"static:{save_tiny('bert', tmp_path)}", size=32, max_tokens=16)
    encoder = SentenceEncoder(config)
    (path,) = assets.rglob("static/**/*.safetensors")
    table = load_file(path)["embeddings"]
    assert table.shape == (len(WORDS), 32) and table.dtype == np.float32
    assert not table[:5].any()  # the special tokens

    plain = sentence_model(config.model_copy(update={"model": str(tmp_path)})).encode(
        WORDS[5:12], show_progress_bar=False
    )
    frequency = (1 / np.arange(2, len(WORDS) + 2)) / (1 / np.arange(2, len(WORDS) + 2)).sum()
    turned = table[5:12] / (1e-4 / (1e-4 + frequency[5:12]))[:, None]
    # centring and turning keep the differences between words, their lengths and their angles
    differences, wanted = turned[1:] - turned[0], plain[1:] - plain[0]
    assert differences @ differences.T == pytest.approx(wanted @ wanted.T, abs=1e-4)
    spread = np.square(turned).sum(axis=0)
    assert spread[0] > spread[-1]

    texts = ["a garden grows", "Robots learn to love", "", "火", "a garden grows"]
    rows = encoder.encode(texts)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 0, 0, 1])
    summed = table[[9, 10, 11]].sum(axis=0)
    assert rows[0] == pytest.approx(summed / np.linalg.norm(summed), abs=1e-6)
    cut = table[[9, 10, 11], :8].sum(axis=0)
    small = SentenceEncoder(config.model_copy(update={"size": 8}))
    assert small.encode(texts[:1])[0] == pytest.approx(cut / np.linalg.norm(cut), abs=1e-6)


def test_it_is_distilled_once_and_the_same_everywhere(assets: Path, tmp_path: Path) -> None:
    config = SpaceConfig(model=f"static:{save_tiny('bert', tmp_path)}", size=32, max_tokens=16)
    first = SentenceEncoder(config).encode(["robots love a garden"])
    (path,) = assets.rglob("static/**/*.safetensors")
    written = path.stat().st_mtime_ns
    assert (SentenceEncoder(config).encode(["robots love a garden"]) == first).all()
    assert path.stat().st_mtime_ns == written
    path.unlink()
    assert SentenceEncoder(config).encode(["robots love a garden"]) == pytest.approx(first, abs=1e-5)


@pytest.mark.model
def test_more_numbers_than_the_model_has_are_refused() -> None:
    assert model_size(SpaceConfig(model=f"static:{DEFAULT_MODEL}", size=1)) == 384
    with pytest.raises(SpaceMismatch, match="size=384"):
        SentenceEncoder(SpaceConfig(model=f"static:{DEFAULT_MODEL}", size=400))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    static._save(torch.zeros(2, 2), tmp_path / "file" / "below" / "model.safetensors")
    assert "will be distilled again" in caplog.text
