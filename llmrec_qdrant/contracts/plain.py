"""Values of numpy and pandas as plain Python values, and what they have for a missing one."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["is_missing", "plain"]


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it holds; a ``datetime64`` as a ``datetime``.

    >>> plain(np.int32(7)), plain(np.datetime64("2024-05-01T10:30"))
    (7, datetime.datetime(2024, 5, 1, 10, 30))
    """
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    return value.item() if isinstance(value, np.generic) else value


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one: None, NaN, and NA and NaT of pandas.

    >>> is_missing(float("nan")), is_missing(0), is_missing("")
    (True, False, False)
    """
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError, OverflowError):  # an array, or a signalling NaN
        return False
