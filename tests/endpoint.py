"""A language model in this process: an OpenAI-compatible endpoint that answers as a test scripts it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

Script = Callable[[str, dict[str, Any]], str | None]
"""Takes the system message and the JSON document; returns the answer, or None for an error."""


@contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch, script: Script) -> Iterator[list[str]]:
    """Point the settings at an endpoint that answers by ``script``; yields the requests as they come in."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            system, user = (message["content"] for message in json.loads(body)["messages"])
            asked.append(f"{system}\n{user}")
            answer = script(system, json.loads(user))
            self.send_response(500 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"choices": [{"message": {"content": answer}}]}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("LLMREC_LLM_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("LLMREC_LLM_MODEL", "scripted")
    monkeypatch.setenv("LLMREC_LLM_RATE", "60000")
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def honest(system: str, document: dict[str, Any]) -> str:
    """Answer as a model that keeps to the rules, in the language that it is asked for."""
    chinese = "Chinese" in system
    if list(document) == ["keywords"]:
        return str(document["keywords"][0]).title()
    if "cares_about" in document:
        return _portrait(document["cares_about"], chinese)
    words = document.get("interest", {}).get("name") or " ".join(document["shared_words"])
    items = "".join(document.get("interest", {}).get("items", []))
    if chinese:
        return f"{{0}}契合你喜欢的{words}{'，像' + items if items else ''}。"
    return f"You often return to {words}{', as with ' + items.replace('}{', '} and {') if items else ''}, and {{0}} joins them."


def _portrait(interests: list[dict[str, Any]], chinese: bool) -> str:
    first, *others = interests
    items = "".join(first["items"])
    if chinese:
        more = f"其次是{others[0]['name']}。" if others else ""
        return f"你最喜欢{first['name']}，例如{items}。{more}"
    more = f" Next comes {others[0]['name']}." if others else ""
    return f"You are drawn to {first['name']}, such as {items.replace('}{', '} and {')}.{more}"
