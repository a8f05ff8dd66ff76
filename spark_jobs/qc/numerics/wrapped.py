"""Counts that overflowed their word: beyond the largest value a pixel begins at 0 again, and nothing in the header says so."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_wrapped", "may_be_wrapped"]

FEWEST_PAIRS = 8  # neighbours that jump: a hot pixel has four
TOP, BOTTOM = 0.75, 0.25  # of the range
FLANK_TOP = 0.15  # of the range: the flank of a steep source beside the pixels that began at 0 again
FLANK_COUNTS = 50  # at the foot of a flank: with fewer its course is noise
FALLS = 0.9  # of the neighbour: a source does not fall on its way to the peak
CLOSE = 0.15  # of the course of the flank
HOT = 3.0  # times each of its neighbours: a hot pixel is no flank
FEWEST_COURSES, MOST_OF_THEM = 3, 0.5
NARROW = 25  # pixels above a tenth of the largest: a source of some 2.5 pixels FWHM has no flank whose course could be followed
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
    if _is_steep_source(frames, size):
        return True
    if float(frames.max()) < TOP * size:
        return False
    pairs = 0
    for frame in _with_values(frames, TOP * size):
        for a, b in ((frame[1:], frame[:-1]), (frame[:, 1:], frame[:, :-1])):
            high, low = np.maximum(a, b), np.minimum(a, b)
            across = low + size - high
            pairs += int(((high >= TOP * size) & (low <= BOTTOM * size) & (NEARER * across < high - low)).sum())
        if pairs >= FEWEST_PAIRS:
            return True
    return False


def _with_values(frames: NDArray, least: float) -> Iterator[NDArray[np.float64]]:
    """Yield the frames that hold so large a value, one at a time."""
    return (frames[k].astype(np.float64) for k in np.flatnonzero(frames.max((1, 2)) >= least))


def may_be_wrapped(frames: NDArray, bits: int) -> bool:
    """Return whether an image is bright beside the range and so narrow that nothing in it shows whether its peak overflowed."""
    bright = frames[frames.max((1, 2)) >= FLANK_TOP * 2.0**bits]
    return any(int((frame > 0.1 * float(frame.max())).sum()) <= NARROW for frame in bright)


def _without_hot(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a frame in which pixels that count some times what any neighbour does count as their neighbours."""
    rows, columns = frame.shape
    wide = np.pad(frame, 1)
    around = np.max([wide[y : y + rows, x : x + columns] for y in range(3) for x in range(3) if (y, x) != (1, 1)], axis=0)
    return np.where(frame > HOT * around, around, frame)


def _is_steep_source(frames: NDArray, size: float) -> bool:
    """Return whether flanks of a source run on across the end of the range, where the next pixel falls by that range (once or more).

    The logarithm of a point source is a parabola along a row, and a sum of one of its row and one of its column: three pixels of a flank
    tell the fourth, either in line or at the corners of a square.
    """
    for frame in map(_without_hot, _with_values(frames, FLANK_TOP * size)):
        ahead, seen = [], []
        for view in (frame, frame[:, ::-1], frame.T, frame.T[:, ::-1]):
            foot, middle, top, after = view[:, :-3], view[:, 1:-2], view[:, 2:-1], view[:, 3:]
            rises = (foot >= FLANK_COUNTS) & (middle > foot) & (top > middle) & (top >= FLANK_TOP * size) & (after < FALLS * top)
            ahead.append((top[rises] / middle[rises]) ** 3 * foot[rises])
            seen.append(after[rises])
        for view in (frame, frame[:, ::-1], frame[::-1], frame[::-1, ::-1]):
            foot, beside, below, after = view[:-1, :-1], view[:-1, 1:], view[1:, :-1], view[1:, 1:]
            near, far = np.maximum(beside, below), np.minimum(beside, below)
            rises = (foot >= FLANK_COUNTS) & (far > foot) & (near >= FLANK_TOP * size) & (after < FALLS * near)
            ahead.append(beside[rises] * below[rises] / foot[rises])
            seen.append(after[rises])
        course, found = np.concatenate(ahead), np.concatenate(seen)
        crosses = course >= (1 - CLOSE / 2) * size
        course, found = course[crosses], found[crosses]
        turns = np.maximum(np.rint((course - found) / size), 1)
        met = int((np.abs(found + turns * size - course) <= CLOSE * course).sum())
        if met >= FEWEST_COURSES and met >= MOST_OF_THEM * course.size:
            return True
    return False
