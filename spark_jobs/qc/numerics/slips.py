"""Ratios that only a wrong input makes: units taken for one another, and lost digits. Which ratio no device has, each method says itself."""

from messages import because

__all__ = ["slip"]

CURIE = 37.0  # 1 mCi = 37 MBq, 1 µCi = 0.037 MBq
NEAR = 1.15  # times: what a device is off by may come on top


def slip(ratio: float) -> str | None:
    """Return what makes a measured value `ratio` times the expected one most likely, None where no slip makes it."""
    if not ratio > 0:
        return None
    times = max(ratio, 1 / ratio)
    causes = (
        (CURIE, because("slip.curie")),
        (1000 / CURIE, because("slip.curie")),
        (10.0, because("slip.digit")),
        (100.0, because("slip.digit")),
        (1e3, because("slip.prefix")),
        (1e6, because("slip.prefix")),
    )
    return next((cause for factor, cause in causes if factor / NEAR <= times <= factor * NEAR), None)
