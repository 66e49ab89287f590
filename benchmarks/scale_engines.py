"""The two engines that `benchmarks.scale` measures: a Qdrant server, and the engine in this process."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psutil
import qdrant_edge as edge
from qdrant_client import models

from llmrec_qdrant import Recommender
from llmrec_qdrant.embedded.client import EdgeClient
from llmrec_qdrant.embedded.lookups import LookUps
from llmrec_qdrant.embedded.queries import Translator
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Space
from tests.services import QdrantServer

__all__ = ["SPACE", "Embedded", "Engine", "Server"]

SPACE = "scale"
Call = Callable[[], Any]


class Engine(ABC):
    """A Qdrant with the space of the benchmark, and how to ask it without our adapter."""

    name = ""
    clients = ""
    """What a client of the measurement of throughput is."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @abstractmethod
    def connect(self, tenant: str | None = None) -> Recommender:
        """A recommender on the space."""

    @abstractmethod
    def raw(self, body: Mapping[str, Any]) -> Call:
        """A call that sends a ready request to the items and reads the answer."""

    @abstractmethod
    def settle(self) -> float:
        """Wait until nothing is left to optimize; returns the seconds."""

    def cpu(self) -> float:
        """Processor seconds that everything which takes part in an answer has used."""
        return time.process_time()

    @abstractmethod
    def memory(self) -> int:
        """Resident bytes of the process that answers."""

    @abstractmethod
    def disk(self) -> int:
        """Bytes of the stored data."""

    @abstractmethod
    def segments(self) -> int:
        """Segments of the items."""

    @abstractmethod
    def rate(self, clients: int, seconds: float, users: list[str], body: Mapping[str, Any] | None) -> float:
        """Requests per second of so many clients: ``recommend`` for these users, or a raw request."""


class Server(Engine):
    """A Qdrant server of our own, asked over REST."""

    name = "server"
    clients = "processes"

    def __init__(self) -> None:
        super().__init__()
        self.qdrant = self.stack.enter_context(QdrantServer())
        self._post = poster(self.qdrant.url)

    def connect(self, tenant: str | None = None) -> Recommender:
        return self.stack.enter_context(Recommender.connect(self.qdrant.url, space=SPACE, tenant=tenant))

    def raw(self, body: Mapping[str, Any]) -> Call:
        data = json.dumps(body).encode()
        return lambda: self._post(data)

    def settle(self) -> float:
        began = time.monotonic()
        with Recommender.connect(self.qdrant.url, space=SPACE) as rec:
            while not all(self._green(rec, kind) for kind in COLLECTION_KINDS):
                time.sleep(0.5)
        return time.monotonic() - began

    def _green(self, rec: Recommender, kind: Any) -> bool:
        info = rec.client.get_collection(Space(SPACE).collection(kind))
        return info.status == models.CollectionStatus.GREEN and info.optimizer_status == models.OptimizersStatusOneOf.OK

    def cpu(self) -> float:
        clock = (~self.qdrant.pid << 3) | 2  # Linux: the CPU clock of another process
        return super().cpu() + time.clock_gettime(clock)

    def memory(self) -> int:
        return int(psutil.Process(self.qdrant.pid).memory_info().rss)

    def disk(self) -> int:
        return used(self.qdrant.directory / "storage")

    def segments(self) -> int:
        with Recommender.connect(self.qdrant.url, space=SPACE) as rec:
            return int(rec.client.get_collection(Space(SPACE).items).segments_count)

    def rate(self, clients: int, seconds: float, users: list[str], body: Mapping[str, Any] | None) -> float:
        """Each client is a process, since threads would share one interpreter."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        start, done = context.Barrier(clients, timeout=120), context.SimpleQueue()
        workers = [
            context.Process(target=_client, args=(self.qdrant.url, seconds, users[n:] + users[:n], body, start, done))
            for n in range(clients)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("a client process failed: see its message above")
        return sum(done.get() for _ in workers) / seconds


def _client(url: str, seconds: float, users: list[str], body: Any, start: Any, done: Any) -> None:
    """One client process of :meth:`Server.rate`."""
    with Recommender.connect(url, space=SPACE) as rec:
        post = poster(url)
        data = json.dumps(body).encode() if body else b""
        ask: Callable[[str], Any] = (lambda user: post(data)) if body else rec.recommend
        ask(users[0])
        start.wait()
        done.put(requests_in(seconds, ask, users))


def requests_in(seconds: float, ask: Callable[[str], Any], users: list[str]) -> int:
    """Ask again and again; returns how often."""
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        ask(users[count % len(users)])
        count += 1
    return count


def poster(url: str) -> Callable[[bytes], Any]:
    """Post bodies to the items over one connection, with as little around it as Python allows."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def post(data: bytes) -> Any:
        path = f"/collections/{Space(SPACE).items}/points/query"
        try:
            connection.request("POST", path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
        except (ConnectionError, http.client.HTTPException):  # the server closes connections that wait for seconds
            connection.close()
            connection.request("POST", path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
        return json.loads(response.read())["result"]["points"]

    return post


class Embedded(Engine):
    """Qdrant Edge in this process."""

    name = "embedded"
    clients = "threads"

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="llmrec-scale-"))
        self.stack.callback(shutil.rmtree, self.path, True)
        self.rec = self.stack.enter_context(Recommender.connect(path=str(self.path), space=SPACE))

    @property
    def _client(self) -> EdgeClient:
        client: Any = self.rec.client
        assert isinstance(client, EdgeClient)
        return client

    def connect(self, tenant: str | None = None) -> Recommender:
        return Recommender(self.rec.client, self.rec._queue, SPACE, tenant)

    def raw(self, body: Mapping[str, Any]) -> Call:
        """The engine alone: translating the request is not part of the call."""
        items = Space(SPACE).items
        request = Translator(LookUps(self._client._shard, items)).request(models.QueryRequest.model_validate(body))
        shard, batch = self._client._shard(items), edge.QueryBatchRequest([request])
        return lambda: shard.query_batch(batch)

    def settle(self) -> float:
        """Nothing runs in the background."""
        return 0.0

    def memory(self) -> int:
        """Of a process that opens the folder and answers fifty requests; this one holds the catalogue, too."""
        self.rec.close()
        context = multiprocessing.get_context("spawn")
        done = context.SimpleQueue()
        process = context.Process(target=_memory, args=(str(self.path), done))
        process.start()
        process.join()
        return int(done.get())

    def disk(self) -> int:
        return used(self.path)

    def segments(self) -> int:
        return int(self._client._shard(Space(SPACE).items).info().segments_count)

    def rate(self, clients: int, seconds: float, users: list[str], body: Mapping[str, Any] | None) -> float:
        """Each client is a thread."""
        counts: list[int] = []
        recommend, call = self.rec.recommend, self.raw(body) if body else None
        ask: Callable[[str], Any] = (lambda user: call()) if call else recommend
        workers = [
            threading.Thread(target=lambda n=n: counts.append(requests_in(seconds, ask, users[n:] + users[:n])))
            for n in range(clients)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(counts) / seconds


def _memory(path: str, done: Any) -> None:
    with Recommender.connect(path=path, space=SPACE) as rec:
        for user in range(50):
            rec.recommend(f"u{user:06d}")
        done.put(psutil.Process().memory_info().rss)


def used(folder: Path) -> int:
    """Bytes on disk, holes not counted."""
    return sum(_blocks(folder))


def _blocks(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.stat().st_blocks * 512
