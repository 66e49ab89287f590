"""The dimension of an encoder, when a command names the encoder alone."""

from __future__ import annotations

from llmrec_qdrant.cli.encoders import dimension_of


def test_the_hash_encoder_fills_the_default_dimensions() -> None:
    assert dimension_of({"model": "hash"}) == 384
