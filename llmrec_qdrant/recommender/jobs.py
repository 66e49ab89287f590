"""Jobs: long work that workers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from llmrec_qdrant import operations
from llmrec_qdrant.contracts.answers import Language
from llmrec_qdrant.contracts.jobs import GenerateOptions, Hide, JobStatus, Method, TrainOptions, TuneOptions, What
from llmrec_qdrant.operations.handles import Job
from llmrec_qdrant.queues.base import OnProgress, in_shares
from llmrec_qdrant.queues.inline import ahead, watched
from llmrec_qdrant.recommender.connection import Connection

__all__ = ["Jobs", "work_ahead"]


class Jobs(Connection):
    """Methods that start and follow jobs."""

    def train(
        self, method: Method = "towers", *, epochs: int | None = None, users: int = 1_000,
        exclude_seen: bool = True, split: Hide = "last", seed: int = 0,
    ) -> Job:  # fmt: skip
        """Train a model on this space's behaviour and texts; without a broker, training has ended when this returns.

        The model is stored as a new version, and the space does not change: ``reembed(model=version, size=…, weights=…)``
        rolls it out with its leg weights. The result holds ``version``, ``offered`` (whether it beats the current model) and
        ``metrics``. ``exclude_seen``: whether your lists leave out items that a user has taken before. ``split``: what is
        held out, the last item of each user (``"last"``) or the last tenth of all events (``"time"``); the latter needs
        comparable event times between users, and gives newer events more weight. Repeating a request returns the job under
        way; raises :class:`SpaceMismatch` while a training with other options runs.
        """
        self._whole("train on it")
        options = TrainOptions(
            method=method, epochs=epochs, users=users, exclude_seen=exclude_seen, split=split, seed=seed
        )
        return self._handle(operations.jobs.start(self._bound().space, options, self._inline()))

    def fit_topics(self, topics: int | None = None) -> Job:
        """Discover the topics of the space; ``topics`` fixes how many, otherwise the data decides.

        The result holds the number of ``topics``. A newer request replaces the one under way, unless that is a merge or a split.
        """
        self._whole("fit its topics")
        return self._handle(operations.topics.fit_topics(self._bound(), topics, self._inline()))

    def merge_topics(self, topics: Sequence[str]) -> Job:
        """Merge topics, named by ids or labels, into the first one that you named, or else into the first.

        It keeps its id and label, takes over what users have steered of the others, and stays together in every refit.
        Raises :class:`NotFound`, :class:`InvalidInput`, and :class:`SpaceMismatch` while another fit is under way.
        """
        self._whole("merge its topics")
        return self._handle(operations.topic_edits.merge_topics(self._bound(), topics, self._inline()))

    def split_topic(self, topic: str, into: int = 2) -> Job:
        """Split a topic, named by id or label, by what its items are about; the largest part keeps its id, label and steering.

        The parts stay apart in every refit. The job fails if the items are of fewer kinds than ``into``. Raises as
        :meth:`merge_topics`.
        """
        self._whole("split its topics")
        return self._handle(operations.topic_edits.split_topic(self._bound(), topic, into, self._inline()))

    def tune(
        self, *, users: int = 800, limit: int = 10, minutes: float = 30, seed: int = 0, dry_run: bool = False
    ) -> Job:
        """Choose leg weights, decays and event weights on half of ``users`` sampled users; store what the held-out half confirms.

        Searches all settings together for about ``minutes``, comparing lists of ``limit`` items. If the worker dies, another
        goes on with what was tried. The result holds ``changes`` (setting → value), ``steps`` (what each adds), NDCG ``before`` and ``after``
        on the held-out users, the 95 % interval of the gain from ``low`` to ``high``, and whether it was ``stored``;
        ``dry_run`` stores nothing.
        Raises :class:`SpaceMismatch` while tuning with other options is under way.
        """
        self._whole("tune it")
        options = TuneOptions(users=users, limit=limit, minutes=minutes, seed=seed, dry_run=dry_run)
        return self._handle(operations.jobs.start(self._bound().space, options, self._inline()))

    def generate(
        self, *, what: What = "users", users: int | None = None, blurbs: int = 3, language: Language | None = None,
        max_tokens: int | None = None, dry_run: bool = False,
    ) -> Job:  # fmt: skip
        """Write texts with the language model of the workers, and keep those that say nothing beyond their evidence.

        ``what="topics"``: a name for each topic that its keywords name, a description, and the title of a shelf. ``what="items"``:
        values of declared keyword and integer fields that an item lacks, among those that its own text and other items have, and
        ``description`` where that is a field and the item has no text. ``what="users"``:
        for the first ``users`` users (None: all), a portrait and ``blurbs`` texts on the first items of their lists. Texts
        whose evidence is unchanged are not written again. ``max_tokens`` ends the job at an estimated number of tokens;
        ``dry_run`` only counts ``requests``, ``tokens`` and ``cost``. Raises :class:`SpaceMismatch` while another one runs.
        """
        self._whole("write texts about its users")
        options = GenerateOptions(
            what=what, users=users, blurbs=blurbs, language=language, max_tokens=max_tokens, dry_run=dry_run
        )
        return self._handle(operations.jobs.start(self._bound().space, options, self._inline()))

    def jobs(self, limit: int = 20) -> list[JobStatus]:
        """List the latest jobs of the space, newest first."""
        self._whole("see its jobs")
        return self._drive(operations.jobs.list_jobs(self._bound().space, limit))

    def job(self, id: str) -> Job:
        """Return a job by its id, such as ``train-7``. Raises :class:`NotFound`."""
        self._whole("see its jobs")
        return self._handle(operations.jobs.look(self._bound().space, id))

    @contextmanager
    def watch(self, on_progress: OnProgress) -> Iterator[None]:
        """Within the block, report the work done in this process: ``on_progress(stage, done, total)``, ``total`` may be None.

        The work is that of all tenants: on a connection bound to one, ``done`` is a share of a ``total`` of 1. Work of Celery
        workers is not reported here: use :meth:`Job.wait`.
        """
        with watched(self._queue, on_progress if self._tenant is None else in_shares(on_progress)):
            yield


def work_ahead(rec: Connection) -> AbstractContextManager[None]:
    """Within the block, items that ``rec`` stores are encoded while it stores more, if this process encodes them.

    The block is left when all of them are encoded; if it fails, :meth:`Recommender.reconcile` finds what is left.
    """
    return ahead(rec._queue)
