"""A shop: prices and brands as filters, purchases and returns as behaviour. Run: python examples/shop/run.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from llmrec_qdrant import Event, Item, Recommendation, Recommender, SpaceConfig

HERE = Path(__file__).parent
FIELDS = {"brand": "keyword", "category": "keyword", "price": "float", "in_stock": "bool"}


def build(model: str | None = None) -> Recommender:
    """Load the shop into memory; ``model="hash"`` needs no download and knows letters instead of meaning."""
    rec = Recommender.connect(path=":memory:", space="shop")
    rec.create(SpaceConfig(fields=FIELDS, **({"model": model} if model else {})))
    rec.upsert_items(Item(**row) for row in rows("items"))
    rec.track(Event(**row) for row in rows("events"))
    rec.reconcile()
    rec.fit_topics(5)
    return rec


def rows(name: str) -> list[dict[str, object]]:
    """Read one of the files beside this script."""
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def show(title: str, listed: Sequence[Recommendation]) -> None:
    """Print a list with prices."""
    print(f"\n{title}")
    for item in listed:
        print(f"  {item.title:32} {item.payload['price']:>4} €  {item.reason}")


def main() -> None:
    """Show what the README describes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an encoder model; hash needs no download")
    rec = build(parser.parse_args().model)
    affordable = {"price": {"lte": 60}, "in_stock": True}
    show("for ada, in stock and up to 60 €", rec.recommend("ada", 5, filter=affordable, explain=True))
    show("for kim, who searched once and viewed one product", rec.recommend("kim", 5))
    show("like the hand grinder, other brands", rec.similar_items("coffee-1", 5, filter={"brand": {"not": "Morrow"}}))
    show("for somebody new: the most popular", rec.recommend("nobody", 3))
    for interest in rec.interests("ada")[:3]:
        print(f"ada cares about {interest.label}: {interest.weight:.0%}")


if __name__ == "__main__":
    main()
