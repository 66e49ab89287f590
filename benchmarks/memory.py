"""What long texts cost a worker in memory: 256 texts of 1 MB beside small ones, read by everything that reads texts.

``python -m benchmarks.memory`` fills two spaces on a Qdrant server, one with small texts and one with the large ones too. A process of
its own does each kind of work on each space; the table shows its peak resident memory, and what the large texts added.
``--limit 1200`` also runs the large ones in a control group of as many MiB (root only). The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qdrant_client import QdrantClient, models
from rich.table import Table

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.messages import EmbedItems, RefreshUsers
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import Key, Space
from llmrec_qdrant.testing import MemoryQueue
from tests.services import ROOT, QdrantServer
from workers.dispatch import Worker
from workers.evaluation.splits import hide_last
from workers.evaluation.trial_copy import event_payloads
from workers.evaluation.trial_space import trial
from workers.items import boilerplate
from workers.storage.store import SpaceStore
from workers.topics.sample import read_sample
from workers.training.catalogue import read_catalogue

LARGE, SMALL = 256, 64
"""Number of texts of each kind."""
CHARACTERS = 1_000_000
WORDS = "river mountain lantern harbour copper orchard violin glacier "
CGROUPS = Path("/sys/fs/cgroup/memory")
MIB = 1024 * 1024


def fill(rec: Recommender, large: int, small: int = SMALL) -> None:
    """Store ``large`` items of a million characters, ``small`` short ones, and a user with as many reviews of each kind."""
    texts = [(f"large{k}", (f"{k} {WORDS}" * 20_000)[:CHARACTERS]) for k in range(large)]
    texts += [(f"small{k}", f"{k} {WORDS}") for k in range(small)]
    for item, text in texts:
        rec.upsert_items([Item(id=item, title=item, text=text)])
    for k, (item, text) in enumerate(texts):
        rec.track([Event(user=f"u{k % 4}", item=item, type="review", text=text, ts=1_700_000_000 + 60 * k)])


# --- the work, in a process of its own ------------------------------------------------------------------


def _embed(space: SpaceStore, names: list[str]) -> None:
    Worker(space.client).run(EmbedItems(space=space.name, ids=[point_id("item", name) for name in names]))


def _refresh(space: SpaceStore, names: list[str]) -> None:
    Worker(space.client).run(RefreshUsers(space=space.name, ids=[point_id("user", f"u{k}") for k in range(4)]))


def _trial(space: SpaceStore, names: list[str]) -> None:
    config = space.config()
    with trial(space, config, hide_last(event_payloads(space), config, 4)):
        pass


WORK: dict[str, Callable[[SpaceStore, list[str]], object]] = {
    "encode items": _embed,
    "refresh users": _refresh,
    "boilerplate": lambda space, names: boilerplate._detect(space),
    "sample for topics": lambda space, names: read_sample(space, space, ""),
    "catalogue for training": lambda space, names: read_catalogue(space),
    "trial space": _trial,
}


def child(url: str, space: str, work: str) -> None:
    """Do one kind of work, and print the peak resident memory in bytes."""
    store = SpaceStore(QdrantClient(url, check_compatibility=False, timeout=120), Space(space)).at(1)
    names = [point.payload["item_id"] for page in store.items.pages(None, ["item_id"]) for point in page]
    for collection in (store.items, store.texts, store.users):  # an earlier process may have done the work
        collection.set_payload({Key.STALE: True}, models.Filter())
    WORK[work](store, names)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


@contextmanager
def limited(mib: int) -> Iterator[Callable[[], None]]:
    """Create a control group with a memory limit; yields what makes a child process join it."""
    group = CGROUPS / f"llmrec-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(mib * MIB))
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None
    finally:
        group.rmdir()


def peak(url: str, space: str, work: str, join: Callable[[], None] | None = None) -> float | None:
    """Return the peak resident memory of a process that does this work, in MiB; None if it was killed."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--child", url, space, work], cwd=ROOT, preexec_fn=join,
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return int(ended.stdout) / MIB if ended.returncode == 0 else None


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, help="MiB of a control group, such as 1200")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    figures: dict[str, dict[str, float | None]] = {}
    with QdrantServer() as qdrant:
        for space, large in (("small", 0), ("large", LARGE)):
            rec = Recommender(QdrantClient(qdrant.url, timeout=120), MemoryQueue(), space)
            rec.create(SpaceConfig())
            fill(rec, large)
        for work in WORK:
            figures[work] = {space: peak(qdrant.url, space, work) for space in ("small", "large")}
            if options.limit:
                with limited(options.limit) as join:
                    figures[work]["limited"] = peak(qdrant.url, "large", work, join)
            print(work, figures[work], flush=True)
    out.print(_table(figures, options.limit))
    print(json.dumps(figures))


def _table(figures: dict[str, dict[str, float | None]], limit: int) -> Table:
    table = Table("peak, MiB", "small texts", f"and {LARGE} of 1 MB", "added", f"limit {limit} MiB" if limit else "")
    for work, row in figures.items():
        small, large = row["small"] or 0, row["large"] or 0
        end = "" if "limited" not in row else "killed" if row["limited"] is None else f"{row['limited']:.0f}"
        table.add_row(work, f"{small:.0f}", f"{large:.0f}", f"{large - small:+.0f}", end)
    return table


if __name__ == "__main__":
    main()
