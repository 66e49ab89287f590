"""Opens the Qdrant client and the queue that a recommender works with."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import cast
from urllib.parse import urlsplit

import httpx
from qdrant_client import AsyncQdrantClient, QdrantClient

from llmrec_qdrant.errors import InvalidInput, MissingDependency, show
from llmrec_qdrant.operations import clock
from llmrec_qdrant.operations.moving import Side
from llmrec_qdrant.operations.translate import translated
from llmrec_qdrant.queues.base import JobQueue, mask_url
from llmrec_qdrant.queues.celery import CeleryQueue
from llmrec_qdrant.queues.inline import InlineQueue, inline_available
from llmrec_qdrant.queues.none import NoQueue
from llmrec_qdrant.space.layout import Space

__all__ = ["on_server", "open_async", "open_queue", "open_sync", "other_side"]


REQUEST_TIMEOUT = 60
"""Seconds for one request to Qdrant."""

NO_TEXTS_TO_EMBED = True
"""Value of the client's ``cloud_inference``: otherwise the client searches every vector for texts to embed, which takes twice
as long as sending the vectors."""


CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=3.0)
"""Connections to Qdrant that stay open between requests, and for how many seconds: Qdrant closes one that is idle for five. By
default the client opens a new connection to a local server for every request, and closes elsewhere no sooner than the server."""
HEADERS = {"Accept-Encoding": "identity"}
"""Qdrant answers in one piece. It sends a compressed answer in several, and then each waits for the acknowledgement of the
former, which takes 40 ms on Linux; compressing also costs both sides more than most networks save."""


def _check_address(url: str | None, path: str | None) -> None:
    if url is not None and path is not None:
        raise InvalidInput(
            "a Qdrant server and a folder of embedded Qdrant are named: leave one of them out "
            "(url=, --url or LLMREC_QDRANT_URL; path=, --path or LLMREC_PATH)"
        )
    if url is None and path is None:
        raise InvalidInput(
            "pass either a Qdrant server (url='http://localhost:6333') or a folder of embedded Qdrant (path='./data')"
        )
    folder: object = path
    if folder is not None and not (isinstance(folder, str | PathLike) and _can_be_a_name(folder)):
        raise InvalidInput(f"path must name a folder, such as './data', not {show(folder)}")
    if url is not None and not _is_web_url(url):
        shown = show(mask_url(str(url)))
        raise InvalidInput(f"a Qdrant URL must look like http://host:6333 or https://host:6333, not {shown}")


def _can_be_a_name(path: object) -> bool:
    """Whether a file system could have this path."""
    try:
        return b"\0" not in os.fsencode(str(path)) and str(path) != ""
    except UnicodeError:
        return False


def _check_key(api_key: str | None) -> None:
    key: object = api_key
    if key is not None and not (isinstance(key, str) and key.isascii() and key.isprintable()):
        raise InvalidInput("api_key must be printable ASCII text: a request cannot carry this one")


def _is_web_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
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
    _check_key(api_key)
    with warnings.catch_warnings(), translated():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        if path is not None:
            return _open_folder(path)
        return QdrantClient(
            url=url,
            api_key=api_key,
            timeout=REQUEST_TIMEOUT,
            check_compatibility=False,
            cloud_inference=NO_TEXTS_TO_EMBED,
            limits=CONNECTIONS,
            headers=HEADERS,
            event_hooks={"response": [clock.listen]},
        )


def _open_folder(path: str) -> QdrantClient:
    try:
        from llmrec_qdrant.embedded.client import EdgeClient
    except ImportError:
        raise MissingDependency(
            "an embedded Qdrant needs Qdrant Edge: install it with `pip install 'llmrec-qdrant[embedded]'`, or name a Qdrant server"
        ) from None
    return cast(QdrantClient, EdgeClient(path))


def open_async(url: str, api_key: str | None = None) -> AsyncQdrantClient:
    """Open an asynchronous client for a server. Sends no request.

    Raises :class:`InvalidInput` for an impossible address.
    """
    _check_address(url, None)
    _check_key(api_key)
    with warnings.catch_warnings(), translated():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            url=url,
            api_key=api_key,
            timeout=REQUEST_TIMEOUT,
            check_compatibility=False,
            cloud_inference=NO_TEXTS_TO_EMBED,
            limits=CONNECTIONS,
            headers=HEADERS,
            event_hooks={"response": [clock.listen_async]},
        )


def on_server(client: object) -> bool:
    """Return whether every call to this client is a round trip to a server."""
    return isinstance(client, QdrantClient | AsyncQdrantClient)


def open_queue(client: QdrantClient, broker: str | None) -> JobQueue:
    """Open the queue on ``broker``; without one, work runs in this process if the extra ``[workers]`` is installed."""
    if broker is not None:
        if not isinstance(cast(object, broker), str):
            raise InvalidInput(f"broker must be a Redis URL such as redis://localhost:6379/0, not {show(broker)}")
        return CeleryQueue(broker)
    return InlineQueue(client) if inline_available() else NoQueue()


@contextmanager
def other_side(url: str, api_key: str | None, space: str) -> Iterator[Side]:
    """Within the block, the space of that name on another Qdrant server. Sends no request.

    Raises :class:`InvalidInput` for an impossible address or name.
    """
    named = Space(space)
    client = open_sync(url, None, api_key)
    try:
        yield Side(named, client, mask_url(url))
    finally:
        client.close()
