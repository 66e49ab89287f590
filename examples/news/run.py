"""Chinese news: sections and freshness. Run: python examples/news/run.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from llmrec_qdrant import Event, Item, Recommendation, Recommender, SpaceConfig

HERE = Path(__file__).parent
FIELDS = {"section": "keyword", "published": "datetime"}
FRESH = {"published": {"gte": "2026-10-01T00:00:00Z"}}


def build(model: str | None = None) -> Recommender:
    """Load the news into memory; a week-old event counts half."""
    rec = Recommender.connect(path=":memory:", space="news")
    rec.create(SpaceConfig(fields=FIELDS, half_life_days=7, **({"model": model} if model else {})))
    rec.upsert_items(Item(**row) for row in rows("items"))
    rec.track(Event(**row) for row in rows("events"))
    rec.reconcile()
    rec.fit_topics(5)
    return rec


def rows(name: str) -> list[dict[str, object]]:
    """Read one of the files beside this script."""
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def show(title: str, listed: Sequence[Recommendation]) -> None:
    """Print a list with section and date."""
    print(f"\n{title}")
    for item in listed:
        print(f"  {item.payload['section']}  {str(item.payload['published'])[:10]}  {item.title}")


def main() -> None:
    """Show what the README describes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an encoder model; hash needs no download")
    rec = build(parser.parse_args().model)
    show("给小林:十月以来的新闻", rec.recommend("小林", 5, filter=FRESH))
    show("给小林:只看体育", rec.recommend("小林", 3, filter={"section": "体育"}))
    show("最新", rec.top(5, by="published"))
    show("新读者搜索过“球队决赛”", rec.recommend("新读者", 3))
    show("搜索:芯片", rec.search("芯片", 3))


if __name__ == "__main__":
    main()
