"""Texts by a language model on real parts: Qdrant, Redis, a worker of the queue `generate`, and its death in the middle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from llmrec_qdrant import Item, Recommender
from llmrec_qdrant.operations import job_records
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.queues.none import NoQueue
from tests.endpoint import honest, scripted
from tests.films import CONFIG, history
from tests.services import CeleryWorker, RedisServer
from tests.spaces import drop, fresh_name

pytestmark = [pytest.mark.qdrant, pytest.mark.redis]

USERS = 12
QUEUES = ("encode", "refresh", "batch", "generate")


def fill(app: Recommender) -> None:
    """Two topics, and users who took three items of one of them; no two users have the same evidence."""
    app.create(CONFIG)
    app.upsert_items(
        [Item(id=f"s{n}", title=f"Space Film {n}", text="astronaut planet space rocket") for n in range(20)]
        + [Item(id=f"f{n}", title=f"Food Film {n}", text="cook recipe kitchen restaurant") for n in range(20)]
    )
    app.track(
        [event for n in range(USERS) for event in history(f"u{n}", *(f"{'sf'[n % 2]}{n + step}" for step in range(3)))]
    )
    until(lambda: not (status := app.status()).items_stale and not status.users_stale)
    app.fit_topics(2).wait(timeout=60)
    until(lambda: all(app.interests(f"u{n}") for n in range(USERS)))


def until(happens: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.05)


def test_a_worker_killed_while_texts_are_written_is_followed_by_one_that_pays_for_no_text_twice(
    qdrant_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is emptied after the kill as well: what is left to do is found in Qdrant."""

    def slow(system: str, document: dict[str, Any]) -> str:
        time.sleep(0.1)
        return honest(system, document)

    with scripted(monkeypatch, slow) as asked, RedisServer() as own:
        env = {name: os.environ[name] for name in ("LLMREC_LLM_URL", "LLMREC_LLM_MODEL", "LLMREC_LLM_RATE")}
        app = Recommender.connect(qdrant_url, space=fresh_name(), broker=own.url)
        with CeleryWorker(own.url, qdrant_url, QUEUES, env=env) as first:
            fill(app)
            asked.clear()  # the names of topics
            planned = app.generate(blurbs=2, dry_run=True).wait(timeout=60).result
            assert planned and planned["requests"] == 3 * USERS and not asked
            job = app.generate(blurbs=2)
            until(lambda: len(asked) >= USERS)
            first.kill()
        before = len(asked)
        assert USERS <= before < 3 * USERS
        redis.Redis.from_url(own.url).flushall()
        record = drive(job_records.find(app._space, job.id), app._client, NoQueue())
        silent = record.model_copy(update={"heartbeat_at": "2024-01-01T00:00:00.000000Z"})
        drive(job_records.replace(app._space, record, silent), app._client, NoQueue())
        with CeleryWorker(own.url, qdrant_url, QUEUES, env=env):
            app.reconcile()
            status = job.wait(timeout=120)
            assert status.state == "done" and status.result, status
            assert status.result["users"] == USERS and status.result["refused"] == 0
            again = app.generate(blurbs=2).wait(timeout=60).result
        assert 3 * USERS <= len(asked) <= 3 * USERS + 1, "only the text in flight may be paid for twice"
        assert again and (again["requests"], again["current"]) == (0, 3 * USERS)
        assert all(app.portrait(f"u{n}").by == "llm" for n in range(USERS))
        drop(app)
