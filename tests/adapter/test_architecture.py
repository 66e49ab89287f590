"""What the adapter may import: nothing heavy, and nothing that reaches out where queries are built."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT
from tests.source import BOTH, LIGHT, at_import, imported, name_of, tree_of

HEAVY_PACKAGES = {
    "jieba", "safetensors", "scipy", "sentence_transformers", "sklearn", "snowballstemmer", "tokenizers", "torch",
    "transformers", "workers",
}  # fmt: skip


@pytest.mark.parametrize("path", LIGHT, ids=name_of)
def test_the_adapter_imports_nothing_heavy(path: Path) -> None:
    found = {one.partition(".")[0] for one, _ in imported(at_import(tree_of(path)))}
    assert found & (HEAVY_PACKAGES | {"celery", "kombu", "redis", "pyarrow", "sqlalchemy"}) == set()


def test_only_the_inline_queue_imports_workers() -> None:
    found = {
        name_of(path): one
        for path in LIGHT
        for one, _ in imported(ast.walk(tree_of(path)))
        if one.startswith("workers")
    }  # fmt: skip
    assert found == {}


@pytest.mark.parametrize("path", LIGHT, ids=name_of)
def test_the_adapter_imports_nothing_heavy_inside_functions_either(path: Path) -> None:
    found = {one.partition(".")[0] for one, _ in imported(ast.walk(tree_of(path)))}
    assert found & (HEAVY_PACKAGES - {"workers"}) == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    names = ["torch", "celery", "kombu", "redis", "typer", "pyarrow", "sqlalchemy", *sorted(HEAVY_PACKAGES)]
    code = f"import sys, llmrec_qdrant; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


PURE = [
    *ROOT.glob("llmrec_qdrant/query/*.py"),
    *ROOT.glob("llmrec_qdrant/space/*.py"),
    *ROOT.glob("llmrec_qdrant/contracts/*.py"),
]


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_the_middle_is_pure(path: Path) -> None:
    """Building a query needs no client, no queue and no environment."""
    names = [one for one, _ in imported(at_import(tree_of(path)))]
    assert not [one for one in names if one.split(".")[0] in {"httpx", "grpc", "asyncio", "socket", "time", "os"}]
    assert not [one for one in names if one.startswith("qdrant_client") and "models" not in one]


# --- the command line and the loader -------------------------------------------------------------

OUTSIDE = [path for path in BOTH if path.parent.name in {"cli", "load"}]


@pytest.mark.parametrize("path", OUTSIDE, ids=name_of)
def test_the_command_line_uses_public_methods_only(path: Path) -> None:
    """What people cannot do through the public class, the command line cannot either."""
    private = {
        ast.unparse(node) for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        and ast.unparse(node.value) in {"rec", "self.rec", "context.rec"}
    }  # fmt: skip
    assert private == set()
    names = [name for name, _ in imported(ast.walk(tree_of(path))) if name.startswith("llmrec_qdrant.operations")]
    assert set(names) <= {"llmrec_qdrant.operations.retry.retrying"}


def test_there_is_a_command_line_to_look_at() -> None:
    assert {path.parent.parent.name for path in OUTSIDE} == {"llmrec_qdrant", "workers"}
