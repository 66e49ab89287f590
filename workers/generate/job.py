"""The job that writes portraits and blurbs: page by page over the users, text by text, each from its own evidence only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from llmrec_qdrant.contracts.answers import POPULAR, Language
from llmrec_qdrant.contracts.jobs import GenerateOptions
from llmrec_qdrant.errors import InvalidInput, NotFound, ServiceError
from llmrec_qdrant.operations import recommend, words
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.query.templates import BlurbEvidence, Evidence, PortraitEvidence, language_of
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point

from ..storage.lease import Done, Lease, More, Outcome
from ..storage.store import SpaceStore
from .endpoint import FAILURES, is_set
from .writer import Writer, tokens_of

__all__ = ["generate_texts"]

USERS_PER_PAGE = 20
"""Users between two places at which another worker can resume."""
MAX_FAILURES = 3
"""Failures of the endpoint in a row after which the job fails."""
SLICE_SECONDS = 20.0
"""Seconds after which the rest of the job is left to the next message."""
COUNTS = ("users", "requests", "tokens", "written", "refused", "current")


class _Spent(Exception):
    """The budget is used up."""


def generate_texts(lease: Lease, store: SpaceStore) -> Outcome:
    """Handle a job of kind ``generate``.

    Raises :class:`InvalidInput` without an endpoint, :class:`ServiceError` if it fails again and again.
    """
    options, settings = GenerateOptions.parse(lease.options), Settings()
    if not options.dry_run and not is_set(settings):
        raise InvalidInput("no language model is set: set LLMREC_LLM_URL and LLMREC_LLM_MODEL for the workers")
    run = _Run(lease, store, options, Writer(settings))
    end = time.monotonic() + SLICE_SECONDS
    while True:
        last = run.page()
        lease.advance(**run.cursor)
        lease.save()
        if last:
            cost = round(run.counts["tokens"] * settings.llm_price / 1e6, 6)
            return Done({**run.counts, "cost": cost, "dry_run": options.dry_run, "spent": run.spent})
        if time.monotonic() > end:
            return More()


class _Run:
    """A slice of the job, from where the last one stopped."""

    def __init__(self, lease: Lease, store: SpaceStore, options: GenerateOptions, writer: Writer) -> None:
        self._lease, self._store, self._options, self._writer = lease, store, options, writer
        self._config = store.config()
        self._after = lease.cursor.get("after")
        self._failures = 0
        self.counts: dict[str, int] = {name: int(lease.cursor.get(name, 0)) for name in COUNTS}
        self.spent = False

    @property
    def cursor(self) -> dict[str, Any]:
        """Where the next slice continues."""
        return {"after": self._after, **self.counts}

    def page(self) -> bool:
        """Write about the next users; returns whether they were the last."""
        left = USERS_PER_PAGE if self._options.users is None else self._options.users - self.counts["users"]
        users, self._after = self._store.users.scroll(
            limit=min(left, USERS_PER_PAGE), offset=self._after, payload=[Key.USER_ID, Key.TENANT]
        )
        try:
            for user in users:
                self._lease.report("writing", self.counts["users"], self._options.users)
                self._user(user)
                self.counts["users"] += 1
        except _Spent:
            self.spent = True
        done = self._options.users is not None and self.counts["users"] >= self._options.users
        return self._after is None or self.spent or done

    def _user(self, point: Point) -> None:
        bound = Bound(self._store.space, self._config, point.get(Key.TENANT) or None)
        user = str(point.payload[Key.USER_ID])
        for evidence, language in self._texts(bound, user):
            if self._store.run(words.written(bound, user, evidence, language)):
                self.counts["current"] += 1
                continue
            self._spend(tokens_of(evidence, language))
            if not self._options.dry_run:
                self._write(bound, user, evidence, language)

    def _texts(self, bound: Bound, user: str) -> Iterator[tuple[Evidence, Language]]:
        portrait: PortraitEvidence = self._store.run(words.portrait_evidence(bound, user))
        if not portrait.strands:
            return
        titles = [title for strand in portrait.strands for title in strand.titles]
        yield portrait, self._options.language or language_of(titles)
        if not self._options.blurbs:
            return
        for item in self._store.run(recommend.recommend(bound, user, ListOptions(self._options.blurbs), True)):
            if item.reason.startswith(POPULAR):
                return
            try:
                evidence: BlurbEvidence = self._store.run(words.blurb_evidence(bound, user, item.id))
            except NotFound:  # deleted meanwhile
                continue
            if evidence.strand or evidence.ways:
                yield evidence, self._options.language or language_of([evidence.title])

    def _spend(self, tokens: int) -> None:
        limit = self._options.max_tokens
        if limit is not None and self.counts["tokens"] + tokens > limit:
            raise _Spent
        self.counts["tokens"] += tokens
        self.counts["requests"] += 1

    def _write(self, bound: Bound, user: str, evidence: Evidence, language: Language) -> None:
        try:
            text = self._writer.write(evidence, language)
        except FAILURES as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise ServiceError(
                    f"the language model failed {self._failures} times in a row ({type(error).__name__}): texts written so "
                    "far are kept; check LLMREC_LLM_URL and start the job again"
                ) from None
            return
        self._failures = 0
        kept = bool(text) and self._store.run(words.keep(bound, user, evidence, language, text))
        self.counts["written" if kept else "refused"] += 1
