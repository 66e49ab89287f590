"""The process that ``benchmarks.embedded_chaos`` kills: opens the folder, and does one operation per line of its input.

It acknowledges an operation on its output only after it returned. Before that it can be told where to die: it announces on
its output that it has reached a point, and waits there, or goes on where the point takes time. ``marker`` is a mapped file
that names the present point, so it can be read after the kill.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.embedded import client, folder, upkeep
from llmrec_qdrant.errors import LlmrecError
from llmrec_qdrant.testing import HashEncoder

MARKER_BYTES = 64
BUSY = frozenset({"encode", "optimize", "flush", "shard loading"})
"""Points that take time: a blow falls somewhere within."""


class Points:
    """Where the process is, and where it shall die."""

    def __init__(self, marker: str) -> None:
        with open(marker, "r+b") as file:
            self._marker = mmap.mmap(file.fileno(), MARKER_BYTES)
        self._stack: list[str] = []
        self.aim, self.left = "", 0

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be at a point."""
        self._stack.append(name)
        self._mark()
        if name == self.aim:
            self.left -= 1
            if self.left == 0:
                reply({"at": name})
                time.sleep(0 if name in BUSY else 600)
        try:
            yield
        finally:
            self._stack.pop()
            self._mark()

    def _mark(self) -> None:
        self._marker[:] = (self._stack[-1] if self._stack else "").encode().ljust(MARKER_BYTES)

    # --- the points ---------------------------------------------------------------------------

    def around(self, owner: Any, name: str, point: str) -> None:
        """Be at ``point`` during each call of a function."""
        whole = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with self.at(point):
                return whole(*arguments, **named)

        setattr(owner, name, call)

    def install(self) -> None:
        """Mark every point of interest."""
        self.around(HashEncoder, "encode", "encode")
        self._aliases()
        self._catalogue()
        self._shards()
        self._updates()
        self._deletion()
        self._upkeep()

    def _aliases(self) -> None:
        whole = client.EdgeClient.update_collection_aliases
        points = self

        def switch(self: Any, *arguments: Any, **named: Any) -> Any:
            points._stack.append("alias switch")
            try:
                return whole(self, *arguments, **named)
            finally:
                points._stack.pop()

        client.EdgeClient.update_collection_aliases = switch  # type: ignore[method-assign]

    def _catalogue(self) -> None:
        whole = os.replace

        def replace(source: Any, target: Any) -> None:
            what = "alias switch" if "alias switch" in self._stack else "catalogue"
            with self.at(f"{what} written"):
                whole(source, target)
            with self.at(f"{what} replaced"):
                pass

        folder.os.replace = replace  # type: ignore[assignment,attr-defined]

    def _shards(self) -> None:
        whole = client.create_shard

        def create_shard(*arguments: Any) -> Any:
            shard = whole(*arguments)
            with self.at("shard created"):
                return shard

        client.create_shard = create_shard  # type: ignore[attr-defined]
        self.around(client, "load_shard", "shard loading")

    def _updates(self) -> None:
        whole = client.EdgeClient.batch_update_points
        points = self

        def update(self: Any, collection_name: str, update_operations: Sequence[Any], **_: Any) -> None:
            for operation in update_operations:
                with points.at("between updates"):
                    pass
                with points.at("update"):
                    whole(self, collection_name, [operation])

        client.EdgeClient.batch_update_points = update  # type: ignore[method-assign,assignment]

    def _deletion(self) -> None:
        whole = shutil.rmtree

        def rmtree(path: Path, **named: Any) -> None:
            for number, file in enumerate(sorted(Path(path).rglob("*"))):
                if file.is_file():
                    file.unlink()
                if number == 3:
                    with self.at("collection half deleted"):
                        pass
            whole(path, **named)

        client.shutil.rmtree = rmtree  # type: ignore[assignment,attr-defined]

    def _upkeep(self) -> None:
        upkeep.OPTIMIZE_AFTER, upkeep.FLUSH_AFTER = 60, 50
        whole = upkeep.Upkeep.after
        points = self

        class Marked:
            def __init__(self, shard: Any) -> None:
                self.shard = shard

            def optimize(self) -> None:
                with points.at("optimize"):
                    self.shard.optimize()

            def flush(self) -> None:
                with points.at("flush"):
                    self.shard.flush()

        def after(self: Any, name: str, shard: Any, operations: Any) -> None:
            whole(self, name, Marked(shard), operations)  # type: ignore[arg-type]

        upkeep.Upkeep.after = after  # type: ignore[method-assign]


def reply(answer: dict[str, Any]) -> None:
    """Write one line."""
    print(json.dumps(answer), flush=True)


def _job(job: Any) -> dict[str, Any]:
    status = job.progress()
    return {"state": status.state, "reason": status.reason}


OPERATIONS: dict[str, Callable[..., Any]] = {
    "create": lambda rec, size: rec.create(SpaceConfig(model="hash", size=size)) and None,
    "upsert": lambda rec, items: rec.upsert_items([Item(**item) for item in items]) and None,
    "delete": lambda rec, names: rec.delete_items(names) and None,
    "track": lambda rec, events: rec.track([Event(**event) for event in events]) and None,
    "forget": lambda rec, user: rec.forget_user(user) and None,
    "steer": lambda rec, user, topic, weight: rec.steer(user, topic, weight) and None,
    "topics": lambda rec: [topic.id for topic in rec.topics()],
    "fit topics": lambda rec, topics: _job(rec.fit_topics(topics)),
    "re-embed": lambda rec, size: _job(rec.reembed(size=size)),
    "roll back": lambda rec: rec.rollback(),
    "clean up": lambda rec: rec.clean_up(),
    "reconcile": lambda rec: rec.reconcile() and None,
}


def main() -> None:
    """Do what the input says."""
    points = Points(sys.argv[2])
    points.install()
    rec = Recommender.connect(path=sys.argv[1], space=sys.argv[3])
    for line in sys.stdin:
        command = json.loads(line)
        points.aim, points.left = command["aim"], command["count"]
        try:
            reply({"done": OPERATIONS[command["do"]](rec, **command["with"])})
        except LlmrecError as error:
            reply({"error": repr(error)})
    rec.close()


if __name__ == "__main__":
    main()
