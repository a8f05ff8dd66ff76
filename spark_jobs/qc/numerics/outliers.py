"""Values that stand out of many: distance from the median in robust standard deviations."""

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["DEVIATIONS", "robust_z"]

DEVIATIONS = 5.0  # k: five robust standard deviations are met by chance once in a million
SIGMA_PER_MAD = 1.4826  # of a normal distribution
SMALLEST_PART = 0.001  # of the median: reports are rounded, and a MAD of zero would make each last digit an outlier


def robust_z(values: NDArray) -> NDArray[np.float64]:
    """Return (value − median) / (1.4826 · MAD) of each value; the spread is never taken below 0.1 % of the median."""
    values = np.asarray(values, np.float64)
    middle = median(values)
    spread = SIGMA_PER_MAD * median(np.abs(values - middle))
    return (values - middle) / max(spread, SMALLEST_PART * abs(middle), 1e-12)
