"""Asks a language model: any OpenAI-compatible endpoint, set by ``LLMREC_LLM_URL``, ``LLMREC_LLM_MODEL`` and ``LLMREC_LLM_KEY``.

The model has no tools and no memory: each request holds one system message and one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx

from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.settings import Settings

__all__ = ["FAILURES", "address", "ask", "is_set", "what_is_missing"]

MAX_ANSWER = 65_536
"""Bytes of an answer; a longer answer is discarded."""

FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError, IndexError, TypeError, RecursionError)
"""Errors that an endpoint can cause that is away, slow or broken."""


def is_set(settings: Settings) -> bool:
    """Whether the settings name an endpoint and a model, with a URL that can be asked."""
    named = bool(settings.llm_url and settings.llm_model)
    return named and urlsplit(settings.llm_url or "").scheme in {"http", "https"}


def address(settings: Settings) -> str:
    """Return the URL of the endpoint without its secrets, for logs and errors."""
    return mask_url(settings.llm_url or "")


def what_is_missing(settings: Settings) -> str:
    """Say why there is no endpoint to ask, and what to set; without its URL, which may hold a password."""
    missing = [
        name
        for name, value in (("LLMREC_LLM_URL", settings.llm_url), ("LLMREC_LLM_MODEL", settings.llm_model))
        if not value
    ]
    if missing:
        return (
            f"no language model is set: set {' and '.join(missing)} in the environment of the workers, or of this command if "
            "there is no broker"
        )
    return "LLMREC_LLM_URL must begin with http:// or https://, such as http://localhost:11434/v1"


def ask(settings: Settings, system: str, shown: Mapping[str, Any], seconds: float) -> str:
    """Return the model's answer to a JSON document, without its thoughts. Raises one of ``FAILURES``."""
    messages = [
        {"role": "system", "content": system},
        {"role": "user", "content": json.dumps(shown, ensure_ascii=False)},
    ]
    body = {"model": settings.llm_model, "temperature": 0, "messages": messages}
    url = f"{(settings.llm_url or '').rstrip('/')}/chat/completions"
    headers = {"Authorization": f"Bearer {settings.llm_key.get_secret_value()}"} if settings.llm_key else {}
    with ThreadPoolExecutor(1) as thread:  # the caller's thread may already run an event loop
        answer = thread.submit(asyncio.run, _exchange(url, body, headers, seconds)).result()
    said = str(json.loads(answer)["choices"][0]["message"]["content"])
    return re.sub(r"<think>.*?</think>", "", said, flags=re.DOTALL)


async def _exchange(url: str, body: dict[str, Any], headers: dict[str, str], seconds: float) -> bytes:
    """Return the body of the answer, at most ``MAX_ANSWER`` bytes, within a deadline for the whole exchange.

    httpx's timeouts apply to single reads, so a server that sends byte by byte could stall forever; asyncio's deadline
    covers the whole exchange. Redirects are errors and proxies of the environment are ignored, since either could pass the
    key to somebody else.
    """
    data = b""
    client = httpx.AsyncClient(timeout=None, trust_env=False, headers={**headers, "Accept-Encoding": "identity"})
    async with client, asyncio.timeout(seconds), client.stream("POST", url, json=body) as answer:
        answer.raise_for_status()
        async for part in answer.aiter_raw():
            data += part
            if len(data) > MAX_ANSWER:
                raise ValueError("the answer is too long")
    return data
