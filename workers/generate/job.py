"""The job that writes texts with a language model."""

from __future__ import annotations

from llmrec_qdrant.contracts.jobs import GenerateOptions
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.endpoint import is_set, what_is_missing
from llmrec_qdrant.settings import Settings

from ..storage.lease import Lease, Outcome
from ..storage.store import SpaceStore
from .items import write_about_items
from .run import Run
from .topics import write_about_topics
from .users import write_about_users

__all__ = ["generate_texts"]


def generate_texts(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``generate``.

    Raises :class:`InvalidInput` without an endpoint, :class:`ServiceError` if it fails again and again.
    """
    options, settings = GenerateOptions.parse(lease.options), Settings()
    if not options.dry_run and not is_set(settings):
        raise InvalidInput(what_is_missing(settings))
    run = Run(lease, store, options, settings)
    write = {"users": write_about_users, "topics": write_about_topics, "items": write_about_items}[options.what]
    return write(run)
