"""Who imports whom in the two packages, read from the source: also inside functions, and by a name built at run time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.services import ROOT
from tests.source import BOTH, tree_of

WORKER_MODULE = "worker_module"
"""The function of `llmrec_qdrant.queues.inline` that imports a module of the workers by its name."""


def module_name(path: Path) -> str:
    """`workers/users/refresh.py` → `workers.users.refresh`; a package has the name of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """All modules of both packages by name."""
    return {module_name(path): path for path in BOTH}


def import_graph() -> dict[str, set[str]]:
    """Module → the modules of both packages that it imports, anywhere in its source."""
    return {name: {target for target in targets(path) if target != name} for name, path in modules().items()}


def targets(path: Path) -> Iterator[str]:
    """The modules of both packages that a file imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom):
            base = imported_package(path, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield from (name for name in (full, base)[: 1 if full in modules() else 2] if name in modules())
        elif isinstance(node, ast.Call) and name_of_call(node) == WORKER_MODULE:
            yield f"workers.{constant(node.args[0])}"


def imported_package(path: Path, node: ast.ImportFrom) -> str:
    """The absolute name after `from`."""
    if not node.level:
        return node.module or ""
    own = module_name(path).split(".")
    package = own if path.name == "__init__.py" else own[:-1]
    above = package[: len(package) - (node.level - 1)]
    return ".".join([*above, node.module] if node.module else above)


def name_of_call(node: ast.Call) -> str:
    """The last part of what is called: `import_module` of `importlib.import_module(…)`."""
    return ast.unparse(node.func).rpartition(".")[2]


def constant(node: ast.expr) -> str | None:
    """The text of a literal; None for anything computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import one another, directly or in a ring (strongly connected components)."""
    reached = {name: reachable(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Every module that `start` imports, directly or through others; `start` itself only in a ring."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph.get(name, ()))
    return seen
