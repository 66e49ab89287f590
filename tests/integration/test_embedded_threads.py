"""Threads and tasks share one embedded recommender while jobs run: nothing acknowledged is lost, nothing deleted comes back."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.oracle import Oracle, Writer, check, settled
from llmrec_qdrant import AsyncRecommender, Event, Item, Recommender, SpaceConfig

SIZES = (16, 24)
CONFIG = SpaceConfig(model="hash", size=SIZES[0])
FIRST = {f"first{k}": f"{'space war' if k % 2 else 'garden love'} {k}" for k in range(40)}
THREADS = 8
STEPS = 8


class Own(Writer):
    """Writes items and users that nobody else writes, and reads lists."""

    def __init__(self, rec: Recommender, number: int, topics: list[str]) -> None:
        super().__init__(rec, STEPS, number)
        self.number, self.topics = number, topics

    def run(self) -> None:
        """A number of random steps."""
        self.upsert(self._names(10))
        for _ in range(STEPS):
            steps = [self._edit, self._edit, self.delete, self._track, self._track, self._steer, self.forget]
            self.random.choice(steps)()
            self._recommend()

    def _names(self, count: int) -> list[str]:
        return [f"t{self.number}-{k}" for k in self.random.sample(range(40), count)]

    def _edit(self) -> None:
        self.upsert(self._names(5))

    def _track(self) -> None:
        user, ts = f"t{self.number}-{self.random.randrange(3)}", 1_600_000_000.0 + self.oracle.writes
        known = sorted(self.oracle.items) or sorted(FIRST)
        events = [Event(user=user, type="view", item=self.random.choice(known), ts=ts + k / 10) for k in range(3)]
        events.append(Event(user=user, type="search", text=self._text(user), ts=ts + 0.5))
        self.until(lambda: self.rec.track(events))
        self.oracle.events.setdefault(user, {}).update({event.event_id: event for event in events})

    def _steer(self) -> None:
        if self.oracle.events:
            user, topic = self.random.choice(sorted(self.oracle.events)), self.random.choice(self.topics)
            self.until(lambda: self.rec.steer(user, topic, 0.5))
            self.oracle.steered.setdefault(user, {})[topic] = 0.5

    def _recommend(self) -> None:
        listed = self.rec.recommend(f"t{self.number}-0", 20)
        own = {one.id for one in listed if one.id.startswith(f"t{self.number}-")}
        assert own <= self.oracle.items.keys(), "a deleted item was recommended"


def together(oracles: list[Oracle]) -> Oracle:
    whole = Oracle(items=dict(FIRST))
    for oracle in oracles:
        whole.items |= oracle.items
        whole.deleted |= oracle.deleted
        whole.events |= oracle.events
        whole.edited |= oracle.edited
        whole.steered |= oracle.steered
    return whole


def test_threads_write_and_read_while_topics_are_fitted_and_the_space_is_re_embedded(tmp_path: Path) -> None:
    with Recommender.connect(path=str(tmp_path), space="films") as rec:
        rec.create(CONFIG)
        rec.upsert_items([Item(id=name, title=title) for name, title in FIRST.items()])
        rec.fit_topics(2)
        writers = [Own(rec, number, [topic.id for topic in rec.topics()]) for number in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            running = [pool.submit(writer.run) for writer in writers]
            rec.fit_topics(2)
            rec.reembed(size=SIZES[1]).wait(300)
            rec.rollback()
            rec.clean_up()
            for one in running:
                one.result()
        rec.reembed(size=SIZES[1]).wait(300)
        rec.reconcile()
        assert settled(rec.status()) and not any(job.active for job in rec.jobs())
        oracle = together([writer.oracle for writer in writers])
        for size in reversed(SIZES):
            counts, notes = check(rec, oracle, size)
            assert not any(counts.values()), notes[:5]
            if size != SIZES[0]:
                rec.rollback()


def test_tasks_share_an_asynchronous_recommender_on_a_folder(tmp_path: Path) -> None:
    async def visitor(rec: AsyncRecommender, number: int) -> None:
        own = [f"a{number}-{k}" for k in range(6)]
        await rec.upsert_items([Item(id=name, title=f"space war {name}") for name in own])
        await rec.track(
            [Event(user=f"a{number}", item=name, type="view", ts=1_600_000_000 + k) for k, name in enumerate(own[:3])]
        )
        await rec.delete_items(own[-2:])
        listed = {one.id for one in await rec.recommend(f"a{number}", 60)}
        assert not listed & {*own[-2:], *own[:3]}, "deleted or seen"

    async def visit() -> None:
        async with AsyncRecommender.connect(path=str(tmp_path), space="films") as rec:
            await rec.create(CONFIG)
            await asyncio.gather(*(visitor(rec, number) for number in range(THREADS)))

    asyncio.run(visit())
    with Recommender.connect(path=str(tmp_path), space="films") as rec:
        rec.reconcile()
        status = rec.status()
        assert settled(status) and (status.items, status.users) == (4 * THREADS, THREADS)
