"""Where a round, homogeneous phantom lies in a CT slice: geometry first, numbers later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import Outline, find_outline, sampled

__all__ = ["Cylinder", "find_cylinder"]

WATER_BAND_HU = 60.0  # the wall (acrylic, about +120) and the air outside lie beyond it
BONE_HU = 230.0  # walls of acrylic and polycarbonate read 90-140, bone of a skull 300 and more even where it is thin
RAYS, ALIKE = 180, 5  # neighbouring rays are averaged
SMALLEST_MM, LARGEST_MM = 80.0, 550.0


@dataclass(frozen=True)
class Cylinder:
    """A round object: centre (row, column in pixels), diameters of its even inside and of its outline, middle HU, homogeneous or not."""

    row: float
    column: float
    diameter_mm: float
    outline_mm: float
    median_hu: float
    homogeneous: bool


def find_cylinder(hu: NDArray, pixel_mm: float) -> Cylinder | str:
    """Return the phantom in a slice, or the reason why it is none: the outline first, then the rings inside it on a coarse grid."""
    outline = find_outline(hu, pixel_mm)
    if isinstance(outline, str):
        return outline
    if not SMALLEST_MM <= outline.diameter_mm <= LARGEST_MM:
        return because("ct_water.size_other", diameter_mm=outline.diameter_mm)
    step = max(1, round(2.0 / pixel_mm))
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    coarse = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3), dtype=np.float64)
    size = step * pixel_mm
    diameter = outline.diameter_mm / size
    yy, xx = np.ogrid[:rows, :columns]
    radius = np.hypot(yy - ((outline.row + 0.5) / step - 0.5), xx - ((outline.column + 0.5) / step - 0.5))
    middle = median(coarse[radius <= 0.2 * diameter])
    ring = radius.astype(int).ravel()
    means = np.bincount(ring, coarse.ravel()) / np.maximum(np.bincount(ring), 1)
    beyond = np.flatnonzero(np.abs(means - middle) > WATER_BAND_HU)
    beyond = beyond[beyond > 0.25 * diameter]
    inner = min(float(beyond[0]) if beyond.size else diameter / 2, diameter / 2)
    if inner < 0.4 * diameter:
        return because("ct_water.not_even")
    wall = _densest_around(hu, outline, 2 * inner * size, pixel_mm)
    if wall - (middle if abs(middle) > WATER_BAND_HU else 0.0) > BONE_HU:  # CT numbers may be shifted as a whole
        return because("ct_water.bone_ring", hu=wall)
    inside = coarse[radius < 0.92 * inner]
    noise = median(np.abs(inside - median(inside))) * 1.4826
    odd = float((np.abs(inside - middle) > 30 + 4 * noise).mean())
    return Cylinder(outline.row, outline.column, 2 * inner * size, outline.diameter_mm, middle, odd < 0.005 and noise < 40)


def _densest_around(hu: NDArray, outline: Outline, inner_mm: float, pixel_mm: float) -> float:
    """Return what the densest layer between the inside and the outline reads: the middle one of the rays through it."""
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    reach = np.arange(0.45 * inner_mm, outline.diameter_mm / 2, 0.5) / pixel_mm
    values = sampled(hu, outline.row + np.outer(np.sin(angles), reach), outline.column + np.outer(np.cos(angles), reach))
    around = np.mean([np.roll(values, k - ALIKE // 2, axis=0) for k in range(ALIKE)], axis=0)
    return median(around.max(1))
