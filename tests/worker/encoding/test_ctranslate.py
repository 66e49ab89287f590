"""Models run by CTranslate2 against their own code, and what is kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llmrec_qdrant.contracts.config import SpaceConfig
from tests.models import save_tiny, tiny
from workers.encoding.ctranslate import ConvertedModel, convertible
from workers.encoding.encoder import sentence_model

TEXTS = [[2, 5, 6, 7, 8, 3], [2, 9, 3], [2, 9, 10, 11, 3], [2, 5, 3]]
"""Token ids with the special ones, of four lengths but one."""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own."""
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def by_hand(model: Any, text: Sequence[int], pooling: str) -> np.ndarray:
    """One text alone, so nothing is padded."""
    with torch.no_grad():
        states = model(input_ids=torch.tensor([list(text)])).last_hidden_state[0]
    return np.asarray(states[0] if pooling == "cls" else states.mean(dim=0))


def loaded(folder: Path, numbers: str = "float32", pooling: str = "mean") -> tuple[Any, ConvertedModel]:
    """The bare transformer of a folder and its conversion."""
    model = sentence_model(SpaceConfig(model=str(folder), size=32, max_tokens=16))
    bare = model[0].auto_model
    return bare, ConvertedModel(bare, model.tokenizer, pooling, numbers, cores=1)


@pytest.fixture(params=["bert", "xlm-roberta", "distilbert"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """As for other tests, but with a padding token that RoBERTa may have: its positions begin behind it."""
    save_tiny(request.param, tmp_path)
    if request.param == "xlm-roberta":
        from transformers import XLMRobertaConfig, XLMRobertaModel

        torch.manual_seed(0)
        config = XLMRobertaConfig.from_pretrained(tmp_path, pad_token_id=1)
        XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_without_padding_as_each_text_alone(folder: Path, pooling: str) -> None:
    model, converted = loaded(folder, pooling=pooling)
    assert convertible(model)
    rows = converted(TEXTS).numpy()
    for row, text in zip(rows, TEXTS, strict=True):
        assert row == pytest.approx(by_hand(model, text, pooling), abs=1e-6)
    assert converted([TEXTS[1], TEXTS[3]]).numpy() == pytest.approx(rows[[1, 3]], abs=1e-6)


def test_torch_keeps_its_threads(folder: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        loaded(folder)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_in_int8_a_text_does_not_depend_on_its_neighbours(folder: Path) -> None:
    _, converted = loaded(folder, "int8")
    alone = torch.cat([converted([text]) for text in TEXTS])
    assert converted(TEXTS).numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_other_architectures_go_through_their_own_code() -> None:
    from transformers import ElectraConfig, ElectraModel

    sizes = {"vocab_size": 14, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    assert not convertible(ElectraModel(ElectraConfig(**sizes, intermediate_size=64, embedding_size=32)))
    assert convertible(tiny("distilbert"))
    assert not convertible(tiny("xlm-roberta")), "its padding token is 0, so the converter misplaces the positions"


def test_a_model_is_converted_once_and_without_pickles(
    folder: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "llmrec.worker"):
        loaded(folder)
        (first,) = (models / ".converted").iterdir()
        written = {path: path.stat().st_mtime_ns for path in first.iterdir()}
        loaded(folder, "int8")
    assert caplog.text.count("converted the model") == 1
    assert list((models / ".converted").iterdir()) == [first], "nothing half-written is left"
    assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == written
    assert {path.suffix for path in written} == {".bin", ".json"}
    assert b"torch" not in (first / "model.bin").read_bytes()[:4096]


def test_other_weights_are_another_conversion(folder: Path, models: Path) -> None:
    model = sentence_model(SpaceConfig(model=str(folder), size=32, max_tokens=16))
    bare = model[0].auto_model
    first = ConvertedModel(bare, model.tokenizer, "mean", "float32", cores=1)(TEXTS)
    with torch.no_grad():
        next(bare.parameters()).mul_(2)
    second = ConvertedModel(bare, model.tokenizer, "mean", "float32", cores=1)(TEXTS)
    assert len(list((models / ".converted").iterdir())) == 2
    assert (first - second).abs().max() > 1e-3


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "file" / "below"))
    model, converted = loaded(folder)
    assert converted(TEXTS).numpy()[0] == pytest.approx(by_hand(model, TEXTS[0], "mean"), abs=1e-6)
    assert "will be converted again" in caplog.text
