"""Fixtures of the command line."""

from tests.commandline import clean_environment, filled, llmrec, run

__all__ = ["clean_environment", "filled", "llmrec", "run"]
