"""Measures retrieval across languages by the dense vectors alone, on the sample catalogue.

``python -m benchmarks.languages`` encodes the Chinese and English items of ``examples/items.jsonl`` with each packaged
model. Fifteen themes have eight items in each language. Recall@3 is the share of Chinese items that have an English item of
their theme among the three nearest. For the founding
example, it prints the nearest film. Speed is measured on the English items, of which both models read every word: seven rounds
in which the models take turns, each in the way that a worker would choose; medians. Last line: JSON, model → figures.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.config import DEFAULT_MODEL, MULTILINGUAL_MODEL, SpaceConfig
from workers.encoding.encoder import SentenceEncoder

ITEMS = Path(__file__).parent.parent / "examples" / "items.jsonl"
NEAREST = 3
ROUNDS = 7
QUERY = "我想看一些科幻电影"
FILMS = ["动作电影《速度与激情》", "喜剧电影《泰坦尼克号》", "科幻电影《星际穿越》"]


def main() -> int:
    """Run the benchmark."""
    items = [json.loads(line) for line in ITEMS.read_text(encoding="utf-8").splitlines()]
    encoders = {model: SentenceEncoder(SpaceConfig(model=model, size=size)) for model, size in MODELS}
    speeds = speed(encoders, [text_of(item) for item in items if item["payload"]["lang"] == "en"])
    rows = {model: measure(encoder, items) | speeds[model] for model, encoder in encoders.items()}
    table = Table("model", "recall@3 zh → en", "founding example", "run as", "texts/s", "times", box=box.SIMPLE)
    for model, row in rows.items():
        numbers = (f"{row['texts/s']:.0f}", f"{row['times']:.1f}")
        table.add_row(model, f"{row['recall']:.3f}", row["founding"], row["backend"], *numbers)
    out.print(table)
    print(json.dumps(rows, ensure_ascii=False))
    return 0


MODELS = ((DEFAULT_MODEL, 384), (MULTILINGUAL_MODEL, 512))


def text_of(item: dict[str, Any]) -> str:
    """Return what of an item is encoded."""
    return f"{item['title']}\n{item['text']}"


def speed(encoders: dict[str, SentenceEncoder], texts: list[str]) -> dict[str, dict[str, Any]]:
    """Return the texts per second of each encoder, and the median ratio to the first within a round."""
    seconds: dict[str, list[float]] = {model: [] for model in encoders}
    for _ in range(ROUNDS):
        for model, encoder in encoders.items():
            began = time.perf_counter()
            encoder.encode(texts)
            seconds[model].append(time.perf_counter() - began)
    first = seconds[DEFAULT_MODEL]
    return {
        model: {
            "backend": encoders[model].backend,
            "texts/s": round(len(texts) / statistics.median(own), 1),
            "times": round(statistics.median(base / took for base, took in zip(first, own, strict=True)), 2),
        }
        for model, own in seconds.items()
    }


def measure(encoder: SentenceEncoder, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one encoder; a text without a vector finds nothing."""
    chinese, english = ([item for item in items if item["payload"]["lang"] == language] for language in ("zh", "en"))
    here, there = (encoder.encode([text_of(item) for item in own]) for own in (chinese, english))
    nearest = np.argsort(-(here @ there.T), axis=1, kind="stable")[:, :NEAREST]
    hits = [
        bool(vector.any()) and any(english[place]["payload"]["genre"] == item["payload"]["genre"] for place in places)
        for item, vector, places in zip(chinese, here, nearest, strict=True)
    ]
    query, films = encoder.encode([QUERY]), encoder.encode(FILMS)
    founding = FILMS[int((films @ query[0]).argmax())] if query.any() else "no vector"
    return {"recall": round(float(np.mean(hits)), 3), "founding": founding, "items": len(chinese)}


if __name__ == "__main__":
    raise SystemExit(main())
