"""A broker that is down, slow or misnamed arrives as one of our exceptions, and passwords stay hidden."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest
from celery import Celery
from kombu import exceptions as kombu_errors
from qdrant_client import QdrantClient
from redis import Redis
from redis import exceptions as redis_errors

from llmrec_qdrant import (
    BrokerUnavailable,
    InvalidInput,
    Item,
    Recommender,
    SpaceConfig,
    WorkPendingWarning,
)
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.queues.celery import CeleryQueue
from tests.conftest import missing
from tests.services import RedisServer, ServiceMissing, free_port
from workers.cli import worker

SMALL = SpaceConfig(model="hash", size=8)
MESSAGE = Reconcile(space="movies")
MEND = "the data is stored; run `llmrec reconcile` when Redis is back"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@127.0.0.1:{port}/0", "redis://***@127.0.0.1:{port}/0"),
        ("redis://user:s3cr@t@127.0.0.1:{port}/0", "redis://***@127.0.0.1:{port}/0"),
        ("rediss://:s3cret@127.0.0.1:{port}/0", "rediss://***@127.0.0.1:{port}/0"),
        ("redis+socket:///nowhere/{port}.sock", "redis+socket:///nowhere/{port}.sock"),
        ("unix:///nowhere/{port}.sock", "unix:///nowhere/{port}.sock"),
    ],
)
def test_a_dead_redis(url: str, shown: str) -> None:
    port = free_port()
    queue = CeleryQueue(url.format(port=port))
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        queue.send(MESSAGE)
    assert time.monotonic() - started < 10
    assert str(caught.value).startswith(f"Redis at {shown.format(port=port)} did not accept the message (")
    assert str(caught.value).endswith(MEND)
    assert repr(queue) == f"CeleryQueue({shown.format(port=port)!r})"
    for secret in ("s3cret", "s3cr", "user"):
        assert secret not in str(caught.value) + repr(queue)


@pytest.mark.redis
@pytest.mark.parametrize("given", ["", ":simsim@"])
def test_a_redis_that_wants_another_password_is_not_said_to_be_down(given: str) -> None:
    try:
        server = RedisServer()
    except ServiceMissing as reason:
        missing(reason)
    with server:
        Redis.from_url(server.url).config_set("requirepass", "sesame")
        url = server.url.replace("//", f"//{given}")
        with pytest.raises(
            BrokerUnavailable, match=r"asks for a password, or for another one.*after correcting the URL"
        ) as told:
            CeleryQueue(url).send(MESSAGE)
        with pytest.raises(
            BrokerUnavailable, match="asks for a password, or for another one: pass --broker redis://:PASS"
        ) as said:
            worker._check_broker(Celery(broker=url))
    assert "simsim" not in str(told.value) + str(said.value)


def test_a_redis_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = CeleryQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="did not accept the message"):
            queue.send(MESSAGE)
        assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "error",
    [
        kombu_errors.OperationalError("x"), kombu_errors.LimitExceeded("x"), kombu_errors.InconsistencyError("x"),
        redis_errors.ConnectionError("x"), redis_errors.TimeoutError("x"), redis_errors.AuthenticationError("x"),
        redis_errors.BusyLoadingError("x"), redis_errors.ReadOnlyError("x"), redis_errors.OutOfMemoryError("x"),
        redis_errors.NoPermissionError("x"), redis_errors.ResponseError("x"), redis_errors.MaxConnectionsError("x"),
        ConnectionRefusedError("x"), ConnectionResetError("x"), TimeoutError("x"), socket.gaierror("x"),
        BrokenPipeError("x"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_redis_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    queue = CeleryQueue("redis://:s3cret@127.0.0.1:1/0")
    monkeypatch.setattr(queue._app, "send_task", refuse)
    with pytest.raises(BrokerUnavailable) as caught:
        queue.send(MESSAGE)
    assert str(caught.value) == (
        f"Redis at redis://***@127.0.0.1:1/0 did not accept the message ({type(error).__name__}): {MEND}"
    )
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:6379", "amqp://user:s3cret@localhost", "redis://:s3cret@localhost:port", "redis://localhost/name",
        "redis://[::1", "redis://localhost:99999/0",
    ],
)  # fmt: skip
def test_a_broker_address_that_is_none(url: str) -> None:
    """Refused when the queue is built, not at the first message."""
    with pytest.raises(
        InvalidInput, match=r"^the broker must be a Redis URL such as redis://localhost:6379/0, not "
    ) as caught:
        CeleryQueue(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost:6379/0", "redis://***@localhost:6379/0"),
        ("redis://user:secret@localhost", "redis://***@localhost"),
        ("redis://user:p@ss@localhost", "redis://***@localhost"),
        ("redis://user:p/a?s#s@localhost/0", "redis://***@localhost/0"),
        ("redis://localhost?db=1&password=secret", "redis://localhost?db=1&password=***"),
        (
            "redis+socket:///run/redis?password=secret&virtual_host=0",
            "redis+socket:///run/redis?password=***&virtual_host=0",
        ),
        ("http://localhost:6333?api_key=secret", "http://localhost:6333?api_key=***"),
        ("user:secret@localhost:6379", "***@localhost:6379"),
        ("data/me@home.jsonl", "data/me@home.jsonl"),
        ("", ""),
    ],
)
def test_a_password_is_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_a_write_survives_a_dead_redis() -> None:
    """The data is stored; the caller is warned once and told so in the receipt."""
    with closing(QdrantClient(":memory:")) as client:
        rec = Recommender(client, CeleryQueue(f"redis://:s3cret@127.0.0.1:{free_port()}/0"), "movies")
        rec.create(SMALL)
        with pytest.warns(WorkPendingWarning, match=r"Redis at redis://\*\*\*@127") as caught:
            receipt = rec.upsert_items([Item(id="tt1", title="Interstellar")])
        assert (receipt.written, receipt.queued, len(caught)) == (1, False, 1)
        assert rec.status().items_stale == 1
