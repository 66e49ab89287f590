"""The space as a whole: its configuration, state and versions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.connect import other_side
from llmrec_qdrant.contracts.answers import (
    Failure,
    Moved,
    SpaceStatus,
)
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.handles import AsyncJob
from llmrec_qdrant.operations.moving import MoveOptions, WhichVersions
from llmrec_qdrant.queues.base import OnProgress

__all__ = ["AsyncSpaces"]


class AsyncSpaces(AsyncConnection):
    """Methods on the space as a whole."""

    async def create(self, config: SpaceConfig | Mapping[str, Any] | None = None) -> SpaceConfig:
        """As :meth:`Recommender.create`."""
        self._config = await self._drive(operations.creating.configure(self._space, config, self._tenant))
        self._config_at = time.monotonic()
        return self._config

    async def status(self) -> SpaceStatus:
        """As :meth:`Recommender.status`."""
        return await self._drive(operations.status.status(await self._bound()))

    async def reconcile(self) -> bool:
        """As :meth:`Recommender.reconcile`."""
        return await self._drive(operations.status.reconcile(await self._bound()))

    async def failures(self, limit: int = 100) -> list[Failure]:
        """As :meth:`Recommender.failures`."""
        return await self._drive(operations.failures.list_failures(await self._bound(), limit))

    async def retry(self) -> int:
        """As :meth:`Recommender.retry`."""
        self._whole("retry what was set aside in it")
        return await self._drive(operations.failures.retry(await self._bound()))

    async def reembed(self, config: SpaceConfig | Mapping[str, Any] | None = None, **changes: Any) -> AsyncJob:
        """As :meth:`Recommender.reembed`."""
        return await self._handle(operations.reembed.start(self._whole("re-embed it"), config, changes, self._inline()))

    async def rollback(self, version: int | None = None) -> int:
        """As :meth:`Recommender.rollback`."""
        number = await self._drive(operations.reembed.rollback(self._whole("roll it back"), version))
        self._config = None
        return number

    async def clean_up(self) -> list[int]:
        """As :meth:`Recommender.clean_up`."""
        return await self._drive(operations.reembed.clean_up(self._whole("clean it up")))

    # --- another Qdrant ------------------------------------------------------------------------

    async def push(
        self, url: str, *, api_key: str | None = None, space: str | None = None, versions: WhichVersions = "live",
        replace: bool = False, on_progress: OnProgress | None = None,
    ) -> Moved:  # fmt: skip
        """As :meth:`Recommender.push`."""
        options = MoveOptions.of(versions, replace, on_progress)
        with other_side(url, api_key, space or self.space) as there:
            return await self._drive(operations.moving.push(self._space, self._tenant, there, options))

    async def pull(
        self, url: str, *, api_key: str | None = None, space: str | None = None, versions: WhichVersions = "live",
        replace: bool = False, on_progress: OnProgress | None = None,
    ) -> Moved:  # fmt: skip
        """As :meth:`Recommender.pull`."""
        options = MoveOptions.of(versions, replace, on_progress)
        self._forget_config()
        with other_side(url, api_key, space or self.space) as there:
            return await self._drive(operations.moving.pull(self._space, self._tenant, there, options))
