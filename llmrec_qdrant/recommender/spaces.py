"""The space as a whole: its configuration, state and versions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmrec_qdrant import operations
from llmrec_qdrant.connect import other_side
from llmrec_qdrant.contracts.answers import (
    Failure,
    Moved,
    SpaceStatus,
)
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.handles import Job
from llmrec_qdrant.operations.moving import MoveOptions, WhichVersions
from llmrec_qdrant.queues.base import OnProgress
from llmrec_qdrant.recommender.connection import Connection

__all__ = ["Spaces"]


class Spaces(Connection):
    """Methods on the space as a whole."""

    def create(self, config: SpaceConfig | Mapping[str, Any] | None = None) -> SpaceConfig:
        """Create the space, or change fields and settings of an existing one; returns the stored configuration. Idempotent.

        Only the settings that are named change; fields and event weights are added to those that are there. So an application
        may call this whenever it starts, also after :meth:`tune` and :meth:`reembed`. New leg weights apply at once; workers rebuild what other settings determine (users' vectors, the collab leg).
        Raises :class:`SpaceMismatch` if existing vectors were made with another model or dimension.
        """
        self._config = self._drive(operations.creating.configure(self._space, config, self._tenant))
        self._config_at = time.monotonic()
        return self._config

    def status(self) -> SpaceStatus:
        """Count what is stored and what waits for a worker."""
        return self._drive(operations.status.status(self._bound()))

    def reconcile(self) -> bool:
        """Ask workers to find and do all pending work; False if the queue did not accept the message."""
        return self._drive(operations.status.reconcile(self._bound()))

    def failures(self, limit: int = 100) -> list[Failure]:
        """List what was set aside, after failing too often or as malformed, with the reason."""
        return self._drive(operations.failures.list_failures(self._bound(), limit))

    def retry(self) -> int:
        """Retry everything that was set aside; returns the number of points."""
        self._whole("retry what was set aside in it")
        return self._drive(operations.failures.retry(self._bound()))

    def reembed(self, config: SpaceConfig | Mapping[str, Any] | None = None, **changes: Any) -> Job:
        """Move the space to other settings, such as ``model="…", size=768``, without interrupting readers.

        Workers fill a new version beside the live one; once it is complete and encoded, one alias call switches to it. The
        result names ``version`` and ``model``. If the live version has these settings already, the job is done at once.
        Repeating a request returns the job under way; raises :class:`SpaceMismatch` while another re-embedding runs.
        """
        return self._handle(operations.reembed.start(self._whole("re-embed it"), config, changes, self._inline()))

    def rollback(self, version: int | None = None) -> int:
        """Switch to the version before the live one, or to another complete ``version``; returns its number.

        Raises :class:`NotFound` if there is none.
        """
        number = self._drive(operations.reembed.rollback(self._whole("roll it back"), version))
        self._config = None
        return number

    def clean_up(self) -> list[int]:
        """Delete versions that are neither live nor being filled; returns their numbers. Rollback is impossible afterwards."""
        return self._drive(operations.reembed.clean_up(self._whole("clean it up")))

    # --- another Qdrant ------------------------------------------------------------------------

    def push(
        self, url: str, *, api_key: str | None = None, space: str | None = None, versions: WhichVersions = "live",
        replace: bool = False, on_progress: OnProgress | None = None,
    ) -> Moved:  # fmt: skip
        """Copy this space to another Qdrant server, such as from a folder to production; the application then connects there.

        ``space``: its name there, if another. ``versions="all"`` takes along the versions that :meth:`rollback` can switch to.
        ``replace``: make a space that is there already equal to this one; it is hidden meanwhile. ``on_progress(stage, done,
        total)`` is called with counts of points. The copy becomes visible at the end, when every point has been compared; after
        an interruption, the same call again goes on where it stopped.
        Raises :class:`SpaceMismatch` for a name in use there or a job under way here, :class:`SpaceIncomplete` if this space was
        written to meanwhile: call again, which copies the difference.
        """
        options = MoveOptions.of(versions, replace, on_progress)
        with other_side(url, api_key, space or self.space) as there:
            return self._drive(operations.moving.push(self._space, self._tenant, there, options))

    def pull(
        self, url: str, *, api_key: str | None = None, space: str | None = None, versions: WhichVersions = "live",
        replace: bool = False, on_progress: OnProgress | None = None,
    ) -> Moved:  # fmt: skip
        """Copy a space of another Qdrant server to this one; ``space``: its name there, if another. See :meth:`push`."""
        options = MoveOptions.of(versions, replace, on_progress)
        self._forget_config()
        with other_side(url, api_key, space or self.space) as there:
            return self._drive(operations.moving.pull(self._space, self._tenant, there, options))
