"""The house: which way imports point, in both packages, and how large a file or function may be.

`lint-imports` checks the order of the floors (`[tool.importlinter]` in pyproject.toml). Here is what it cannot see:
circles between modules of one room, and modules imported by a name built at run time.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from llmrec_qdrant.cli.main import COMMANDS
from tests.imports import (
    WORKER_MODULE,
    circles,
    constant,
    import_graph,
    modules,
    name_of_call,
)
from tests.measure import (
    MAX_FILES_AT_THE_TOP,
    files_at_the_top,
)
from tests.services import ROOT
from tests.source import BOTH, HEAVY, LIGHT, calls, name_of, tree_of

DOOR = "llmrec_qdrant.queues.inline"
"""The only module of the adapter that imports the workers, by name and at run time."""


# --- which way imports point ---------------------------------------------------------------------


def test_no_module_imports_itself_in_a_ring() -> None:
    """Imports inside functions count, the door does not."""
    graph = import_graph()
    graph[DOOR] = {name for name in graph[DOOR] if not name.startswith("workers")}
    assert circles(graph) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "e"}}
    assert circles(graph) == [["b", "c"], ["e"]]


def test_the_graph_knows_every_kind_of_import() -> None:
    graph = import_graph()
    assert "llmrec_qdrant.space.layout" in graph["llmrec_qdrant.recommender"]  # from a.b import name
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
    assert [name for name in COMMANDS if f"llmrec_qdrant.cli.{name}" not in modules()] == []


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


# --- sizes ---------------------------------------------------------------------------------------
# `python -m tests.measure` lists what is over a limit.


@pytest.mark.parametrize("folder", MAX_FILES_AT_THE_TOP)
def test_a_package_shows_rooms_rather_than_files(folder: str) -> None:
    assert len(files_at_the_top(folder)) <= MAX_FILES_AT_THE_TOP[folder], files_at_the_top(folder)
