"""Scaling and centring of rows."""

from __future__ import annotations

import numpy as np
import pytest

from workers.behaviour.vectors import centred, normalised


def test_normalised_and_centred() -> None:
    assert normalised(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert centred(np.array([1.0, 2.0, 6.0])).tolist() == [-2, -1, 3]
