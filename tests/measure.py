"""How large files and functions are: `python -m tests.measure [FOLDER…]` lists what is over the limits."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.services import ROOT
from tests.source import name_of, tree_of

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 25
MAX_SHARE_OF_LONG_FUNCTIONS = 0.05
MAX_FILES_AT_THE_TOP = {"llmrec_qdrant": 9, "workers": 8}


@dataclass(frozen=True)
class Function:
    """A function or method, and how many lines it has from `def` to its end, the docstring included."""

    path: Path
    name: str
    line: int
    lines: int

    @property
    def is_long(self) -> bool:
        return self.lines > MAX_FUNCTION_LINES


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(path, node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)


def long_files(folder: str) -> list[Path]:
    return [path for path in sources(folder) if lines_of(path) > MAX_FILE_LINES]


def files_at_the_top(folder: str) -> list[str]:
    return sorted(path.name for path in (ROOT / folder).iterdir() if path.is_file())


def report(folder: str) -> Iterator[str]:
    """The state of a folder, and everything over a limit, longest first."""
    paths = sources(folder)
    defined = [function for path in paths for function in functions(path)]
    over = sorted((function for function in defined if function.is_long), key=lambda function: -function.lines)
    yield (
        f"{folder}: {len(paths)} files, median {median(map(lines_of, paths)):.0f} lines; "
        f"{len(over)} of {len(defined)} functions over {MAX_FUNCTION_LINES} lines ({len(over) / len(defined):.1%})"
    )
    yield from (f"  {name_of(path)}: {lines_of(path)} lines" for path in long_files(folder))
    yield from (f"  {name_of(one.path)}:{one.line} {one.name}: {one.lines} lines" for one in over)


if __name__ == "__main__":
    for folder in sys.argv[1:] or MAX_FILES_AT_THE_TOP:
        print("\n".join(report(folder)))
