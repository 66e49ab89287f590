"""The wheel holds `llmrec_qdrant` and nothing else, and works where torch and the workers' libraries are not."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from textwrap import dedent

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.queues.inline import WORKER_PACKAGES
from tests.conftest import missing
from tests.services import ROOT, CeleryWorker, RedisServer, ServiceMissing, wait_for
from tests.source import HEAVY as WORKER_SOURCES
from tests.source import at_import, imported, tree_of
from tests.spaces import drop, fresh_name

pytestmark = pytest.mark.slow

HEAVY = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy", "workers", "llmrec_qdrant.workers")

BLOCK_HEAVY = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if any(name == heavy or name.startswith(heavy + ".") for heavy in {HEAVY!r}):
            raise ImportError(f"{{name}} is blocked: the adapter must not import it")

sys.meta_path.insert(0, Blocked())
"""


def run_clean(python: Path, code: str, folder: Path) -> str:
    """What `code` prints under `python`, away from the source tree, with the heavy packages blocked."""
    done = subprocess.run(
        [str(python), "-I", "-W", "error", "-c", BLOCK_HEAVY + dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_holds_the_package_and_its_metadata_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"llmrec_qdrant", "llmrec_qdrant-0.1.0.dist-info"}
    assert "llmrec_qdrant/py.typed" in names
    assert "llmrec_qdrant-0.1.0.dist-info/licenses/LICENSE" in names
    assert wheel.name == "llmrec_qdrant-0.1.0-py3-none-any.whl"


def test_carries_the_workers_and_the_sample_data_but_no_traces_of_the_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "workers").rglob("*.py")}
    assert {
        name.removeprefix("llmrec_qdrant/") for name in names if name.startswith("llmrec_qdrant/workers/")
    } == sources
    assert {"llmrec_qdrant/examples/items.jsonl", "llmrec_qdrant/examples/events.jsonl"} <= names
    assert [
        name for name in names if not name.endswith((".py", ".jsonl", "py.typed")) and ".dist-info/" not in name
    ] == []


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    for command in ([*build, "--sdist", str(ROOT)], [*build, "--wheel", str(tmp_path / "llmrec_qdrant-0.1.0")]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for archive in tmp_path.glob("*.tar.gz"):
            shutil.unpack_archive(archive, tmp_path, filter="data")
    (rebuilt,) = tmp_path.glob("*.whl")
    assert contents(rebuilt) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_asks_for_light_packages_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("llmrec_qdrant-0.1.0.dist-info/METADATA").decode())
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.replace(" ", "") for line in required) == sorted(
        [
            "grpcio",
            "httpx",
            "numpy",
            "pydantic-settings",
            "pydantic<3,>=2.11",
            "qdrant-client<1.18,>=1.17.1",
            "tenacity",
        ]
    )
    assert metadata.get_all("Provides-Extra") == [
        "all",
        "celery",
        "cli",
        "embedded",
        "load",
        "multilingual",
        "report",
        "workers",
    ]
    assert metadata["License-Expression"] == "Apache-2.0"


def test_imports_where_the_heavy_packages_are_blocked(clean_python: Path, tmp_path: Path) -> None:
    code = """
    import llmrec_qdrant
    print(llmrec_qdrant.__file__)
    for name in llmrec_qdrant.__all__:
        getattr(llmrec_qdrant, name)
    """
    printed = run_clean(clean_python, code, tmp_path)
    assert Path(printed.strip()).is_relative_to(clean_python.parents[1])


def test_no_module_of_the_adapter_needs_the_workers(clean_python: Path, tmp_path: Path) -> None:
    """Every module but those of the workers, the command line and the embedded engine is imported, as documentation tools do."""
    code = """
    import importlib, pkgutil, sys, llmrec_qdrant
    LEFT_OUT = ("llmrec_qdrant.workers", "llmrec_qdrant.cli", "llmrec_qdrant.embedded")
    def walk(package):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            if not found.name.startswith(LEFT_OUT):
                module = importlib.import_module(found.name)
                if found.ispkg:
                    walk(module)
    walk(llmrec_qdrant)
    print(len([name for name in sys.modules if name.startswith("llmrec_qdrant")]) > 40)
    print([name for name in sys.modules if name.startswith("llmrec_qdrant.workers")])
    """
    assert run_clean(clean_python, code, tmp_path).split() == ["True", "[]"]


def test_without_the_engine_a_folder_is_refused_with_what_to_install(clean_python: Path, tmp_path: Path) -> None:
    code = """
    from llmrec_qdrant import MissingDependency, Recommender
    try:
        Recommender.connect(path="./data", space="films")
    except MissingDependency as error:
        print(error)
    """
    assert "pip install 'llmrec-qdrant[embedded]'" in run_clean(clean_python, code, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_an_error_says_what_to_install(clean_python: Path, tmp_path: Path) -> None:
    code = """
    from llmrec_qdrant import MissingDependency, Recommender
    from llmrec_qdrant.queues.inline import InlineQueue, inline_available, worker_module
    print(inline_available())
    for attempt in (lambda: InlineQueue(None), lambda: worker_module("evaluation.evaluate")):
        try:
            attempt()
        except MissingDependency as error:
            print(error)
    """
    done = subprocess.run(
        [str(clean_python), "-I", "-c", dedent(code)], cwd=tmp_path, capture_output=True, text=True, check=True
    )  # fmt: skip
    available, inline, module = done.stdout.splitlines()
    assert available == "False"
    assert "pip install 'llmrec-qdrant[workers]'" in inline
    assert "torch" in module and "pip install 'llmrec-qdrant[workers]'" in module


@pytest.mark.parametrize("name", HEAVY)
def test_the_block_blocks(clean_python: Path, tmp_path: Path, name: str) -> None:
    code = f"""
    try:
        import {name}.anything
    except ImportError as error:
        print(error)
    """
    printed = run_clean(clean_python, code, tmp_path)
    assert printed == f"{name} is blocked: the adapter must not import it\n"


def test_the_clean_environment_has_no_heavy_package(clean_python: Path) -> None:
    listed = subprocess.run(
        [str(clean_python), "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert installed & {"torch", "transformers", "sentence-transformers", "scikit-learn", "scipy", "celery"} == set()
    assert "qdrant-client" in installed


def test_every_dependency_is_pinned() -> None:
    """What `make install` and the image install is what `constraints.txt` says."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(
            line
            for name, group in project["dependency-groups"].items()
            if name != "peers"  # others' recommenders, for one benchmark; nothing installs them
            for line in group
            if isinstance(line, str)
        ),
    ]
    named = {normal(line) for line in requirements} - {"llmrec-qdrant"}
    assert named - pinned == set()


def normal(requirement: str) -> str:
    name = requirement.split("[")[0]
    for mark in "<>=!~; ":
        name = name.partition(mark)[0]
    return name.strip().lower().replace("_", "-").replace(".", "-")


@pytest.mark.qdrant
def test_recommends_and_writes_where_the_heavy_packages_are_blocked(
    clean_python: Path, tmp_path: Path, qdrant_url: str
) -> None:
    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=32))
    rec.upsert_items([Item(id=f"i{k}", title=f"{'space war' if k % 2 else 'garden love'} {k}") for k in range(8)])
    rec.track([Event(user="ann", item="i1", type="view", ts=1_600_000_000 + 1)])
    code = f"""
    import sys, warnings
    from llmrec_qdrant import Item, Recommender, WorkPendingWarning
    rec = Recommender.connect({qdrant_url!r}, space={rec._space.name!r})
    print([one.id for one in rec.recommend("ann", 3)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        receipt = rec.upsert_items([Item(id="new", title="more space war")])
    print(receipt.written, receipt.queued, caught[0].category.__name__)
    print(sorted({{"torch", "transformers", "sklearn", "workers", "celery"}} & set(sys.modules)))
    """
    printed = run_clean(clean_python, code, tmp_path).splitlines()
    assert printed == [str([one.id for one in rec.recommend("ann", 3)]), "1 False WorkPendingWarning", "[]"]
    assert (rec.status().items, rec.status().items_stale) == (9, 1)
    drop(rec)


# --- the whole installation: the wheel and everything that its extra `workers` asks for -------------------------


def test_the_packages_looked_for_are_those_that_the_workers_import() -> None:
    """`WORKER_PACKAGES` decides whether work can be done here: it names whatever a module of the workers imports at once."""
    base = {"celery", "httpx", "llmrec_qdrant", "numpy", "qdrant_client", "rich", "typer"}  # adapter, other extras
    brought = {"huggingface_hub"}  # by transformers
    top = {
        name.partition(".")[0]
        for path in WORKER_SOURCES
        for name, _ in imported(node for node in at_import(tree_of(path)) if not is_relative(node))
    }
    assert top - set(sys.stdlib_module_names) - base - brought <= set(WORKER_PACKAGES)


def is_relative(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level > 0


ITEMS = [{"id": f"i{k}", "title": f"word{k} other{k % 5}"} for k in range(40)]
EVENTS = [
    {"user": f"u{n}", "item": f"i{(n + 7 * step) % 40}", "type": "view", "ts": 1_700_000_000 + 86_400 * step}
    for n in range(60)
    for step in range(4)
]


class Whole:
    """The environment with the wheel and all libraries, used from a folder away from the checkout."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder

    def run(self, code: str) -> list[str]:
        """Lines that `code` prints."""
        return self._call(str(self.python), "-I", "-c", dedent(code)).splitlines()

    def llmrec(self, *arguments: str) -> str:
        """What `llmrec` prints, on an embedded Qdrant in the folder."""
        return self._call(str(self.python.with_name("llmrec")), *arguments, "--path", str(self.folder / "data"))

    def _call(self, *command: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LLMREC_MODELS": str(self.folder / "models")}
        done = subprocess.run(
            command, cwd=self.folder, env={**environment, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def whole(whole_python: Path, tmp_path: Path) -> Whole:
    return Whole(whole_python, tmp_path)


def test_the_workers_come_from_the_wheel(whole: Whole) -> None:
    package, beside, module = whole.run(
        """
        import importlib.util, llmrec_qdrant
        from llmrec_qdrant.queues.inline import worker_module
        print(llmrec_qdrant.__file__)
        print(importlib.util.find_spec("workers"))
        print(worker_module("dispatch").__name__)
        """
    )
    assert Path(package).is_relative_to(whole.python.parents[1])
    assert (beside, module) == ("None", "llmrec_qdrant.workers.dispatch")


def test_embedded_use_from_the_wheel(whole: Whole) -> None:
    (listed,) = whole.run(
        """
        from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
        with Recommender.connect(path="data", space="s") as rec:
            rec.create(SpaceConfig(model="hash", size=32))
            rec.upsert_items([Item(id=f"i{k}", title="space war" if k % 2 else "garden love") for k in range(8)])
            rec.track([Event(user="ann", item="i1", type="view", ts=1_600_000_000 + 1)])
            print([item.id for item in rec.recommend("ann", 3)])
        """
    )
    recommended = set(ast.literal_eval(listed))
    assert recommended == {"i3", "i5", "i7"}


def test_the_command_line_of_the_wheel_loads_evaluates_and_trains(whole: Whole) -> None:
    whole.llmrec("init", "--model", "hash", "--size", "64")
    for kind, rows in (("items", ITEMS), ("events", EVENTS)):
        (whole.folder / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        whole.llmrec("load", kind, str(whole.folder / f"{kind}.jsonl"))
    evaluated = json.loads(whole.llmrec("evaluate", "--users", "20", "--json"))
    assert evaluated["users"] == 20
    assert all(0 <= row["ndcg"] <= row["hr"] <= 1 for row in evaluated["rows"])
    whole.llmrec("train", "--epochs", "1", "--users", "60")
    (model,) = json.loads(whole.llmrec("models", "--json"))
    assert model["name"] == "main-towers-1"


def test_the_sample_data_is_where_the_demo_looks_for_it(whole: Whole) -> None:
    (folder,) = whole.run("from llmrec_qdrant.cli.demo import EXAMPLES; print(EXAMPLES)")
    assert Path(folder).is_relative_to(whole.python.parents[1])
    assert sorted(path.name for path in Path(folder).iterdir()) == ["events.jsonl", "items.jsonl"]


@pytest.mark.qdrant
@pytest.mark.redis
def test_celery_works_from_the_wheel(whole: Whole, qdrant_url: str) -> None:
    try:
        redis = RedisServer()
    except ServiceMissing as reason:
        missing(reason)
    worker = CeleryWorker(
        redis.url, qdrant_url, python=whole.python, folder=whole.folder, app="llmrec_qdrant.workers.app"
    )  # fmt: skip
    with redis, worker, Recommender.connect(qdrant_url, space=fresh_name(), broker=redis.url) as rec:
        rec.create(SpaceConfig(model="hash", size=32))
        rec.upsert_items([Item(id=f"i{k}", title=f"film {k}") for k in range(8)])
        assert wait_for(lambda: rec.status().items_stale == 0, 60), worker.log
        assert re.search(r"llmrec_qdrant\.workers\.|llmrec\.embed", worker.log)
        drop(rec)
