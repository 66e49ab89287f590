"""``llmrec worker``: one command starts a worker and the clock, and says in one sentence why it cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llmrec_qdrant import Item, Recommender
from llmrec_qdrant.testing import MemoryQueue
from tests.services import ROOT, CeleryWorker
from tests.spaces import drop, fresh_name

pytestmark = [pytest.mark.qdrant, pytest.mark.redis]

COMMAND = [sys.executable, "-m", "llmrec_qdrant.cli", "worker"]
ITEMS = [Item(id=f"i{k}", title=f"film {k}", text="a rat cooks in Paris") for k in range(40)]


class WorkerCommand(CeleryWorker):
    """``llmrec worker`` as a child process; addresses are options, not environment."""

    def __init__(self, broker_url: str, qdrant_url: str, *options: str) -> None:
        super().__init__(broker_url, qdrant_url)
        self.options = options

    def _command(self) -> Sequence[str]:
        return [*COMMAND, "--url", self.qdrant_url, "--broker", self.broker_url, *self.options]

    def _environment(self) -> dict[str, str]:
        return {
            name: value for name, value in super()._environment().items()
            if name not in {"LLMREC_QDRANT_URL", "LLMREC_BROKER"}
        }  # fmt: skip

    def _ready(self) -> bool:
        return "\n  clock " in self.log[self._log_offset :]

    def interrupt(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=60)


@pytest.fixture
def broker(redis_url: str) -> str:
    """A database of its own: no other worker listens there."""
    return redis_url.rsplit("/", 1)[0] + "/7"


@pytest.fixture
def rec(qdrant_url: str, broker: str) -> Iterator[Recommender]:
    recommender = Recommender.connect(qdrant_url, space=fresh_name(), broker=broker)
    recommender.create({"model": "hash", "size": 32})
    yield recommender
    drop(recommender)


def wait_until_encoded(rec: Recommender, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while rec.status().items_stale:
        assert time.monotonic() < end, rec.status()
        time.sleep(0.1)


def test_it_works_logs_and_stops_on_request(rec: Recommender, qdrant_url: str, broker: str) -> None:
    with WorkerCommand(broker, qdrant_url) as worker:
        banner = worker.log.strip().splitlines()[:5]
        assert re.fullmatch(r"llmrec worker \S+, ready", banner[0])
        assert [line.split()[0] for line in banner[1:]] == ["qdrant", "broker", "queues", "clock"]
        rec.upsert_items(ITEMS)
        wait_until_encoded(rec)
        end = time.monotonic() + 20
        while not re.search(rf"INFO {rec.space}: encoded 40 items in \d+\.\d s", worker.log):
            assert time.monotonic() < end, worker.log
            time.sleep(0.1)
        assert "Traceback" not in worker.log and "Warning" not in worker.log
        assert worker.interrupt(signal.SIGTERM) == 0


def test_two_workers_with_a_clock_each_find_what_nobody_announced(
    rec: Recommender, qdrant_url: str, broker: str
) -> None:
    silent = Recommender(rec.client, MemoryQueue(), rec.space)
    with WorkerCommand(broker, qdrant_url) as one, WorkerCommand(broker, qdrant_url, "--concurrency", "2") as two:
        silent.upsert_items(ITEMS)
        wait_until_encoded(rec)
        assert rec.status().items == 40 and not rec.failures()
        assert one.interrupt(signal.SIGINT) == 0
        assert two.interrupt(signal.SIGINT) == 0


def test_a_command_watches_the_job_that_a_worker_does(rec: Recommender, qdrant_url: str, broker: str) -> None:
    def llmrec(*arguments: str) -> dict[str, Any]:
        where = ["--url", qdrant_url, "--broker", broker, "--space", rec.space, "--json"]
        done = subprocess.run(
            [*COMMAND[:-1], *arguments, *where], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stderr == ""
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    with WorkerCommand(broker, qdrant_url) as worker:
        rec.upsert_items(
            [Item(id=f"i{k}", title="space war rocket" if k % 2 else "garden love rose") for k in range(40)]
        )
        wait_until_encoded(rec)
        fitted = llmrec("topics", "fit", "--number", "2")
        assert (fitted["state"], len(fitted["topics"])) == ("done", 2)
        started = llmrec("topics", "fit", "--number", "3", "--no-wait")
        assert (started["id"] == "fit-topics-2" and started["finished_at"] == "") or started["state"] == "done"
        assert llmrec("jobs", "fit-topics-2")["state"] == "done"
        assert "fit-topics-2" in worker.log


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "needs a broker"),
        (["--broker", "redis://127.0.0.1:9/0", "--url", "{qdrant}"], "Redis at redis://127.0.0.1:9/0 does not answer"),
        (["--broker", "redis://:hunter2@127.0.0.1:9/0", "--url", "{qdrant}"], "redis://***@127.0.0.1:9/0"),
        (["--broker", "{redis}", "--url", "http://127.0.0.1:9"], "Qdrant does not answer"),
        (["--broker", "{redis}"], "no Qdrant is set"),
        (["--broker", "{redis}", "--path", "data"], "needs a Qdrant server"),
        (["--broker", "{redis}", "--url", "{qdrant}", "--queues", "encode,other"], "'encode,other'"),
    ],
)
def test_one_sentence_says_why_it_cannot_start(
    options: list[str], reason: str, qdrant_url: str, redis_url: str
) -> None:
    named = [option.format(qdrant=qdrant_url, redis=redis_url) for option in options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LLMREC_")}
    done = subprocess.run(
        [*COMMAND, *named], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert reason in line and "hunter2" not in line
