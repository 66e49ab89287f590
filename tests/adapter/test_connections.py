"""How requests travel: on connections that stay open, with answers that are not compressed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmrec_qdrant import AsyncRecommender, Recommender, SpaceConfig
from tests.spaces import drop, fresh_name

pytestmark = pytest.mark.qdrant


@pytest.fixture
def rec(qdrant_url: str) -> Iterator[Recommender]:
    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=8))
    yield rec
    drop(rec)


def test_answers_come_uncompressed_since_compressed_ones_are_delayed(
    rec: Recommender, qdrant_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answered: list[bool] = []
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def note(answer: httpx.Response) -> httpx.Response:
        asked.append(answer.request.headers["Accept-Encoding"])
        answered.append("Content-Encoding" in answer.headers)
        return answer

    async def noting(client: httpx.AsyncClient, *arguments: Any, **options: Any) -> httpx.Response:
        return note(await send_async(client, *arguments, **options))

    async def awaited() -> None:
        async with AsyncRecommender.connect(qdrant_url, space=rec.space) as mine:
            await mine.recommend("ann")

    monkeypatch.setattr(httpx.Client, "send", lambda client, *a, **k: note(send(client, *a, **k)))
    monkeypatch.setattr(httpx.AsyncClient, "send", noting)
    rec.recommend("ann")
    asyncio.run(awaited())
    assert len(asked) >= 4 and set(asked) == {"identity"} and not any(answered)


def test_connections_stay_open_between_requests(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    connect = socket.create_connection

    def counting(*arguments: Any, **options: Any) -> socket.socket:
        opened.append(arguments)
        return connect(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", counting)
    for _ in range(9):
        rec.recommend("ann")
    assert len(opened) <= 4  # the query and what verifies it have a connection each, unless one was idle for seconds
