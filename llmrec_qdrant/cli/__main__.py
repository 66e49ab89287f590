"""``python -m llmrec_qdrant.cli`` is ``llmrec``."""

from llmrec_qdrant.cli.main import main

if __name__ == "__main__":
    main()
