"""Prints portraits and blurbs of the sample users, by template and by a scripted model, to be read by a person.

    python -m benchmarks.words --users 10 --blurbs 3 --language en

The catalogue is that of ``llmrec demo``, on an embedded Qdrant with the default encoder. The scripted model needs no
endpoint: it fills a sentence of its own with the words and handles that a real model would see, and its text passes the
same check. The same model as a liar names a film, a year and another user; a line says how many lies were refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any

from llmrec_qdrant import Recommender
from llmrec_qdrant.cli import demo
from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.operations import words
from llmrec_qdrant.query.templates import Evidence
from workers.generate.grounding import Shown, grounded, shown

LIES: dict[Language, tuple[str, ...]] = {
    "en": (" It won an Oscar.", " You took “Alien”.", " It came out in 1979.", " Like Bob, you enjoy it."),
    "zh": ("它获得了雨果奖。", "你看过《三体》。", "它是1979年的作品。", "和小明一样，你喜欢它。"),
}


def main() -> None:
    """Print the texts, and count those that the check refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--blurbs", type=int, default=3)
    parser.add_argument("--language", choices=["en", "zh"], default="en")
    options = parser.parse_args()
    with Recommender.connect(path=":memory:", space="words") as rec:
        rec.create(demo.DEMO_CONFIG)
        rec.upsert_items(demo._sample("items"))
        rec.fit_topics().wait()
        rec.track(demo._sample("events"))
        rec.reconcile()
        refused = [0, 0]
        for user in islice(sorted(rec.users()), options.users):
            for what, said, evidence in _texts(rec, user, options.blurbs, options.language):
                _show(what, said, shown(evidence), options.language, refused)
    print(f"\nlies refused: {refused[0]} of {refused[1]}")


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
