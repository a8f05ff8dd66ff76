"""Counts that were cut off below the limit of the pixel type: noisy counts do not pile up at their largest value."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_cut_off"]

FEWEST_PIXELS, LEAST_PART = 20, 0.02  # at the largest value; of the pixels above half of it
LEAST_TOP = 10  # of so few counts many pixels share the largest by chance
NOISY = (0.25, 3.0)  # times counting noise: an image without noise may have a plateau, with smooth or with steep flanks
SOLID = 0.95  # of the neighbours of such pixels are such where a plateau lies


def is_cut_off(image: NDArray) -> bool:
    """Return whether many pixels of a noisy image (rows × columns) hold the same largest value."""
    top = int(image.max())
    at_top = image == top
    piled = int(at_top.sum())
    if top < LEAST_TOP or piled <= FEWEST_PIXELS or piled <= LEAST_PART * int((image > top / 2).sum()):
        return False
    pairs = int((at_top[1:] & at_top[:-1]).sum()) + int((at_top[:, 1:] & at_top[:, :-1]).sum())
    if pairs > SOLID * 2 * piled:
        return False
    rows, columns = np.nonzero(at_top)
    box = np.s_[max(rows.min() - 16, 0) : rows.max() + 17, max(columns.min() - 16, 0) : columns.max() + 17]
    part = image[box].astype(np.float64)
    fits = (part > top / 8) & ~at_top[box]
    corners = [np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[:-1, 1:], np.s_[1:, 1:]]
    whole = np.logical_and.reduce([fits[c] for c in corners])
    if int(whole.sum()) <= FEWEST_PIXELS:
        return False
    a, b, c, d = (part[k][whole] for k in corners)
    # a checkerboard difference is blind to slopes; that of Poisson counts varies as much as the four pixels hold
    noise = float(np.median((a - b - c + d) ** 2)) / (0.455 * float(np.mean(a + b + c + d)))
    return NOISY[0] < noise < NOISY[1]
