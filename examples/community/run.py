"""A community: likes, follows and comments as behaviour. Run: python examples/community/run.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from llmrec_qdrant import Event, Item, Recommendation, Recommender, SpaceConfig

HERE = Path(__file__).parent
FIELDS = {"author": "keyword", "tag": "keyword", "posted": "datetime"}
WEIGHTS = {"view": 0.5, "like": 2.0, "comment": 2.5, "follow": 3.0}


def build(model: str | None = None) -> Recommender:
    """Load the community into memory; ``follow`` and ``comment`` are event types of its own."""
    rec = Recommender.connect(path=":memory:", space="community")
    rec.create(SpaceConfig(fields=FIELDS, event_weights=WEIGHTS, **({"model": model} if model else {})))
    rec.upsert_items(Item(**row) for row in rows("items"))
    rec.track(Event(**row) for row in rows("events"))
    rec.reconcile()
    rec.fit_topics(4)
    return rec


def rows(name: str) -> list[dict[str, object]]:
    """Read one of the files beside this script."""
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def show(title: str, listed: Sequence[Recommendation]) -> None:
    """Print a list with tag and author."""
    print(f"\n{title}")
    for item in listed:
        print(f"  {item.payload['tag']:10} {item.payload['author']:11} {item.title}")


def main() -> None:
    """Show what the README describes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an encoder model; hash needs no download")
    rec = build(parser.parse_args().model)
    show("for amy, who likes pottery", rec.recommend("amy", 5))
    show("for amy, with more variety", rec.recommend("amy", 5, diversity=0.6))
    show("posts of an author she follows", rec.recommend("amy", 3, filter={"author": "clay_ines"}, exclude_seen=False))
    print("\npeople like amy:", ", ".join(user.id for user in rec.similar_users("amy", 3)))
    for shelf in rec.shelves("amy", 2, 3):
        show(shelf.title, shelf.items)


if __name__ == "__main__":
    main()
