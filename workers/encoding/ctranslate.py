"""Runs a BERT in CTranslate2 on a CPU, in float32 or with 8-bit matrix products.

CTranslate2 reads a format of its own: weights and a vocabulary, no code and no pickle. A model is converted once and
stored under ``LLMREC_MODELS`` by the digest of its weights, so all workers that share the folder share the conversion.
The folder is written under a temporary name and renamed into place, so a conversion is complete or absent.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import registry
from .cache import digest

__all__ = ["ConvertedModel", "convertible"]


log = logging.getLogger("llmrec.worker")


ARCHITECTURES = frozenset({"BertModel", "CamembertModel", "DistilBertModel", "RobertaModel", "XLMRobertaModel"})
"""Model classes of transformers that are converted; others run in their own code."""


CONVERSIONS_FOLDER = ".converted"
"""Folder in ``LLMREC_MODELS``. Names of trained models have no leading dot, so none can clash."""


def convertible(transformer: Any) -> bool:
    """Whether CTranslate2 computes the same as this transformer."""
    config = transformer.config
    absolute = getattr(config, "position_embedding_type", None) in (None, "absolute")
    # The converter derives the start of RoBERTa's positions from its padding token, and mistakes token 0 for none.
    begins = config.model_type in ("bert", "distilbert") or bool(config.pad_token_id)
    known = type(transformer).__name__ in ARCHITECTURES
    return known and absolute and begins and not getattr(config, "is_decoder", False)


class ConvertedModel:
    """Turns token ids into pooled vectors; ``precision`` is ``"float32"`` or ``"int8"``.

    In int8, weights are rounded per output channel and activations per token (Bhandare et al. 2019), so the vector of a
    text does not depend on its neighbours. ``cores`` calls may run at once, each on one core.
    """

    def __init__(self, transformer: Any, tokenizer: Any, pooling: str, precision: str, cores: int) -> None:
        self._encoder = _loaded(transformer, tokenizer, precision, cores)
        self._pooling = pooling

    def __call__(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Encode token ids; returns a float32 tensor (len(texts), dimensions)."""
        answer = self._encoder.forward_batch([list(text) for text in texts])
        states = torch.from_numpy(np.array(answer.last_hidden_state))
        if self._pooling == "cls":
            return states[:, 0]
        lengths = torch.tensor([len(text) for text in texts])
        inside = torch.arange(states.shape[1]) < lengths[:, None]
        sums = torch.bmm(inside[:, None].float(), states)[:, 0]
        return sums / lengths[:, None]


def _loaded(transformer: Any, tokenizer: Any, precision: str, cores: int) -> Any:
    """Load the converted model, converting it first if necessary.

    A folder that cannot be written costs one conversion per start, and nothing else.
    """
    recipe = f"ctranslate2 {version('ctranslate2')} {transformer.config.to_json_string()}"
    # A pooler that the weights lack is random, and nothing here reads it.
    weights = {name: tensor for name, tensor in transformer.state_dict().items() if not name.startswith("pooler.")}
    folder = registry.folder() / CONVERSIONS_FOLDER / digest(recipe, weights)
    if folder.is_dir():
        return _encoder(folder, precision, cores)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-")
    except OSError as error:
        log.warning("cannot store the converted model (%s): it will be converted again at the next start", error)
        scratch = tempfile.TemporaryDirectory(prefix="llmrec-converted-")
        with scratch:
            return _encoder(_convert(transformer, tokenizer, Path(scratch.name)), precision, cores)
    with scratch:
        _publish(_convert(transformer, tokenizer, Path(scratch.name)), folder)
    return _encoder(folder, precision, cores)


def _encoder(folder: Path, precision: str, cores: int) -> Any:
    import ctranslate2

    threads = torch.get_num_threads()  # CTranslate2 sets the number for the calling thread, and torch's with it
    try:
        return ctranslate2.Encoder(
            str(folder), device="cpu", compute_type=precision, inter_threads=cores, intra_threads=1
        )
    finally:
        torch.set_num_threads(threads)


def _publish(converted: Path, folder: Path) -> None:
    try:
        os.rename(converted, folder)
    except OSError:  # another worker was first
        if not folder.is_dir():
            raise


def _convert(transformer: Any, tokenizer: Any, scratch: Path) -> Path:
    """Write the model in the format of transformers, then convert it; returns the converted folder."""
    from ctranslate2.converters import TransformersConverter

    began = time.monotonic()
    source, target = scratch / "source", scratch / "target"
    transformer.save_pretrained(source)
    tokenizer.save_pretrained(source)
    config = source / "config.json"  # the converter requires a field that newer releases of transformers omit
    config.write_text(json.dumps({"position_embedding_type": "absolute", **json.loads(config.read_text("utf-8"))}))
    TransformersConverter(str(source)).convert(str(target))
    log.info("converted the model for CTranslate2 in %.0f s", time.monotonic() - began)
    return target
