"""Where a round, homogeneous phantom lies in a CT slice: geometry first, numbers later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cylinder", "disc", "find_cylinder"]

BODY_HU = -500.0
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


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies within `radius` pixels of a point."""
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    return (ys - row) ** 2 + (xs - column) ** 2 <= radius**2


def find_cylinder(hu: NDArray, pixel_mm: float) -> Cylinder | str:
    """Return the phantom in a slice, or the reason why it is none.

    The slice is looked at on a coarse grid, and opened there, so that a couch neither counts nor costs time.
    """
    from scipy import ndimage

    step = max(1, round(2.0 / pixel_mm))
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    coarse = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    size = step * pixel_mm
    body = ndimage.binary_opening(coarse > BODY_HU, iterations=max(1, round(12 / size)))
    labels, pieces = ndimage.label(body)
    if not pieces:
        return "the slice shows no object"
    sizes = ndimage.sum_labels(body, labels, np.arange(1, pieces + 1))
    body = ndimage.binary_fill_holes(labels == 1 + int(np.argmax(sizes)))
    ys, xs = np.nonzero(body)
    height, width = np.ptp(ys) + 1, np.ptp(xs) + 1
    diameter = 2 * np.sqrt(len(ys) / np.pi)
    if ys.min() == 0 or xs.min() == 0 or ys.max() == rows - 1 or xs.max() == columns - 1:
        return "the object touches the border of the slice"
    if not SMALLEST_MM <= diameter * size <= LARGEST_MM:
        return f"an object of {diameter * size:.0f} mm is no water phantom"
    if max(abs(height - diameter), abs(width - diameter)) > max(0.05 * diameter, 2.5):
        return "the object is not round"
    row = (ys.mean() + 0.5) * step - 0.5
    column = (xs.mean() + 0.5) * step - 0.5
    core = coarse[disc((rows, columns), ys.mean(), xs.mean(), 0.2 * diameter)]
    median = float(np.median(core))
    yy, xx = np.ogrid[:rows, :columns]
    radius = np.hypot(yy - ys.mean(), xx - xs.mean())
    ring = radius.astype(int).ravel()
    means = np.bincount(ring, coarse.ravel()) / np.maximum(np.bincount(ring), 1)
    beyond = np.flatnonzero(np.abs(means - median) > WATER_BAND_HU)
    beyond = beyond[beyond > 0.25 * diameter]
    inner = float(beyond[0]) if beyond.size else diameter / 2
    if inner < 0.4 * diameter:
        return "the object is not filled evenly from its centre to its wall: a phantom with inserts or a patient"
    inside = coarse[radius < 0.92 * inner]
    noise = float(np.median(np.abs(inside - np.median(inside)))) * 1.4826
    odd = float((np.abs(inside - median) > 30 + 4 * noise).mean())
    return Cylinder(float(row), float(column), 2 * inner * size, median, odd < 0.005 and noise < 40)
