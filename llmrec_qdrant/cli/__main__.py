"""``python -m llmrec_qdrant.cli``."""

from llmrec_qdrant.cli.main import main

main()
