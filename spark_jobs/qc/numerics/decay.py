"""Radioactive decay: decayed activity, and the mean of a decaying rate over a time. Half-lives are reference data (`connectors.nuclides`)."""

import math

__all__ = ["decayed", "mean_factor"]


def decayed(activity: float, seconds: float, half_life_s: float) -> float:
    """Return an activity (any unit) `seconds` later; negative seconds look back."""
    return activity * math.exp(-math.log(2) * seconds / half_life_s)


def mean_factor(seconds: float, half_life_s: float) -> float:
    """Return D = (1 − e⁻ˣ)/x, x = ln 2·seconds/half-life: the mean activity over a time from its start, over that at its start."""
    x = math.log(2) * seconds / half_life_s
    return -math.expm1(-x) / x if abs(x) > 1e-12 else 1.0
