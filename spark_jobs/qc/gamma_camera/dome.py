"""The fall-off of a flood from a near point source: A·R₀/(R₀² + r²)^1.5 (NEMA NU 1, 2.4), fitted, checked and divided out.

A fitted dome must not take a defect of the crystal with it. So the fit leaves out what sticks out (a dead photomultiplier), and
is believed only if the rings that are left follow the shape of a dome. A Gaussian bump of 3 % or more is told from a dome up to a
1/e radius of three quarters of the field's half diagonal; a wider one cannot be. A source beside the axis of the detector is not
followed: its tilt stays in the image and makes the uniformity worse, never better.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["Dome", "divided", "fall_off", "fit"]

RINGS = 16
SHAPE = 0.02  # rms of the rings about a dome, as a part of its depth
STRUCTURE = 0.001  # what the pattern of the photomultipliers alone leaves on rings
MOST_OUTSIDE = 0.3  # part of the field that may stick out


@dataclass(frozen=True)
class Dome:
    """A fitted fall-off: `distance_mm` is None where the edge is not darker than the centre; `depth` is what is missing
    at `rim_mm`, the largest radius that was looked at.

    `is_dome` says whether the image follows the shape of a dome, so that the distance may be believed.
    """

    distance_mm: float | None
    rim_mm: float
    depth: float
    depth_se: float
    is_dome: bool


def fall_off(distance_mm: float, radius_mm: float) -> float:
    """Return by which part a point source at this distance lights a detector less at this radius than at its centre."""
    return 1 - float((1 + (radius_mm / distance_mm) ** 2) ** -1.5)


def divided(blocks: NDArray[np.float64], size_mm: float, centre: tuple[float, float], distance_mm: float) -> NDArray[np.float64]:
    """Return blocks over the dome of a source at a distance, which is 1 at the centre (x, y in blocks)."""
    return blocks * (1 + _square_radii(blocks.shape, size_mm, centre) / distance_mm**2) ** 1.5


def fit(blocks: NDArray[np.float64], field: NDArray[np.bool_], size_mm: float, centre: tuple[float, float]) -> Dome:
    """Return the dome that fits the blocks of a field best (least squares of ln counts, what sticks out weighs nothing)."""
    chosen = field & (blocks > 0)
    squares = _square_radii(blocks.shape, size_mm, centre)[chosen]
    counts = blocks[chosen]
    logs = np.log(counts)
    order = np.argsort(squares, kind="stable")
    rings = np.array_split(order, RINGS)
    k = _start(np.array([median(logs[r]) for r in rings]), np.array([squares[r].mean() for r in rings]))
    least = -0.5 / float(squares.max())
    level = median(logs + 1.5 * np.log1p(k * squares))
    weight = np.ones_like(logs)
    for _ in range(30):
        flat = logs + 1.5 * np.log1p(k * squares)
        off = flat - level
        scale = max(1.4826 * median(np.abs(off)), 1e-3)
        weight = np.maximum(1 - (off / (4.7 * scale)) ** 2, 0) ** 2
        slope = -1.5 * squares / (1 + k * squares)
        total = weight.sum()
        level = float((flat * weight).sum() / total)
        slope -= (slope * weight).sum() / total
        leaning = weight * slope
        step = float((leaning * (flat - level)).sum() / (leaning * slope).sum())
        k = max(k + step, least)
        if abs(step) < 1e-4 * abs(k) + 1e-12:
            break
    radius = float(squares.max())
    depth = 1 - (1 + k * radius) ** -1.5
    off, inside = logs + 1.5 * np.log1p(k * squares) - level, weight > 0
    kept = [r[inside[r]] for r in rings if inside[r].mean() > 0.5]
    left = np.array([off[r].mean() for r in kept])
    noise = np.array([np.sqrt((1 / counts[r]).sum()) / r.size for r in kept])
    excess = float(np.sqrt(max((left**2).mean() - 1.5 * (noise**2).mean(), 0.0)))
    follows = excess <= max(SHAPE * depth, STRUCTURE) and 1 - inside.mean() <= MOST_OUTSIDE
    se = float(np.sqrt(1 / (weight * counts * slope**2).sum())) * 1.5 * radius
    return Dome(float(k**-0.5) if k > 0 else None, float(np.sqrt(radius)), float(depth), se, bool(follows))


def _start(levels: NDArray[np.float64], squares: NDArray[np.float64]) -> float:
    k = 0.0
    least = -0.5 / float(squares.max())
    for _ in range(20):
        slope = -1.5 * squares / (1 + k * squares)
        slope -= slope.mean()
        before = k
        k = max(k + float((slope * (levels + 1.5 * np.log1p(k * squares))).sum() / (slope * slope).sum()), least)
        if k == before:
            break
    return k


def _square_radii(shape: tuple[int, ...], size_mm: float, centre: tuple[float, float]) -> NDArray[np.float64]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) * size_mm**2
