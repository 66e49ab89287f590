"""TODO: llmrec_qdrant.cli.demo_command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import app


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Keep the embedded Qdrant here instead of in a temporary folder.")
    ] = None,
) -> None:
    """See it work: the sample catalogue, embedded Qdrant, the real model; no server, no network.

    Example: llmrec demo
    """
    from llmrec_qdrant.cli.demo import run

    run(folder)
