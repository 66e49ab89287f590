"""The command ``report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.printing import print_json, say
from llmrec_qdrant.errors import InvalidInput

Out = Annotated[Path, typer.Option(help="HTML file to write.")]
EvaluationFile = Annotated[
    Path | None, typer.Option(help="What `llmrec evaluate --json` printed, to show how good the lists are.")
]


@app.command(rich_help_panel="Topics and interests")
def report(context: Connected, out: Out = Path("report.html"), evaluation: EvaluationFile = None) -> None:
    """Write a report on the space as one HTML file: topics, users, quality and health. It opens without a network.

    The file names ten users and the items behind their interests.

    Example: llmrec report --out report.html

    Example: llmrec evaluate --json > evaluation.json; llmrec report --evaluation evaluation.json
    """
    _check(out)
    measured = _read(evaluation)
    with context.open() as rec:
        content = rec.report(measured)
    size = out.write_bytes(content.encode())
    if context.json:
        print_json({"out": str(out), "bytes": size})
    else:
        say(f"wrote {out} ({size / 1e6:.1f} MB): open it in a browser")


def _check(out: Path) -> None:
    """Refuse a file that cannot be written, or that is no report, before anything is computed."""
    if not out.parent.is_dir():
        raise InvalidInput(f"there is no folder {str(out.parent)!r}: create it, or name another file with --out")
    if out.is_dir():
        raise InvalidInput(f"{str(out)!r} is a folder: name a file with --out, such as report.html")
    if out.is_file() and not _may_be_overwritten(out):
        raise InvalidInput(
            f"{str(out)!r} exists and is no report, so it is not overwritten: name another file with --out"
        )


def _may_be_overwritten(out: Path) -> bool:
    with out.open("rb") as file:
        head = file.read(4_096)
    return not head or b"<title>Report on " in head


def _read(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInput(f"the evaluation {str(path)!r} cannot be read: {why}") from None
