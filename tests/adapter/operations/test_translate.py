"""Foreign exceptions become ours: by hand, and as a real server raises them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace

import grpc
import httpx
import pytest
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llmrec_qdrant import (
    AsyncRecommender,
    Item,
    LlmrecError,
    NotFound,
    QdrantRefused,
    QdrantUnavailable,
    Recommender,
    SpaceConfig,
    SpaceNotFound,
    Unauthorized,
)
from llmrec_qdrant.operations.translate import translate, translated
from tests.services import QdrantServer, ServiceMissing
from tests.spaces import drop, fresh_name

SMALL = SpaceConfig(model="hash", size=8)


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
    (answer(401), Unauthorized, "Qdrant refused the API key (401): pass the right one with --api-key or api_key=, or set LLMREC_API_KEY"),
    (answer(403), Unauthorized, "Qdrant refused the API key (403): pass the right one with --api-key or api_key=, or set LLMREC_API_KEY"),
    (
        answer(404, MISSING), SpaceNotFound,
        "this Qdrant has no collection 'movies_items': create the space first with `llmrec init` or create()",
    ),
    (answer(404, "No point with id 1 found"), NotFound, "Qdrant cannot find it: No point with id 1 found"),
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
    (AssertionError("Get collection returned None"), QdrantUnavailable, "Qdrant does not answer (the answer does not come"),
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
    (RpcError(grpc.StatusCode.NOT_FOUND, "No point"), NotFound, "Qdrant cannot find it: No point"),
    (grpc.RpcError("no code"), QdrantUnavailable, "Qdrant does not answer (no code)"),
    (ValueError("Collection movies_items not found"), SpaceNotFound, "this Qdrant has no collection 'movies_items'"),
    (ValueError("Point 7 is not found in the collection"), NotFound, "Qdrant cannot find it: Point 7"),
    (KeyError("ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"), NotFound, "Qdrant cannot find it: ea73d05c"),
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
    what = "refused the API key" if key else "asks for an API key"
    with pytest.raises(Unauthorized, match=rf"^Qdrant {what} \(401\): pass the right one") as caught:
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
        with pytest.raises(
            Unauthorized,
            match=r"^the API key does not allow this \(Forbidden: .*\): it may only read; use one that may write$",
        ):
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
        with pytest.raises(SpaceNotFound, match="create it with"):
            rec.upsert_items([Item(id="tt1")])
    finally:
        drop(rec)


def test_an_answer_too_large_for_the_process_is_no_fault_of_qdrant() -> None:
    with pytest.raises(MemoryError), translated():
        raise ResponseHandlingException(MemoryError())
    with pytest.raises(QdrantUnavailable), translated():
        raise ResponseHandlingException(httpx.ConnectError("refused"))


def test_the_server_is_named_without_its_password() -> None:
    client = SimpleNamespace(_client=SimpleNamespace(rest_uri="http://ann:hunter2@qdrant:6333"))
    sentence = r"^Qdrant does not answer at http://\*\*\*@qdrant:6333 \(timed out\)"
    with pytest.raises(QdrantUnavailable, match=sentence), translated(client):
        raise httpx.ConnectTimeout("timed out")
