"""The entry point of ``llmrec``: collects the commands, runs one, and reports an error as one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or something is not installed, 3 done but some rows were refused,
130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import sys
import warnings
from functools import cache
from typing import Any, NoReturn

from llmrec_qdrant.errors import LlmrecError, MissingDependency

__all__ = ["main"]


FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

COMMAND_MODULES = (
    "demo", "spaces", "loading", "items", "data", "events", "lists", "explaining", "topics", "topic_edits", "words", "reporting", "tuning",
    "training", "reembedding", "moving", "jobs", "from_workers",
)  # fmt: skip
"""Modules that register their commands when they are imported, in the order of ``llmrec --help``."""


def main() -> NoReturn:
    """Run the command that the arguments name, and exit."""
    app = _collect()
    _say_once.cache_clear()
    warnings.showwarning = _show_warning  # one line instead of a quotation of source code
    try:
        code = int(app(standalone_mode=False) or 0)
    except Exception as error:
        sys.exit(_explain(error))
    if code == INTERRUPTED:
        print("\ninterrupted: data written so far is stored; run the same command again to continue", file=sys.stderr)
    sys.exit(code)


def _collect() -> Any:
    try:
        from llmrec_qdrant.cli.app import app

        for module in COMMAND_MODULES:
            importlib.import_module(f"llmrec_qdrant.cli.{module}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"rich", "typer"}:
            raise
        print(
            f"the command line is not installed ({error.name} is missing): pip install 'llmrec-qdrant[cli]'",
            file=sys.stderr,
        )
        sys.exit(WRONG_USAGE)
    return app


def _explain(error: Exception) -> int:
    """Print an error as one sentence on standard error; returns the exit code."""
    if isinstance(error, LlmrecError):
        if "--debug" in sys.argv:
            raise error
        _print_error(f"error: {error}")
        return WRONG_USAGE if isinstance(error, MissingDependency) else FAILED
    if isinstance(error, OSError) and error.filename is not None and "--debug" not in sys.argv:
        _print_error(f"error: {str(error.filename)[:100]!r} cannot be used: {error.strerror}")
        return FAILED
    if type(error).__name__ in {"Abort", "KeyboardInterrupt"}:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    show = getattr(error, "show", None)
    if show:  # a usage error of the option parser
        _print_usage_error(show)
        return int(getattr(error, "exit_code", WRONG_USAGE))
    code = getattr(error, "exit_code", None)
    if code is not None:
        return int(code)
    raise error


def _print_usage_error(show: Any) -> None:
    """Print an error of the option parser, which quotes what was typed."""
    from llmrec_qdrant.cli.printing import harmless

    written = io.StringIO()
    show(file=written)
    sys.stderr.write(harmless(written.getvalue()))


def _print_error(text: str) -> None:
    from llmrec_qdrant.cli.printing import err

    err.print(text, style="red", markup=False, soft_wrap=True)


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Show the warnings that concern the user of a command: work is pending, a filter cannot find what it asks for."""
    if category.__name__ in {"WorkPendingWarning", "FieldWarning"}:
        _say_once(f"note: {message}")


@cache
def _say_once(text: str) -> None:
    from llmrec_qdrant.cli.printing import warn

    warn(text)


if __name__ == "__main__":
    main()
