"""A language model in this process: an OpenAI-compatible endpoint that answers as a test scripts it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

Script = Callable[[str, dict[str, Any]], str | None]
"""Takes the system message and the JSON document; returns the answer, or None for an error."""


@contextmanager
def serving(script: Script) -> Iterator[tuple[str, list[str]]]:
    """Serve an endpoint that answers by ``script``; yields its address, and the requests as they come in."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            system, user = (message["content"] for message in json.loads(body)["messages"])
            asked.append(f"{system}\n{user}")
            answer = script(system, json.loads(user))
            with suppress(OSError):  # whoever asked has gone
                self.send_response(500 if answer is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps({"choices": [{"message": {"content": answer}}]}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch, script: Script) -> Iterator[list[str]]:
    """Point the settings at an endpoint that answers by ``script``; yields the requests as they come in."""
    with serving(script) as (url, asked):
        monkeypatch.setenv("LLMREC_LLM_URL", url)
        monkeypatch.setenv("LLMREC_LLM_MODEL", "scripted")
        monkeypatch.setenv("LLMREC_LLM_RATE", "60000")
        yield asked


def honest(system: str, document: dict[str, Any]) -> str:
    """Answer as a model that keeps to the rules, in the language that it is asked for."""
    chinese = "Chinese" in system
    if list(document) == ["keywords"]:
        return str(document["keywords"][0]).title()
    if "item" not in document and "cares_about" not in document:
        return _topic(system, document, chinese)
    if "cares_about" in document:
        return _portrait(document["cares_about"], chinese)
    return _blurb(document, chinese)


def _topic(system: str, document: dict[str, Any], chinese: bool) -> str:
    """A description, or the title of a shelf."""
    if "shelf" in system:
        return (
            f"你关注的{document['name']}"
            if chinese
            else f"More of the {document['name']} you like".replace("More of", "For")
        )
    return f"内容是关于{document['name']}的故事。" if chinese else f"These are stories about {document['name']}."


def _blurb(document: dict[str, Any], chinese: bool) -> str:
    """Say each way with its own items in a sentence of its own, at most one way beside the interest."""
    name = document.get("interest", {}).get("name")
    ways = {way["way"]: way for way in document["because_of"] if way["items"]}
    if (way := ways.get("close in meaning")) is not None:
        items = "".join(way["items"])
        first = (
            f"{{0}}与{items}意思相近。"
            if chinese
            else f"{{0}} is close in meaning to {items.replace('}{', '} and {')}."
        )
    elif (way := ways.get("others took it next")) is not None:
        items = "".join(way["items"])
        first = (
            f"选过{items}的人接着也选了{{0}}。"
            if chinese
            else f"Others took {{0}} after {items.replace('}{', '} and {')}."
        )
    else:
        words = name or " ".join(word for way in document["because_of"] for word in way["words"])
        return f"{{0}}契合你喜欢的{words}。" if chinese else f"You often return to {words}, and {{0}} joins them."
    return first + (f"它属于你关注的{name}。" if chinese else f" It belongs to {name}, which you follow.") * bool(name)


def _portrait(interests: list[dict[str, Any]], chinese: bool) -> str:
    first, *others = interests
    items = "".join(first["items"])
    if chinese:
        more = f"其次是{others[0]['name']}。" if others else ""
        return f"你最喜欢{first['name']}，例如{items}。{more}"
    more = f" Next comes {others[0]['name']}." if others else ""
    return f"You are drawn to {first['name']}, such as {items.replace('}{', '} and {')}.{more}"
