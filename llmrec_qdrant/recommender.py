"""The synchronous recommender."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self, TypeVar

from qdrant_client import QdrantClient

from llmrec_qdrant import operations
from llmrec_qdrant.connect import open_queue, open_sync
from llmrec_qdrant.contracts.answers import (
    Failure,
    Interest,
    Receipt,
    Recommendation,
    Seen,
    Shelf,
    SimilarUser,
    SpaceStatus,
    Topic,
)
from llmrec_qdrant.contracts.config import Leg, SpaceConfig
from llmrec_qdrant.contracts.entities import Event
from llmrec_qdrant.contracts.jobs import Hide, JobStatus, Method, TrainOptions, TuneOptions
from llmrec_qdrant.operations.batching import as_list
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.events import EventLike
from llmrec_qdrant.operations.handles import Job
from llmrec_qdrant.operations.items import ItemLike
from llmrec_qdrant.operations.steps import Steps, drive
from llmrec_qdrant.query.filters import FilterLike
from llmrec_qdrant.query.options import ListOptions
from llmrec_qdrant.queues.base import JobQueue, OnProgress
from llmrec_qdrant.queues.inline import InlineQueue, watched
from llmrec_qdrant.settings import Settings
from llmrec_qdrant.space.layout import Key, Space

__all__ = ["Recommender"]

T = TypeVar("T")


class Recommender:
    """Stores items and events in one space of a Qdrant, and recommends from it.

    The constructor takes a client and a queue; :meth:`connect` and :meth:`from_env` build them. Threads may share it.
    """

    def __init__(self, client: QdrantClient, queue: JobQueue, space: str, tenant: str | None = None) -> None:
        self._client = client
        self._queue = queue
        self._space = Space(space)
        self._tenant = operations.items.checked_tenant(tenant)
        self._config: SpaceConfig | None = None
        self._config_at = 0.0

    @classmethod
    def connect(
        cls, url: str | None = None, *, space: str, path: str | None = None, broker: str | None = None,
        tenant: str | None = None, api_key: str | None = None,
    ) -> Self:  # fmt: skip
        """Connect to a Qdrant server (``url``) or to a local folder (``path``).

        With ``broker`` (a Redis URL), work goes to Celery workers. Without one, it runs in this process: install the workers
        with ``pip install 'llmrec-qdrant[workers]'``. Without either, writes are stored and their work waits.
        Raises :class:`QdrantUnavailable`, :class:`Unauthorized` or :class:`ServerTooOld`.
        """
        client = open_sync(url, path, api_key)
        recommender = cls(client, open_queue(client, broker), space, tenant)
        recommender._drive(operations.spaces.check_server())
        return recommender

    @classmethod
    def from_env(cls) -> Self:
        """Connect with the ``LLMREC_*`` environment variables; see :class:`llmrec_qdrant.settings.Settings`."""
        return cls.connect(**Settings().connection())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(space={self._space.name!r}, tenant={self._tenant!r}, queue={self._queue!r})"

    def _drive(self, steps: Steps[T]) -> T:
        return drive(steps, self._client, self._queue)

    def _bound(self) -> Bound:
        if self._config is None or time.monotonic() - self._config_at > operations.spaces.CONFIG_AGE:
            self._config = self._drive(operations.spaces.load_config(self._space))
            self._config_at = time.monotonic()
        return Bound(self._space, self._config, self._tenant)

    def _inline(self) -> bool:
        return isinstance(self._queue, InlineQueue)

    def _forget_config(self) -> None:
        self._config = None

    def _handle(self, steps: Steps[JobStatus]) -> Job:
        status = self._drive(steps)
        self._forget_config()  # a job that has ended may have changed the configuration
        return Job(self._drive, self._space, status, self._inline, self._forget_config)

    @property
    def client(self) -> QdrantClient:
        """The Qdrant client, for what this class has no method for."""
        return self._client

    @property
    def space(self) -> str:
        """Name of the space."""
        return self._space.name

    @property
    def config(self) -> SpaceConfig:
        """The configuration stored with the space."""
        return self._bound().config

    # --- the space ---------------------------------------------------------------------------

    def create(self, config: SpaceConfig | Mapping[str, Any] | None = None) -> SpaceConfig:
        """Create the space, or change fields and settings of an existing one; returns the stored configuration. Idempotent.

        New leg weights apply at once; workers rebuild what other settings determine (users' vectors, the collab leg).
        Raises :class:`SpaceMismatch` if existing vectors were made with another model or dimension.
        """
        wanted = None if config is None else SpaceConfig.parse(config)
        self._config = self._drive(operations.spaces.configure(self._space, wanted))
        self._config_at = time.monotonic()
        return self._config

    def status(self) -> SpaceStatus:
        """Count what is stored and what waits for a worker."""
        return self._drive(operations.status.status(self._bound()))

    def reconcile(self) -> bool:
        """Ask workers to find and do all pending work; False if the queue did not accept the message."""
        return self._drive(operations.status.reconcile(self._bound()))

    def failures(self, limit: int = 100) -> list[Failure]:
        """List what was set aside after failing too often, with the reason."""
        return self._drive(operations.failures.list_failures(self._bound(), limit))

    def retry(self) -> int:
        """Retry everything that was set aside; returns the number of points."""
        return self._drive(operations.failures.retry(self._bound()))

    # --- another model -----------------------------------------------------------------------

    def reembed(self, config: SpaceConfig | Mapping[str, Any] | None = None, **changes: Any) -> Job:
        """Move the space to other settings, such as ``model="…", size=768``, without interrupting readers.

        Workers fill a new version beside the live one; once it is complete and encoded, one alias call switches to it. The
        result names ``version`` and ``model``. If the live version has these settings already, the job is done at once.
        Repeating a request returns the job under way; raises :class:`SpaceMismatch` while another re-embedding runs.
        """
        return self._handle(operations.reembed.start(self._space, config, changes, self._inline()))

    def rollback(self) -> int:
        """Switch back to the version before the last re-embedding; returns its number. Raises :class:`NotFound` without one."""
        number = self._drive(operations.reembed.rollback(self._space))
        self._config = None
        return number

    def clean_up(self) -> list[int]:
        """Delete versions that are neither live nor being filled; returns their numbers. Rollback is impossible afterwards."""
        return self._drive(operations.reembed.clean_up(self._space))

    # --- writes ------------------------------------------------------------------------------

    def upsert_items(self, items: Iterable[ItemLike], *, notify: bool = True) -> Receipt:
        """Store items; they are durable when this returns, and workers add their vectors later.

        ``notify=False`` sends no message to the workers: the next :meth:`reconcile` finds the items.
        Raises :class:`PartlyRejected` if some items were refused; the others are stored.
        """
        return self._drive(operations.items.upsert_items(self._bound(), items, notify))

    def track(self, events: Iterable[EventLike]) -> Receipt:
        """Store events; they are durable when this returns, and workers update the users' vectors later.

        Raises :class:`PartlyRejected` if some events were refused; the others are stored.
        """
        return self._drive(operations.events.track(self._bound(), events))

    def load_events(self, events: Sequence[Event]) -> Receipt:
        """As :meth:`track`, for bulk loads: sends no messages; call :meth:`reconcile` at the end to refresh each user once."""
        return self._drive(operations.events.store_events(self._bound(), events))[0]

    def delete_items(self, ids: Iterable[str]) -> int:
        """Delete items; returns how many existed. Events about them stay."""
        return self._drive(operations.items.delete_items(self._bound(), as_list(ids)))

    def forget_user(self, user: str) -> int:
        """Delete a user with all events and texts; returns the number of events."""
        return self._drive(operations.events.forget_user(self._bound(), user))

    # --- jobs --------------------------------------------------------------------------------

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
        options = TrainOptions(
            method=method, epochs=epochs, users=users, exclude_seen=exclude_seen, split=split, seed=seed
        )
        return self._handle(operations.jobs.start(self._bound().space, options, self._inline()))

    def fit_topics(self, topics: int | None = None) -> Job:
        """Discover the topics of the space; ``topics`` fixes how many, otherwise the data decides.

        The result holds the number of ``topics``. A newer request replaces the one under way.
        """
        return self._handle(operations.topics.fit_topics(self._bound(), topics, self._inline()))

    def tune(self, *, users: int = 800, limit: int = 10, seed: int = 0, dry_run: bool = False) -> Job:
        """Choose leg weights, decays and event weights on half of ``users`` sampled users; store what the held-out half confirms.

        Compares lists of ``limit`` items. The result holds ``changes`` (setting → value), NDCG ``before`` and ``after``
        on the held-out users, the 95 % interval of the gain from ``low`` to ``high``, and whether it was ``stored``;
        ``dry_run`` stores nothing.
        Raises :class:`SpaceMismatch` while tuning with other options is under way.
        """
        options = TuneOptions(users=users, limit=limit, seed=seed, dry_run=dry_run)
        return self._handle(operations.jobs.start(self._bound().space, options, self._inline()))

    def jobs(self, limit: int = 20) -> list[JobStatus]:
        """List the latest jobs of the space, newest first."""
        return self._drive(operations.jobs.list_jobs(self._bound().space, limit))

    def job(self, id: str) -> Job:
        """Return a job by its id, such as ``train-7``. Raises :class:`NotFound`."""
        return self._handle(operations.jobs.look(self._bound().space, id))

    @contextmanager
    def watch(self, on_progress: OnProgress) -> Iterator[None]:
        """Within the block, report the work done in this process: ``on_progress(stage, done, total)``, ``total`` may be None.

        Work of Celery workers is not reported here: use :meth:`Job.wait`.
        """
        with watched(self._queue, on_progress):
            yield

    # --- topics and interests ------------------------------------------------------------------

    def topics(self) -> list[Topic]:
        """List the topics of the space, largest first; empty before :meth:`fit_topics`."""
        return self._drive(operations.topics.list_topics(self._bound()))

    def rename_topic(self, topic: str, label: str) -> Topic:
        """Rename a topic, which ``topic`` names by id or label; every refit keeps the new label."""
        return self._drive(operations.topics.rename_topic(self._bound(), topic, label))

    def interests(self, user: str) -> list[Interest]:
        """List a user's current interests, strongest first; empty if none are known."""
        return self._drive(operations.interests.interests_of(self._bound(), user))

    def steer(self, user: str, topic: str, weight: float = 0.0) -> list[Interest]:
        """Mute a topic for a user (weight 0), recommend less (below 1) or more of it (up to 4); 1 resets it."""
        return self._drive(operations.steering.steer(self._bound(), user, topic, weight))

    def shelves(self, user: str, rows: int = 5, limit: int = 10, *, exclude_seen: Seen = True) -> list[Shelf]:
        """Recommend one row of items per interest, strongest interest first, in one batched request."""
        return self._drive(operations.shelves.shelves(self._bound(), user, rows, limit, exclude_seen))

    # --- reads -------------------------------------------------------------------------------

    def recommend(
        self, user: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = True, diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: bool = False, interests: Literal["auto"] | None = None,
    ) -> list[Recommendation]:  # fmt: skip
        """Recommend items to a user, best first.

        A user without vectors gets the popular items, and ``reason`` begins with "popular:". ``exclude_seen`` leaves out the
        items that the user has seen; ``"but_last"`` keeps the latest of them, for items that people take again.
        ``diversity`` goes from 0 (none) to 1; ``weights`` per leg replace those of the space; ``explain`` fills ``legs`` and
        ``reason`` in the same round trip; ``interests="auto"`` gives each of the user's topics its share of the list.
        """
        options = ListOptions(limit, filter, exclude, diversity, weights, explain, interests)
        return self._drive(operations.recommend.recommend(self._bound(), user, options, exclude_seen))

    def request(
        self, user: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        exclude_seen: Seen = False, weights: Mapping[Leg, float] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the body that :meth:`recommend` sends, for ``POST /collections/{space}_items/points/query``."""
        options = ListOptions(limit, filter, exclude, 0.0, weights)
        return self._drive(operations.recommend.request(self._bound(), user, options, exclude_seen))

    def top(
        self, limit: int = 10, *, by: str = Key.POPULARITY, filter: FilterLike | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:  # fmt: skip
        """List the same items for every user: the most popular, or those with the highest number or latest date in field ``by``.

        Items without the field are left out; ``score`` is the popularity. Raises :class:`InvalidInput` unless ``by`` is
        ``"popularity"`` or a number or date among the fields of the space.
        """
        return self._drive(operations.top.top(self._bound(), by, ListOptions(limit, filter, exclude)))

    def recommend_from(
        self, positive: Sequence[str], negative: Sequence[str] = (), limit: int = 10, *,
        filter: FilterLike | None = None, exclude: Sequence[str] = (), diversity: float = 0.0,
        weights: Mapping[Leg, float] | None = None, explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """Recommend items for an anonymous session, from example items. Raises :class:`NotFound` if no positive one is known."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return self._drive(operations.similar.recommend_from(self._bound(), positive, negative, options))

    def similar_items(
        self, item: str, limit: int = 10, *, filter: FilterLike | None = None, exclude: Sequence[str] = (),
        diversity: float = 0.0, weights: Mapping[Leg, float] | None = None, explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """List items that are similar to an item. Raises :class:`NotFound` for an unknown item."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return self._drive(operations.similar.similar_items(self._bound(), item, options))

    def similar_users(self, user: str, limit: int = 10) -> list[SimilarUser]:
        """List users that are similar to a user. Raises :class:`NotFound` for a user without events."""
        return self._drive(operations.similar.similar_users(self._bound(), user, limit))

    def search(
        self, text: str, user: str | None = None, limit: int = 10, *, filter: FilterLike | None = None,
        exclude: Sequence[str] = (), diversity: float = 0.0, weights: Mapping[Leg, float] | None = None,
        explain: bool = False,
    ) -> list[Recommendation]:  # fmt: skip
        """Search items by a text; ``user``: rank them for that user. Raises :class:`WorkPending` if no worker answers in time."""
        options = ListOptions(limit, filter, exclude, diversity, weights, explain)
        return self._drive(operations.search.search(self._bound(), text, user, options))
