"""Fixtures shared by all tests: models come from disk, servers from `services`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

# Before anything imports huggingface_hub or tokenizers, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tests.services import (
    ROOT,
    ExternalService,
    QdrantServer,
    RedisServer,
    ServiceMissing,
    qdrant_server,
    redis_server,
)

settings.register_profile("untimed", deadline=None)  # no test depends on the speed of the machine
settings.load_profile("untimed")


def missing(reason: object) -> NoReturn:
    """A service is missing: a reason to skip on a laptop, a failure in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}", pytrace=False)
    pytest.skip(str(reason))


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
    """The broker address of a real Redis."""
    return redis_service.url


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment that holds the wheel and what it requires, nothing else.

    Run it away from the repository root (`cwd=tmp_path`): there, a wrong `import workers` would succeed.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    _run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    _run(str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel))
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
