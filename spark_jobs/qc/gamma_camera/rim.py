"""The rim of a flood whose field nobody declared: where it is dented or soft, a part of the detector may be weak.

NU 1 leaves out what lies at the rim: pixels below 75 % of the centre, then one layer. A fault two pixels deep goes with them, and
only a declared field would show that they belong to it. So the outline is measured in fractions of a pixel: a field of view is
convex and the same when turned by 180°, and it ends within one pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.field import Mask, covered, hull_shape

__all__ = ["Rim", "rim"]

OUT, IN, BESIDE = 3, 5, 5  # pixels before and behind the outline in which counts may be missing, and behind those: the plateau
STEEPEST = 1.25  # columns a row: a flatter outline is seen along the other axis
RUN = 3  # neighbouring lines of which the mean is taken
DIRECTIONS = 360
DROPPED = 0.75  # NU 1: of the centre
# ordinary floods of 11,000 counts, also with a rim blurred by 8 mm: 0.12, 0.85, 0.3; faults that NU 1 would leave out: from 0.6 on
DENTED, BEHIND, SOFT = 0.45, 0.8, 0.47


@dataclass(frozen=True)
class Rim:
    """What is striking, each as the mean of RUN neighbouring lines.

    How deep the outline is dented (pixels); the least part of the plateau that a pixel behind a dropped one holds; over how many
    pixels the counts fall (Σ p(1 − p), p = part of the plateau: at most ¼ at a sharp rim, FWHM of the blur / 4.2 at a soft one).
    """

    dent: float
    second: float
    soft: float

    @property
    def is_doubtful(self) -> bool:
        """Return whether a weak part of the detector would look like this."""
        return self.dent > DENTED or self.second < BEHIND or self.soft > SOFT


def rim(blocks: NDArray[np.float64], found: Mask) -> Rim:
    """Return what is striking about the rim of a lit area.

    Parameters
    ----------
    blocks
        Counts of the pixels of a flood, rows × columns.
    found
        The lit area, holes and bites filled.
    """
    whole = covered(hull_shape(found), *found.shape)
    sides: list[NDArray[np.float64]] = []
    second, soft = 1.0, 0.0
    for turned in (False, True):
        image, mask = (blocks.T, whole.T) if turned else (blocks, whole)
        for mirrored in (False, True):
            a, m = (image[:, ::-1], mask[:, ::-1]) if mirrored else (image, mask)
            lines = list(_lines(a, m))
            if len(lines) < RUN:
                continue
            row, edge, behind, fall = np.array(lines).T
            column = a.shape[1] - 1 - edge if mirrored else edge
            sides.append(np.column_stack([row, column, row] if turned else [column, row, row]))
            second = min(second, float(_runs(behind, row).min(initial=1.0)))
            soft = max(soft, float(_runs(fall, row).max(initial=0.0)))
    return Rim(_dent(sides), second, soft)


def _lines(image: NDArray[np.float64], mask: Mask) -> Iterator[tuple[int, float, float, float]]:
    """Yield of each row whose outline at the left is steep: its number, where it begins (pixels), what is behind it, how soft it is."""
    rows = np.flatnonzero(mask.any(1))
    first = mask.argmax(1)
    for r in rows[2:-2]:
        at, slope = int(first[r]), (int(first[r + 2]) - int(first[r - 2])) / 4
        if abs(slope) > STEEPEST or at + IN + BESIDE > image.shape[1]:
            continue
        plateau = float(image[r, at + IN : at + IN + BESIDE].mean())
        if plateau <= 0:
            continue
        begin = max(at - OUT, 0)
        part = np.minimum(image[r, begin : at + IN] / plateau, 1.0)
        own = np.flatnonzero(part > 0.5)
        behind = float(part[own[0] + 1]) if own.size and part[own[0]] < DROPPED and own[0] + 1 < part.size else 1.0
        yield int(r), at + IN - 0.5 - float(part.sum()), behind, float((part * (1 - part)).sum()) / float(np.hypot(1, slope))


def _dent(sides: list[NDArray[np.float64]]) -> float:
    """Return how far the outline lies within the convex hull of itself and of itself turned by 180°."""
    if not sides:
        return 0.0
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    along = np.stack([np.cos(angles), np.sin(angles)])
    points = np.concatenate(sides)[:, :2]
    middle = (points.max(0) + points.min(0)) / 2
    reach = ((points - middle) @ along).max(0)
    reach = np.maximum(reach, np.roll(reach, DIRECTIONS // 2))
    return max(float(_runs((reach - (s[:, :2] - middle) @ along).min(1), s[:, 2]).max(initial=0.0)) for s in sides)


def _runs(values: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of RUN neighbouring rows."""
    if values.size < RUN:
        return np.zeros(0)
    together = rows[RUN - 1 :] - rows[: 1 - RUN] == RUN - 1
    means = np.convolve(values, np.ones(RUN) / RUN, "valid")
    return np.asarray(means[together], np.float64)
