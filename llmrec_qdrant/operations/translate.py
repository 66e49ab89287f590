"""Translates exceptions of the Qdrant client into ours, which say what failed and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llmrec_qdrant.errors import LlmrecError, NotFound, QdrantRefused, QdrantUnavailable, SpaceNotFound, Unauthorized
from llmrec_qdrant.queues.base import mask_url

__all__ = ["translate", "translated"]


_BUSY = "Qdrant is busy ({detail}): try again in a moment, with smaller batches or fewer writers"

_DOWN = "Qdrant does not answer{at} ({detail}): check that it runs and that the URL is right, then try again"


_STRICT = {
    "Max points count": "max_points_count",
    "Max vector storage size": "max_collection_vector_size_bytes",
    "Max payload storage size": "max_collection_payload_size_bytes",
    "maximum number of payload ind": "max_payload_index_count",
    "Filter condition limit": "filter_max_conditions",
    "Condition size limit": "condition_max_size",
    'for "limit"': "max_query_limit",
    'for "upsert limit"': "upsert_max_batchsize",
    'for "update limit"': "upsert_max_batchsize",
    'for "timeout"': "max_timeout",
    "Multivector": "multivector_config",
    "Sparse vector": "sparse_config",
    "Exact search": "search_allow_exact",
}
"""What Qdrant says of a limit → the setting that sets it."""


@contextmanager
def translated(client: object = None) -> Iterator[None]:
    """Translate the exceptions that Qdrant, httpx and grpc raise within the block; ``client`` tells which server was asked."""
    try:
        yield
    except LlmrecError:
        raise
    except Exception as error:
        if isinstance(error, ResponseHandlingException) and isinstance(error.source, MemoryError):
            raise error.source from error  # the answer is too large for this process: no fault of Qdrant
        ours = translate(error, address(client))
        if ours is None:
            raise
        raise ours from error


def address(client: object) -> str:
    """Return the URL of the server that a client asks, without its secrets; empty for a folder."""
    url = getattr(getattr(client, "_client", None), "rest_uri", "")
    return mask_url(url) if isinstance(url, str) else ""


def translate(error: Exception, url: str = "") -> LlmrecError | None:
    """Return our exception for one of qdrant-client, httpx or grpc, which names the ``url`` if given; None for any other."""
    at = f" at {url}" if url else ""
    match error:
        case UnexpectedResponse():
            return _by_status(error.status_code or 0, _detail(error.content))
        case ResourceExhaustedResponse():
            detail = f"429 {_short(error)}"
            return QdrantUnavailable(_BUSY.format(detail=detail), retry_after=min(float(error.retry_after_s), 60.0))
        case QdrantException() if "Retry-After" in str(error):
            return QdrantUnavailable(_BUSY.format(detail="429"))
        case ResponseHandlingException() | httpx.RequestError():
            return QdrantUnavailable(_DOWN.format(at=at, detail=_short(error)))
        case json.JSONDecodeError():
            return QdrantUnavailable(_DOWN.format(at=at, detail="the answer does not come from Qdrant"))
        case AssertionError() if "returned None" in str(error):  # JSON of another service
            return QdrantUnavailable(_DOWN.format(at=at, detail="the answer does not come from Qdrant"))
        case grpc.RpcError():
            return _by_grpc(error, at)
        case ValueError() | KeyError():
            return _by_local_text(error)
        case RuntimeError() if "already accessed by another instance" in str(error):
            return QdrantUnavailable(
                "another process has this local Qdrant folder open: close it, or run a Qdrant server, which serves many processes"
            )
        case RuntimeError() if "closed" in str(error) or "after shutdown" in str(
            error
        ):  # the client's, or the thread's
            return QdrantUnavailable("the connection to Qdrant is closed: connect again")
    return None


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]


def _detail(content: bytes) -> str:
    try:
        return str(json.loads(content)["status"]["error"])[:400]
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")


def _by_status(status: int, detail: str) -> LlmrecError:
    if status == 403 and "access" in detail.lower():
        return Unauthorized(f"the API key does not allow this ({detail}): {_right(detail)}")
    if status in {401, 403}:
        what = "asks for an API key" if detail.startswith("Must provide") else "refused the API key"
        return Unauthorized(
            f"Qdrant {what} ({status}): pass the right one with --api-key or api_key=, or set LLMREC_API_KEY"
        )
    if status == 404:
        return _not_found(detail)
    if status in {408, 429, 500, 502, 503, 504}:
        return QdrantUnavailable(_BUSY.format(detail=f"{status} {detail}"))
    return QdrantRefused(f"Qdrant refused the request ({status}): {detail}{_advice(detail)}")


def _advice(detail: str) -> str:
    """Return what to do where a limit of strict mode is the reason; empty for other reasons."""
    setting = next((setting for text, setting in _STRICT.items() if text in detail), None)
    return f" To go on, raise {setting} in the strict mode of the collection, or remove it there." if setting else ""


def _right(detail: str) -> str:
    """Say which right is missing, by the detail of a refusal."""
    named = re.search(r"collection [`']?([\w-]+)", detail)
    if "Global manage access" in detail:
        return "it may only read; use one that may write"
    if "Global access" in detail:
        return "it is for some collections only; use one for all of them"
    if named is None:
        return "use one with the rights for it"
    if re.search(r"(?i)write|manage", detail):
        return f"it may only read {named[1]!r}; use one that may write to it"
    return f"it does not reach {named[1]!r}; use one that does"


def _by_grpc(error: grpc.RpcError, at: str) -> LlmrecError:
    code = error.code() if hasattr(error, "code") else None
    detail = str(error.details() if hasattr(error, "details") else error)[:400]
    match code:
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return _by_status(401, detail)
        case grpc.StatusCode.NOT_FOUND:
            return _not_found(detail)
        case (
            grpc.StatusCode.INVALID_ARGUMENT
            | grpc.StatusCode.ALREADY_EXISTS
            | grpc.StatusCode.FAILED_PRECONDITION
            | grpc.StatusCode.UNIMPLEMENTED
        ):
            return _by_status(400, detail)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return _by_status(429, detail)
    return QdrantUnavailable(_DOWN.format(at=at, detail=detail))


def _not_found(detail: str) -> LlmrecError:
    collection = re.search(r"[Cc]ollection [`']?([\w-]+)[`']? (?:doesn't exist|not found)", detail)
    if collection:
        return SpaceNotFound(
            f"this Qdrant has no collection {collection[1]!r}: create the space first with `llmrec init` or create()"
        )
    return NotFound(f"Qdrant cannot find it: {detail}")


def _by_local_text(error: ValueError | KeyError) -> LlmrecError | None:
    """Translate errors of the client's pure Python mode, which raises ValueError and KeyError where the server answers 404."""
    text = str(error.args[0]) if error.args else ""
    if re.search(r"[Cc]ollection .*not found", text):
        return _not_found(text)
    if re.search(r"[Cc]ollection .*already exists", text):
        return QdrantRefused(f"Qdrant refused the request: {text}")
    if "is not found in the collection" in text or re.fullmatch(r"[0-9a-f-]{36}", text):
        return NotFound(f"Qdrant cannot find it: {text}")
    return None
