"""Builds the documentation site, strictly, into `build/site`: `python docs/scripts/build_site.py`, or `make docs`.

The pages are first collected in `build/docs`: those of `docs/`, the README and its neighbours with their links rewritten,
and the reference of the commands, which is generated from the commands themselves and so cannot go stale.
"""

from __future__ import annotations

import importlib
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from llmrec_qdrant.cli.app import app
from llmrec_qdrant.cli.main import COMMAND_MODULES

ROOT = Path(__file__).resolve().parents[2]

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "sample-data.md",
}
"""Files outside `docs/` and the pages they become."""

LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def collect(folder: Path) -> None:
    """Write every page of the site into `folder`, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("scripts"))
    sources = {f"docs/{path.relative_to(folder)}": str(path.relative_to(folder)) for path in folder.rglob("*.md")}
    for source, page in {**sources, **PAGES}.items():
        (folder / page).write_text(with_site_links((ROOT / source).read_text("utf-8"), source, page), "utf-8")
    (folder / "commands.md").write_text(command_reference(), "utf-8")


def with_site_links(markdown: str, source: str, page: str) -> str:
    """The text of a file with its links between files of the repository pointed at the pages of the site."""
    return LINK.sub(lambda link: link[1] + _site_link(link[2], source, page) + link[3], markdown)


def _site_link(target: str, source: str, page: str) -> str:
    if re.match(r"[a-z]+:", target):
        return target
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    inside = PAGES.get(path, path.removeprefix("docs/"))
    return posixpath.relpath(inside, posixpath.dirname(page) or ".")


def command_reference() -> str:
    """Markdown: every command with its help, arguments and options, as the program itself knows them."""
    root = command_tree()
    parts = [
        "# Commands",
        "Generated from the program: `llmrec COMMAND --help` prints the same. For a tour by task see "
        "[On the command line](cli.md).",
        "## Options of every command",
        "They may stand before or after the command.",
        _options(root.params),
    ]
    for name, command in leaves(root, ""):
        parts += [f"## `llmrec {name}`", _help(command), _usage(name, command), _options(command.params)]
    return "\n\n".join(part for part in parts if part) + "\n"


def command_tree() -> Any:
    """The click command behind `llmrec`, with all its subcommands."""
    for module in COMMAND_MODULES:
        importlib.import_module(f"llmrec_qdrant.cli.{module}")
    return typer.main.get_command(app)


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    subcommands = getattr(command, "commands", {})
    if name and (not subcommands or getattr(command, "invoke_without_command", False)):
        yield name, command
    for word, child in subcommands.items():
        yield from leaves(child, f"{name} {word}".strip())


def _help(command: Any) -> str:
    text = re.sub(r"\[/?(?:bold|dim|italic)\]", "**", (command.help or "").replace("\b", "").strip())
    return re.sub(r"\s*Examples?(, [^:\n]*)?: (.*?)(?=\n\n|\nExample|\Z)", _example, text, flags=re.DOTALL)


def _example(found: re.Match[str]) -> str:
    lines = [line.strip() for line in found[2].splitlines()]
    reason = f"Example{found[1]}:\n\n" if found[1] else ""
    return "\n\n" + reason + "\n".join(["```", *lines, "```"])


def _usage(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    words = " ".join(
        param.metavar or f"{param.name.upper()}{'...' if param.nargs == -1 else ''}" for param in arguments
    )
    return f"```\n{f'llmrec {name} {words}'.rstrip()} [OPTIONS]\n```"


def _options(params: list[Any]) -> str:
    rows = [
        (
            ", ".join(f"`{flag}`" for flag in [*param.opts, *param.secondary_opts]),
            (param.help or "").replace("|", "\\|"),
        )
        for param in params
        if param.param_type_name == "option" and param.name not in {"help", "install_completion", "show_completion"}
    ]
    if not rows:
        return ""
    return "\n".join(["| option | meaning |", "|---|---|", *(f"| {flags} | {text} |" for flags, text in rows)])


if __name__ == "__main__":
    collect(ROOT / "build" / "docs")
    program = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--clean",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    sys.exit(subprocess.run(program, cwd=ROOT, check=False).returncode)
