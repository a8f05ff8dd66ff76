"""Counts that overflowed their word: beyond the largest value a pixel begins at 0 again, and nothing in the header says so."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_wrapped"]

FEWEST_PAIRS = 8  # neighbours that jump: a hot pixel has four
TOP, BOTTOM = 0.75, 0.25  # of the range
NEARER = 3.0  # times nearer to each other than they seem, when the low one is taken as overflowed


def is_wrapped(frames: NDArray, bits: int) -> bool:
    """Return whether neighbouring pixels jump between the top and the bottom of the range, and lie close together across it.

    Parameters
    ----------
    frames
        Stored counts, frames × rows × columns.
    bits
        Of a stored value (unsigned).

    Notes
    -----
    Counts rise to a maximum over several pixels, by the resolution of the detector: on their way they cross the end of the range.
    """
    size = float(2**bits)
    if float(frames.max()) < TOP * size:
        return False
    pairs = 0
    for frame in frames[frames.max((1, 2)) >= TOP * size].astype(np.float64):
        for a, b in ((frame[1:], frame[:-1]), (frame[:, 1:], frame[:, :-1])):
            high, low = np.maximum(a, b), np.minimum(a, b)
            across = low + size - high
            pairs += int(((high >= TOP * size) & (low <= BOTTOM * size) & (NEARER * across < high - low)).sum())
        if pairs >= FEWEST_PAIRS:
            return True
    return False
