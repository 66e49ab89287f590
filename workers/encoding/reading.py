"""Turns texts into token ids, one chunk ahead of the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llmrec_qdrant.operations.batching import by_size, map_ahead

__all__ = ["CHUNK_CHARACTERS", "MAX_UNKNOWN_SHARE", "Reader", "ahead"]


MAX_UNKNOWN_SHARE = 0.5
"""Share of unknown tokens above which a model cannot read a text: see docs/decisions/unreadable-texts.md."""


CHUNK_CHARACTERS = 400_000
"""Characters per chunk; the tokens of two chunks are in memory, as one is read while the previous is encoded."""


class Reader:
    """The tokenizer of a model, which also detects texts that the model cannot read."""

    def __init__(self, tokenizer: Any, limit: int, prompt: str = "") -> None:
        self._tokenizer = tokenizer
        self._limit = limit
        self._lock = threading.Lock()  # not every tokenizer serves two threads
        self._fast = tokenizer.backend_tokenizer if tokenizer.is_fast else None
        if self._fast:
            self._fast.enable_truncation(max_length=limit)
            self._fast.no_padding()
        self._prompt = prompt
        self._unreadable = unreadable_tokens(tokenizer)
        self._special = frozenset(tokenizer.all_special_ids) - {tokenizer.unk_token_id}

    def __call__(self, texts: Sequence[str]) -> list[list[int] | None]:
        """Return the token ids of each text, at most ``limit``; None where the model cannot read the text."""
        prompted = [self._prompt + text for text in texts] if self._prompt else list(texts)
        with self._lock:
            if self._fast:  # skips the offsets of tokens in the text: twice as fast
                tokens = [encoding.ids for encoding in self._fast.encode_batch_fast(prompted)]
            else:
                tokens = self._tokenizer(prompted, truncation=True, max_length=self._limit)["input_ids"]
        return [ids if text.isascii() or self._readable(ids) else None for text, ids in zip(texts, tokens, strict=True)]

    def _readable(self, ids: Sequence[int]) -> bool:
        own = [token for token in ids if token not in self._special]
        return sum(token in self._unreadable for token in own) <= MAX_UNKNOWN_SHARE * len(own)


def ahead(reader: Reader, texts: Sequence[str]) -> Iterator[list[list[int] | None]]:
    """Yield the tokens of the texts chunk by chunk, in order; reads the next chunk while the caller uses this one."""
    chunks = list(by_size(texts, len, CHUNK_CHARACTERS))
    if len(chunks) <= 1:
        yield from map(reader, chunks)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tokenize") as thread:
        yield from map_ahead(thread, reader, chunks)


def unreadable_tokens(tokenizer: Any) -> frozenset[int]:
    """Return the ids of tokens that mean nothing to the model: the unknown token, and letters of scripts it only spells.

    A model for a Latin script knows some letters of other scripts, but not their words: such tokens are a few percent of
    its vocabulary. In a Chinese or multilingual vocabulary they are a fifth or more.
    """
    unknown = tokenizer.unk_token_id
    if unknown is None:
        return frozenset()
    vocabulary = tokenizer.get_vocab()
    foreign = {
        number for token, number in vocabulary.items() if any(c.isalpha() and c > "\u036f" for c in token.strip("#▁"))
    }
    return frozenset({unknown} | (foreign if len(foreign) < 0.2 * len(vocabulary) else set()))
