"""One exception tree: every error a caller can meet derives from :class:`LlmrecError`.

::

    LlmrecError
    ├── InvalidInput (ValueError)     an item, event, configuration, argument or filter was refused
    │   ├── InvalidFilter             a filter that cannot be read, or that uses an unindexed field
    │   └── PartlyRejected            some inputs of a batch were refused; the others are stored (defined in
    │                                 ``contracts.answers``, since it carries the receipt)
    ├── SpaceError
    │   ├── SpaceNotFound             no such space in this Qdrant
    │   │   └── SpaceIncomplete       a push or pull into it has begun and not ended
    │   └── SpaceMismatch             the space has another model, dimension or format
    ├── NotFound (LookupError)        the named item, user, topic or version is not in the space
    ├── ServiceError
    │   ├── QdrantUnavailable         Qdrant is down, restarting, overloaded or too slow: try again
    │   ├── QdrantRefused             Qdrant understood the request and refused it
    │   ├── Unauthorized              the API key is missing, wrong or lacks a permission
    │   ├── ServerTooOld              the Qdrant server is older than this package needs
    │   ├── BrokerUnavailable         Redis did not accept the message (the data itself is stored)
    │   └── WorkPending               no worker answered in time; the work stays recorded in Qdrant
    ├── JobFailed                     a job ended without a result: it failed or was cancelled
    └── MissingDependency (ImportError)   an optional part is not installed; the message names the command

Each message says what failed, shows the value, and says how to fix it.
"""

from __future__ import annotations

import re

from pydantic import ValidationError

__all__ = [
    "BrokerUnavailable",
    "FieldWarning",
    "InvalidFilter",
    "InvalidInput",
    "JobFailed",
    "LlmrecError",
    "MissingDependency",
    "NotFound",
    "QdrantRefused",
    "QdrantUnavailable",
    "ServerTooOld",
    "ServiceError",
    "SpaceError",
    "SpaceIncomplete",
    "SpaceMismatch",
    "SpaceNotFound",
    "Unauthorized",
    "WorkPending",
    "WorkPendingWarning",
]


def describe(error: ValidationError, values: bool = True) -> str:
    """Describe a pydantic error in one sentence: each field, what is wrong with it and, with ``values``, its value.

    >>> from llmrec_qdrant import SpaceConfig
    >>> try: SpaceConfig(size=0)
    ... except InvalidInput as refused: print(refused)
    SpaceConfig: 'size': input should be greater than or equal to 1 (got 0)
    """
    parts = []
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"])
        field = path if len(path) <= 80 else path[:77] + "..."
        message = re.sub(r"^(Value error|Assertion failed), ", "", fault["msg"])
        shown = show(fault["input"])
        got = "" if not values or fault["type"] in {"missing", "value_error"} else f" (got {shown})"
        parts.append(f"{f'{field!r}: ' if path else ''}{message[0].lower()}{message[1:]}{got}")
    return f"{error.title}: {'; '.join(parts)}"


def show(value: object) -> str:
    """Return the ``repr`` of a value, at most 60 characters; the type if the value is too deep or too large for one."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


class LlmrecError(Exception):
    """Root of all errors that this package raises."""


class InvalidInput(LlmrecError, ValueError):
    """An item, event, configuration or argument was refused."""


class InvalidFilter(InvalidInput):
    """A filter cannot be read, or uses a payload field that has no index."""


class SpaceError(LlmrecError):
    """The space as a whole cannot be used in this way."""


class SpaceNotFound(SpaceError):
    """This Qdrant holds no space of that name."""


class SpaceIncomplete(SpaceNotFound):
    """A push or pull into the space has begun and not ended: running it again completes the space."""


class SpaceMismatch(SpaceError):
    """The stored space has another model, dimension or format than the one requested."""


class NotFound(LlmrecError, LookupError):
    """The named item, user, topic or version is not in the space."""


class ServiceError(LlmrecError):
    """Qdrant, Redis or a worker failed or did not answer."""


class QdrantUnavailable(ServiceError):
    """Qdrant is down, restarting, overloaded or too slow; the same call may succeed later.

    ``retry_after``: seconds to wait before the next attempt, as Qdrant asked; None if it named no time.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QdrantRefused(ServiceError):
    """Qdrant understood the request and refused it."""


class Unauthorized(ServiceError):
    """The Qdrant API key is missing, wrong or lacks a permission."""


class ServerTooOld(ServiceError):
    """The Qdrant server lacks features that this package needs."""


class BrokerUnavailable(ServiceError):
    """The broker did not accept the message. Data already written to Qdrant is safe."""


class WorkPending(ServiceError):
    """No worker answered in time. The work stays recorded in Qdrant, and a worker will do it."""


class JobFailed(LlmrecError):
    """A job ended without a result: it failed or was cancelled."""


class MissingDependency(LlmrecError, ImportError):
    """An optional dependency is not installed."""


class FieldWarning(UserWarning):
    """Items hold no values of a field, or values that do not fit its kind, so that filters on it do not find them."""


class WorkPendingWarning(UserWarning):
    """A write is stored in Qdrant, but the queue did not accept the message; the next reconcile finds the work."""
