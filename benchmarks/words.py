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
    if not sight.words:
        print(f"{what}\n    template  {template}\n    model     is not asked: there is no evidence")
        return
    said = _scripted(sight.document, language)
    print(f"{what}\n    template  {template}\n    model     {grounded(said, sight, language) or f'refused: {said}'}")
    for lie in LIES[language]:
        refused[1] += 1
        refused[0] += not grounded(said + lie, sight, language)


def _scripted(document: Any, language: Language) -> str:
    """Write what a model would that keeps to the rules."""
    mine = document.get("cares_about") or [part for part in [document.get("interest")] if part]
    about = mine[0]["name"] if mine else " ".join(document.get("shared_words", []))
    items = mine[0]["items"] if mine else []
    named = ("、" if language == "zh" else " and ").join(items)
    if "item" in document:
        if language == "zh":
            return f"{{0}}契合你喜欢的{about}" + (f"，像{named}。" if items else "。")
        return f"You often return to {about}" + (f", as with {named}" if items else "") + ", and {0} joins them."
    if language == "zh":
        return f"你最喜欢{about}，例如{named}。" + (f"其次是{mine[1]['name']}。" if len(mine) > 1 else "")
    return f"You are drawn to {about}, such as {named}." + (f" Next comes {mine[1]['name']}." if len(mine) > 1 else "")


if __name__ == "__main__":
    main()
