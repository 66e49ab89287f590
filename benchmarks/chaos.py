"""Kills everything, loses nothing: a seeded nemesis against real Qdrant, Redis, workers and clock.

``python -m benchmarks.chaos --items 20000 --kills 50 --seed 1`` loads, edits, deletes, tracks and forgets, while the
processes it started are killed, paused and flushed, and a re-embedding with its alias switch runs. Then an independent
checker compares Qdrant point by point with the acknowledged writes. Finally, single kills hit the middle of a shard, and the
time until its vectors exist is measured. Last line:
``missing=… extra=… wrong=… resurrected=… read_errors=… redone_shards=… seed=…``; the exit code is 0 only if all but
``redone_shards`` are 0 and that is at most one per kill. A shard is the 256 items of a message; ``redone_shards`` counts
every text whose encoding began more than once per model, including the 32 that are checked before the switch. ``--skew 90`` also gives
every process a wall clock that is wrong by up to 90 seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis

from benchmarks import embedded_chaos
from benchmarks.oracle import Writer, check, settled
from benchmarks.skew import move_clocks
from llmrec_qdrant import Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.errors import LlmrecError, QdrantUnavailable
from llmrec_qdrant.operations.items import ITEMS_PER_MESSAGE
from llmrec_qdrant.operations.versions import versions
from tests.services import CeleryWorker, QdrantServer, RedisServer, Service
from workers.storage.attempts import POINT_LEASE_SECONDS

SPACE = "chaos"
SIZES = (32, 48)
NOTEBOOK = "CHAOS_NOTEBOOK"
"""Environment variable that names the file of ``benchmarks/recording.py``."""
SETTLE = 240.0
"""Seconds within which all work must be done after the last kill."""


class Clock(CeleryWorker):
    """Celery beat."""

    name = "clock"

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", "celery", "-A", self.app, "beat", "--loglevel", "INFO"]

    def _ready(self) -> bool:
        return "maxinterval" in self.log[self._log_offset :]  # the end of the banner


class Generator(Writer):
    """Loads, then changes, in a thread."""

    def __init__(self, connect: Callable[[], Recommender], count: int, seed: int) -> None:
        super().__init__(connect(), count, seed)
        self.share = 0.0
        self.done = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Load, then change; start the re-embedding in the middle."""
        try:
            self._run()
        except BaseException as error:
            self.failure = error
        finally:
            self.done.set()

    def _run(self) -> None:
        for start in range(0, self.count, 256):
            self.upsert([f"i{k}" for k in range(start, min(start + 256, self.count))])
            self.track()
            self.share = 0.4 * start / self.count
        self.until(lambda: self.rec.reembed(size=SIZES[1]))
        changes = max(self.count // 10, 100)
        for step in range(changes):
            self.share = 0.4 + 0.6 * step / changes
            roll = self.random.random()
            if roll < 0.6:
                self.upsert(self.random.sample(sorted(self.oracle.items), 1))
            elif roll < 0.75:
                self.delete()
            elif roll < 0.95:
                self.track()
            else:
                self.forget()


class Nemesis:
    """Kills, pauses and flushes, spread over the generator's work."""

    def __init__(self, seed: int, kills: int, flushes: int, victims: Sequence[Service], redis_url: str) -> None:
        self.random = random.Random(seed + 1)
        self.kills, self.flushes, self.victims, self.redis_url = kills, flushes, victims, redis_url
        self.log: list[str] = []

    def run(self, generator: Generator) -> None:
        """Strike number n of N when n/N of the work is done."""
        blows = [("kill", n / self.kills) for n in range(self.kills)]
        blows += [("flush", (n + 1) / (self.flushes + 1)) for n in range(self.flushes)]
        for what, share in sorted(blows, key=lambda blow: blow[1]):
            while generator.share < share and not generator.done.is_set():
                time.sleep(0.05)
            self._strike(what)

    def _strike(self, what: str) -> None:
        victim = self.random.choice(self.victims)
        if what == "flush":
            try:
                redis.Redis.from_url(self.redis_url).flushall()
                self.log.append("flush")
            except redis.RedisError:
                pass
        elif self.random.random() < 0.15:
            victim.pause()
            time.sleep(self.random.uniform(0.5, 1.5))
            victim.resume()
            self.log.append(f"pause {victim.name}")
        else:
            victim.kill()
            time.sleep(self.random.uniform(0.0, 0.3))
            victim.restart()
            self.log.append(f"kill {victim.name}")
        time.sleep(self.random.uniform(0.1, 0.5))


class Reader(threading.Thread):
    """Reads all the time; what is wrong while Qdrant is up is an error."""

    def __init__(self, connect: Callable[[], Recommender], seed: int) -> None:
        super().__init__(daemon=True)
        self.rec, self.random = connect(), random.Random(seed + 2)
        self.errors: list[str] = []
        self.reads = 0
        self.stop = threading.Event()

    def run(self) -> None:
        """Ask for lists of random users until told to stop."""
        while not self.stop.is_set():
            try:
                self.rec.recommend(f"u{self.random.randrange(100)}", 10)
                self.reads += 1
            except QdrantUnavailable:
                time.sleep(0.1)
            except LlmrecError as error:
                self.errors.append(repr(error)[:300])
            time.sleep(0.01)


class Notebook:
    """What the workers began to encode; see ``benchmarks/recording.py``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def lines(self, since: int = 0) -> list[dict[str, Any]]:
        """Everything noted from byte ``since`` on; a line cut short by a kill is left out."""
        found = []
        for line in self.path.read_bytes()[since:].splitlines(keepends=True):
            if line.endswith(b"\n") and line.startswith(b"{"):
                found.append(json.loads(line))
        return found

    def redone(self) -> int:
        """Texts whose encoding began again, once for every time."""
        began = Counter((line["size"], text) for line in self.lines() for text in line["texts"])
        return sum(times - 1 for times in began.values())


BLOWS = ("worker", "worker and all messages", "qdrant")


def recovery(
    generator: Generator, notebook: Notebook, workers: Sequence[CeleryWorker], qdrant: Service, redis_url: str
) -> dict[str, float]:
    """Seconds from a blow in the middle of a shard until all its vectors are there, per kind of blow."""
    seconds: dict[str, float] = {}
    slow = notebook.path.with_suffix(".slow")
    for blow in BLOWS:
        slow.touch()
        since = notebook.path.stat().st_size
        names = generator.random.sample(sorted(generator.oracle.items), ITEMS_PER_MESSAGE)
        generator.upsert(names)
        wanted = {generator.oracle.items[name] for name in names}
        busy = None
        while busy is None:
            time.sleep(0.02)
            busy = next((line["pid"] for line in notebook.lines(since) if wanted.intersection(line["texts"])), None)
        slow.unlink()
        began = time.monotonic()
        victim = qdrant if blow == "qdrant" else next(one for one in workers if one.pid == busy)
        victim.kill()
        if blow == "worker and all messages":
            redis.Redis.from_url(redis_url).flushall()
        if blow == "qdrant":
            victim.restart()
        _until_settled(generator.rec)
        seconds[blow] = time.monotonic() - began
        victim.start()
    return seconds


def _until_settled(rec: Recommender) -> None:
    end = time.monotonic() + SETTLE
    while time.monotonic() < end:
        try:
            if settled(rec.status()):
                return
        except QdrantUnavailable:
            pass
        time.sleep(0.1)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--flushes", type=int, default=0, help="times Redis is emptied")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skew", type=int, default=0, help="seconds by which each clock is wrong at most")
    parser.add_argument("--embedded", action="store_true", help="kill the process of an embedded Qdrant instead")
    options = parser.parse_args()
    if options.embedded:
        return embedded_chaos.run(options.items, options.kills, options.seed)
    warnings.simplefilter("ignore", WorkPendingWarning)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-chaos-")))
        notebook = Notebook(folder / "notebook")
        noting = {"app": "benchmarks.recording", "env": {NOTEBOOK: str(notebook.path)}}
        qdrant, broker = QdrantServer(), RedisServer()
        workers = [CeleryWorker(broker.url, qdrant.url, **noting) for _ in range(2)]  # type: ignore[arg-type]
        clock = Clock(broker.url, qdrant.url)
        services = [qdrant, broker, *workers, clock]
        if options.skew:
            print("clocks moved by seconds:", move_clocks(services, options.skew, options.seed, folder), flush=True)
        for service in services:
            stack.enter_context(service)

        def connect() -> Recommender:
            return stack.enter_context(Recommender.connect(qdrant.url, space=SPACE, broker=broker.url))

        rec = connect()
        rec.create(SpaceConfig(model="hash", size=SIZES[0]))
        generator, reader = Generator(connect, options.items, options.seed), Reader(connect, options.seed)
        victims = [*workers, *workers, qdrant, broker, clock]
        nemesis = Nemesis(options.seed, options.kills, options.flushes, victims, broker.url)
        writing = threading.Thread(target=generator.run)
        began = time.monotonic()
        writing.start()
        reader.start()
        nemesis.run(generator)
        writing.join()
        if generator.failure:
            raise generator.failure
        rest = time.monotonic()
        version = _rest(rec)
        rested = time.monotonic() - rest
        reader.stop.set()
        reader.join()
        redone = notebook.redone() / ITEMS_PER_MESSAGE
        took = recovery(generator, notebook, workers, qdrant, broker.url) if version == 2 else {}
        counts, notes = check(rec, generator.oracle, SIZES[version - 1])
        print(
            f"{generator.oracle.writes} acknowledged writes, {len(nemesis.log)} blows "
            f"({', '.join(sorted({f'{nemesis.log.count(one)}x {one}' for one in nemesis.log}))}), {reader.reads} reads; "
            f"live version {version}; everything done {rested:.1f} s after the last write, "
            f"{time.monotonic() - began:.0f} s in all"
        )
        print(
            f"seconds from a blow in the middle of a shard until its vectors are there (lease {POINT_LEASE_SECONDS:.0f}): "
            + ", ".join(f"{blow} killed {value:.1f}" for blow, value in took.items())
        )
        if options.skew:
            print("\n".join(rec.status().notes))
        for line in [*notes[:10], *sorted(set(reader.errors))[:5]]:
            print(f"  {line}")
        print(
            f"{counts}"
            + f" read_errors={len(reader.errors)} redone_shards={redone:.1f} seed={options.seed}"
            + f" skew={options.skew}" * bool(options.skew)
        )
    bad = any(counts.values()) or reader.errors or version != 2 or redone > len(nemesis.log)
    return 1 if bad else 0


def _rest(rec: Recommender) -> int:
    """Wait until nothing is stale and the new version is live; returns the live version."""
    end = time.monotonic() + SETTLE
    version = 1
    while time.monotonic() < end:
        try:
            version = _live(rec)
            if version == 2 and settled(rec.status()):
                return version
        except QdrantUnavailable:
            version = 1
        time.sleep(0.25)
    return version


def _live(rec: Recommender) -> int:
    return rec._drive(versions(rec._space)).live


if __name__ == "__main__":
    sys.exit(main())
