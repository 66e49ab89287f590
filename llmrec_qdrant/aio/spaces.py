"""The space as a whole: its configuration, state and versions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmrec_qdrant import operations
from llmrec_qdrant.aio.connection import AsyncConnection
from llmrec_qdrant.contracts.answers import (
    Failure,
    SpaceStatus,
)
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.operations.handles import AsyncJob

__all__ = ["AsyncSpaces"]


class AsyncSpaces(AsyncConnection):
    """Methods on the space as a whole."""

    async def create(self, config: SpaceConfig | Mapping[str, Any] | None = None) -> SpaceConfig:
        """As :meth:`Recommender.create`."""
        wanted = None if config is None else SpaceConfig.parse(config)
        self._config = await self._drive(operations.spaces.configure(self._space, wanted))
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
        return await self._drive(operations.failures.retry(await self._bound()))

    async def reembed(self, config: SpaceConfig | Mapping[str, Any] | None = None, **changes: Any) -> AsyncJob:
        """As :meth:`Recommender.reembed`."""
        return await self._handle(operations.reembed.start(self._space, config, changes, self._inline()))

    async def rollback(self) -> int:
        """As :meth:`Recommender.rollback`."""
        number = await self._drive(operations.reembed.rollback(self._space))
        self._config = None
        return number

    async def clean_up(self) -> list[int]:
        """As :meth:`Recommender.clean_up`."""
        return await self._drive(operations.reembed.clean_up(self._space))
