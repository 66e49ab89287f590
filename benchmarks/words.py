"""Prints portraits and blurbs by template and by a scripted model, to be read by a person; attacks them; counts what got through.

``python -m benchmarks.words movielens|chinese|demo --data ../shared/datasets --users 10 --blurbs 3`` uses the 1,200 films of
MovieLens latest-small with the most ratings, headlines of THUC with invented readers, or the catalogue of ``llmrec demo``, on an embedded
Qdrant with the default encoder. The scripted model needs no endpoint: it fills a sentence of its own with the words and handles
that a real model would see, and its text passes the same check. The same model as a liar names a film, a year and another user.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.words_attacks import injected, judged
from benchmarks.words_catalogues import CONFIGS, catalogue
from llmrec_qdrant import Recommender
from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.operations import words
from llmrec_qdrant.operations.topic_texts import evidence_of
from llmrec_qdrant.query.templates import Evidence
from llmrec_qdrant.query.topic_templates import template
from workers.generate.grounding import Shown, grounded, shown

LIES: dict[Language, tuple[str, ...]] = {
    "en": (" It won an Oscar.", " You took “Alien”.", " It came out in 1979.", " Like Bob, you enjoy it."),
    "zh": ("它获得了雨果奖。", "你看过《三体》。", "它是1979年的作品。", "和小明一样，你喜欢它。"),
}


def main() -> None:
    """Print the texts, and count those that the check refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", choices=list(CONFIGS))
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--blurbs", type=int, default=3)
    options = parser.parse_args()
    language: Language = "zh" if options.catalogue == "chinese" else "en"
    items, events, users = catalogue(options.catalogue, options.data, options.users)
    with Recommender.connect(path=":memory:", space="words") as rec:
        rec.create(CONFIGS[options.catalogue])
        rec.upsert_items(items)
        rec.fit_topics().wait()
        rec.track(events)
        rec.reconcile()
        refused = [0, 0]
        for user in users:
            for what, said, evidence in _texts(rec, user, options.blurbs, language):
                _show(what, said, shown(evidence), language, refused)
        print("\ntopics")
        for topic, shelf in _topics(rec, language):
            print(f"  {topic}\n    {shelf}")
        print(f"\nlies refused: {refused[0]} of {refused[1]}")
        for kind, changed, tried in injected():
            print(f"injections that changed the {kind}: {changed} of {tried}")
        for measured, failed, tried in judged(rec, users[0]):
            print(f"{measured}: {failed} of {tried}")


def _topics(rec: Recommender, language: Language) -> Iterator[tuple[str, str]]:
    """Yield label with description, and title of a shelf, of the largest topics by template."""
    for topic in rec.topics()[:8]:
        yield f"{topic.label}: {topic.description}", template(evidence_of(topic), "shelf", language)


def _texts(rec: Recommender, user: str, blurbs: int, language: Language) -> Iterator[tuple[str, str, Evidence]]:
    bound = rec._bound()
    evidence: Evidence = rec._drive(words.portrait_evidence(bound, user))
    yield f"\n{user}", rec.portrait(user, language=language).text, evidence
    for item in rec.recommend(user, blurbs):
        evidence = rec._drive(words.blurb_evidence(bound, user, item.id))
        yield f"  {item.title}", rec.blurb(user, item.id, language=language).text, evidence


def _show(what: str, template: str, sight: Shown, language: Language, refused: list[int]) -> None:
    if not sight.words and not sight.ways:
        print(f"{what}\n    template  {template}\n    model     is not asked: there is no evidence")
        return
    said = _scripted(sight.document, language)
    print(f"{what}\n    template  {template}\n    model     {grounded(said, sight, language) or f'refused: {said}'}")
    for lie in LIES[language]:
        refused[1] += 1
        refused[0] += not grounded(said + lie, sight, language)


def _scripted(document: Any, language: Language) -> str:
    """Write what a model would that keeps to the rules."""
    return _of_item(document, language) if "item" in document else _of_user(document["cares_about"], language)


def _of_user(interests: Any, language: Language) -> str:
    first, *others = interests
    named = ("、" if language == "zh" else " and ").join(first["items"])
    if language == "zh":
        return f"你最喜欢{first['name']}，例如{named}。" + (f"其次是{others[0]['name']}。" if others else "")
    return f"You are drawn to {first['name']}, such as {named}." + (
        f" Next comes {others[0]['name']}." if others else ""
    )


def _of_item(document: Any, language: Language) -> str:
    """Say the strongest way, and the interest."""
    way = next(iter(document["because_of"]), {"way": "", "items": [], "words": []})
    items = ("和" if language == "zh" else " and ").join(way["items"])
    name = document.get("interest", {}).get("name", "")
    if language == "zh":
        said = {
            "close in meaning": f"{{0}}与你选过的{items}意思相近。",
            "others took it next": f"选过{items}的人接着也选了{{0}}。",
        }
        first = said.get(way["way"], f"{{0}}契合你喜欢的{name or '、'.join(way['words'])}。")
        return first + (f"它属于你关注的{name}。" if name and way["way"] in said else "")
    said = {
        "close in meaning": f"You took {items}, and {{0}} is close in meaning.",
        "others took it next": f"You took {items}, and others took {{0}} after.",
    }
    first = said.get(way["way"], f"You often return to {name or ', '.join(way['words'])}, and {{0}} joins them.")
    return first + (f" It belongs to {name}, which you follow." if name and way["way"] in said else "")


if __name__ == "__main__":
    main()
