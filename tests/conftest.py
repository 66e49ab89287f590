"""Fixtures shared by all tests: models come from disk, servers from `services`.

Tests run in several processes (`make test`). Each process has a Qdrant and a Redis of its own; what takes long to
build, such as the wheel, is built by the first that needs it and shared (`once`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

# Before anything imports huggingface_hub or tokenizers, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Before numpy and torch start their threads, which on busy cores wait for each other by spinning: one test's training took
# 13 s of CPU with one thread and 32 s with two.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | dict(os.environ)

from tests import services
from tests.services import (
    ROOT,
    ExternalService,
    QdrantServer,
    RedisServer,
    ServiceMissing,
    qdrant_server,
    redis_server,
)

os.environ.setdefault("LLMREC_MODELS", str(ROOT / ".cache" / "models"))  # converted models stay for the next run

settings.register_profile("untimed", deadline=None)  # no test depends on the speed of the machine
settings.load_profile("untimed")


def missing(reason: object) -> NoReturn:
    """A service is missing: a reason to skip on a laptop, a failure in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}", pytrace=False)
    pytest.skip(str(reason))


MEMORY = Path("/dev/shm")
MIN_MEMORY = 6 * 2**30
"""Bytes free that servers may use: a space takes 200 MB of write-ahead logs while it exists."""


def pytest_configure() -> None:
    """Servers keep their data in memory where there is room: a new space took 1.3 s there, 7 s on a busy disk."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MIN_MEMORY:
        services.remove_leftovers(MEMORY)
        services.scratch = MEMORY


MAX_PROCESSES = 8
"""Test processes at most: each imports torch and starts servers, about 1.5 GB."""


def pytest_xdist_auto_num_workers() -> int:
    """Processes for `-n auto`: one more than there are CPUs, since tests often wait for a server."""
    return min(len(os.sched_getaffinity(0)) + 1, MAX_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a shared server or the built wheel, so that `-m "not qdrant"` leaves it out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for name, marked in {"qdrant_service": "qdrant", "redis_service": "redis", "wheel": "slow"}.items():
            if name in fixtures:
                item.add_marker(marked)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills once per run, whichever test process comes first; the others wait for it."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = factory.getbasetemp().parent if parallel else factory.getbasetemp()
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by the death of the process
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def qdrant_service() -> Iterator[QdrantServer | ExternalService]:
    """The Qdrant shared by the tests: never kill this one, start a `QdrantServer` of your own."""
    try:
        server = qdrant_server().start()
    except ServiceMissing as reason:
        missing(reason)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_service() -> Iterator[RedisServer | ExternalService]:
    """The Redis shared by the tests: never kill this one, start a `RedisServer` of your own."""
    try:
        server = redis_server().start()
    except ServiceMissing as reason:
        missing(reason)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def qdrant_url(qdrant_service: QdrantServer | ExternalService) -> str:
    """The REST address of a real Qdrant."""
    return qdrant_service.url


@pytest.fixture(scope="session")
def redis_url(redis_service: RedisServer | ExternalService) -> str:
    """The broker address of a real Redis: in one that all test processes share, a database of this process."""
    if redis_service.owned:
        return redis_service.url
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return urlsplit(redis_service.url)._replace(path=f"/{process}").geturl()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""

    def build(folder: Path) -> None:
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))

    (built,) = once(tmp_path_factory, "wheel", build).glob("*.whl")
    return built


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment that holds the wheel and what it requires, nothing else.

    Run it away from the repository root (`cwd=tmp_path`): there, a wrong `import workers` would succeed.
    """

    def install(folder: Path) -> None:
        _run(sys.executable, "-m", "venv", str(folder))
        python = folder / "bin" / "python"
        _run(str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel))

    return once(tmp_path_factory, "clean", install) / "bin" / "python"


@pytest.fixture(scope="session")
def whole_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment as `pip install 'llmrec-qdrant[workers]'` makes it.

    To be quick it borrows the libraries of this environment: a `.pth` line names their folder. The `.pth` files in that
    folder are not read, so an editable installation of this checkout does not come along.
    """

    def install(folder: Path) -> None:
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        python = folder / "bin" / "python"
        _run(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel))
        (site,) = folder.glob("lib/python*/site-packages")
        borrowed = [path for path in sys.path if path.endswith("site-packages")]
        (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")

    return once(tmp_path_factory, "whole", install) / "bin" / "python"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
