"""The rules of the house, read from the source of both packages.

Which way imports point; who names stored things, reads the environment, runs text. `lint-imports` checks the order of the
floors (`[tool.importlinter]` in pyproject.toml); here is what it cannot see: rings of modules within a room, and modules
imported by a name built at run time.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from llmrec_qdrant.cli.main import COMMAND_MODULES
from llmrec_qdrant.space.layout import COLLECTION_KINDS, Key
from tests.imports import WORKER_MODULE, circles, constant, import_graph, modules, name_of_call, reachable
from tests.services import ROOT
from tests.source import BOTH, HEAVY, LIGHT, calls, imported, name_of, strings, tree_of

DOOR = "llmrec_qdrant.queues.inline"
"""The only module of the adapter that imports the workers, by name and at run time."""


# --- which way imports point ---------------------------------------------------------------------


def test_no_module_imports_itself_in_a_ring() -> None:
    """Imports inside functions count. The door is looked at below."""
    graph = import_graph()
    graph[DOOR] = {name for name in graph[DOOR] if not name.startswith("workers")}
    assert circles(graph) == []


def test_what_the_door_opens_does_not_lead_back_to_it() -> None:
    graph = import_graph()
    opened = {name for name in graph[DOOR] if name.startswith("workers")}
    assert opened
    assert [name for name in opened if DOOR in reachable(graph, name)] == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "e"}}
    assert circles(graph) == [["b", "c"], ["e"]]


def test_the_graph_knows_every_kind_of_import() -> None:
    graph = import_graph()
    assert "llmrec_qdrant.space.layout" in graph["llmrec_qdrant.recommender.connection"]  # from a.b import name
    assert "workers.dispatch" in graph["workers.tasks"]  # from .b import name
    assert "workers.storage.store" in graph["workers.users.refresh"]  # from ..a.b import name
    assert "workers.dispatch" in graph[DOOR]  # worker_module("dispatch")
    assert sum(map(len, graph.values())) > 500


@pytest.mark.parametrize("path", LIGHT, ids=name_of)
def test_the_adapter_names_existing_modules_of_the_workers(path: Path) -> None:
    for called, node in calls(path):
        if called.rpartition(".")[2] == WORKER_MODULE:
            wanted = constant(node.args[0])
            assert f"workers.{wanted}" in modules(), f"line {node.lineno}: {ast.unparse(node)}"


BUILDS_NAMES = {"llmrec_qdrant/cli/main.py", "llmrec_qdrant/queues/inline.py"}


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_only_the_door_and_the_list_of_commands_build_module_names(path: Path) -> None:
    built = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for _, node in calls(path)
        if name_of_call(node) in {"import_module", "__import__"} and constant(node.args[0]) is None
    ]
    assert bool(built) == (name_of(path) in BUILDS_NAMES), built


def test_the_list_of_commands_names_existing_modules() -> None:
    assert [name for name in COMMAND_MODULES if f"llmrec_qdrant.cli.{name}" not in modules()] == []


@pytest.mark.parametrize("path", HEAVY, ids=name_of)
def test_imports_inside_the_workers_are_relative(path: Path) -> None:
    """The folder is `workers` in a checkout and `llmrec_qdrant.workers` in the wheel."""
    absolute = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.ImportFrom) and not node.level and is_workers(node.module or ""))
        or (isinstance(node, ast.Import) and any(is_workers(alias.name) for alias in node.names))
        or (isinstance(node, ast.Call) and any(is_workers(constant(argument) or "") for argument in node.args))
    ]
    assert absolute == []


def is_workers(name: str) -> bool:
    return name.split(".")[0] == "workers" or name.startswith("llmrec_qdrant.workers")


def test_every_room_has_its_floor() -> None:
    """`exhaustive` makes `lint-imports` fail for a room that no layer names."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = {name: one["exhaustive"] for one in contracts if one["type"] == "layers" for name in one["containers"]}
    assert layered == {"llmrec_qdrant": True, "workers": True}


# --- names of stored things ----------------------------------------------------------------------

PAYLOAD_KEYS = {
    part for name, value in vars(Key).items() if name.isupper() for part in (value, value.rpartition(".")[2])
}

METADATA_KEYS = {
    "collab_fit",
    "migration",
    "topics_edited",
    "topics_fit",
    "training_job",
}  # of a collection, beside the configuration

# Words that are also fields of the contracts (`item.title`, `event.type`), of messages or of plain English.
AMBIGUOUS = {
    "text",
    "title",
    "type",
    "value",
    "model",
    "tenant",
    "session",
    "topics",
    "terms",
    "legs",
    "label",
    "ts",
    "keywords",
    "size",
    "examples",
    "steer",
    "cut",
    "revision",  # of a model
    "waiting",  # a state of a job
}

ALLOWED = {
    "llmrec_qdrant/space/layout.py": PAYLOAD_KEYS | METADATA_KEYS,
    "llmrec_qdrant/space/job_record.py": {"attempts"},  # the layout of a job's record
    "llmrec_qdrant/contracts/entities.py": PAYLOAD_KEYS,  # RESERVED, checked below
}


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_only_the_layout_spells_payload_and_metadata_keys(path: Path) -> None:
    spelled = [
        f"line {node.lineno}: {node.value!r}"
        for node in strings(path)
        if node.value in (PAYLOAD_KEYS | METADATA_KEYS) - AMBIGUOUS - ALLOWED.get(name_of(path), set())
    ]
    assert spelled == []


@pytest.mark.parametrize("path", [path for path in BOTH if path.name != "layout.py"], ids=name_of)
def test_only_the_layout_spells_vector_names(path: Path) -> None:
    """`Literal[...]` in contracts is the type of a leg; no other module writes one as text."""
    vectors = {"dense", "tfidf", "collab", "interests"}
    assert [f"line {node.lineno}: {node.value!r}" for node in strings(path) if node.value in vectors] == []


@pytest.mark.parametrize("path", [path for path in BOTH if path.name != "layout.py"], ids=name_of)
def test_only_the_layout_spells_collection_names(path: Path) -> None:
    endings = tuple(f"_{kind}" for kind in COLLECTION_KINDS)
    pieces = [node for node in strings(path) if str(node.value).startswith(endings)]  # also those of f-strings
    assert [f"line {node.lineno}: {node.value!r}" for node in pieces] == []


def test_reserved_names_are_the_payload_keys_of_an_item() -> None:
    from llmrec_qdrant.contracts.entities import RESERVED
    from llmrec_qdrant.space.layout import ITEM_HEAVY, ITEM_INTERNAL

    assert set(ITEM_INTERNAL) == RESERVED
    assert set(ITEM_HEAVY) < RESERVED


# --- environment, dangers ------------------------------------------------------------------------


def reads_environment(path: Path) -> bool:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb", "putenv"}:
            return True
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {one.name for one in node.names} & {"environ", "getenv"}
        ):
            return True
        if isinstance(node, ast.Name) and node.id == "BaseSettings":
            return True
    return False


def test_only_the_settings_read_the_environment() -> None:
    assert {name_of(path) for path in BOTH if reads_environment(path)} == {"llmrec_qdrant/settings.py"}


FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "torch.load",
    "np.load",
    "numpy.load",
    "os.system",
    "os.popen",
}


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_nothing_unpickles_or_runs_text(path: Path) -> None:
    assert {one.partition(".")[0] for one, _ in imported(ast.walk(tree_of(path)))} & FORBIDDEN_MODULES == set()
    for called, node in calls(path):
        if called in {"np.load", "numpy.load"}:
            options = {one.arg: ast.unparse(one.value) for one in node.keywords}
            assert options.get("allow_pickle") == "False", f"line {node.lineno}: say allow_pickle=False"
            continue
        assert called not in FORBIDDEN_CALLS, f"line {node.lineno}: {called}"
        for option in node.keywords:
            assert option.arg != "trust_remote_code" or ast.unparse(option.value) == "False", f"line {node.lineno}"
            assert option.arg != "allow_pickle" or ast.unparse(option.value) == "False", f"line {node.lineno}"
            assert option.arg != "shell" or ast.unparse(option.value) == "False", f"line {node.lineno}"


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_user_input_is_not_checked_by_assert(path: Path) -> None:
    """`python -O` removes asserts."""
    assert [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)] == []


def test_there_is_something_to_look_at() -> None:
    assert {name_of(path) for path in BOTH} >= {
        "llmrec_qdrant/query/requests.py",
        "llmrec_qdrant/space/layout.py",
        "workers/tasks.py",
    }
    assert {"item_id", "src_hash", "stale", "seen"} <= PAYLOAD_KEYS
