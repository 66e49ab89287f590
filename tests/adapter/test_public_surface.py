"""What people import: exactly these names, documented, typed, and the same for asyncio."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import llmrec_qdrant
from llmrec_qdrant import AsyncRecommender, LlmrecError, Recommender, errors
from tests.services import ROOT

MODULES = sorted(
    one.name
    for one in pkgutil.walk_packages(llmrec_qdrant.__path__, "llmrec_qdrant.")
    if not one.name.endswith("__main__")
)


def public_names(owner: type) -> list[str]:
    """Names that the class and its bases within the package define."""
    ours = (base for base in owner.__mro__ if base.__module__.startswith("llmrec_qdrant") and base is not LlmrecError)
    return sorted({name for base in ours for name in vars(base) if not name.startswith("_")})


# --- names ---------------------------------------------------------------------------------------


def test_the_public_names() -> None:
    """A change here is a change of the product: mention it in the changelog."""
    assert llmrec_qdrant.__all__ == [
        "AsyncJob",
        "AsyncRecommender",
        "BrokerUnavailable",
        "Event",
        "Evidence",
        "Failure",
        "FieldWarning",
        "Interest",
        "InvalidFilter",
        "InvalidInput",
        "Item",
        "Job",
        "JobFailed",
        "JobStatus",
        "LlmrecError",
        "MissingDependency",
        "Moved",
        "NotFound",
        "PartlyRejected",
        "QdrantRefused",
        "QdrantUnavailable",
        "Receipt",
        "Recommendation",
        "Recommender",
        "Rejected",
        "ServerTooOld",
        "ServiceError",
        "Shelf",
        "SimilarUser",
        "SpaceConfig",
        "SpaceError",
        "SpaceIncomplete",
        "SpaceMismatch",
        "SpaceNotFound",
        "SpaceStatus",
        "Topic",
        "Unauthorized",
        "WhyNot",
        "Words",
        "WorkPending",
        "WorkPendingWarning",
    ]


@pytest.mark.parametrize("name", ["llmrec_qdrant", *MODULES])
def test_all_is_sorted_and_importable(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    listed = list(getattr(module, "__all__", []))
    assert listed == sorted(
        listed, key=lambda one: (not one.isupper(), one.islower(), one)
    )  # CONSTANT, Class, function
    assert len(listed) == len(set(listed))
    for one in listed:
        assert hasattr(module, one), one


def test_every_error_is_public() -> None:
    assert set(errors.__all__) <= set(llmrec_qdrant.__all__)
    defined = {
        name for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, Exception) and one.__module__ == errors.__name__
    }  # fmt: skip
    assert defined == set(errors.__all__)


def test_the_tree_of_errors() -> None:
    """As drawn in the module: callers rely on these bases."""
    drawn = {
        "InvalidInput": (LlmrecError, ValueError), "InvalidFilter": (errors.InvalidInput,),
        "PartlyRejected": (errors.InvalidInput,), "SpaceError": (LlmrecError,), "SpaceNotFound": (errors.SpaceError,),
        "SpaceMismatch": (errors.SpaceError,), "SpaceIncomplete": (errors.SpaceNotFound,), "NotFound": (LlmrecError, LookupError), "ServiceError": (LlmrecError,),
        "QdrantUnavailable": (errors.ServiceError,), "QdrantRefused": (errors.ServiceError,),
        "Unauthorized": (errors.ServiceError,), "ServerTooOld": (errors.ServiceError,),
        "BrokerUnavailable": (errors.ServiceError,), "WorkPending": (errors.ServiceError,),
        "JobFailed": (LlmrecError,), "MissingDependency": (LlmrecError, ImportError),
    }  # fmt: skip
    assert {name: getattr(llmrec_qdrant, name).__bases__ for name in drawn} == drawn
    assert set(drawn) | {"LlmrecError", "FieldWarning", "WorkPendingWarning"} == {*errors.__all__, "PartlyRejected"}
    assert all(name in (errors.__doc__ or "") for name in drawn)


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert llmrec_qdrant.__version__ == project["version"]


# --- documentation -------------------------------------------------------------------------------


def documented() -> list[tuple[str, Any]]:
    """Everything that `__all__` of any module reaches, and the public methods and properties of its classes."""
    found: dict[str, Any] = {}
    for name in ["llmrec_qdrant", *MODULES]:
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", []):
            thing = getattr(module, one)
            if inspect.isclass(thing) and thing.__module__.startswith("llmrec_qdrant"):
                found[f"{thing.__module__}.{one}"] = thing
                for member in public_names(thing):
                    value = inspect.getattr_static(thing, member)
                    if isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value):
                        found[f"{thing.__module__}.{one}.{member}"] = value
            elif inspect.isfunction(thing) and thing.__module__.startswith("llmrec_qdrant"):
                found[f"{thing.__module__}.{one}"] = thing
    return sorted(found.items())


@pytest.mark.parametrize(("name", "thing"), documented(), ids=lambda value: value if isinstance(value, str) else "")
def test_everything_public_is_documented(name: str, thing: Any) -> None:
    own = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert own, f"{name} has no docstring"
    assert re.search(r"[.:;]$", own.strip().splitlines()[0]), f"{name}: the first line is a sentence"


def test_most_of_the_surface_is_reached() -> None:
    names = [name for name, _ in documented()]
    assert len(names) > 80
    assert "llmrec_qdrant.recommender.Recommender.recommend" in names


@pytest.mark.parametrize("name", ["llmrec_qdrant", *MODULES])
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples_to_check() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = sum(len(one.examples) for name in MODULES for one in finder.find(importlib.import_module(name)))
    assert examples >= 15


# --- the two recommenders ------------------------------------------------------------------------


METHODS = sorted(
    name for name in public_names(Recommender) if not isinstance(inspect.getattr_static(Recommender, name), property)
)


ITERATORS = {"iter_items", "users", "recommend_many"}
"""Methods that yield what they read, page by page."""


def test_both_recommenders_have_the_same_methods() -> None:
    """`config` is the one property: asyncio has no awaited properties."""
    assert set(public_names(Recommender)) - set(public_names(AsyncRecommender)) == {"config"}
    assert set(public_names(AsyncRecommender)) - set(public_names(Recommender)) == set()
    assert METHODS == [
        "blurb", "clean_up", "close", "connect", "create", "delete_items", "events", "explain", "failures", "fit_topics", "forget_user",
        "from_env", "generate", "get_items", "interests", "iter_items", "job", "jobs", "load_events", "merge_topics", "portrait", "pull", "push", "recommend", "recommend_from",
        "recommend_many", "reconcile", "reembed", "remove_events", "rename_topic", "report", "request", "retry", "rollback", "search", "shelves", "similar_items",
        "similar_users", "split_topic", "status", "steer", "top", "topic_items", "topics", "traces_of", "track", "train", "tune", "update_items", "upsert_items", "users",
        "visualize_interests", "visualize_item", "visualize_quality", "visualize_topics", "watch", "why_not",
    ]  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_both_recommenders_take_the_same_parameters(name: str) -> None:
    one, two = (inspect.signature(getattr(owner, name)) for owner in (Recommender, AsyncRecommender))
    assert one.parameters == two.parameters
    assert one.return_annotation == two.return_annotation or name in {
        "fit_topics",
        "generate",
        "job",
        "merge_topics",
        "reembed",
        "split_topic",
        "train",
        "tune",
        *ITERATORS,
    }


@pytest.mark.parametrize("name", METHODS)
def test_the_asynchronous_methods_are_awaited(name: str) -> None:
    made_at_once = name in {"connect", "from_env", "watch", *ITERATORS}
    assert inspect.isasyncgenfunction(getattr(AsyncRecommender, name)) is (name in ITERATORS)
    assert inspect.iscoroutinefunction(getattr(AsyncRecommender, name)) is not made_at_once
    assert not inspect.iscoroutinefunction(getattr(Recommender, name))


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_is_typed(name: str) -> None:
    for owner in (Recommender, AsyncRecommender):
        signature = inspect.signature(getattr(owner, name))
        assert signature.return_annotation is not inspect.Signature.empty
        for parameter in list(signature.parameters.values()):
            assert parameter.name == "self" or parameter.annotation is not inspect.Parameter.empty


def test_options_are_named() -> None:
    """Beyond the user and the limit, an option is given by name, so that options can be added."""
    for name in ("recommend", "recommend_many", "recommend_from", "similar_items", "search", "request"):
        kinds = {one.name: one.kind for one in inspect.signature(getattr(Recommender, name)).parameters.values()}
        assert {kinds[option] for option in ("filter", "exclude", "weights")} == {inspect.Parameter.KEYWORD_ONLY}


# --- types ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_typed_user_code_is_accepted_by_mypy(tmp_path: Path) -> None:
    """`tests/typed_usage.py` holds correct code, and mistakes that must stay type errors.

    Checked as users check: with no settings of ours, and without the plugin of pydantic.
    """
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--config-file", str(tmp_path / "mypy.ini"), "--no-error-summary",
            "--cache-dir", str(tmp_path), "--follow-imports", "silent", str(ROOT / "tests" / "typed_usage.py"),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_typed_user_code_uses_every_method() -> None:
    """So that a new method is tried by a type checker, too."""
    tree = ast.parse((ROOT / "tests" / "typed_usage.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(METHODS) - used == {"close"}


def test_types_are_shipped() -> None:
    assert (ROOT / "llmrec_qdrant" / "py.typed").exists()
