"""A stack of CT slices that are decoded one at a time, and the axis of the round phantom through them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import Outline, find_outline

__all__ = ["Axis", "Stack", "axis_of"]

LOOKS = 9  # slices in which the outline is looked for
LEVER_MM = 30.0  # outlines nearer to each other tell no tilt
SAME_MM = 6.0  # an outline that differs more from the median is of something else: a couch, a stand, an end plate


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their positions (mm, ascending). `thickness_mm` is what the header says, None when it says nothing."""

    hu: Callable[[int], NDArray]
    positions: NDArray[np.float64]
    pixel_mm: float
    thickness_mm: float | None = None

    @property
    def spacing_mm(self) -> float | None:
        """Return the distance of neighbours, None for a single slice."""
        return median(np.diff(self.positions)) if len(self.positions) > 1 else None

    def mean(self, indices: list[int]) -> NDArray[np.float32]:
        """Return the mean of some slices."""
        total = self.hu(indices[0]).astype(np.float32)
        for k in indices[1:]:
            total = total + self.hu(k)
        return total / np.float32(len(indices))

    def within(self, middle_mm: float, half_mm: float) -> list[int]:
        """Return the slices at most `half_mm` away from a position, the nearest one at least."""
        away = np.abs(self.positions - middle_mm)
        found = np.flatnonzero(away <= half_mm + 1e-6)
        return [int(k) for k in found] if found.size else [int(away.argmin())]


@dataclass(frozen=True)
class Axis:
    """The axis of a cylinder: centre (row, column in pixels) at position 0 and its change per mm, diameter in mm."""

    row: float
    column: float
    row_per_mm: float
    column_per_mm: float
    diameter_mm: float

    def at(self, position_mm: float) -> tuple[float, float]:
        """Return the centre (row, column) in the slice at a position."""
        return self.row + self.row_per_mm * position_mm, self.column + self.column_per_mm * position_mm

    def tilt_deg(self, pixel_mm: float) -> float:
        """Return the angle between the cylinder and the axis of the scanner."""
        return float(np.degrees(np.arctan(np.hypot(self.row_per_mm, self.column_per_mm) * pixel_mm)))


def axis_of(stack: Stack) -> Axis | str:
    """Return the axis of the phantom, or the reason why no slice shows a round object."""
    count = len(stack.positions)
    looked = sorted({round(k) for k in np.linspace(0, count - 1, min(LOOKS, count))})
    found: list[tuple[float, Outline]] = []
    reasons: list[str] = []
    for k in looked:
        outline = find_outline(stack.hu(k), stack.pixel_mm)
        if isinstance(outline, str):
            reasons.append(outline)
        else:
            found.append((float(stack.positions[k]), outline))
    if not found:
        return max(reasons, key=reasons.count)
    diameter = median([o.diameter_mm for _, o in found])
    found = [(z, o) for z, o in found if abs(o.diameter_mm - diameter) < SAME_MM]
    z = np.array([z for z, _ in found])
    rows, columns = np.array([o.row for _, o in found]), np.array([o.column for _, o in found])
    if len(found) < 3 or np.ptp(z) < LEVER_MM:
        return Axis(median(rows), median(columns), 0.0, 0.0, diameter)
    slope_y, slope_x = _slope(z, rows), _slope(z, columns)
    return Axis(median(rows - slope_y * z), median(columns - slope_x * z), slope_y, slope_x, diameter)


def _slope(z: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the median of the slopes of all pairs: one wrong outline does not turn the axis."""
    first, second = np.triu_indices(len(z), 1)
    far = np.abs(z[second] - z[first]) > LEVER_MM / 2
    return median((values[second] - values[first])[far] / (z[second] - z[first])[far]) if far.any() else 0.0
