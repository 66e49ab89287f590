"""Connecting: servers that are not there or not well, impossible addresses, damaged folders, missing parts."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from qdrant_client import QdrantClient

from llmrec_qdrant import (
    AsyncRecommender,
    BrokerUnavailable,
    InvalidInput,
    Item,
    LlmrecError,
    MissingDependency,
    QdrantUnavailable,
    Recommender,
    ServerTooOld,
    SpaceConfig,
    SpaceNotFound,
)
from llmrec_qdrant.connect import open_queue
from llmrec_qdrant.contracts.messages import Reconcile
from llmrec_qdrant.queues import inline
from llmrec_qdrant.queues.celery import CeleryQueue
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.testing import MemoryQueue
from tests.services import free_port
from tests.spaces import fresh_name

SMALL = SpaceConfig(model="hash", size=8)
Handler = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def fake_server(handle: Handler) -> Iterator[str]:
    """An HTTP server on loopback that answers everything with `handle`."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            handle(self)
            self.close_connection = True  # a connection kept open would be answered after the shutdown

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
        with pytest.raises(QdrantUnavailable, match=r"^Qdrant does not answer at http://127.0.0.1:\d+ \(timed out\)"):
            Recommender(client, MemoryQueue(), "movies").recommend("alice")
        client.close()


def test_a_closed_port() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        QdrantUnavailable, match=rf"^Qdrant does not answer at {url} \(.*check that it runs and that the URL is right"
    ):
        Recommender.connect(url, space="movies")

    async def ask() -> None:
        async with AsyncRecommender.connect(url, space="movies") as rec:
            await rec.status()

    with pytest.raises(QdrantUnavailable, match=rf"^Qdrant does not answer at {url} \("):
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
    with pytest.raises(InvalidInput, match=r"^pass either a Qdrant server"):
        Recommender.connect(space="movies")
    with pytest.raises(
        InvalidInput, match=r"are named: leave one of them out \(url=, --url or LLMREC_QDRANT_URL; path="
    ):
        Recommender.connect("http://localhost:6333", path=":memory:", space="movies")


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
    sentence = "^this process already has the embedded Qdrant in .* open: share that recommender among threads"
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


@pytest.mark.parametrize("where", ["embedded", pytest.param("server", marks=pytest.mark.qdrant)])
def test_an_asynchronous_recommender_that_was_closed(where: str, request: pytest.FixtureRequest) -> None:
    address = {"path": ":memory:"} if where == "embedded" else {"url": request.getfixturevalue("qdrant_url")}

    async def use() -> None:
        rec = AsyncRecommender.connect(**address, space=fresh_name())
        await rec.close()
        await rec.close()
        with pytest.raises(LlmrecError, match="closed"):
            await rec.create(SMALL)

    asyncio.run(use())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": 3}, "a Qdrant URL must look like"),
        ({"url": "ftp://me:secret@host"}, r"a Qdrant URL must look like .*\*\*\*@host"),
        ({"path": 3}, "path must name a folder"),
        ({"path": ":memory:", "space": 3}, "a space name has 1 to 64 letters a-z"),
        ({"url": "http://localhost:1", "api_key": "schlüssel"}, "api_key must be printable ASCII"),
        ({"url": "http://localhost:1", "api_key": "line\nbreak"}, "api_key must be printable ASCII"),
    ],
)
def test_what_no_address_looks_like_is_refused_without_its_secrets(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        Recommender.connect(**{"space": "movies", **wrong})
    for secret in ("secret", "schlüssel", "break"):
        assert secret not in str(caught.value)


def test_a_module_named_workers_that_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text("raise RuntimeError('somebody else')")
    (tmp_path / "workers" / "dispatch.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "workers"]:
        monkeypatch.delitem(sys.modules, name)
    find = inline._package.__wrapped__
    assert find() is None
    monkeypatch.setitem(sys.modules, "workers", ModuleType("workers"))  # made by hand: it has no file
    assert find() is None


def test_a_broker_without_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(MissingDependency, match=r"pip install 'llmrec-qdrant\[celery\]'"):
        CeleryQueue("redis://localhost:6379/0")


def test_no_broker_and_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.connect.inline_available", lambda: False)
    with closing(QdrantClient(":memory:")) as client:
        queue = open_queue(client, None)
        assert isinstance(queue, NoQueue)
        with pytest.raises(BrokerUnavailable, match=r"^no broker is set and the workers are not installed"):
            queue.send(Reconcile(space="movies"))


def test_threads_share_a_failing_recommender() -> None:
    with fake_server(version("1.16.3")) as url:
        rec = Recommender.connect(url, space="movies")
    with ThreadPoolExecutor(4) as pool:
        raised: list[Any] = [pool.submit(rec.status).exception(30) for _ in range(8)]
    rec.close()
    assert {type(one) for one in raised} == {QdrantUnavailable}


def test_a_connection_that_is_refused_leaves_the_folder_to_others(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    refused = []
    for wrong in ({"tenant": ""}, {"space": "no/name"}, {"broker": "nowhere"}):
        for connect in (Recommender.connect, AsyncRecommender.connect):
            with pytest.raises(InvalidInput) as told:
                connect(**{"path": folder, "space": "x", **wrong})
            refused.append(told)  # its traceback keeps what was opened alive
    with Recommender.connect(path=folder, space="x") as rec:
        assert rec.create({"model": "hash", "size": 8}).size == 8
