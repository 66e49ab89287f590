"""The arrows of the design, read from the source: who may import, name and read what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmrec_qdrant.space.layout import KINDS, Key
from tests.services import ROOT

LIGHT = sorted((ROOT / "llmrec_qdrant").rglob("*.py"))
HEAVY = sorted((ROOT / "workers").rglob("*.py"))
BOTH = [*LIGHT, *HEAVY]

HEAVY_PACKAGES = {
    "jieba", "safetensors", "scipy", "sentence_transformers", "sklearn", "snowballstemmer", "tokenizers", "torch",
    "transformers", "workers",
}  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def imported(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    """Full names of imported modules, with their lines."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: everything but function bodies and `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from at_import(child)


def strings(path: Path) -> Iterator[ast.Constant]:
    """Text literals, less docstrings and annotations such as `Literal["dense"]`."""
    tree = tree_of(path)
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            skipped.update(ast.walk(node))
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Calls by their dotted name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


# --- imports -------------------------------------------------------------------------------------


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


# --- names of stored things ----------------------------------------------------------------------

PAYLOAD_KEYS = {value for name, value in vars(Key).items() if name.isupper()}

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
    endings = tuple(f"_{kind}" for kind in KINDS)
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
