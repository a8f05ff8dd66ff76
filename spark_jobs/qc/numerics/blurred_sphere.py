"""A uniform sphere seen through a Gaussian point-spread function: its profile in closed form, and its fit to a volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import percentile

__all__ = ["FWHM_PER_SIGMA", "SphereFit", "fit_sphere", "profile"]

FWHM_PER_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class SphereFit:
    """Centre (slice, row, column), height above the background, background, and FWHM of the point-spread function."""

    centre: tuple[float, float, float]
    height: float
    background: float
    fwhm_mm: float
    residual: float  # root mean square of what the fit leaves, over the height


def profile(r: NDArray, radius: float, sigma: float) -> NDArray[np.float64]:
    """Return the value at distances `r` from the centre of a sphere of height 1: the 3-D convolution, exact."""
    from scipy.special import erf

    r = np.maximum(np.asarray(r, np.float64), 1e-4 * radius)
    w = np.sqrt(2) * sigma
    near, far = (radius - r) / w, (radius + r) / w
    tails = np.exp(-(near**2)) - np.exp(-(far**2))
    return 0.5 * (erf(near) + erf(far)) - sigma / (np.sqrt(2 * np.pi) * r) * tails


def fit_sphere(
    values: NDArray,
    voxel_mm: tuple[float, float, float],
    start: tuple[float, float, float],
    radius_mm: float,
    background: float,
    height: float | None = None,
) -> SphereFit | None:
    """Return the sphere of known radius that fits best around a place, or None when no sensible one does.

    Parameters
    ----------
    values
        Slices × rows × columns.
    start
        Index of the centre to begin with; the fit may move it by half the radius or 4 mm.
    background
        Level to begin with; it is fitted too.
    height
        Height above the background when it is known (spheres of one filling); None: it is fitted.
    """
    from scipy.optimize import least_squares

    reach = radius_mm + 9.0
    low = [max(0, int(np.floor(c - reach / v))) for c, v in zip(start, voxel_mm, strict=True)]
    high = [min(n, int(np.ceil(c + reach / v)) + 1) for c, v, n in zip(start, voxel_mm, values.shape, strict=True)]
    box = values[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float64)
    z, y, x = ((np.arange(a, b) - c) * v for a, b, c, v in zip(low, high, start, voxel_mm, strict=True))
    distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    inside = distance <= reach
    if inside.sum() < 30:
        return None
    data = box[inside]
    zs, ys, xs = (np.broadcast_to(a, box.shape)[inside] for a in (z[:, None, None], y[:, None], x))
    known = height is not None
    unit = height if height is not None else percentile(data, 98) - background
    if unit <= 0:
        return None

    def left(p: NDArray) -> NDArray:
        r = np.sqrt((zs - p[0]) ** 2 + (ys - p[1]) ** 2 + (xs - p[2]) ** 2)
        return p[3] + (1.0 if known else p[5]) * profile(r, radius_mm, p[4]) - data / unit

    way = max(4.0, radius_mm / 2)
    lowest, highest, first = (
        [-way, -way, -way, -10.0, 0.4, 0.1],
        [way, way, way, 10.0, 8.0, 10.0],
        [0, 0, 0, background / unit, 2.5, 1.0],
    )
    free = 5 if known else 6
    found = least_squares(left, first[:free], bounds=(lowest[:free], highest[:free]), max_nfev=60)
    if not found.success:
        return None
    p = np.append(found.x, 1.0) if known else found.x
    centre = tuple(float(c + d / v) for c, d, v in zip(start, p[:3], voxel_mm, strict=True))
    residual = float(np.sqrt(np.mean(found.fun**2))) / float(p[5])
    return SphereFit(centre, float(p[5]) * unit, float(p[3]) * unit, float(p[4]) * FWHM_PER_SIGMA, residual)  # type: ignore[arg-type]
