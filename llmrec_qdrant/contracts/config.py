"""The configuration of a space."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

from llmrec_qdrant.contracts.checks import Contract
from llmrec_qdrant.contracts.entities import RESERVED
from llmrec_qdrant.contracts.paths import canonical_path, steps

__all__ = [
    "DEFAULT_MODEL",
    "EVENT_WEIGHTS",
    "LEGS",
    "MULTILINGUAL_MODEL",
    "FieldKind",
    "Leg",
    "SpaceConfig",
    "is_own_field",
]


Leg = Literal["dense", "tfidf", "collab"]
"""One of the three kinds of vectors: meaning, words, behaviour."""

LEGS: tuple[Leg, ...] = get_args(Leg)

FieldKind = Literal["keyword", "integer", "float", "bool", "datetime", "text", "geo", "uuid"]

EVENT_WEIGHTS = {
    "view": 1.0, "like": 2.0, "purchase": 3.0, "rating": 2.0, "review": 2.0, "search": 1.0, "dislike": -1.0,
    "unlike": 0.0, "undislike": 0.0, "return": 0.0, "refund": 0.0,
}  # fmt: skip
"""Default weight per event type. A configuration that sets some of them keeps the others."""

FOLD_REVISION = 3
"""Changes with the rules by which events become vectors; users with vectors by earlier rules are refreshed."""

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


MULTILINGUAL_MODEL = "universal-sentence-encoder-multilingual-3"
"""The packaged model that reads 16 languages; 512 dimensions."""


_TEXT_KEYS: Mapping[str, tuple[FieldKind, ...]] = {"title": ("text", "keyword"), "text": ("text",)}
"""The texts of an item, which can be declared as fields of these kinds."""


def is_own_field(path: str, kind: FieldKind | None = None) -> bool:
    """Whether a canonical path may be declared as a field, of this kind; the keys of the product may not, in any spelling.

    >>> is_own_field("year"), is_own_field("tenant[0].x"), is_own_field("title", "text"), is_own_field("title")
    (True, False, True, False)
    """
    return steps(path)[0] not in RESERVED or kind in _TEXT_KEYS.get(path, ())


STEMMERS = (
    "arabic", "armenian", "basque", "catalan", "czech", "danish", "dutch", "dutch_porter", "english", "esperanto", "estonian", "finnish",
    "french", "german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "persian",
    "polish", "porter", "portuguese", "romanian", "russian", "serbian", "sesotho", "spanish", "swedish", "tamil", "turkish", "yiddish",
)  # fmt: skip
"""Snowball stemmers; workers have the package that implements them."""


def _default_weights() -> dict[Leg, float]:
    """Collab counts twice: on Amazon Beauty this raises NDCG@10 of the fused query from .0564 to .0607."""
    return dict(zip(LEGS, (1.0, 1.0, 2.0), strict=True))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


class SpaceConfig(Contract):
    """The settings of a space: how its vectors are made and how its items are ranked.

    Changing a setting of the first block (see :attr:`IDENTITY`) needs a re-embedding; the others may change at any time.
    """

    IDENTITY: ClassVar[tuple[str, ...]] = (
        "model", "revision", "pooling", "size", "max_tokens", "similarity", "stemmer",
    )  # fmt: skip

    model: str = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="A sentence-transformers or plain BERT id or folder; with the prefix 'static:', word vectors distilled from it.",
    )
    revision: str | None = Field(default=None, description="Commit of the model to use; null: the latest.")
    pooling: Literal["mean", "cls"] = Field(default="mean", description="How token vectors become one text vector.")
    size: int = Field(default=384, ge=1, le=8192, description="Dimension of a dense vector.")
    max_tokens: int = Field(
        default=256, ge=8, le=8192, description="Tokens of a text that the encoder reads; it ignores the rest."
    )
    similarity: Literal["cosine", "pearson"] = Field(
        default="cosine", description="pearson: cosine of vectors that are centred first."
    )
    stemmer: str = Field(default="english", description="Snowball stemmer for words in Latin script.")

    fields: dict[str, FieldKind] = Field(
        default_factory=dict, description="Payload fields that lists can be filtered and ordered by: path → kind."
    )

    half_life_days: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Days after which an event counts half as much."
    )
    position_decay: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Weight of each earlier event relative to the next one, in the dense and tfidf legs of users.",
    )
    collab_decay: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Weight of each earlier event relative to the next one, in the collab leg of users.",
    )
    collab_distance: float = Field(
        default=0.5,
        ge=0,
        le=4,
        description="Two items of a user that are d events apart count d to the power of minus this value.",
    )
    history: int = Field(
        default=100, ge=1, le=1000, description="How many of a user's latest events form the user's vectors."
    )
    event_weights: dict[str, float] = Field(
        default_factory=lambda: dict(EVENT_WEIGHTS),
        description="Weight per event type; types left out keep their default, and a word of your own counts 1.",
    )
    rating_scale: tuple[float, float] = Field(
        default=(0.5, 5.0), description="Lowest and highest rating; a value off the scale is refused."
    )
    interest_half_life_days: float = Field(
        default=180.0,
        gt=0,
        allow_inf_nan=False,
        description="Days after which an event counts half as much in the long-term interests; an absence counts as 30 at most.",
    )
    session_half_life_hours: float = Field(
        default=6.0,
        gt=0,
        allow_inf_nan=False,
        description="Hours after which an event counts half as much in the interests of the present visit.",
    )

    search_days: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="Days for which the text of a search is kept after it was last searched for.",
    )

    weights: dict[Leg, float] = Field(
        default_factory=_default_weights,
        description="Weight per leg in the fused query.",
    )
    prefetch: int = Field(default=200, ge=1, le=10_000, description="Candidates per leg.")

    @field_validator("stemmer")
    @classmethod
    def _stemmer_exists(cls, stemmer: str) -> str:
        if stemmer not in STEMMERS:
            near = get_close_matches(stemmer, STEMMERS, 1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{stemmer!r} is no Snowball stemmer ({', '.join(STEMMERS)}){hint}")
        return stemmer

    @field_validator("fields")
    @classmethod
    def _fields_are_yours(cls, fields: dict[str, FieldKind]) -> dict[str, FieldKind]:
        known = {canonical_path(path): kind for path, kind in fields.items()}
        if taken := sorted(path for path in known if not is_own_field(path, known[path])):
            raise ValueError(
                f"the fields {taken} are reserved, and indexed already where they can be filtered: leave them out"
            )
        return known

    @field_validator("event_weights")
    @classmethod
    def _others_keep_their_default(cls, weights: dict[str, float]) -> dict[str, float]:
        return EVENT_WEIGHTS | weights

    @model_validator(mode="after")
    def _numbers_make_sense(self) -> SpaceConfig:
        low, high = self.rating_scale
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"rating_scale must be a lower and a higher finite number, not {self.rating_scale}")
        if odd := {kind: w for kind, w in self.event_weights.items() if not math.isfinite(w)}:
            raise ValueError(f"event_weights must be finite, not {odd}")
        if any(not math.isfinite(w) or w < 0 for w in self.weights.values()) or not any(self.weights.values()):
            raise ValueError(f"weights must be zero or more, and at least one above zero, not {self.weights}")
        return self

    def merged(self, given: SpaceConfig | Mapping[str, Any]) -> SpaceConfig:
        """Return these settings with those of ``given`` that were written there; fields and event weights are added.

        Raises :class:`InvalidInput` for settings that do not exist or cannot be.

        >>> SpaceConfig(prefetch=50, fields={"year": "integer"}).merged({"fields": {"lang": "keyword"}}).fields
        {'year': 'integer', 'lang': 'keyword'}
        """
        wanted = SpaceConfig.parse(given)
        changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        if "fields" in changes:
            changes["fields"] = {**self.fields, **wanted.fields}
        if "event_weights" in changes:
            written = given.get("event_weights", {}) if isinstance(given, Mapping) else wanted.event_weights
            changes["event_weights"] = {**self.event_weights, **{name: wanted.event_weights[name] for name in written}}
        return SpaceConfig(**{**self.model_dump(), **changes})

    def with_fields(self, fields: Mapping[str, FieldKind]) -> SpaceConfig:
        """Return the same settings with more fields, or other kinds of fields: path → kind.

        >>> SpaceConfig(fields={"year": "integer"}).with_fields({"lang": "keyword"}).fields
        {'year': 'integer', 'lang': 'keyword'}
        """
        known = {canonical_path(path): kind for path, kind in fields.items()}
        return SpaceConfig(**{**self.model_dump(), "fields": {**self.fields, **known}})

    @property
    def folding(self) -> str:
        """Digest of the settings, besides the model, that determine users' vectors; a change rebuilds the vectors."""
        return _digest(
            self.half_life_days, self.position_decay, self.collab_decay, self.history,
            sorted(self.event_weights.items()), self.rating_scale,
            self.interest_half_life_days, self.session_half_life_hours, FOLD_REVISION,
        )  # fmt: skip

    @property
    def fitting(self) -> str:
        """Digest of the settings that determine the collab leg of items: which events count, and how distance counts."""
        ignored = sorted(kind for kind, weight in self.event_weights.items() if weight <= 0)
        return _digest(self.collab_distance, ignored, self.rating_scale)

    @property
    def encoder_id(self) -> str:
        """The encoder and its settings in words; two configurations differ here if they differ in :attr:`IDENTITY`.

        >>> SpaceConfig().encoder_id
        'sentence-transformers/all-MiniLM-L6-v2 (384 dimensions, max 256 tokens, mean)'
        """
        revision = f"@{self.revision}" if self.revision else ""
        parts = [f"{self.size} dimensions", f"max {self.max_tokens} tokens", self.pooling]
        parts += [self.similarity] if self.similarity != "cosine" else []
        parts += [f"{self.stemmer} stems"] if self.stemmer != "english" else []
        return f"{self.model}{revision} ({', '.join(parts)})"
