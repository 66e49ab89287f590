"""The commands that move a space to another model: ``reembed``, ``rollback``, ``clean-up``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected, app
from llmrec_qdrant.cli.encoders import dimension_of, leg_weights
from llmrec_qdrant.cli.options import Model, Pooling, Similarity, Size, Wait, Yes, confirm
from llmrec_qdrant.cli.printing import counted_as, print_json, say
from llmrec_qdrant.cli.watching import report, run_job
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.recommender import Recommender


@app.command(rich_help_panel="Better lists")
def reembed(
    context: Connected,
    model: Model = None,
    size: Size = None,
    pooling: Pooling = None,
    similarity: Similarity = None,
    wait: Wait = True,
) -> None:
    """Encode the space with another model beside the live version, then switch to it. Lists keep working.

    A model of `llmrec train` brings the leg weights it was chosen with; moving away from it restores the old ones.
    Ctrl-C stops the watching, not the job; `llmrec jobs ID --cancel` stops the job.

    Example: llmrec reembed --model sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2
    """
    options = {"model": model, "size": size, "pooling": pooling, "similarity": similarity}
    with context.open() as rec:
        changes = _changes(rec, {name: value for name, value in options.items() if value is not None})
        unchanged = SpaceConfig.parse({**rec.config.model_dump(), **changes}) == rec.config
        status = run_job(context, rec, "re-embedding", lambda: rec.reembed(**changes), wait)
    report(context, status, lambda result: _print(result, changes, unchanged))


def _print(result: dict[str, Any], changes: dict[str, Any], unchanged: bool) -> None:
    if unchanged:
        say(f"nothing to do: version {result['version']} already has these settings")
        return
    say(f"version {result['version']} is live: {result['model']}", "bold")
    if weights := changes.get("weights"):
        say(f"leg weights of this model: {', '.join(f'{leg} {weight:g}' for leg, weight in weights.items())}")
    if aside := result.get("items_set_aside"):
        say(f"{counted_as(aside, 'item')} could not be encoded and were set aside: llmrec failures", "yellow")
    say("undo it: llmrec rollback; delete the old version: llmrec clean-up")


def _changes(rec: Recommender, options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings to change: those of the options, and those that the model brings."""
    model = options.get("model")
    if model is None:
        return options
    changes = {"size": dimension_of(options), **options} if "size" not in options else dict(options)
    weights = leg_weights(rec, model)
    # If the model is live already, the space keeps its current weights.
    if weights and model != rec.config.model:
        changes["weights"] = weights
    return changes


@app.command(rich_help_panel="Better lists")
def rollback(
    context: Connected,
    to: Annotated[
        int | None, typer.Option(help="Switch to this version [default: the one before].", show_default=False)
    ] = None,
) -> None:
    """Switch back to the version before the live one; with --to, to any complete version, also a newer one.

    Example: llmrec rollback
    """
    with context.open() as rec:
        number = rec.rollback(to)
    print_json({"live": number}) if context.json else say(f"version {number} is live now")


@app.command("clean-up", rich_help_panel="Better lists")
def clean_up(context: Connected, yes: Yes = False) -> None:
    """Delete the versions that re-embeddings left behind. Rollback is impossible afterwards.

    Example: llmrec clean-up --yes
    """
    confirm("delete every version but the live one, so that no rollback is possible?", yes)
    with context.open() as rec:
        deleted = rec.clean_up()
    if context.json:
        print_json({"deleted": deleted})
    else:
        named = ", ".join(map(str, deleted))
        say(f"deleted versions: {named}" if deleted else "nothing to delete: no version is left behind")
