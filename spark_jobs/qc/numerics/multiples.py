"""Counts that were multiplied: then whole numbers are missing among the pixel values, which counting alone never leaves out."""

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import percentile

__all__ = ["common_factor", "counts_factor"]

FEWEST_VALUES = 10  # different ones: that counts are all even by chance has odds of 1 in 2 for each
DENSE = 12.0  # pixels for each whole number of a range: none of them stays empty by chance
FEWEST_STEPS = 4  # between the values of that range
STILL = 0.2  # of the bright pixels equal their neighbour along a row or a column: the image was drawn, no noise fills its values
GAPS = 1.02  # whole numbers over those that occur


def common_factor(frame: NDArray) -> int:
    """Return the greatest number that divides all pixel values (1 where nothing but 0 is there)."""
    values = np.unique(frame)
    return max(1, int(np.gcd.reduce(np.abs(values))))


def counts_factor(frame: NDArray) -> float:
    """Return by which factor the counts of a frame (rows × columns, integers) were certainly multiplied; 1: nothing shows it.

    Notes
    -----
    The greatest common divisor of the differences of pixel values gives a whole factor, whatever was added afterwards. Any other factor
    leaves gaps where many pixels share few values: there the whole numbers of a range are more than those that occur. Drawn images of
    few values show neither.
    """
    values = np.unique(frame).astype(np.int64)
    if values.size < FEWEST_VALUES:
        return 1.0
    factor = float(np.gcd.reduce(np.diff(values)))
    if factor > 1:
        return factor
    high_up = frame > values[-1] / 2
    pairs = ((high_up[1:], frame[1:] == frame[:-1]), (high_up[:, 1:], frame[:, 1:] == frame[:, :-1]))
    if max(float(equal[there].mean()) if there.any() else 1.0 for there, equal in pairs) > STILL:
        return 1.0
    bright = frame[high_up]
    low, high = (int(percentile(bright, q)) for q in (25, 75))
    within = bright[(bright >= low) & (bright <= high)]
    steps = len(np.unique(within)) - 1
    if within.size < DENSE * (high - low + 1) or steps < FEWEST_STEPS:
        return 1.0
    gaps = (int(within.max()) - int(within.min())) / steps
    return gaps if gaps > GAPS else 1.0
