"""The workers' Celery application with a notebook, which records each text before its encoding begins.

A worker killed in the middle of a shard leaves its texts in the notebook, so texts recorded more than once are exactly the
work that was repeated.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmrec_qdrant.testing import HashEncoder
from workers.app import app

__all__ = ["app"]

_encode = HashEncoder.encode


def _noted(self: HashEncoder, texts: Sequence[str]) -> np.ndarray:
    line = json.dumps({"pid": os.getpid(), "size": self.size, "texts": list(texts)}, ensure_ascii=False) + "\n"
    path = Path(os.environ["CHAOS_NOTEBOOK"])
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())
    if path.with_suffix(".slow").exists():  # so that a blow falls into the middle of a shard
        time.sleep(1)
    return _encode(self, texts)


HashEncoder.encode = _noted  # type: ignore[method-assign]
