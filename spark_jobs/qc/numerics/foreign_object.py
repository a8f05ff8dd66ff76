"""What does not belong into an even slice of water: bubbles, inserts of a few HU, and values that were cut off."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.field import shifted
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import disc

__all__ = ["ForeignObject", "Water", "cut_off", "find_objects", "is_streak", "pixel_noise", "water_of"]

CELL_MM = 2.0
SIZES = (1, 3, 5, 9, 15, 31)  # cells: sides of the squares whose means are looked at
MARGIN = SIZES[-1] + 1  # half of the largest square of surroundings
FOUND_Z = 7.0
LEAST_HU = 2.0  # what is fainter is no object: scanners leave such shades in water
WIDE_HU, WIDE_SIDE = 1.3, 9  # of squares of more cells, whose finds must show an edge
STRONG_HU = 50.0  # air or a solid of any shape; fainter, long or hollow things are streaks and rings, which are measured beside
COMPACT = 0.3  # of the circle around its middle that an object fills
CORRELATED = 4.0  # reconstruction makes neighbouring cells alike: means scatter at most so many times as independent ones
RIM_MM = 3.0  # the wall is blurred into the water so far
ENOUGH_CELLS = 200
MOST_CELLS = 55  # along a radius: cells of a large phantom are larger
DIRECTIONS, STREAK_PART, STREAK_Z = 36, 0.35, 6.0  # of the contrast of an object that goes on beyond it; standard errors
STREAK_MM, BAND_CELLS = 15.0, 1.5  # from the middle of the object; half the width of the band that is looked along
CUT_Z, CUT_LEVELS, CUT_HU = 4.0, 4, 1.0


@dataclass(frozen=True)
class ForeignObject:
    """An object in the water: place (row, column in pixels), size across, and how much more than the water it reads."""

    row: float
    column: float
    size_mm: float
    contrast_hu: float


def cut_off(image: NDArray, region: NDArray[np.bool_]) -> bool:
    """Return whether the largest or smallest value is a heap: noise thins out towards its ends, values that were cut do not.

    Without noise, whole numbers of a shade heap up too, and tell nothing.
    """
    levels, counts = np.unique(np.round(image[region], 3), return_counts=True)
    if len(levels) < CUT_LEVELS or pixel_noise(image, region) < CUT_HU:
        return False
    ends = ((counts[-1], counts[-2]), (counts[0], counts[1]))
    return any(last > beside + CUT_Z * np.sqrt(float(last + beside)) for last, beside in ends)


def pixel_noise(image: NDArray, region: NDArray[np.bool_]) -> float:
    """Return the noise of the pixels of a region, by a difference that is blind to slopes."""
    whole = region[1:, 1:] & region[:-1, 1:] & region[1:, :-1] & region[:-1, :-1]
    twisted = (image[1:, 1:] - image[:-1, 1:] - image[1:, :-1] + image[:-1, :-1])[whole]
    return float(np.std(twisted, dtype=np.float64)) / 2 if twisted.size else 0.0


@dataclass(frozen=True)
class Water:
    """The cells of a slice: their side in pixels, values less a smooth shade (0 outside of the water), which lie in the water, its
    middle (row, column) and radius in cells, the noise of a cell, and the values with the shade."""

    step: int
    rest: NDArray[np.float64]
    inside: NDArray[np.bool_]
    middle: tuple[float, float]
    reach: float
    noise: float
    cells: NDArray[np.float64]


def water_of(hu: NDArray, row: float, column: float, radius: float, pixel_mm: float, coarsest: int | None = None) -> Water | None:
    """Return the cells of a circle of water, None when they are too few. Lengths in pixels; `coarsest` is the most cells of a radius."""
    step = max(1, round(CELL_MM / pixel_mm), round(radius / coarsest) if coarsest else 0)
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    cells = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3), dtype=np.float64)
    middle = (row + 0.5) / step - 0.5, (column + 0.5) / step - 0.5
    reach = radius / step - RIM_MM / (step * pixel_mm) - 0.5
    inside = disc((rows, columns), *middle, reach)
    if inside.sum() < ENOUGH_CELLS:
        return None
    rest, noise = _rest(cells, inside, middle, reach)
    return Water(step, rest, inside, middle, reach, noise, cells)


def find_objects(water: Water, pixel_mm: float, wide_mm: float) -> tuple[ForeignObject | None, ForeignObject | None]:
    """Return the object that stands out most among those smaller than `wide_mm`, and among those that are not; None: there is none.

    What is smooth (cupping, gradients) is taken off first. The mean of each square, less that of what surrounds it, is compared with
    what the noise of the cells makes of such a mean.
    """
    size, columns, noise, rest = water.step * pixel_mm, water.rest.shape[1], water.noise, water.rest
    values, weights = _table(rest), _table(water.inside.astype(np.float64))
    found: list[ForeignObject | None] = [None, None]
    best = [1.0, 1.0]
    for side in SIZES:
        own, wide = _summed(weights, side), _summed(weights, _wide(side))
        own_sum = _summed(values, side)
        around = wide - own
        contrast = own_sum / np.maximum(own, 1) - (_summed(values, _wide(side)) - own_sum) / np.maximum(around, 1)
        usable = water.inside & (own >= 0.5 * side**2) & (around >= 0.2 * (_wide(side) ** 2 - side**2))
        if usable.sum() < ENOUGH_CELLS // 2:
            continue
        independent = noise / side * np.sqrt(1 + side**2 / _wide(side) ** 2)
        spread = 1.4826 * median(np.abs(contrast[usable]))
        spread = min(max(spread, independent), CORRELATED * independent)
        least = max(WIDE_HU if side > WIDE_SIDE else LEAST_HU, FOUND_Z * spread)
        mean = np.where(usable, np.abs(contrast), 0.0)
        seen = [False, False]
        while not all(seen):
            y, x = divmod(int(np.argmax(mean)), columns)
            top = float(mean[y, x])
            if top < least * min(b for b, s in zip(best, seen, strict=True) if not s):
                break
            piece = _piece(np.where(np.sign(contrast) == np.sign(contrast[y, x]), mean, 0.0) > top / 2, (y, x))
            ys, xs = np.nonzero(piece)
            away = float(np.hypot(ys - ys.mean(), xs - xs.mean()).max()) + 0.5
            compact = len(ys) / (np.pi * away**2)
            if top >= STRONG_HU or compact >= COMPACT:
                across = 2 * float(np.sqrt(len(ys) / np.pi)) * size
                kind = int(across >= wide_mm and top < STRONG_HU)
                if not seen[kind] and top >= max(least * best[kind], WIDE_HU if kind else LEAST_HU):
                    best[kind] = top / least
                    place = (y + 0.5) * water.step - 0.5, (x + 0.5) * water.step - 0.5
                    found[kind] = ForeignObject(*place, across, float(contrast[y, x]))
                seen[kind] = True
            mean[piece] = 0.0
    return found[0], found[1]


def is_streak(water: Water, found: ForeignObject, pixel_mm: float) -> bool:
    """Return whether a faint object is a part of something long: in one direction the same contrast goes on beyond it."""
    if abs(found.contrast_hu) >= STRONG_HU:
        return False
    size = water.step * pixel_mm
    ys, xs = np.nonzero(water.inside)
    y, x = ys - ((found.row + 0.5) / water.step - 0.5), xs - ((found.column + 0.5) / water.step - 0.5)
    values = water.rest[ys, xs] * np.sign(found.contrast_hu)
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        band = (np.abs(across) <= BAND_CELLS) & (np.abs(along) * size > max(STREAK_MM, found.size_mm))
        there = values[band]
        if there.size < 2 * BAND_CELLS * STREAK_MM / size:
            continue
        mean = float(there.mean())
        if mean > STREAK_PART * abs(found.contrast_hu) and mean > STREAK_Z * water.noise / np.sqrt(there.size):
            return True
    return False


def _rest(
    cells: NDArray[np.float64], water: NDArray[np.bool_], middle: tuple[float, float], reach: float
) -> tuple[NDArray[np.float64], float]:
    """Return what is left when a smooth shade is taken off, 0 outside, and the noise of a cell."""
    ys, xs = np.ogrid[: cells.shape[0], : cells.shape[1]]
    y, x = np.broadcast_arrays((ys - middle[0]) / reach, (xs - middle[1]) / reach)
    r2 = x * x + y * y
    terms = np.stack([np.ones_like(r2), r2, r2**2, x, y, x * y, x * x - y * y], -1)
    keep = water
    rest, spread = cells, 0.0
    for _ in range(4):
        kept = terms[keep]
        factors = np.linalg.solve(kept.T @ kept, kept.T @ cells[keep])
        rest = cells - terms @ factors
        spread = 1.4826 * median(np.abs(rest[water]))
        keep = water & (np.abs(rest) <= 3 * spread + 1e-6)
    return np.where(water, rest, 0.0), spread


def _wide(side: int) -> int:
    return 2 * side + 1


def _summed(table: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the sums over squares about each cell from a table of sums (`_table`)."""
    low, high = MARGIN - side // 2, MARGIN + side // 2 + 1
    rows, columns = table.shape[0] - 2 * MARGIN - 1, table.shape[1] - 2 * MARGIN - 1
    up, down = slice(low, low + rows), slice(high, high + rows)
    left, right = slice(low, low + columns), slice(high, high + columns)
    return np.asarray(table[down, right] - table[up, right] - table[down, left] + table[up, left])


def _table(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(np.pad(values, MARGIN).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _piece(mask: NDArray[np.bool_], start: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the connected part of a mask that holds a cell."""
    out = np.zeros_like(mask)
    out[start] = True
    while True:
        grown = mask & (out | shifted(out, 1, 0) | shifted(out, -1, 0) | shifted(out, 0, 1) | shifted(out, 0, -1))
        if (grown == out).all():
            return out
        out = grown
