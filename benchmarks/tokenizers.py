"""Which index of a text field finds words of which language: ``python -m benchmarks.tokenizers URL``.

Asks Qdrant's tokenizers and our separated words for the searches of ``tests/text_cells.py``, on a server and embedded.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from typing import Any

from qdrant_client import QdrantClient, models

from llmrec_qdrant.embedded.client import EdgeClient
from llmrec_qdrant.space.words import searched, stored
from tests.text_cells import FOUND, TEXTS

TOKENIZERS = (None, "word", "whitespace", "prefix", "multilingual", "ours")


def schema(tokenizer: str) -> models.TextIndexParams:
    """The index of a text field."""
    ours = {"tokenizer": "whitespace", "lowercase": False, "phrase_matching": True}
    return models.TextIndexParams(type="text", **(ours if tokenizer == "ours" else {"tokenizer": tokenizer}))  # type: ignore[arg-type]


def condition(tokenizer: str | None, text: str) -> models.Filter:
    """The search for a text."""
    parts = searched(text) if tokenizer == "ours" else [text]
    matches: list[Any] = [
        models.MatchPhrase(phrase=part) if tokenizer == "ours" and " " in part else models.MatchText(text=part)
        for part in parts
    ]
    return models.Filter(must=[models.FieldCondition(key="text", match=match) for match in matches])


def misses(client: Any, tokenizer: str | None) -> list[str]:
    """The searches with a wrong answer."""
    name = f"t{uuid.uuid4().hex[:12]}"
    client.create_collection(name, vectors_config={})
    if tokenizer:
        client.create_payload_index(name, "text", schema(tokenizer))
    texts = [stored([text]) for text in TEXTS] if tokenizer == "ours" else TEXTS
    points = [
        models.PointStruct(id=str(uuid.UUID(int=n)), vector={}, payload={"text": text}) for n, text in enumerate(texts)
    ]
    client.upsert(name, points, wait=True)
    wrong = []
    for text, expected in FOUND.items():
        records, _ = client.scroll(name, scroll_filter=condition(tokenizer, text), limit=100)
        if {uuid.UUID(str(record.id)).int for record in records} != expected:
            wrong.append(text)
    client.delete_collection(name)
    return wrong


def main() -> None:
    """Print right answers per index and back end, and the misses on the last."""
    with tempfile.TemporaryDirectory() as folder:
        clients = [
            EdgeClient(folder + "/data"),
            *(QdrantClient(url, check_compatibility=False) for url in sys.argv[1:]),
        ]
        print(f"{len(FOUND)} searches in {len(TEXTS)} texts; right answers embedded, then on the server")
        for tokenizer in TOKENIZERS:
            wrong = [misses(client, tokenizer) for client in clients]
            print(
                f"{tokenizer or 'none':13} {[len(FOUND) - len(one) for one in wrong]}  misses: {' | '.join(wrong[-1])}"
            )
        clients[0].close()


if __name__ == "__main__":
    main()
