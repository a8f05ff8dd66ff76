"""Cold spheres on a ring in a cylinder: where they lie, which of the standard sets they are, and what is in each.

A blurred sphere is known in closed form (a ball folded with a Gaussian). Its deficit, volume times depth, does not depend on the
blur, so that sizes are told even where none of the spheres is resolved; positions of spheres too small to be seen come from the
ring, not from where noise is lowest.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median

__all__ = ["SETS", "Ring", "Sphere", "blurred_ball", "find_ring", "sampled"]

# the two sets that are sold, largest first; on the ring they follow each other in this order, 60° apart
SETS = ((31.8, 25.4, 19.1, 15.9, 12.7, 9.5), (38.0, 31.8, 25.4, 19.1, 15.9, 12.7))
RING_MM = (40.0, 75.0)
OFF_MM, OFF_WEAK_MM = (
    7.0,
    14.0,
)  # from its place on the ring, for the three clearest spheres and for the others, which noise moves
OWN_PLACE_MM = 4.0  # nearer to its place on the ring than this, a sphere is measured where it is seen; else where the ring has it
REACH_MM, BIN_MM, BINS = 28.0, 0.5, 56
SIGMAS_MM = (2.0, 2.6, 3.2, 3.8, 4.4, 5.0, 5.7, 6.5, 7.5, 8.7, 10.0)
STRETCH = (0.6, 0.7, 0.8, 0.9, 1.0, 1.11, 1.25, 1.43, 1.67)
ODD_SIZE = (0.25, 1.6)  # of the volume that the set asks for; small spheres are recovered less
ODD_DIAMETER = 0.12
SHALLOWEST, COLDEST = 0.15, 1.1  # depths: 1 is an empty sphere
TRIED_MM = (50.0, 44.0, 38.0, 35.0, 31.8, 28.0, 25.4, 22.0, 19.1, 15.9, 12.7, 9.5)


@dataclass(frozen=True)
class Sphere:
    """A sphere: nominal diameter, centre in voxels (slice, row, column), and the depth its deficit asks for (1: empty sphere)."""

    diameter_mm: float
    centre: tuple[float, float, float]
    depth: float
    depth_se: float


@dataclass(frozen=True)
class Ring:
    """The spheres, largest first, the blur that fits them, and how much better this set fits than the other (1: not at all)."""

    spheres: tuple[Sphere, ...]
    radius_mm: float
    sigma_mm: float
    margin: float


def blurred_ball(r: NDArray[np.float64], radius: float, sigma: float) -> NDArray[np.float64]:
    """Return a ball of height 1 folded with a three-dimensional Gaussian, at distances r from its centre."""
    r = np.maximum(r, 1e-6)
    s = sigma * math.sqrt(2)
    flat = (_erf((radius + r) / s) + _erf((radius - r) / s)) / 2
    bend = np.exp(-(((radius - r) / s) ** 2)) - np.exp(-(((radius + r) / s) ** 2))
    return flat - sigma / (r * math.sqrt(2 * math.pi)) * bend


def _erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the error function of each number: numpy has none, and importing scipy costs more than the whole measurement."""
    return np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def find_ring(
    deficit: NDArray[np.float64],
    seen: NDArray[np.float64],
    axis: tuple[float, float, float],
    lean: tuple[float, float],
    steps: tuple[float, float, float],
    noise: float,
) -> Ring | str:
    """Return the spheres, or the reason why the cold spots are none of the standard sets.

    Parameters
    ----------
    deficit
        1 − image ÷ level of the uniform slices, slices × rows × columns.
    seen
        Coarse places of the cold spots (n × 3, voxels), deepest first.
    axis, lean
        A point of the cylinder's axis (slice, row, column) and its lean (rows, columns a slice).
    steps
        Size of a voxel in mm (slice, row, column).
    noise
        Standard deviation of `deficit`, for the uncertainty of depths.
    """
    size = np.asarray(steps)
    places = np.array([_centred(deficit, p, size) for p in seen], np.float64) * size
    origin = np.asarray(axis) * size
    slope = np.array([lean[0] * size[1] / size[0], lean[1] * size[2] / size[0]])
    flat = places[:, 1:] - origin[1:] - (places[:, :1] - origin[0]) * slope
    height = places[:, 0] + flat @ slope  # along the axis
    radii, angles = np.hypot(*flat.T), np.arctan2(flat[:, 0], flat[:, 1])
    plane, radius = median(height[:4]), median(radii[:4])
    if not RING_MM[0] <= radius <= RING_MM[1]:
        return because("jaszczak.ring_other", radius_mm=radius)
    turn = float(np.angle(np.exp(6j * angles[:3]).mean()) / 6)
    slot = np.round((angles - turn) / (np.pi / 3))
    wanted = turn + slot * np.pi / 3
    off = np.sqrt(
        (radii * np.cos(angles - wanted) - radius) ** 2 + (radii * np.sin(angles - wanted)) ** 2 + (height - plane) ** 2
    )
    clear = np.arange(len(off)) < 3
    if (off > np.where(clear, OFF_MM, OFF_WEAK_MM)).any():
        k = int(np.argmax(off - np.where(clear, OFF_MM, OFF_WEAK_MM)))
        return because("jaszczak.sphere_off_ring", off_mm=off[k], slice=places[k, 0] / size[0])
    turn += float(np.mean((angles - wanted)[clear]))
    centres = []
    for k in range(6):
        mine = np.flatnonzero(slot % 6 == k)
        if mine.size and (mine[0] < 3 or off[mine[0]] < OWN_PLACE_MM):
            centres.append(places[mine[0]])
            continue
        a = turn + k * np.pi / 3
        y, x = radius * np.sin(a), radius * np.cos(a)
        z = plane - float(np.dot(slope, (y, x)))
        centres.append(np.array([z, origin[1] + y + (z - origin[0]) * slope[0], origin[2] + x + (z - origin[0]) * slope[1]]))
    return _sized(deficit, np.array(centres), size, noise, radius)


def _centred(deficit: NDArray[np.float64], place: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centre of a cold spot in voxels: centroid under a Gaussian window that follows it."""
    centre, window = np.asarray(place, np.float64), 9.0
    for _ in range(8):
        box, away = _around(deficit, centre, size, 22.0)
        weight = box * np.exp(-sum(a * a for a in away) / (2 * window**2))
        total = float(weight.sum())
        if total <= 0:
            break
        move = np.array([float((weight * a).sum()) / total for a in away])
        centre = centre + 1.6 * np.clip(move, -4, 4) / size
        centre = np.clip(centre, 0, np.array(deficit.shape) - 1)
    return centre


def _around(
    volume: NDArray[np.float64], centre: NDArray[np.float64], size: NDArray[np.float64], reach_mm: float
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the box of voxels around a point, and their distances from it along each axis in mm (broadcastable)."""
    low = np.maximum(np.ceil(centre - reach_mm / size), 0).astype(int)
    high = np.minimum(np.floor(centre + reach_mm / size) + 1, volume.shape).astype(int)
    away = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, size, strict=True)]
    box = volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return box, [away[0][:, None, None], away[1][None, :, None], away[2][None, None, :]]


def _binned(
    deficit: NDArray[np.float64], centre: NDArray[np.float64], size: NDArray[np.float64], stretch: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums of the deficit and numbers of voxels by distance from a centre."""
    box, away = _around(deficit, centre / size, size, REACH_MM)
    r = np.sqrt((stretch * away[0]) ** 2 + away[1] ** 2 + away[2] ** 2)
    near = r < REACH_MM
    k = (r[near] / BIN_MM).astype(int)
    return np.bincount(k, box[near], BINS).astype(np.float64), np.bincount(k, minlength=BINS).astype(np.float64)


def _sized(
    deficit: NDArray[np.float64], centres: NDArray[np.float64], size: NDArray[np.float64], noise: float, radius: float
) -> Ring | str:
    """Return the ring with the order, set and blur that explain the deficits best.

    Volumes tell the order. Shapes tell the set: depths are free for each sphere (iterative reconstruction recovers small ones less),
    but nothing is colder than an empty sphere.
    """
    r = (np.arange(BINS, dtype=np.float64) + 0.5) * BIN_MM
    binned = [_binned(deficit, c, size) for c in centres]
    sums, counts = np.array([b[0] for b in binned]), np.array([b[1] for b in binned])
    templates = {d: np.array([blurred_ball(r, d / 2, s) for s in SIGMAS_MM]) for d in TRIED_MM}
    dot = {d: sums @ t.T for d, t in templates.items()}  # spheres × blurs
    norm = {d: counts @ (t * t).T for d, t in templates.items()}
    order = _order(dot, norm)
    energy = float((sums**2 / np.maximum(counts, 1)).sum())

    def gains(d: float, k: int) -> NDArray[np.float64]:
        depth = np.clip(dot[d][k] / norm[d][k], 0, COLDEST)
        return 2 * depth * dot[d][k] - depth**2 * norm[d][k]

    explained = [np.sum([gains(d, k) for d, k in zip(names, order, strict=True)], axis=0) for names in SETS]
    which = int(np.argmax([e.max() for e in explained]))
    rest, other = (max(energy - float(explained[w].max()), 1e-12) for w in (which, 1 - which))
    blur = int(np.argmax(explained[which]))
    sigma = SIGMAS_MM[blur]
    # noise of a tomogram is alike over about the blur, not independent from voxel to voxel
    alike = max(1.0, (2 * sigma / float(np.mean(size))) ** 1.5)
    spheres = []
    for d, k in zip(SETS[which], order, strict=True):
        z, y, x = (float(v) for v in centres[k] / size)
        spheres.append(
            Sphere(d, (z, y, x), float(dot[d][k][blur] / norm[d][k][blur]), noise * math.sqrt(alike / float(norm[d][k][blur])))
        )
    odd = _odd(spheres)
    if odd:
        return odd
    first, name = order[0], SETS[which][0]
    free = {d: float(gains(d, first).max()) for d in TRIED_MM}
    seen = max(free, key=lambda d: free[d])
    better = free[seen] - free[name]
    if abs(seen / name - 1) > ODD_DIAMETER and better > 10 * noise**2 * alike and better > 0.01 * free[seen]:
        return because("jaszczak.largest_other", seen_mm=seen, expected_mm=name)
    stretched = []
    for stretch in STRETCH:
        total, pixels = _binned(deficit, centres[first], size, stretch)
        t = templates[name]
        stretched.append(float(((total @ t.T) ** 2 / (pixels @ (t * t).T)).max()))
    stretch = STRETCH[int(np.argmax(stretched))]
    if not 0.75 < stretch < 1.35:
        return because("jaszczak.stretched", times=stretch)
    return Ring(tuple(spheres), radius, sigma, other / rest)


def _order(dot: dict[float, NDArray[np.float64]], norm: dict[float, NDArray[np.float64]]) -> list[int]:
    """Return which place on the ring holds the largest sphere, the next, and so on: six starts, two ways round."""
    best: tuple[float, list[int]] = (-1.0, list(range(6)))
    for names in SETS:
        for first in range(6):
            for sign in (1, -1):
                slots = [(first + sign * k) % 6 for k in range(6)]
                up = sum(dot[d][k] for d, k in zip(names, slots, strict=True))
                down = sum(norm[d][k] for d, k in zip(names, slots, strict=True))
                gain = float((np.maximum(up, 0) ** 2 / down).max())
                if gain > best[0]:
                    best = (gain, slots)
    return best[1]


def _odd(spheres: list[Sphere]) -> str | None:
    """Return what is odd about the depths of the spheres, or None."""
    common = spheres[0].depth
    if common < SHALLOWEST:
        return because("jaszczak.not_cold", percent=100 * common)
    for s in spheres[:4]:
        if not ODD_SIZE[0] - 3 * s.depth_se / common < s.depth / common < ODD_SIZE[1] + 3 * s.depth_se / common:
            return because("jaszczak.volume_other", diameter_mm=s.diameter_mm, part=s.depth / common)
    return None


def sampled(
    volume: NDArray, centre: tuple[float, float, float], radius_mm: float, steps: tuple[float, float, float]
) -> tuple[float, float]:
    """Return mean and lowest value of a sphere, from a fine cubic grid that is interpolated between voxels (cubic spline)."""
    size = np.asarray(steps)
    low = np.floor(np.asarray(centre) - radius_mm / size).astype(int) - 5
    high = np.ceil(np.asarray(centre) + radius_mm / size).astype(int) + 6
    index = [np.clip(np.arange(a, b), 0, n - 1) for a, b, n in zip(low, high, volume.shape, strict=True)]
    box = volume[np.ix_(*index)].astype(np.float64)
    step = radius_mm / 12
    grid = step * np.arange(-12, 13)
    weights = [
        _spline((c + grid / s)[:, None] - np.arange(a, b)[None, :]) for c, s, a, b in zip(centre, size, low, high, strict=True)
    ]
    fine = np.einsum("zyx,kz,jy,ix->kji", box, *weights, optimize=True)
    r = np.sqrt(grid[:, None, None] ** 2 + grid[None, :, None] ** 2 + grid[None, None, :] ** 2)
    inside = np.clip((radius_mm - r) / step + 0.5, 0, 1)
    return float((fine * inside).sum() / inside.sum()), float(fine[r <= radius_mm].min())


def _spline(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of voxels (last axis) for points, by an interpolating cubic spline; x is point − voxel."""
    n = x.shape[1]
    near = np.abs(x)
    basis = np.where(near < 1, 2 / 3 - near**2 + near**3 / 2, np.where(near < 2, (2 - near) ** 3 / 6, 0.0))
    through = np.eye(n) * 2 / 3 + (np.eye(n, k=1) + np.eye(n, k=-1)) / 6
    return basis @ np.linalg.inv(through)
