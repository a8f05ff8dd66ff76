"""Counts that were multiplied: then whole numbers are missing among the pixel values, which counting alone never leaves out."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_factor", "counts_factor"]

FEWEST_VALUES = 10  # different ones: that counts are all even by chance has odds of 1 in 2 for each
PART, FEWEST_PARTS = 8, 2  # whole numbers that are looked at together
DENSE = 12.0  # pixels for each of them: none stays empty by chance
STILL = 0.2  # of the bright pixels equal their neighbour along a row or a column: the image was drawn, no noise fills its values
GAPS = 1.02  # whole numbers over those that occur


def common_factor(frame: NDArray) -> int:
    """Return the greatest number that divides all pixel values (1 where nothing but 0 is there)."""
    return max(1, int(np.gcd.reduce(np.abs(_values(frame)))))


def counts_factor(frame: NDArray) -> float:
    """Return by which factor the counts of a frame (rows × columns, integers) were certainly multiplied; 1: nothing shows it.

    Notes
    -----
    The greatest common divisor of the differences of pixel values gives a whole factor, whatever was added afterwards. Any other factor
    leaves gaps where many pixels share few values: there the whole numbers are more than those that occur. Drawn images of
    few values show neither.
    """
    values = _values(frame)
    if values.size < FEWEST_VALUES:
        return 1.0
    factor = float(np.gcd.reduce(np.diff(values)))
    if factor > 1:
        return factor
    high_up = frame > values[-1] / 2
    pairs = ((high_up[1:], frame[1:] == frame[:-1]), (high_up[:, 1:], frame[:, 1:] == frame[:, :-1]))
    if max(float(equal[there].mean()) if there.any() else 1.0 for there, equal in pairs) > STILL:
        return 1.0
    lowest = int(values[-1]) // 2
    seen = np.bincount(frame[high_up].astype(np.int64).ravel() - lowest)
    parts = seen[: len(seen) // PART * PART].reshape(-1, PART)
    dense = parts.sum(1) >= DENSE * PART
    parts = parts[1:-1][dense[:-2] & dense[1:-1] & dense[2:]]  # where a distribution ends, values are missing for that reason
    if len(parts) < FEWEST_PARTS:
        return 1.0
    gaps = parts.size / np.count_nonzero(parts)
    return float(gaps) if gaps > GAPS else 1.0


def _values(frame: NDArray) -> NDArray[np.int64]:
    """Return the different values, sorted; numpy.unique loads numpy.ma for it."""
    flat = np.sort(frame, axis=None).astype(np.int64)
    return flat[np.concatenate([[True], flat[1:] != flat[:-1]])]
