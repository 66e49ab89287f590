"""The command line, ``llmrec``."""
