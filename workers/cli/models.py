"""``llmrec models``: the trained models, with their quality."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.printing import figure, out, print_json, say, table_of, warn
from llmrec_qdrant.space.layout import DENSE

__all__ = ["models"]


FIGURES = (DENSE, f"{DENSE} before", "fused", "fused before")
"""NDCG of the dense leg alone and of all legs, each with the model and with its predecessor."""


def models(
    context: Connected, everywhere: Annotated[bool, typer.Option("--all", help="Those of all spaces.")] = False
) -> None:
    """List the trained models of the space, with their NDCG on held-out users.

    Example: llmrec models; llmrec reembed --model movies-towers-1
    """
    from ..encoding import registry

    context.refuse_tenant("the list of trained models")
    with context.open() as rec:
        versions, unreadable = registry.listed(None if everywhere else rec.space)
        live = rec.config.model
    for sentence in unreadable:
        warn(sentence)
    if context.json:
        print_json([{**asdict(version), "live": version.name == live} for version in versions])
        return
    if not versions:
        say("nothing was trained yet: llmrec train")
        return
    table = table_of("NDCG on held-out users: with the model, and with the model before it")
    for name in ("model", DENSE, "before", "fused", "before", "dimension", "trained", ""):
        table.add_column(name, justify="left" if name in {"model", "trained", ""} else "right")
    for version in versions:
        state = (
            "live"
            if version.name == live
            else "offered"
            if version.offered
            else version.metrics.get("verdict", "not better")
        )
        figures = [figure(version.metrics.get(name, 0)) for name in FIGURES]
        table.add_row(version.name, *figures, f"{version.size}", version.made_at[:16], state)
    out.print(table)
