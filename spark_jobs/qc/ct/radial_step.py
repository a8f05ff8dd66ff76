"""A step in the radial profile of water: an insert in the middle whose height the cupping of the scanner just cancels.

The middle then reads what the rim reads, and no shade gives the insert away. Cupping is smooth all the way out, an insert ends: a step
is fitted to the whole profile beside a smooth course. The middle is known, so that less height is told from noise than for a circle
anywhere (`round_edge`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.ct.round_edge import soft_step

__all__ = ["RadialStep", "radial_step"]

SMALLEST_PART, LARGEST_PART, RIM_PART = 0.15, 0.85, 0.97  # of the radius of the water
MIDDLE_PART = 0.4  # where the CT number is taken
BUMP_CELLS = 1.0  # σ of a ring of the scanner
LEAST_CELLS = 4  # of a distance: fewer are left out


@dataclass(frozen=True)
class RadialStep:
    """Radius in cells and height (HU) of the step, its height in standard errors of independent cells, what it moves the middle by (HU)."""

    radius: float
    height_hu: float
    z: float
    hidden_hu: float


def radial_step(
    cells: NDArray[np.float64], inside: NDArray[np.bool_], middle: tuple[float, float], reach: float, noise: float
) -> RadialStep | None:
    """Return the step that explains the radial profile best, None where a smooth course of higher order or a ring explains it as well.

    Parameters
    ----------
    cells, inside
        Cells of a slice with their shade (HU), rows × columns, and which lie in the water.
    middle, reach, noise
        Middle of the water (row, column) and its radius in cells; noise of a cell in HU.
    """
    rows, columns = np.ogrid[: cells.shape[0], : cells.shape[1]]
    distance = np.hypot(rows - middle[0], columns - middle[1])
    used = inside & (distance < RIM_PART * reach)
    bins = np.rint(distance[used]).astype(int)
    count = np.bincount(bins)
    kept = count >= LEAST_CELLS
    values = np.bincount(bins, cells[used])[kept] / count[kept]
    at = np.bincount(bins, distance[used])[kept] / count[kept]
    weight = np.sqrt(count[kept]) / max(noise, 1e-6)
    t = at / reach
    smooth = np.column_stack([np.ones_like(t), t**2, t**3, t**4])
    radii = np.arange(SMALLEST_PART * reach, LARGEST_PART * reach)
    _, plain = _fit(smooth, values, weight)
    other = _fit(np.column_stack([smooth, t**5, t**6]), values, weight)[1]
    for radius in np.arange(0.0, LARGEST_PART * reach):
        bump = np.exp(-0.5 * ((at - radius) / BUMP_CELLS) ** 2)
        other = min(other, _fit(np.column_stack([smooth, bump]), values, weight)[1])
    best: RadialStep | None = None
    least = other
    for radius in radii:
        step = np.interp(at - radius, *soft_step())
        factors, left = _fit(np.column_stack([smooth, step]), values, weight)
        if left < least:
            least, height = left, float(factors[4])
            hidden = abs(height) * min(1.0, (radius / (MIDDLE_PART * reach)) ** 2)
            best = RadialStep(float(radius), height, float(np.sqrt(max(plain - left, 0.0))), hidden)
    return best


def _fit(
    basis: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the factors of a fit with weights, and the sum of the squared residuals in units of the variance."""
    weighted = basis * weight[:, None]
    factors = np.linalg.lstsq(weighted, values * weight, rcond=None)[0]
    return np.asarray(factors, np.float64), float((((values - basis @ factors) * weight) ** 2).sum())
