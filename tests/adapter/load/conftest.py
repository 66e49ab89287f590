"""Fixtures of loading."""

from tests.loading import rec

__all__ = ["rec"]
