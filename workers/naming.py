"""Names for topics from a language model, where one is configured; without it keywords are the names.

Any OpenAI-compatible endpoint: ``LLMREC_LLM_URL`` (ending in ``/v1``), ``LLMREC_LLM_MODEL``, ``LLMREC_LLM_KEY``.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlsplit

from llmrec_qdrant.contracts import MAX_LABEL
from llmrec_qdrant.settings import Settings

__all__ = ["named"]

log = logging.getLogger("llmrec.worker")

TIMEOUT = 30.0
"""Seconds per topic."""
TITLE = 120
"""Characters of an example that are sent."""


def named(topics: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """A name for each (keywords, example titles), in the language of the titles; "" where there is none.

    The first failure ends the asking: a model that is away must not hold up a fit.
    """
    settings = Settings()
    if not settings.llm_url or not settings.llm_model or not topics:
        return [""] * len(topics)
    if urlsplit(settings.llm_url).scheme not in {"http", "https"}:
        log.warning("LLMREC_LLM_URL must begin with http:// or https://; topics are named by keywords")
        return [""] * len(topics)
    names: list[str] = []
    for words, titles in topics:
        try:
            names.append(_checked(_ask(settings, _prompt(words, titles))))
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            log.warning("the language model does not answer (%s); topics are named by keywords", type(error).__name__)
            break
    return names + [""] * (len(topics) - len(names))


def _prompt(words: Sequence[str], titles: Sequence[str]) -> str:
    shown = "\n".join(f"- {title[:TITLE]}" for title in titles)
    return (
        "Name the topic of these texts in one to four words, in the language of the texts. "
        f"Answer with the name alone.\nKeywords: {', '.join(words)}\nTexts:\n{shown}"
    )


def _ask(settings: Settings, prompt: str) -> str:
    body = {"model": settings.llm_model, "temperature": 0, "messages": [{"role": "user", "content": prompt}]}
    headers = {"Content-Type": "application/json"}
    if settings.llm_key:
        headers["Authorization"] = f"Bearer {settings.llm_key.get_secret_value()}"
    url = f"{(settings.llm_url or '').rstrip('/')}/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def _checked(answer: str) -> str:
    """One short line, or nothing: what a model says is shown to people."""
    name = " ".join(answer.split()).strip("\"'“”「」《》.。 ")
    return name if 1 <= len(name) <= MAX_LABEL and any(c.isalpha() for c in name) else ""
