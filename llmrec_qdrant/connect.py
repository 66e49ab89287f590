"""Opens the Qdrant client and the queue that a recommender works with."""

from __future__ import annotations

import re
import warnings
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient, QdrantClient

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.queues.base import JobQueue
from llmrec_qdrant.queues.celery import CeleryQueue
from llmrec_qdrant.queues.inline import InlineQueue, inline_available
from llmrec_qdrant.queues.none import NoQueue

__all__ = ["open_async", "open_queue", "open_sync"]


REQUEST_TIMEOUT = 60
"""Seconds for one request to Qdrant."""

NO_TEXTS_TO_EMBED = True
"""Value of the client's ``cloud_inference``: otherwise the client searches every vector for texts to embed, which takes twice
as long as sending the vectors."""


def _check_address(url: str | None, path: str | None) -> None:
    if (url is None) == (path is None):
        raise InvalidInput(
            "pass either a Qdrant server (url='http://localhost:6333') or a folder of embedded Qdrant (path='./data')"
        )
    if url is not None and not _is_web_url(url):
        raise InvalidInput(f"a Qdrant URL must look like http://host:6333 or https://host:6333, not {url!r}")


def _is_web_url(url: str) -> bool:
    try:
        parsed = urlsplit(url)
        host, port = parsed.hostname, parsed.port
    except ValueError:
        return False
    return parsed.scheme in {"http", "https"} and bool(host) and not re.search(r"\s", url) and port != 0


def open_sync(url: str | None = None, path: str | None = None, api_key: str | None = None) -> QdrantClient:
    """Open a client for a server or a folder. Sends no request.

    Raises :class:`InvalidInput` for an impossible address, :class:`QdrantUnavailable` for a folder in use.
    """
    _check_address(url, path)
    with warnings.catch_warnings(), translated():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        if path is not None:
            if path == ":memory:":
                return QdrantClient(":memory:")
            return _open_folder(path)
        return QdrantClient(
            url=url,
            api_key=api_key,
            timeout=REQUEST_TIMEOUT,
            check_compatibility=False,
            cloud_inference=NO_TEXTS_TO_EMBED,
        )


def _open_folder(path: str) -> QdrantClient:
    try:
        return QdrantClient(path=path, force_disable_check_same_thread=True)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"{path!r} cannot be used as a folder of embedded Qdrant ({type(error).__name__}: {str(error)[:200]}): "
            "choose an empty folder, or one that embedded Qdrant created"
        ) from error


def open_async(url: str, api_key: str | None = None) -> AsyncQdrantClient:
    """Open an asynchronous client for a server. Sends no request.

    Raises :class:`InvalidInput` for an impossible address.
    """
    _check_address(url, None)
    with warnings.catch_warnings(), translated():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            url=url,
            api_key=api_key,
            timeout=REQUEST_TIMEOUT,
            check_compatibility=False,
            cloud_inference=NO_TEXTS_TO_EMBED,
        )


def open_queue(client: QdrantClient, broker: str | None) -> JobQueue:
    """Open the queue on ``broker``; without one, work runs in this process if the extra ``[workers]`` is installed."""
    if broker is not None:
        return CeleryQueue(broker)
    return InlineQueue(client) if inline_available() else NoQueue()
