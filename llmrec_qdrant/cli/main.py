"""The command line, ``llmrec``.

Exit codes: 0 done, 1 something failed, 2 wrong usage, 3 done but some input was refused, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from functools import cache
from typing import NoReturn

from llmrec_qdrant.errors import LlmrecError, MissingDependency

__all__ = ["main"]


INTERRUPTED = 130
"""The exit code after ctrl-C, as shells know it."""


def main() -> NoReturn:
    """Entry point of ``llmrec``."""
    try:
        from llmrec_qdrant.cli.app import app

        for more in (
            "spaces",
            "data",
            "lists",
            "topics",
            "jobs",
            "quality",
            "training",
            "demo_command",
        ):  # they add their commands to the app
            importlib.import_module(f"llmrec_qdrant.cli.{more}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"rich", "typer"}:
            raise
        print(
            f"the command line is not installed ({error.name} is missing): pip install 'llmrec-qdrant[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    _say_once.cache_clear()
    warnings.showwarning = _notice  # one line instead of a dump of source code
    try:
        code = int(app(standalone_mode=False) or 0)
    except Exception as error:
        sys.exit(_explain(error))
    if code == INTERRUPTED:
        print("\ninterrupted: what was acknowledged is stored; run the same command again to go on", file=sys.stderr)
    sys.exit(code)


def _explain(error: Exception) -> int:
    """One sentence on standard error; the exit code."""
    from llmrec_qdrant.cli.printing import err

    if isinstance(error, LlmrecError | MissingDependency):
        if "--debug" in sys.argv:
            raise error
        err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    if type(error).__name__ in {"Abort", "KeyboardInterrupt"}:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    show = getattr(error, "show", None)
    if show:  # a usage error of the option parser
        show()
        return int(getattr(error, "exit_code", 2))
    code = getattr(error, "exit_code", None)
    if code is not None:
        return int(code)
    raise error


def _notice(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if category.__name__ == "WorkPendingWarning" or "20,000" in str(message):
        _say_once(f"note: {message}")


@cache
def _say_once(text: str) -> None:
    from llmrec_qdrant.cli.printing import err

    err.print(text, style="yellow", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
