"""Switches an alias a thousand times under constant reads: no error, and no list that mixes two versions.

``python -m benchmarks.switches --switches 1000`` re-embeds a space to another dimension, so that a user vector of one version
does not even fit the items of the other, and then rolls back and forth while readers request lists through the adapter. Every
list must equal, in ids and scores, that of one of the two versions. Last line: ``switches=… reads=… errors=… mixed=…``; the
exit code is 1 unless the last two are 0.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.operations.steps import drive
from llmrec_qdrant.operations.versions import versions
from llmrec_qdrant.queues.none import NoQueue
from tests.services import QdrantServer

SPACE = "switches"
WORDS = ["space", "war", "garden", "love", "robot", "river", "piano", "科幻", "爱情"]
USERS = 40
Answer = tuple[tuple[str, float], ...]


def listed(rec: Recommender, user: str) -> Answer:
    """Ids and scores of a list; scores to six digits, as float32 carries them."""
    return tuple((one.id, round(one.score, 5)) for one in rec.recommend(user, 10, exclude_seen=False))


class Reader(threading.Thread):
    """Reads until told to stop; every answer is kept once."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.url, self.random = url, random.Random(seed)
        self.stop = threading.Event()
        self.reads = 0
        self.errors: list[str] = []
        self.answers: set[tuple[str, Answer]] = set()

    def run(self) -> None:
        """Ask for lists of random users."""
        with Recommender.connect(self.url, space=SPACE) as rec:
            while not self.stop.is_set():
                user = f"u{self.random.randrange(USERS)}"
                try:
                    self.answers.add((user, listed(rec, user)))
                except Exception as error:  # whatever it is, a reader saw it
                    self.errors.append(repr(error)[:300])
                self.reads += 1


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--readers", type=int, default=3)
    options = parser.parse_args()
    chance = random.Random(1)
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer())
        rec = stack.enter_context(Recommender.connect(qdrant.url, space=SPACE))
        rec.create(SpaceConfig(model="hash", size=32))
        rec.upsert_items(
            [Item(id=f"i{k}", title=f"{' '.join(chance.sample(WORDS, 4))} {k}") for k in range(options.items)]
        )
        rec.track(
            [
                Event(user=f"u{n}", item=f"i{chance.randrange(options.items)}", type="view", ts=1_600_000_000 + k)
                for n in range(USERS)
                for k in range(5)
            ]
        )
        rec.reconcile()
        rec.reembed(size=48).wait()
        allowed: dict[str, set[Answer]] = {f"u{n}": set() for n in range(USERS)}
        for _ in range(2):
            for user, answers in allowed.items():
                answers.add(listed(rec, user))
            rec.rollback()
        differing = sum(len(answers) == 2 for answers in allowed.values())
        readers = [Reader(qdrant.url, seed) for seed in range(options.readers)]
        for reader in readers:
            reader.start()
        began = time.monotonic()
        numbers: set[int] = set()
        for _ in range(options.switches):
            rec.rollback()
            numbers.add(drive(versions(rec._space), rec.client, NoQueue()).live)
        seconds = time.monotonic() - began
        for reader in readers:
            reader.stop.set()
            reader.join()
    errors = [error for reader in readers for error in reader.errors]
    mixed: list[Any] = [
        one for reader in readers for one in reader.answers if one[1] not in allowed[one[0]]
    ]  # fmt: skip
    print(
        f"{differing} of {USERS} users have another list in each version; live in turn: {sorted(numbers)}; {seconds:.0f} s"
    )
    for line in [*sorted(set(errors))[:5], *mixed[:3]]:
        print(f"  {line}")
    reads = sum(reader.reads for reader in readers)
    print(f"switches={options.switches} reads={reads} errors={len(errors)} mixed={len(mixed)}")
    return 1 if errors or mixed or differing < USERS / 2 or len(numbers) != 2 else 0


if __name__ == "__main__":
    sys.exit(main())
