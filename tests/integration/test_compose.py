"""docker-compose.yml is valid by the Compose Specification, safe by default, and means what it says."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import signal
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml
from celery import Celery

from llmrec_qdrant.contracts.messages import MESSAGES, RunJob
from llmrec_qdrant.settings import Settings
from tests.conftest import missing
from tests.services import ROOT, CeleryWorker, QdrantServer, RedisServer, ServiceMissing, free_port, wait_for

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "workers" / "Dockerfile").read_text()
WORKERS = ["beat", "refresher", "worker", "worker-gpu"]
SCHEMA = json.loads((ROOT / "tests" / "schema" / "compose-spec.json").read_text())


def needed(variable: str) -> str:
    """A variable without which nothing starts, as the compose file writes it."""
    return f"${{{variable}:?see the head of docker-compose.yml}}"


def schema_errors(document: dict[str, Any]) -> list[str]:
    return [error.json_path for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document)]


def test_valid_by_the_compose_specification() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert schema_errors(COMPOSE) == []


@pytest.mark.parametrize(
    ("service", "change", "path"),
    [
        ("qdrant", {"imagee": "qdrant/qdrant"}, "$.services.qdrant"),
        ("redis", {"ports": "6379:6379"}, "$.services.redis.ports"),
        ("worker", {"depends_on": {"redis": {"condition": "healthy"}}}, "$.services.worker.depends_on"),
        ("flower", {"profiles": "monitor"}, "$.services.flower.profiles"),
    ],
)
def test_the_schema_refuses_mistakes(service: str, change: dict[str, Any], path: str) -> None:
    broken = copy.deepcopy(COMPOSE)
    broken["services"][service].update(change)
    assert schema_errors(broken) == [path]


def test_no_obsolete_version_key() -> None:
    assert "version" not in COMPOSE


def test_the_services_and_their_profiles() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "qdrant": [],
        "redis": [],
        "worker": [],
        "refresher": [],
        "beat": [],
        "worker-gpu": ["gpu"],
        "flower": ["monitor"],
    }


def test_the_image_is_built_with_what_was_tested() -> None:
    bases = {argument.split()[0] for name, argument in instructions() if name == "FROM"}
    assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base) for base in bases) and len(bases) == 1
    wheels = [argument for name, argument in instructions() if name == "RUN" and "pip wheel" in argument]
    assert len(wheels) == 1 and "--no-build-isolation" in wheels[0]  # or else the latest build backend is fetched
    assert re.search(r"^hatchling==", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", image), image


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_waits_for_has_a_healthcheck(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[needed]
        assert "profiles" not in SERVICES[needed]  # a service of a profile that is off would never come


def test_every_named_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", WORKERS)
def test_workers_find_their_servers_and_end_in_order(name: str) -> None:
    service = SERVICES[name]
    environment = service["environment"]
    assert environment["LLMREC_QDRANT_URL"] == "http://qdrant:6333"
    assert environment["LLMREC_BROKER"] == f"redis://:{needed('REDIS_PASSWORD')}@redis:6379/0"
    assert "REMAP_SIGTERM" not in environment
    assert service["stop_signal"] == "SIGTERM"
    assert set(service["depends_on"]) == {"qdrant", "redis"}
    assert "stop_grace_period" in service
    assert service["build"] == {"context": ".", "dockerfile": "workers/Dockerfile"}


@pytest.mark.parametrize("name", WORKERS)
def test_workers_are_given_only_settings_that_exist(name: str) -> None:
    prefix = Settings.model_config["env_prefix"]
    known = {f"{prefix}{field}".upper() for field in Settings.model_fields}
    given = {key for key in SERVICES[name]["environment"] if key.startswith("LLMREC_")}
    assert given - known == set()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_can_do_only_what_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True and service["tmpfs"] == ["/tmp:size=512m"]
    assert re.fullmatch(r"\d+[gm]", service["mem_limit"]) and service["pids_limit"] and "cpus" in service
    assert service["ulimits"]["core"] == 0
    assert not {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "userns_mode"} & service.keys()
    assert not [volume for volume in service.get("volumes", []) if volume.startswith(("/", "."))]  # nothing of the host


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_restarts_shows_its_health_and_cannot_fill_the_disk_with_its_log(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys()
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


def test_nothing_runs_as_root() -> None:
    """The worker's image has a user of its own, and so has that of Flower."""
    assert SERVICES["qdrant"]["image"].endswith("-unprivileged")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", SERVICES["redis"]["user"])
    assert {name for name, service in SERVICES.items() if service.get("user", "").startswith(("0", "root"))} == set()


def test_redis_has_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"] == {"queue": {"internal": True}}
    on = {name: service.get("networks", ["default"]) for name, service in SERVICES.items()}
    assert on == {
        "qdrant": ["default"],
        "redis": ["queue"],
        **{name: ["default", "queue"] for name in [*WORKERS, "flower"]},
    }


def test_the_key_of_the_language_model_is_given_to_those_who_ask_it() -> None:
    """Topics are named on the queue `batch`, texts are written on `generate`."""
    asking = {name for name in WORKERS if name != "beat" and queues(name) & {"batch", "generate"}}
    assert {name for name in SERVICES if "LLMREC_LLM_KEY" in SERVICES[name].get("environment", {})} == asking


def test_qdrant_and_redis_ask_for_a_password_that_must_be_set() -> None:
    assert SERVICES["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"] == needed("QDRANT_API_KEY")
    assert SERVICES["qdrant"]["environment"]["QDRANT__SERVICE__ENABLE_CORS"] == "false"
    assert SERVICES["redis"]["environment"]["REDIS_PASSWORD"] == needed("REDIS_PASSWORD")
    assert "ports" not in SERVICES["redis"]
    for name in WORKERS:
        assert SERVICES[name]["environment"]["LLMREC_API_KEY"] == needed("QDRANT_API_KEY")


def test_every_setting_of_the_language_model_reaches_the_workers() -> None:
    wanted = {f"LLMREC_{field}".upper() for field in Settings.model_fields if field.startswith("llm_")}
    assert wanted and wanted <= SERVICES["worker"]["environment"].keys()


def queues(name: str) -> set[str]:
    words = shlex.split(SERVICES[name]["command"])
    return set(words[words.index("--queues") + 1].split(","))


def test_every_queue_is_consumed_without_a_profile() -> None:
    assert queues("worker") == {message.queue for message in MESSAGES} | {
        RunJob(space="s", job="generate-1").destination()
    }
    assert queues("refresher") == {"refresh"}
    assert queues("worker-gpu") <= queues("worker")


def test_one_process_per_gpu() -> None:
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "--pool solo" in SERVICES["worker-gpu"]["command"]


def test_redis_never_evicts_a_message() -> None:
    assert "--maxmemory-policy noeviction" in SERVICES["redis"]["command"][-1]


def test_no_secret_is_written_down() -> None:
    for text in ((ROOT / "docker-compose.yml").read_text(), DOCKERFILE):
        for line in text.splitlines():
            if found := re.search(r"(API_KEY|PASSWORD|TOKEN|SECRET|LLM_KEY)\b\s*(?::\s|=)\s*(\S+)", line):
                assert re.match(r"\$\{\w+:[-?]|%s|…", found[2]), line


# --- against the real server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_binary() -> Path:
    try:
        return QdrantServer().binary
    except ServiceMissing as reason:
        missing(reason)


@pytest.mark.qdrant
def test_the_healthcheck_tells_a_living_qdrant_from_a_dead_one(server_binary: Path) -> None:
    first, *command = SERVICES["qdrant"]["healthcheck"]["test"]
    assert first == "CMD"
    with QdrantServer(api_key="sesame") as server:
        here = [word.replace("/6333", f"/{server.port}") for word in command]
        assert here != command
        assert subprocess.run(here, capture_output=True, timeout=10, check=False).returncode == 0
        server.kill()
        assert subprocess.run(here, capture_output=True, timeout=10, check=False).returncode != 0


@pytest.mark.redis
def test_redis_asks_for_its_password_and_ends_when_told(tmp_path: Path) -> None:
    service, port = SERVICES["redis"], free_port()
    command = [word.replace("$$", "$") for word in service["command"]]
    command[-1] = command[-1].replace("redis-server -", f"{redis_binary()} - --port {port}", 1)
    with subprocess.Popen(command, cwd=tmp_path, env={"REDIS_PASSWORD": "sesame"}, stdout=subprocess.DEVNULL) as server:
        assert wait_for(lambda: pings(port, "sesame"), 20)
        assert not pings(port, "") and not pings(port, "simsim")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    assert list(tmp_path.iterdir()) == []  # it runs on a file system that is read-only


def redis_binary() -> Path:
    try:
        return RedisServer().binary
    except ServiceMissing as reason:
        missing(reason)


def pings(port: int, password: str) -> bool:
    try:
        with redis.Redis(port=port, password=password or None) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.mark.qdrant
def test_qdrant_writes_only_where_the_compose_file_lets_it(server_binary: Path, tmp_path: Path) -> None:
    """With the image's folders, it writes to the volumes and nowhere else."""
    given = {key: str(value) for key, value in SERVICES["qdrant"]["environment"].items() if "__" in key}
    port, volumes = free_port(), {volume.partition(":")[2] for volume in SERVICES["qdrant"]["volumes"]}
    assert volumes == {"/qdrant/storage", "/qdrant/snapshots"}
    ports = {"QDRANT__SERVICE__HTTP_PORT": str(port), "QDRANT__SERVICE__GRPC_PORT": str(free_port())}
    environment = {"PATH": os.environ["PATH"], "QDRANT_INIT_FILE_PATH": str(tmp_path / "tmp"), **given, **ports}
    environment |= {"QDRANT__SERVICE__API_KEY": "sesame", "QDRANT__SERVICE__HOST": "127.0.0.1"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([server_binary], cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        assert wait_for(lambda: answer(port, "/readyz") == 200, 20), (tmp_path / "log").read_text()
        assert answer(port, "/collections") == 401
        assert {path.name for path in tmp_path.iterdir()} == {"storage", "snapshots", "tmp", "log"}
    finally:
        process.kill()
        process.wait(10)


def answer(port: int, path: str) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


@pytest.mark.redis
def test_a_worker_shows_that_it_lives_until_it_hangs(tmp_path: Path) -> None:
    """The file of the health check is young while the worker runs, and grows old when it is stopped in its tracks."""
    alive = tmp_path / "alive"
    how, check = SERVICES["worker"]["healthcheck"]["test"]
    assert (how, SERVICES["worker"]["environment"]["LLMREC_ALIVE"]) == ("CMD-SHELL", "/tmp/alive")
    check = check.replace("/tmp/alive", str(alive))

    def healthy() -> bool:
        return subprocess.run(["/bin/sh", "-c", check], check=False, capture_output=True).returncode == 0

    def age() -> float:
        return time.time() - alive.stat().st_mtime

    try:
        redis_server = RedisServer()
    except ServiceMissing as reason:
        missing(reason)
    assert not healthy()
    worker = CeleryWorker(redis_server.url, "http://127.0.0.1:1", ["batch"], {"LLMREC_ALIVE": str(alive)})
    with redis_server, worker:
        assert wait_for(alive.exists, 60), worker.log
        assert healthy()
        first = alive.stat().st_mtime
        assert wait_for(lambda: alive.stat().st_mtime > first, 20)
        os.kill(worker.pid, signal.SIGSTOP)
        assert wait_for(lambda: age() > 5, 20)
        os.kill(worker.pid, signal.SIGCONT)
        assert wait_for(lambda: age() < 5, 20)
    os.utime(alive, (time.time() - 600,) * 2)
    assert not healthy()


@pytest.mark.redis
def test_a_stopped_worker_finishes_its_task_and_gives_the_next_one_back(tmp_path: Path) -> None:
    (tmp_path / "slow_app.py").write_text(
        "import os, time\nfrom celery import Celery\n"
        "app = Celery(broker=os.environ['LLMREC_BROKER'])\n"
        "app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, worker_soft_shutdown_timeout=30)\n"
        "@app.task(name='slow')\n"
        "def slow(name):\n    print(f'began {name}')\n    time.sleep(1)\n    print(f'finished {name}')\n"
    )
    assert "--pool solo" in SERVICES["worker"]["command"]
    given = SERVICES["worker"]["environment"]
    environment = {key: value for key, value in given.items() if not key.startswith("LLMREC_")}
    try:
        redis_server = RedisServer()
    except ServiceMissing as reason:
        missing(reason)
    worker = CeleryWorker(
        redis_server.url, "http://127.0.0.1:1", ["q"], {**environment, "PYTHONPATH": str(tmp_path)}, app="slow_app"
    )
    with redis_server, worker, Celery(broker=redis_server.url) as app:
        app.send_task("slow", ["first"], queue="q")
        app.send_task("slow", ["second"], queue="q")
        assert wait_for(lambda: "began first" in worker.log, 20), worker.log

        os.kill(worker.pid, getattr(signal, SERVICES["worker"]["stop_signal"]))

        assert wait_for(lambda: not worker.running, 10), worker.log
        assert "finished first" in worker.log
        assert "began second" not in worker.log
        worker.start()
        assert wait_for(lambda: "finished second" in worker.log, 20), worker.log
        assert worker.log.count("began first") == 1


# --- the image ----------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), continuation lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_runs_celery_as_an_ordinary_user() -> None:
    steps = instructions()
    users = [argument for name, argument in steps if name == "USER"]
    assert users == ["llmrec"]
    (command,) = [json.loads(argument) for name, argument in steps if name == "CMD"]
    assert command[:4] == ["celery", "-A", "llmrec_qdrant.workers.app", "worker"]
    assert steps.index(("USER", "llmrec")) > max(index for index, (name, _) in enumerate(steps) if name == "RUN")


def test_what_the_image_copies_exists_and_is_sent_to_the_builder() -> None:
    sent = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        source
        for name, argument in instructions()
        if name == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    }
    assert {source.partition("/")[0] for source in copied} <= sent
    assert [source for source in sorted(copied) if not (ROOT / source).exists()] == []


def test_the_image_installs_the_wheel_and_what_its_extra_asks_for() -> None:
    steps = instructions()
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    runs = " ".join(argument for name, argument in steps[last:] if name == "RUN")
    assert "pip install --require-hashes --requirement /requirements.txt" in runs
    assert "pip install --no-deps --force-reinstall /wheels/*.whl" in runs
    assert [argument for name, argument in steps[last:] if name == "COPY"] == [
        "image-requirements.txt /requirements.txt"
    ]
    assert not any(name == "ADD" for name, _ in steps)


def test_the_image_has_the_versions_that_were_tested() -> None:
    def pins(path: str) -> dict[str, str]:
        found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / path).read_text(), flags=re.MULTILINE)
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}

    tested, installed = pins("constraints.txt"), pins("image-requirements.txt")
    assert {name: tested.get(name, version) for name, version in installed.items()} == installed
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["workers"]
    wanted = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower() for name in extra}
    assert wanted - {"llmrec-qdrant"} <= installed.keys()
    blocks = re.split(r"\n(?=\S)", (ROOT / "image-requirements.txt").read_text())
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_the_commands_start_the_application_in_the_wheel() -> None:
    for name in WORKERS:
        words = shlex.split(SERVICES[name]["command"])
        assert words[:3] == ["celery", "-A", "llmrec_qdrant.workers.app"]
