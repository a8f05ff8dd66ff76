"""Where a round, homogeneous phantom lies in a CT slice: geometry first, numbers later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.outline import find_outline

__all__ = ["Cylinder", "find_cylinder"]

WATER_BAND_HU = 60.0  # the wall (acrylic, about +120) and the air outside lie beyond it
SMALLEST_MM, LARGEST_MM = 80.0, 550.0


@dataclass(frozen=True)
class Cylinder:
    """A round object: centre (row, column in pixels), diameter of its even inside, middle HU, and whether it is homogeneous."""

    row: float
    column: float
    diameter_mm: float
    median_hu: float
    homogeneous: bool


def find_cylinder(hu: NDArray, pixel_mm: float) -> Cylinder | str:
    """Return the phantom in a slice, or the reason why it is none: the outline first, then the rings inside it on a coarse grid."""
    outline = find_outline(hu, pixel_mm)
    if isinstance(outline, str):
        return outline
    if not SMALLEST_MM <= outline.diameter_mm <= LARGEST_MM:
        return f"an object of {outline.diameter_mm:.0f} mm is no water phantom"
    step = max(1, round(2.0 / pixel_mm))
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    coarse = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3), dtype=np.float64)
    size = step * pixel_mm
    diameter = outline.diameter_mm / size
    yy, xx = np.ogrid[:rows, :columns]
    radius = np.hypot(yy - ((outline.row + 0.5) / step - 0.5), xx - ((outline.column + 0.5) / step - 0.5))
    median = float(np.median(coarse[radius <= 0.2 * diameter]))
    ring = radius.astype(int).ravel()
    means = np.bincount(ring, coarse.ravel()) / np.maximum(np.bincount(ring), 1)
    beyond = np.flatnonzero(np.abs(means - median) > WATER_BAND_HU)
    beyond = beyond[beyond > 0.25 * diameter]
    inner = min(float(beyond[0]) if beyond.size else diameter / 2, diameter / 2)
    if inner < 0.4 * diameter:
        return "the object is not filled evenly from its centre to its wall: a phantom with inserts or a patient"
    inside = coarse[radius < 0.92 * inner]
    noise = float(np.median(np.abs(inside - np.median(inside)))) * 1.4826
    odd = float((np.abs(inside - median) > 30 + 4 * noise).mean())
    return Cylinder(outline.row, outline.column, 2 * inner * size, median, odd < 0.005 and noise < 40)
