"""Decayed activity, and the mean over a time."""

import numpy as np
import pytest

from spark_jobs.qc.numerics.decay import decayed, mean_factor


def test_decay_and_its_mean():
    assert decayed(400.0, 3600.0, 3600.0) == pytest.approx(200.0)
    assert decayed(200.0, -3600.0, 3600.0) == pytest.approx(400.0)
    seconds = (np.arange(100_000) + 0.5) * 0.09
    assert mean_factor(9000.0, 6586.2) == pytest.approx(np.mean(0.5 ** (seconds / 6586.2)), rel=1e-8)
    assert mean_factor(0.0, 6586.2) == 1.0
