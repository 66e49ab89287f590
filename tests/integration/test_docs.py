"""The documentation says what the program does: links, commands, settings, figures and examples are checked."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import llmrec_qdrant
from llmrec_qdrant import AsyncRecommender, Recommender
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.testing import HASH_MODEL
from tests.conftest import missing

ROOT = Path(__file__).resolve().parents[2]

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

MAX_README_WORDS = 450
"""Without code: one screen."""

EXAMPLES = ["README.md", "docs/python.md"]
"""Pages whose Python blocks run from top to bottom."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def script(name: str) -> ModuleType:
    """A script of `docs/scripts`, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, *languages: str) -> list[str]:
    return [code for language, code in FENCE.findall(page.read_text("utf-8")) if language in languages]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


# --- links -------------------------------------------------------------------------------------


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads to no file"
        assert not anchor or anchor in anchors(target), f"{link} names no heading"


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    outside = script("build_site").PAGES
    for page in PAGES:
        path = str(page.relative_to(ROOT))
        assert f"{outside.get(path, path.removeprefix('docs/'))}\n" in nav


def test_the_index_lists_every_decision() -> None:
    decisions = ROOT / "docs" / "decisions"
    text = (decisions / "index.md").read_text("utf-8")
    assert [
        page.name for page in sorted(decisions.glob("*.md")) if f"({page.name})" not in text and page.stem != "index"
    ] == []


def test_the_site_builds_strictly_and_fetches_nothing() -> None:
    if importlib.util.find_spec("zensical") is None:
        missing("zensical is not installed: make install")
    program = [sys.executable, str(ROOT / "docs" / "scripts" / "build_site.py")]
    run = subprocess.run(program, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    site = ROOT / "build" / "site"
    assert 'id="llmrec_qdrant.Recommender.recommend"' in (site / "api.html").read_text("utf-8")
    for built in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="(https?:)?//', built.read_text("utf-8"))
        assert not loaded, f"{built.name} loads something from another host"


# --- commands ----------------------------------------------------------------------------------


@functools.cache
def command_tree() -> Any:
    return script("build_site").command_tree()


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every `llmrec …` of a page, in blocks and in the text, split into words."""
    for block in blocks(page, "", "sh", "bash", "console"):
        for line in block.splitlines():
            for part in line.partition(" #")[0].split(";"):
                yield shlex.split(part)
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        yield code.split() if "'" in code or '"' in code else shlex.split(code)


def check_command(words: list[str]) -> None:
    command, rest = command_tree(), words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is not command_tree() or not rest or rest[0].startswith("-") or rest[0].isupper(), (
        f"no command {words}"
    )
    params = [*command.params, *command_tree().params]
    options = {flag for param in params for flag in [*param.opts, *param.secondary_opts]} | {"--help"}
    for word in rest:
        assert not word.startswith("--") or word.partition("=")[0] in options, f"no option {word} in {words}"


@pages
def test_commands_and_options_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it also names what is gone
    for words in command_lines(page):
        if words[:1] == ["llmrec"]:
            check_command(words)


def test_the_check_of_commands_can_fail() -> None:
    check_command(["llmrec", "topics", "fit"])
    for wrong in (["llmrec", "dance"], ["llmrec", "recommend", "alice", "--loudly"]):
        with pytest.raises(AssertionError):
            check_command(wrong)


@pages
def test_make_targets_and_benchmarks_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = "\n".join([*blocks(page, ""), *re.findall(r"`[^`\n]+`", prose(page))])
    for called in re.findall(r"^`?make ([a-z -]+)", code, re.MULTILINE):
        assert set(called.split()) <= targets
    for name in re.findall(r"(?:-m |`)benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()


@pages
def test_variables_of_the_environment_exist(page: Path) -> None:
    known = {f"LLMREC_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"LLMREC_[A-Z]+(?:_[A-Z]+)*", page.read_text("utf-8"))) <= known


def test_every_variable_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in Settings.model_fields if f"`LLMREC_{name.upper()}`" not in text] == []


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    names = [name for name, _ in script("build_site").leaves(command_tree(), "") if name != "demo"]
    assert [name for name in names if not re.search(rf"^llmrec {name}\b", text, re.MULTILINE)] == []


# --- Python ------------------------------------------------------------------------------------


def public(tree: ast.AST) -> Iterator[tuple[str, str, set[str]]]:
    """Names that a block imports from us, and methods it calls on `rec`, with what is allowed."""
    methods = {name for name in {*dir(Recommender), *dir(AsyncRecommender)} if not name.startswith("_")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmrec_qdrant"):
            module = importlib.import_module(node.module or "")
            assert node.module in {"llmrec_qdrant", "llmrec_qdrant.testing"}, f"{node.module} is not public"
            for alias in node.names:
                yield "import", alias.name, set(module.__all__)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rec":
            yield "method", node.attr, methods


@pages
def test_python_blocks_compile_and_use_public_names(page: Path) -> None:
    for code in blocks(page, "python"):
        for kind, name, allowed in public(
            compile(code, page.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ):
            assert name in allowed, f"{kind} {name} is not public"
    if page.name == "CHANGELOG.md":
        return  # it also names what is gone
    for name in re.findall(r"`rec\.(\w+)", prose(page)):
        assert not name.startswith("_") and hasattr(Recommender, name), f"rec.{name} does not exist"


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_examples_run(page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From top to bottom, on an embedded Qdrant, with an encoder that needs no model."""
    connect, create = Recommender.connect, Recommender.create

    def connect_embedded(url: str | None = None, *, space: str, **_: Any) -> Recommender:
        return connect(path=":memory:", space=space)

    def create_small(rec: Recommender, config: Any = None) -> Any:
        return create(rec, {"model": HASH_MODEL, "size": 64, **(config or {})})

    monkeypatch.setattr(Recommender, "connect", connect_embedded)
    monkeypatch.setattr(Recommender, "create", create_small)
    scope: dict[str, Any] = {}
    for code in blocks(ROOT / page, "python"):
        exec(compile(code, page, "exec"), scope)
    assert capsys.readouterr().out


# --- figures and pictures ----------------------------------------------------------------------


def test_the_readme_fits_one_screen() -> None:
    assert len(prose(ROOT / "README.md").split()) <= MAX_README_WORDS


def test_the_readme_quotes_only_benchmarks() -> None:
    known = set(re.findall(r"\.\d{4}\b", (ROOT / "docs" / "benchmarks.md").read_text("utf-8")))
    quoted = set(re.findall(r"\.\d{4}\b", (ROOT / "README.md").read_text("utf-8")))
    assert quoted and quoted <= known


def test_the_picture_of_the_floors_shows_the_checked_contracts() -> None:
    floors = script("floors")
    assert floors.PICTURE.read_text("utf-8") == floors.draw()


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    errors = importlib.import_module("llmrec_qdrant.errors")
    missing = [
        name
        for name in llmrec_qdrant.__all__
        if not hasattr(errors, name) and f"::: llmrec_qdrant.{name}\n" not in text
    ]
    assert missing == []


def test_the_configuration_of_the_site_is_plain_yaml() -> None:
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["theme"]["font"] is False
