"""Whatever Qdrant, Redis or the way to them does wrong arrives as one of our exceptions, with the mend in words."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from kombu import exceptions as kombu_errors
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from redis import exceptions as redis_errors

from llmrec_qdrant import (
    AsyncRecommender,
    BrokerUnavailable,
    InvalidInput,
    Item,
    LlmrecError,
    MissingDependency,
    NotFound,
    QdrantRefused,
    QdrantUnavailable,
    Recommender,
    ServerTooOld,
    SpaceConfig,
    SpaceNotFound,
    Unauthorized,
    WorkPendingWarning,
)
from llmrec_qdrant.connect import open_queue
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.operations.translate import translate, translated
from llmrec_qdrant.queues.base import mask_url
from llmrec_qdrant.queues.celery import CeleryQueue
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.testing import MemoryQueue
from tests.services import QdrantServer, ServiceMissing, free_port
from tests.spaces import drop, fresh_name

SMALL = SpaceConfig(model="hash", size=8)


# --- by hand -------------------------------------------------------------------------------------


def answer(status: int, error: str = "because") -> UnexpectedResponse:
    content = json.dumps({"status": {"error": error}, "time": 0.0}).encode()
    return UnexpectedResponse(status, "", content, httpx.Headers())


class RpcError(grpc.RpcError):
    """As grpc raises it: a call's error has a code and details."""

    def __init__(self, code: grpc.StatusCode, details: str = "because") -> None:
        super().__init__(details)
        self.code = lambda: code
        self.details = lambda: details


MISSING = "Not found: Collection `movies_items` doesn't exist!"

BY_HAND: list[tuple[Exception, type[LlmrecError], str]] = [
    (answer(400), QdrantRefused, "Qdrant refused the request (400): because"),
    (answer(409), QdrantRefused, "Qdrant refused the request (409): because"),
    (answer(422), QdrantRefused, "Qdrant refused the request (422): because"),
    (answer(401), Unauthorized, "Qdrant refused the API key (401): pass the right api_key, or set LLMREC_API_KEY"),
    (answer(403), Unauthorized, "Qdrant refused the API key (403): pass the right api_key, or set LLMREC_API_KEY"),
    (
        answer(404, MISSING), SpaceNotFound,
        "this Qdrant has no collection 'movies_items': create the space first with `llmrec init` or create()",
    ),
    (answer(404, "No point with id 1 found"), NotFound, "Qdrant does not find it: No point with id 1 found"),
    *(
        (
            answer(status), QdrantUnavailable,
            f"Qdrant is busy ({status} because): try again in a moment, with smaller batches or fewer writers",
        )
        for status in (408, 429, 500, 502, 503, 504)
    ),
    (UnexpectedResponse(502, "", b"<html>", httpx.Headers()), QdrantUnavailable, "Qdrant is busy (502 <html>)"),
    (UnexpectedResponse(503, "", b"\xff", httpx.Headers()), QdrantUnavailable, "Qdrant is busy (503 \ufffd)"),
    (UnexpectedResponse(400, "", b'{"status": "ok"}', httpx.Headers()), QdrantRefused, "Qdrant refused the request"),
    (UnexpectedResponse(400, "", b"[1]", httpx.Headers()), QdrantRefused, "Qdrant refused the request (400): [1]"),
    (UnexpectedResponse(None, "", b"", httpx.Headers()), QdrantRefused, "Qdrant refused the request"),
    (ResourceExhaustedResponse("slow down", 3), QdrantUnavailable, "Qdrant is busy"),
    (QdrantException("Retry-After header value is not a valid integer: Wed"), QdrantUnavailable, "Qdrant is busy"),
    *(
        (wrap(cause), QdrantUnavailable, "Qdrant does not answer (")
        for cause in (
            httpx.ConnectError("Connection refused"), httpx.ConnectTimeout("timed out"), httpx.ReadTimeout("timed out"),
            httpx.WriteTimeout(""), httpx.PoolTimeout(""), httpx.ReadError(""), httpx.WriteError(""),
            httpx.CloseError(""),
            httpx.ProxyError(""), httpx.RemoteProtocolError("hung up"), httpx.LocalProtocolError(""),
            httpx.UnsupportedProtocol(""), httpx.DecodingError(""), httpx.TooManyRedirects(""),
        )
        for wrap in (ResponseHandlingException, lambda cause: cause)
    ),
    (RpcError(grpc.StatusCode.UNAVAILABLE), QdrantUnavailable, "Qdrant does not answer (because)"),
    (RpcError(grpc.StatusCode.DEADLINE_EXCEEDED), QdrantUnavailable, "Qdrant does not answer (because)"),
    (RpcError(grpc.StatusCode.INTERNAL), QdrantUnavailable, "Qdrant does not answer (because)"),
    (RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED), QdrantUnavailable, "Qdrant is busy (429 because)"),
    (RpcError(grpc.StatusCode.UNAUTHENTICATED), Unauthorized, "Qdrant refused the API key (401)"),
    (RpcError(grpc.StatusCode.PERMISSION_DENIED), Unauthorized, "Qdrant refused the API key (401)"),
    (RpcError(grpc.StatusCode.INVALID_ARGUMENT), QdrantRefused, "Qdrant refused the request (400): because"),
    (RpcError(grpc.StatusCode.ALREADY_EXISTS), QdrantRefused, "Qdrant refused the request"),
    (RpcError(grpc.StatusCode.FAILED_PRECONDITION), QdrantRefused, "Qdrant refused the request"),
    (RpcError(grpc.StatusCode.UNIMPLEMENTED), QdrantRefused, "Qdrant refused the request"),
    (RpcError(grpc.StatusCode.NOT_FOUND, MISSING), SpaceNotFound, "this Qdrant has no collection 'movies_items'"),
    (RpcError(grpc.StatusCode.NOT_FOUND, "No point"), NotFound, "Qdrant does not find it: No point"),
    (grpc.RpcError("no code"), QdrantUnavailable, "Qdrant does not answer (no code)"),
    (ValueError("Collection movies_items not found"), SpaceNotFound, "this Qdrant has no collection 'movies_items'"),
    (ValueError("Point 7 is not found in the collection"), NotFound, "Qdrant does not find it: Point 7"),
    (KeyError("ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"), NotFound, "Qdrant does not find it: ea73d05c"),
    (
        RuntimeError("Storage folder x is already accessed by another instance of Qdrant client."), QdrantUnavailable,
        "another process has this local Qdrant folder open: close it, or run a Qdrant server, which serves many",
    ),
    (RuntimeError("QdrantLocal instance is closed. Please create a new instance."), QdrantUnavailable, ""),
]  # fmt: skip


@pytest.mark.parametrize(("foreign", "ours", "sentence"), BY_HAND, ids=lambda value: ascii(value)[:60])
def test_a_foreign_exception_becomes_ours(foreign: Exception, ours: type[LlmrecError], sentence: str) -> None:
    made = translate(foreign)
    assert type(made) is ours
    assert str(made).startswith(sentence)
    assert len(str(made)) < 1_000
    with pytest.raises(ours) as caught, translated():
        raise foreign
    assert caught.value.__cause__ is foreign


def test_long_answers_are_cut() -> None:
    assert len(str(translate(answer(400, "x" * 100_000)))) < 500
    assert len(str(translate(UnexpectedResponse(400, "", b"x" * 100_000, httpx.Headers())))) < 500
    assert len(str(translate(httpx.ConnectError("x" * 100_000)))) < 500
    assert len(str(translate(RpcError(grpc.StatusCode.UNAVAILABLE, "x" * 100_000)))) < 600


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), TypeError("x"), ValueError("x"), ValueError(), KeyError("x"), RuntimeError("x")]
)
def test_faults_of_the_program_stay_what_they_are(error: Exception) -> None:
    assert translate(error) is None
    with pytest.raises(type(error)) as caught, translated():
        raise error
    assert caught.value is error


def test_our_own_pass() -> None:
    ours = NotFound("x")
    with pytest.raises(NotFound) as caught, translated():
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError()])
def test_interruptions_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), translated():
        raise error


# --- a server that is not there, or not well ------------------------------------------------------

Handler = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def fake_server(handle: Handler) -> Iterator[str]:
    """An HTTP server on loopback that answers everything with `handle`."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            handle(self)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def saying(status: int, body: object, **headers: str) -> Handler:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return handle


def hanging_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def hanging_up_halfway(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"title": "qdr')
    hanging_up(request)


def version(number: str) -> Handler:
    return saying(200, {"title": "qdrant - vector search engine", "version": number})


HTML = b"<!doctype html><title>Welcome</title>"
BUSY = {"status": {"error": "too many requests"}, "time": 0.0}

ILL: list[tuple[str, Handler, type[LlmrecError], str]] = [
    ("503", saying(503, {"status": {"error": "starting"}}), QdrantUnavailable, r"^Qdrant is busy \(503 starting\)"),
    ("503 of a proxy", saying(503, HTML), QdrantUnavailable, "^Qdrant is busy"),
    ("429", saying(429, BUSY), QdrantUnavailable, r"^Qdrant is busy \(429 too many requests\)"),
    ("429 in seconds", saying(429, BUSY, Retry_After="3"), QdrantUnavailable, r"^Qdrant is busy \(429"),
    (
        "429 as a date",
        saying(429, BUSY, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
        QdrantUnavailable,
        "^Qdrant is busy",
    ),
    ("hangs up", hanging_up, QdrantUnavailable, "^Qdrant does not answer"),
    ("hangs up halfway", hanging_up_halfway, QdrantUnavailable, "^Qdrant does not answer"),
    (
        "another web page",
        saying(200, HTML, Content_Type="text/html"),
        QdrantUnavailable,
        "check that .* the URL is right",
    ),
    ("another API", saying(200, {"hello": "world"}), QdrantUnavailable, "check that .* the URL is right"),
    ("an empty answer", saying(200, b""), QdrantUnavailable, "check that .* the URL is right"),
    ("1.15.2", version("1.15.2"), ServerTooOld, r"^this Qdrant is version 1\.15\.2; llmrec needs 1\.16 or newer"),
    ("0.11.0", version("0.11.0"), ServerTooOld, r"^this Qdrant is version 0\.11\.0; .*upgrade the server"),
    ("1.9.7", version("1.9.7"), ServerTooOld, r"^this Qdrant is version 1\.9\.7"),  # 9 < 16, as numbers
]


@pytest.mark.parametrize(("handle", "ours", "sentence"), [one[1:] for one in ILL], ids=[one[0] for one in ILL])
def test_an_ill_server(handle: Handler, ours: type[LlmrecError], sentence: str) -> None:
    with fake_server(handle) as url, pytest.raises(ours, match=sentence):
        Recommender.connect(url, space="movies")


@pytest.mark.parametrize(("handle", "ours", "sentence"), [one[1:] for one in ILL], ids=[one[0] for one in ILL])
def test_an_ill_server_for_asyncio(handle: Handler, ours: type[LlmrecError], sentence: str) -> None:
    async def ask(url: str) -> None:
        async with AsyncRecommender.connect(url, space="movies") as rec:
            await rec.recommend("alice")

    with fake_server(handle) as url, pytest.raises(ours, match=sentence):
        asyncio.run(ask(url))


@pytest.mark.parametrize("number", ["1.16.0", "1.16.3", "1.20.1", "2.0.0", "1.17.0-dev"])
def test_a_server_that_is_new_enough(number: str) -> None:
    with fake_server(version(number)) as url, Recommender.connect(url, space="movies") as rec:
        assert repr(rec).startswith("Recommender(space='movies', tenant=None")


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = QdrantClient(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1, check_compatibility=False)
        with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer \(timed out\)"):
            Recommender(client, MemoryQueue(), "movies").recommend("alice")
        client.close()


def test_a_closed_port() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        QdrantUnavailable, match=r"^Qdrant does not answer .*check that it runs and that the URL is right"
    ):
        Recommender.connect(url, space="movies")

    async def ask() -> None:
        async with AsyncRecommender.connect(url, space="movies") as rec:
            await rec.status()

    with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer"):
        asyncio.run(ask())


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer"):
        Recommender.connect("http://qdrant.invalid:6333", space="movies")


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:6333", "ftp://localhost", "redis://localhost:6379", "http://localhost:port", "http://[::1",
        "http://local host:6333", "http://localhost:99999",
    ],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InvalidInput, match="URL"):
        Recommender.connect(url, space="movies")
    with pytest.raises(InvalidInput, match="URL"):
        AsyncRecommender.connect(url, space="movies")


def test_one_address_is_needed_and_only_one() -> None:
    for addresses in ({}, {"url": "http://localhost:6333", "path": ":memory:"}):
        with pytest.raises(InvalidInput, match=r"^name either a Qdrant server"):
            Recommender.connect(**addresses, space="movies")


# --- a real server -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[QdrantServer]:
    from tests.conftest import missing

    try:
        server = QdrantServer(api_key="right-key", env={"QDRANT__SERVICE__READ_ONLY_API_KEY": "reader-key"})
    except ServiceMissing as reason:
        missing(reason)
    with server:
        yield server


@pytest.mark.qdrant
@pytest.mark.parametrize("key", [None, "wrong-key"])
def test_a_wrong_api_key(guarded: QdrantServer, key: str | None) -> None:
    with pytest.raises(Unauthorized, match=r"^Qdrant refused the API key \(401\): pass the right api_key") as caught:
        Recommender.connect(guarded.url, space="movies", api_key=key).status()
    assert "wrong-key" not in str(caught.value)

    async def ask() -> None:
        async with AsyncRecommender.connect(guarded.url, space="movies", api_key=key) as rec:
            await rec.status()

    with pytest.raises(Unauthorized):
        asyncio.run(ask())


@pytest.mark.qdrant
def test_a_key_that_may_only_read(guarded: QdrantServer) -> None:
    with Recommender.connect(guarded.url, space="movies", api_key="right-key") as owner:
        owner.create(SMALL)
    with Recommender.connect(guarded.url, space="movies", api_key="reader-key") as reader:
        assert reader.recommend("alice") == []
        with pytest.raises(Unauthorized, match=r"^Qdrant refused the API key \(403\)"):
            reader.upsert_items([Item(id="tt1")])


@pytest.mark.qdrant
def test_a_key_is_never_shown(guarded: QdrantServer) -> None:
    with Recommender.connect(guarded.url, space="movies", api_key="right-key") as rec:
        assert "right-key" not in repr(rec) + str(rec)


@pytest.mark.qdrant
def test_a_server_that_is_killed(guarded: QdrantServer) -> None:
    rec = Recommender.connect(guarded.url, space="movies", api_key="right-key")
    guarded.kill()
    try:
        with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer"):
            rec.create(SMALL)
    finally:
        guarded.start()
    assert rec.create(SMALL) == SMALL
    rec.close()


@pytest.mark.qdrant
def test_a_space_that_is_not_there(qdrant_url: str) -> None:
    name = fresh_name()
    with Recommender.connect(qdrant_url, space=name) as rec, pytest.raises(SpaceNotFound) as caught:
        rec.recommend("alice")
    assert str(caught.value) == (
        f"there is no space '{name}' in this Qdrant: "
        f"create it with `llmrec init --space {name}` or Recommender.create()"
    )


@pytest.mark.qdrant
def test_a_space_that_vanishes(qdrant_url: str) -> None:
    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(SMALL)
    for kind in ("items", "users"):
        rec._client.delete_collection(rec._space.versioned(kind))  # type: ignore[arg-type]
    try:
        with pytest.raises(SpaceNotFound, match="create the space first"):
            rec.recommend("alice")
        with pytest.raises(SpaceNotFound, match="create the space first"):
            rec.upsert_items([Item(id="tt1")])
    finally:
        drop(rec)


# --- embedded ------------------------------------------------------------------------------------


def test_a_space_that_is_not_there_embedded() -> None:
    with Recommender.connect(path=":memory:", space="movies") as rec:
        for ask in (lambda: rec.recommend("alice"), lambda: rec.status(), lambda: rec.upsert_items([Item(id="tt1")])):
            with pytest.raises(SpaceNotFound, match=r"^there is no space 'movies' in this Qdrant"):
                ask()


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect garbage within the test: qdrant-client leaves its lock file open when a folder cannot be had."""
    yield
    gc.collect()


def leaks(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test in which that file is found unclosed."""
    ignore = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    return ignore(pytest.mark.usefixtures("collected")(test))  # type: ignore[no-any-return]


@leaks
def test_a_folder_opened_twice(tmp_path: Path) -> None:
    sentence = "^another process has this local Qdrant folder open: close it, or run a Qdrant server"
    with Recommender.connect(path=str(tmp_path / "data"), space="movies") as rec:
        rec.create(SMALL)
        with pytest.raises(QdrantUnavailable, match=sentence):
            Recommender.connect(path=str(tmp_path / "data"), space="movies")
        with pytest.raises(QdrantUnavailable, match=sentence):
            AsyncRecommender.connect(path=str(tmp_path / "data"), space="movies")
    with Recommender.connect(path=str(tmp_path / "data"), space="movies") as again:
        assert again.config == SMALL


@leaks
def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(LlmrecError, match="data"):
        Recommender.connect(path=str(tmp_path / "data"), space="movies")
    assert (tmp_path / "data").read_text() == "mine"


@leaks
def test_a_folder_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(LlmrecError):
        Recommender.connect(path=str(tmp_path), space="movies")


@pytest.mark.parametrize("where", ["embedded", pytest.param("server", marks=pytest.mark.qdrant)])
def test_a_recommender_that_was_closed(where: str, request: pytest.FixtureRequest) -> None:
    address = {"path": ":memory:"} if where == "embedded" else {"url": request.getfixturevalue("qdrant_url")}
    rec = Recommender.connect(**address, space=fresh_name())
    rec.close()
    rec.close()
    with pytest.raises(LlmrecError, match="closed"):
        rec.create(SMALL)


# --- Redis ---------------------------------------------------------------------------------------

MESSAGE = Reconcile(space="movies")
MEND = "what was written is stored; run `llmrec reconcile` when Redis is back"


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
    assert str(caught.value).startswith(f"Redis at {shown.format(port=port)} did not take the message (")
    assert str(caught.value).endswith(MEND)
    assert repr(queue) == f"CeleryQueue({shown.format(port=port)!r})"
    for secret in ("s3cret", "s3cr", "user"):
        assert secret not in str(caught.value) + repr(queue)


def test_a_redis_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = CeleryQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="did not take the message"):
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
        f"Redis at redis://***@127.0.0.1:1/0 did not take the message ({type(error).__name__}): {MEND}"
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


def test_a_broker_without_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(MissingDependency, match=r"pip install 'llmrec-qdrant\[celery\]'"):
        CeleryQueue("redis://localhost:6379/0")


def test_no_broker_and_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.connect.inline_available", lambda: False)
    with closing(QdrantClient(":memory:")) as client:
        queue = open_queue(client, None)
        assert isinstance(queue, NoQueue)
        with pytest.raises(BrokerUnavailable, match=r"^no broker is named and the workers are not installed"):
            queue.send(MESSAGE)


# --- nothing hangs -------------------------------------------------------------------------------


def test_threads_share_a_failing_recommender() -> None:
    with fake_server(version("1.16.3")) as url:
        rec = Recommender.connect(url, space="movies")
    with ThreadPoolExecutor(4) as pool:
        raised: list[Any] = [pool.submit(rec.status).exception(30) for _ in range(8)]
    rec.close()
    assert {type(one) for one in raised} == {QdrantUnavailable}
