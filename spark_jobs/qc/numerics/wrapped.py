"""Counts that overflowed their word: beyond the largest value a pixel begins at 0 again, and nothing in the header says so."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

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
DARK = 0.02  # of the range: what lies around a field
AREA_TOP = 0.3  # of the range: a field beside an area that overflowed
FEWEST_QUADS, LIKE = 12, 1.5  # squares of four pixels that tell a variance, and how near to that of counts it is
LEAST_AREA, MOST_AREA = 1 / 256, 0.7  # of the range: lower ones are the dark around a field, higher ones the field
LEVEL = 4.0  # standard deviations of counts that would be larger by the range
NARROW_BIN = 0.75  # values from here to 1 of the upper one are looked at together
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
    if _is_steep_source(frames, size) or any(_has_wrapped_area(frame, size) for frame in _with_values(frames, AREA_TOP * size)):
        return True
    for frame in _with_values(frames, TOP * size):
        pairs = 0
        low_places = frame <= BOTTOM * size
        if not low_places.any():
            continue
        for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            high, low = np.maximum(frame[a], frame[b]), np.minimum(frame[a], frame[b])
            across = low + size - high
            pairs += int(((high >= TOP * size) & (low <= BOTTOM * size) & (NEARER * across < high - low)).sum())
        if pairs >= FEWEST_PAIRS and _falls_inside(frame, low_places, size):
            return True
    return False


def _falls_inside(frame: NDArray[np.float64], low: NDArray[np.bool_], size: float) -> bool:
    """Return whether low pixels beside high ones belong to what is lit: the dark around a bright field is low as well, up to the border."""
    from scipy import ndimage  # hardly any image comes here

    labels, _ = ndimage.label(low)
    border = set(labels[0]) | set(labels[-1]) | set(labels[:, 0]) | set(labels[:, -1])
    dark = [p for p in border - {0} if median(frame[labels == p]) < DARK * size]
    inside = low & ~np.isin(labels, dark)
    high = frame >= TOP * size
    met = 0
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        met += int((high[a] & inside[b]).sum()) + int((high[b] & inside[a]).sum())
    return met >= FEWEST_PAIRS


def _has_wrapped_area(frame: NDArray[np.float64], size: float) -> bool:
    """Return whether an area of low values is as noisy as if its counts were larger by the range, where brighter ones are as counts are."""
    mean = (frame[:-1, :-1] + frame[1:, :-1] + frame[:-1, 1:] + frame[1:, 1:]) / 4
    checker = (frame[:-1, :-1] - frame[1:, :-1] - frame[:-1, 1:] + frame[1:, 1:]) ** 2 / 0.455 / 4
    bright = mean > AREA_TOP * size
    if int(bright.sum()) < FEWEST_QUADS or not 1 / LIKE < median(checker[bright]) / median(mean[bright]) < LIKE:
        return False
    inner, level = np.s_[2:-2], np.ones(mean.shape, bool)  # neither rims nor slopes
    for axis in (0, 1):
        for step in (-2, 2):
            level &= np.abs(mean - np.roll(mean, step, axis)) < LEVEL * np.sqrt((mean + size) / 2)
    mean, checker = mean[inner, inner][level[inner, inner]], checker[inner, inner][level[inner, inner]]
    top = MOST_AREA * size
    while top >= LEAST_AREA * size:
        there = (mean >= NARROW_BIN * top) & (mean < top)
        if int(there.sum()) >= FEWEST_QUADS and 1 / LIKE < median(checker[there]) / (median(mean[there]) + size) < LIKE:
            return True
        top *= NARROW_BIN
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
            rises = (
                (foot >= FLANK_COUNTS)
                & (middle > foot)
                & (top > middle)
                & (top >= FLANK_TOP * size)
                & (after < FALLS * top)
                & (foot < FALLS * middle)
            )
            ahead.append((top[rises] / middle[rises]) ** 3 * foot[rises])
            seen.append(after[rises])
        for view in (frame, frame[:, ::-1], frame[::-1], frame[::-1, ::-1]):
            foot, beside, below, after = view[:-1, :-1], view[:-1, 1:], view[1:, :-1], view[1:, 1:]
            near, far = np.maximum(beside, below), np.minimum(beside, below)
            rises = (
                (foot >= FLANK_COUNTS) & (far > foot) & (near >= FLANK_TOP * size) & (after < FALLS * near) & (foot < FALLS * far)
            )
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
