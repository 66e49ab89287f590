"""Names topics with a language model; without a model, topics are named by their keywords.

Any OpenAI-compatible endpoint works: ``LLMREC_LLM_URL`` (ending in ``/v1``), ``LLMREC_LLM_MODEL``, ``LLMREC_LLM_KEY``.
Titles come from strangers and may contain instructions to the model. So the model never sees one: it sees the keywords of a
topic, which are single words, and its answer is used only if it is one short plain line of these words.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from llmrec_qdrant.operations.endpoint import FAILURES, address, ask, is_set
from llmrec_qdrant.settings import Settings

from ..generate.grounding import single_words
from ..generate.names import NAME_PROMPT, name_from

__all__ = ["named"]


log = logging.getLogger("llmrec.worker")


MAX_TOPIC_SECONDS = 30.0
"""Seconds per topic, from the DNS lookup to the last byte of the answer."""


MIN_TOPIC_SECONDS = 0.25
"""Seconds that a topic gets even if the time for all topics is nearly used up."""


MAX_NAMING_SECONDS = 120.0
"""Seconds for all topics together; topics not reached in time are named by their keywords."""


def named(topics: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each topic by its keywords; "" for topics without one.

    The first failure ends the requests: a model that does not answer must not delay a fit.
    """
    settings = Settings()
    if not is_set(settings):
        if settings.llm_url and settings.llm_model:
            log.warning("LLMREC_LLM_URL must start with http:// or https://; topics are named by their keywords")
        return [""] * len(topics)
    names: list[str] = []
    end = time.monotonic() + MAX_NAMING_SECONDS
    for words in topics:
        seconds = max(min(MAX_TOPIC_SECONDS, end - time.monotonic()), MIN_TOPIC_SECONDS)
        try:
            names.append(name_from(ask(settings, NAME_PROMPT, {"keywords": single_words(words)}, seconds), words))
        except FAILURES as error:
            where, why = address(settings), type(error).__name__
            log.warning("the language model at %s failed (%s); topics are named by their keywords", where, why)
            break
    return names + [""] * (len(topics) - len(names))
