"""The rules that both packages keep, read from the source: who names stored things, reads the environment, runs text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from llmrec_qdrant.space.layout import KINDS, Key
from tests.source import BOTH, calls, imported, name_of, strings, tree_of

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
