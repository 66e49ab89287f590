"""Kills the process that has an embedded Qdrant open, again and again, and looks for what was lost.

``python -m benchmarks.chaos --embedded --items 2000 --kills 30 --seed 1`` loads, edits, deletes, tracks, steers, forgets, fits
topics, re-embeds, rolls back and cleans up in another process (``benchmarks/embedded_writer.py``), which dies of SIGKILL at
chosen points and at random moments. After each death the folder is opened and compared with the acknowledged writes; then
the next process repeats the operation that was under way. At the end, both versions are compared point by point. Last line:
``missing=… extra=… wrong=… resurrected=… stuck=… seed=…``; the exit code is 0 only if all of them are 0. Stuck are a job of a
dead process that the next one would not take up at once, a job without an end, work left over, and a folder of no collection.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedded_writer import BUSY, MARKER_BYTES
from benchmarks.oracle import Counts, Oracle, Writer, check, everything, settled
from llmrec_qdrant import Event, Item, Recommender
from llmrec_qdrant.errors import QdrantUnavailable
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import flat
from llmrec_qdrant.testing import HashEncoder
from tests.services import ROOT
from workers.storage.lease import announcements
from workers.storage.store import SpaceStore

SPACE = "chaos"
SIZES = (32, 48)
"""Dimensions before and after the re-embedding."""
MAX_MISSED = 3
"""Operations that may end before a blow at a point; then it falls at any moment."""


@dataclass(frozen=True)
class Blow:
    """Where the writer dies: the ``count``-th time it reaches ``point``, or after a random part of the operation."""

    point: str = ""
    count: int = 1
    missed: int = 0
    """Operations that ended before it."""


PLAN: list[tuple[str, Blow]] = [
    ("upsert", Blow("encode", 1)),
    ("re-embed", Blow("encode", 3)),
    ("re-embed", Blow("alias switch written")),
    ("re-embed", Blow("alias switch replaced")),
    ("fit topics", Blow("between updates", 3)),
    ("create", Blow("shard created", 3)),
    ("re-embed", Blow("shard created", 2)),
    ("clean up", Blow("collection half deleted")),
    ("upsert", Blow("optimize")),
    ("re-embed", Blow("catalogue written")),
    ("upsert", Blow("shard loading", 1)),
    ("upsert", Blow("between updates", 2)),
    ("re-embed", Blow("optimize")),
    ("steer", Blow("between updates", 2)),
    ("forget", Blow("between updates", 2)),
    ("delete", Blow("between updates", 2)),
    ("track", Blow("between updates", 3)),
    ("fit topics", Blow()),
    ("re-embed", Blow()),
    ("upsert", Blow("flush")),
    ("clean up", Blow("catalogue replaced")),
    ("roll back", Blow("alias switch written")),
    ("re-embed", Blow("between updates", 40)),
    ("upsert", Blow()),
    ("fit topics", Blow("between updates", 12)),
    ("create", Blow("catalogue written", 2)),
]
"""Operations and blows; the most telling ones first, as fewer kills take fewer of them."""
ANY = ("upsert", "delete", "track", "forget", "steer", "re-embed", "fit topics")
"""Operations of the random blows after the plan."""


class Nemesis:
    """Decides which operation dies where, and kills."""

    def __init__(self, kills: int, seed: int) -> None:
        self.random = random.Random(seed + 1)
        plan = PLAN[:kills] + [(ANY[n % len(ANY)], Blow()) for n in range(kills - len(PLAN))]
        self.waiting: dict[str, deque[Blow]] = {}
        for operation, blow in plan:
            self.waiting.setdefault(operation, deque()).append(blow)
        self.seconds: dict[str, float] = {}
        self.hits: Counter[str] = Counter()

    def next(self, operation: str) -> Blow | None:
        """The blow for the next try of an operation; the many small ones are spared every other time."""
        blows = self.waiting.get(operation)
        if not blows or (operation in {"upsert", "track", "delete"} and self.random.random() < 0.5):
            return None
        return blows.popleft()

    def again(self, operation: str, blow: Blow) -> None:
        """An operation ended before its blow: keep it for the next one, earlier, and in the end at any moment."""
        missed = blow.missed + 1
        point = blow.point if missed < MAX_MISSED else ""
        self.waiting[operation].append(Blow(point, max(1, blow.count // 2), missed))

    def delay(self, operation: str, blow: Blow) -> float:
        """Seconds until a random blow."""
        return self.random.uniform(0, self.seconds.get(operation, 0.2)) / 2**blow.missed


class Remote:
    """The recommender's methods, carried out by a process that may die; then they raise :class:`QdrantUnavailable`."""

    def __init__(self, folder: Path, nemesis: Nemesis, after_death: Callable[[str, dict[str, Any]], None]) -> None:
        self.folder, self.nemesis, self._after_death = folder, nemesis, after_death
        self.marker = folder.parent / "marker"
        self.marker.write_bytes(b" " * MARKER_BYTES)
        self._process: subprocess.Popen[str] | None = None
        self.longest = (0.0, "")

    def do(self, operation: str, **arguments: Any) -> Any:
        """Do an operation."""
        process = self._alive()
        blow = self.nemesis.next(operation)
        command = {
            "do": operation,
            "with": arguments,
            "aim": blow.point if blow else "",
            "count": blow.count if blow else 0,
        }
        timer = threading.Timer(self.nemesis.delay(operation, blow or Blow()), process.kill)
        began = time.monotonic()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
            if blow is not None and not blow.point:
                timer.start()
            answer = self._answer(process)
        except BrokenPipeError:
            answer = None
        finally:
            timer.cancel()
        self.longest = max(self.longest, (time.monotonic() - began, operation))
        if answer is None:
            self._died(process, operation, arguments)
        if blow is not None:
            self.nemesis.again(operation, blow)
        self.nemesis.seconds[operation] = time.monotonic() - began
        if "error" in answer:
            raise AssertionError(f"{operation}: {answer['error']}")
        return answer["done"]

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, "-m", "benchmarks.embedded_writer", str(self.folder), str(self.marker), SPACE]
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self._process

    def _answer(self, process: subprocess.Popen[str]) -> Any:
        """The acknowledgement; None if the process dies first."""
        assert process.stdout is not None
        for line in process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:  # cut short by a kill
                return None
            if "at" not in answer:
                return answer
            time.sleep(self.nemesis.random.uniform(0, 0.004) if answer["at"] in BUSY else 0)
            process.kill()
        return None

    def _died(self, process: subprocess.Popen[str], operation: str, arguments: dict[str, Any]) -> None:
        process.communicate()
        code = process.returncode
        if code != -9:
            raise AssertionError(f"{operation}: the writer ended by itself with {code}")
        self._process = None
        at = self.marker.read_bytes().decode().strip() or "elsewhere"
        self.nemesis.hits[f"{operation}: {at}"] += 1
        self._after_death(operation, arguments)
        raise QdrantUnavailable("the writer was killed")

    def close(self) -> None:
        """Let the process end."""
        if self._process is not None:
            self._process.communicate()

    # --- the recommender ----------------------------------------------------------------------

    def upsert_items(self, items: list[Item]) -> None:
        """Store items."""
        self.do("upsert", items=[item.model_dump(mode="json") for item in items])

    def delete_items(self, names: list[str]) -> None:
        """Delete items."""
        self.do("delete", names=names)

    def track(self, events: list[Event]) -> None:
        """Store events."""
        self.do("track", events=[event.model_dump(mode="json") for event in events])

    def forget_user(self, user: str) -> None:
        """Forget a user."""
        self.do("forget", user=user)

    def job(self, operation: str, **options: Any) -> None:
        """Do a job; one that died at the same place three times has failed rightly, and is requested again."""
        while True:
            status = self.do(operation, **options)
            if status["state"] == "done":
                return
            if "died 3 times" not in status["reason"]:
                raise AssertionError(f"{operation}: {status}")


class Story(Writer):
    """What the writer does."""

    rec: Remote

    def run(self) -> None:
        """Load, fit topics, change, re-embed, change, roll back, clean up, re-embed, change."""
        self.until(lambda: self.rec.do("create", size=SIZES[0]))
        step = max(self.count // 16, 1)
        for start in range(0, self.count, step):
            self.upsert([f"i{k}" for k in range(start, min(start + step, self.count))])
            self.track()
        self._topics()
        self.change(24)
        self._to(SIZES[1])
        self.change(12)
        self.until(lambda: self.rec.do("roll back"))
        self.change(12)
        self.until(lambda: self.rec.do("clean up"))
        self._to(SIZES[1])
        waiting = self.rec.nemesis.waiting
        while any(waiting.values()):
            if waiting.get("fit topics"):
                self._topics()
            if any(waiting.get(operation) for operation in ("re-embed", "roll back", "clean up")):
                self.until(lambda: self.rec.do("roll back"))
                self.until(lambda: self.rec.do("clean up"))
                self._to(SIZES[1])
            self.change(12)
        self.until(lambda: self.rec.do("reconcile"))

    def _topics(self) -> None:
        self.until(lambda: self.rec.job("fit topics", topics=6))

    def _to(self, size: int) -> None:
        self.until(lambda: self.rec.job("re-embed", size=size))

    def change(self, count: int) -> None:
        """Make random changes."""
        for _ in range(count):
            names = self.random.sample(sorted(self.oracle.items), self.random.choice([1, 1, 1, 40]))
            changes = [partial(self.upsert, names), self.delete, self.track, self.track, self.steer, self.forget]
            self.random.choice(changes)()

    def steer(self) -> None:
        """Weight a topic for a user with events."""
        if self.oracle.events:
            topics = self.until(lambda: self.rec.do("topics"))  # another version may have fewer
            user, topic = self.random.choice(sorted(self.oracle.events)), self.random.choice(topics)
            weight = self.random.choice([0.0, 0.25, 0.5])
            self.until(lambda: self.rec.do("steer", user=user, topic=topic, weight=weight))
            self.oracle.steered.setdefault(user, {})[topic] = weight


def acknowledged(rec: Recommender, oracle: Oracle, touched: set[str]) -> tuple[Counts, list[str]]:
    """What must hold right after a death: every acknowledged write is there, but for what was under way (``touched``)."""
    counts, notes = Counts(), []
    stored = {point.payload[Key.ITEM_ID]: point for point in everything(rec, rec._space.items, ["dense"])}
    size = rec.config.size
    titles = {name: str(point.payload[Key.TITLE]) for name, point in stored.items()}
    rows = dict(zip(titles, HashEncoder(size).encode(list(titles.values())), strict=True))
    for name, point in stored.items():
        dense = (point.vector or {}).get("dense") or np.zeros(size)
        if not flat(point.payload)[Key.STALE] and np.abs(rows[name] - np.array(dense)).max() > 1e-4:
            notes.append(counts.note("wrong", f"vector of item {name}"))
    for name in (stored.keys() | oracle.items.keys()) - touched:
        if name not in stored:
            notes.append(counts.note("missing", f"item {name}"))
        elif name not in oracle.items:
            notes.append(counts.note("resurrected" if name in oracle.deleted else "extra", f"item {name}"))
        elif titles[name] != oracle.items[name]:
            notes.append(counts.note("wrong", f"title of item {name}"))
    events = {
        point.payload[Key.EVENT_ID]: point.payload[Key.USER_ID] for point in everything(rec, rec._space.events, False)
    }
    wanted = {event: user for user, kept in oracle.events.items() for event in kept}
    for event in events.keys() ^ wanted.keys():
        user = events.get(event) or wanted[event]
        if user not in touched:
            kind = "missing" if event in wanted else "resurrected" if user in oracle.forgotten else "extra"
            notes.append(counts.note(kind, f"event {event} of {user}"))
    weights = {
        point.payload[Key.USER_ID]: point.payload[Key.STEER] for point in everything(rec, rec._space.users, False)
    }
    for user, wish in oracle.steered.items():
        if user not in touched and weights.get(user) != wish:
            notes.append(counts.note("wrong", f"weights of {user}: {weights.get(user)} instead of {wish}"))
    return counts, notes


def _touched(arguments: dict[str, Any]) -> set[str]:
    """The items and users of an operation."""
    names = {str(item["id"]) for item in arguments.get("items", ())} | set(arguments.get("names", ()))
    return names | {str(event["user"]) for event in arguments.get("events", ())} | {str(arguments.get("user"))}


def left_alone(rec: Recommender) -> list[str]:
    """Jobs of the dead process that this one would not take up at once."""
    announced = {message.job for message in announcements(SpaceStore(rec.client, rec._space), everything=True)}
    return [f"{job.id} waits for a dead owner" for job in rec.jobs(100) if job.active and job.id not in announced]


def stuck(rec: Recommender, folder: Path) -> list[str]:
    """Jobs without an end, work left to do, and folders that no collection owns."""
    problems = [f"{job.id} is {job.state} at {job.stage!r}" for job in rec.jobs(100) if job.active]
    catalogue = json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))
    owned = {entry["folder"] for entry in catalogue["collections"].values()}
    problems += [f"folder {path.name}" for path in (folder / "collections").iterdir() if path.name not in owned]
    return problems if settled(rec.status()) else [*problems, f"work left: {rec.status()}"]


def run(items: int, kills: int, seed: int) -> int:
    """Run the benchmark; returns the exit code."""
    began = time.monotonic()
    counts, notes, problems = Counts(), [], []
    with tempfile.TemporaryDirectory(prefix="llmrec-chaos-") as temporary:
        folder = Path(temporary) / "data"

        def after_death(operation: str, arguments: dict[str, Any]) -> None:
            with Recommender.connect(path=str(folder), space=SPACE) as rec:
                if operation == "create":  # until then there is nothing to compare
                    return
                problems.extend(left_alone(rec))
                more, words = acknowledged(rec, story.oracle, _touched(arguments))
                counts.add(more)
                notes.extend(f"after a death in {operation}: {word}" for word in words)

        remote = Remote(folder, Nemesis(kills, seed), after_death)
        story = Story(remote, items, seed)
        try:
            story.run()
        finally:
            remote.close()
        with Recommender.connect(path=str(folder), space=SPACE) as rec:
            problems += stuck(rec, folder)
            for size in reversed(SIZES):
                more, words = check(rec, story.oracle, size)
                counts.add(more)
                notes.extend(f"dimension {size}: {word}" for word in words)
                if size != SIZES[0]:
                    rec.rollback()
    _print(remote, story, notes + problems, time.monotonic() - began)
    print(f"{counts} stuck={len(problems)} seed={seed}")
    return 1 if any(counts.values()) or problems else 0


def _print(remote: Remote, story: Story, notes: list[str], seconds: float) -> None:
    hits = remote.nemesis.hits
    print(f"{story.oracle.writes} acknowledged writes, {hits.total()} kills, {seconds:.0f} s in all")
    print("killed in " + ", ".join(f"{where} {count}x" for where, count in sorted(hits.items())))
    print(f"longest operation: {remote.longest[1]}, {remote.longest[0]:.1f} s")
    for line in notes[:12]:
        print(f"  {line}")
