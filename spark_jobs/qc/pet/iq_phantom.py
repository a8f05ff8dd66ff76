"""The NEMA image-quality body phantom in a PET volume: where its six spheres lie; geometry before numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.blurred_sphere import SphereFit, fit_sphere
from spark_jobs.qc.numerics.layers import Values, smoothed, smoothed_box
from spark_jobs.qc.numerics.order import median, percentile

__all__ = ["DIAMETERS_MM", "IqPhantom", "find_iq_phantom", "lit_level"]

DIAMETERS_MM = (37.0, 28.0, 22.0, 17.0, 13.0, 10.0)
CIRCLE_MM, CIRCLE_SPREAD_MM = 57.2, 4.0  # radius of the circle of the spheres (NEMA NU 2), and how far it may be off
HOT = 1.3  # of the background: smaller spheres of low ratio reach about 1.5 after smoothing
COLD = 0.75  # of the background, in the middle 16 mm of a sphere of water; an absent sphere leaves the background
COLD_LEVEL = (0.6, 1.15)  # of the background: what is missing in the largest of them; scatter leaves some
SMOOTH_MM = 2.5  # σ of the image in which the spheres are looked for
BESIDE_MM = 40.0  # about the body: what a sphere at its rim is looked at with
SIZE_SPREAD = (0.15, 0.15, 0.15, 0.18, 0.25, 0.35)  # how far a diameter from the sphere's content may be off


@dataclass(frozen=True)
class IqPhantom:
    """The spheres from the largest to the smallest, the level of the background, and the centre of their circle (index)."""

    spheres: tuple[SphereFit, ...]
    background: float
    centre: tuple[float, float, float]
    body: NDArray[np.bool_]  # slices × rows × columns: the filled body, spheres and insert included
    cold: int = 0  # how many of the largest are filled with water (NU 2 before 2018: two), the others being hot


def lit_level(values: Values) -> float:
    """Return the middle value of what shines in a volume, 0 when nothing does."""
    sample = values[:: max(1, values.shape[0] // 40), :: max(1, values.shape[1] // 96), :: max(1, values.shape[2] // 96)]
    bright = percentile(sample, 99)
    return median(sample[sample > 0.4 * bright]) if bright > 0 else 0.0


def find_iq_phantom(values: Values, voxel_mm: tuple[float, float, float]) -> IqPhantom | str:
    """Return the phantom, or the reason why it is none. The volume is read by parts, and the box about the body then kept."""
    level = lit_level(values)
    if level <= 0:
        return because("look.nothing_shines")
    sigma = [SMOOTH_MM / v for v in voxel_mm]
    lit = np.empty(values.shape, bool)
    for some, smooth in smoothed(values, sigma):
        lit[some] = smooth > 0.5 * level
    body = _body(lit, voxel_mm)
    if body is None:
        return because("iq.no_body")
    box = _box(body, [int(np.ceil(BESIDE_MM / v)) for v in voxel_mm])
    whole, body, smooth = body, body[box], smoothed_box(values, box, sigma)
    found = _in_box(values[box], smooth, body, level, voxel_mm)
    if isinstance(found, str):
        return found
    moved = [b.start for b in box]
    spheres = tuple(replace(s, centre=tuple(c + m for c, m in zip(s.centre, moved, strict=True))) for s in found.spheres)
    return replace(found, spheres=spheres, centre=tuple(c + m for c, m in zip(found.centre, moved, strict=True)), body=whole)


def _box(mask: NDArray[np.bool_], beside: Sequence[int]) -> tuple[slice, slice, slice]:
    """Return the box about the voxels of a mask, and so many voxels more to each side."""
    out = []
    for axis, more in enumerate(beside):
        there = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        out.append(slice(max(0, int(there[0]) - more), min(mask.shape[axis], int(there[-1]) + 1 + more)))
    return out[0], out[1], out[2]


def _in_box(
    values: NDArray, smooth: NDArray, body: NDArray[np.bool_], level: float, voxel_mm: tuple[float, float, float]
) -> IqPhantom | str:
    """Return the phantom in the box about a body, or the reason why it is none; the places count from the corner of the box."""
    from scipy import ndimage

    filled = values[body & (smooth > 0.7 * level) & (smooth < HOT * level)]
    if not filled.size:
        return because("iq.no_background")
    level = median(filled)
    labels, pieces = ndimage.label((smooth > HOT * level) & body)
    if pieces < 4:
        return because("iq.hot_places_other", places=pieces)
    own = [(labels[s] == k) * (smooth[s] - level) for k, s in enumerate(ndimage.find_objects(labels), 1)]
    strongest = np.argsort([o.sum(dtype=np.float64) for o in own], kind="stable")[::-1][:8]
    corners = [[s.start for s in piece] for piece in ndimage.find_objects(labels)]
    centres = np.array([ndimage.center_of_mass(np.maximum(own[k], 0)) + np.array(corners[k]) for k in strongest])
    circle = _circle(centres, voxel_mm)
    if circle is None:
        return because("iq.hot_places_off_circle")
    places = _six(smooth, circle, centres, level, voxel_mm)
    cold = [
        k
        for k, p in enumerate(places)
        if _content(smooth, p, 8.0, 0.0, voxel_mm) < COLD * _content(body, p, 8.0, 0.0, voxel_mm) * level
    ]
    if cold and (len(cold) != 2 or (cold[1] - cold[0]) % 6 not in (1, 5)):
        return because("iq.cold_spheres_other")
    return _sized(values, smooth, places, level, voxel_mm, body, circle, cold)


def _body(lit: NDArray[np.bool_], voxel_mm: tuple[float, float, float]) -> NDArray[np.bool_] | None:
    """Return the largest lit body, holes of each slice filled, or None when it is no body phantom's size; it is written over `lit`."""
    from scipy import ndimage

    if not lit.any():
        return None
    box = _box(lit, (0, 0, 0))
    labels, pieces = ndimage.label(lit[box])
    sizes = np.sum([np.bincount(plane.ravel(), minlength=pieces + 1)[1:] for plane in labels], axis=0)
    filled = labels == 1 + int(np.argmax(sizes))
    for plane in filled:
        plane[:] = ndimage.binary_fill_holes(plane)
    area = filled.sum((1, 2)) * voxel_mm[1] * voxel_mm[2]
    if not 20_000 <= percentile(area[area > 0], 75) <= 160_000:
        return None
    lit[:] = False
    lit[box] = filled
    return lit


def _circle(centres: NDArray, voxel_mm: tuple[float, float, float]) -> tuple[NDArray, float] | None:
    """Return centre (index) and starting angle of the spheres' circle, from those places that fit six equal steps best."""
    scale = np.array(voxel_mm)
    best, found = 0.0, None
    for three in combinations(range(min(len(centres), 7)), 3):
        points = centres[list(three)] * scale
        if np.ptp(points[:, 0]) > 14:
            continue
        middle = _circumcentre(points[:, 1:])
        if middle is None or abs(np.hypot(*(points[0, 1:] - middle)) - CIRCLE_MM) > CIRCLE_SPREAD_MM:
            continue
        every = centres * scale
        radius = np.hypot(every[:, 1] - middle[0], every[:, 2] - middle[1])
        angle = np.degrees(np.arctan2(every[:, 1] - middle[0], every[:, 2] - middle[1]))
        first = angle[three[0]]
        step = (angle - first) / 60
        fits = (np.abs(radius - CIRCLE_MM) < CIRCLE_SPREAD_MM) & (np.abs(step - np.round(step)) < 0.12)
        fits &= np.abs(every[:, 0] - points[:, 0].mean()) < 12
        # stronger places come first; the number that fits counts most
        score = float(fits.sum()) + float((fits * np.linspace(0.5, 0, len(fits))).sum()) / 10
        if fits.sum() >= 4 and len({round(s) % 6 for s in step[fits]}) == int(fits.sum()) and score > best:
            turn = median(((angle[fits] - first + 30) % 60) - 30)
            best = score
            found = (np.array([every[fits, 0].mean(), *middle]) / scale, float(first + turn))
    return found


def _circumcentre(p: NDArray) -> NDArray | None:
    rows = 2 * (p[1:] - p[0])
    if abs(np.linalg.det(rows)) < 100:  # mm²: three places nearly on a line
        return None
    return np.linalg.solve(rows, (p[1:] ** 2).sum(1) - (p[0] ** 2).sum())


def _six(
    smooth: NDArray, circle: tuple[NDArray, float], centres: NDArray, level: float, voxel_mm: tuple[float, float, float]
) -> NDArray:
    """Return six places (index): hot places near the expected ones; where none is, the brightest voxel; the expected place when it is cold."""
    scale = np.array(voxel_mm)
    middle, first = circle
    places: list[NDArray] = []
    for k in range(6):
        angle = np.radians(first + 60 * k)
        expected = middle + np.array([0, CIRCLE_MM * np.sin(angle), CIRCLE_MM * np.cos(angle)]) / scale
        near = np.linalg.norm((centres - expected) * scale, axis=1)
        if near.min() < 9:
            places.append(centres[int(np.argmin(near))])
            continue
        reach = np.ceil(8 / scale).astype(int)
        at = np.round(expected).astype(int)
        low = np.maximum(at - reach, 0)
        box = smooth[tuple(slice(a, b) for a, b in zip(low, at + reach + 1, strict=True))]
        inside = tuple(np.clip(at, 0, np.array(smooth.shape) - 1))
        if smooth[inside] < COLD * level:
            places.append(expected)
            continue
        places.append(low + np.array(np.unravel_index(int(np.argmax(box)), box.shape)) if box.size else expected)
    return np.array(places)


def _sized(
    values: NDArray,
    smooth: NDArray,
    places: NDArray,
    level: float,
    voxel_mm: tuple[float, float, float],
    body: NDArray[np.bool_],
    circle: tuple[NDArray, float],
    cold: list[int],
) -> IqPhantom | str:
    """Return the phantom when the six contents are those of the six sizes; spheres of water are looked at as what is missing there."""
    holes = 2 * level - values if cold else values
    reach = [25.0 if k in cold else 11.0 for k in range(len(places))]
    content = [_content(smooth, p, r, level, voxel_mm) for p, r in zip(places, reach, strict=True)]
    hot = [k for k in np.argsort([-c for c in content], kind="stable").tolist() if k not in cold]
    rank = [*sorted(cold, key=lambda k: content[k]), *hot]
    fits: list[SphereFit] = []
    contents = []
    for number, (diameter, k) in enumerate(zip(DIAMETERS_MM, rank, strict=True)):
        start = tuple(float(c) for c in places[k])
        first = 0 if number < len(cold) else len(cold)
        height = fits[first].height if number > first else None  # one filling: its largest sphere tells it best
        seen = holes if number < len(cold) else values
        fit = fit_sphere(seen, voxel_mm, start, diameter / 2, level, height)  # type: ignore[arg-type]
        if fit is None:
            return because("iq.no_sphere", diameter_mm=diameter)
        fits.append(fit)
        # above the level of the body: a fit's own background would take in an absent sphere, or the rest of one too large
        contents.append(_content(seen, np.array(fit.centre), diameter / 2 + 8, level, voxel_mm))
    if min(contents) <= 0:
        return because("iq.sphere_not_hot")
    own = (6 / np.pi * contents[0] / fits[0].height) ** (1 / 3)
    if abs(own / DIAMETERS_MM[0] - 1) > SIZE_SPREAD[0]:
        return because("iq.largest_other", measured_mm=own, expected_mm=DIAMETERS_MM[0])
    if cold and not COLD_LEVEL[0] * level <= fits[0].height <= COLD_LEVEL[1] * level:
        return because("iq.largest_two_other")
    for number, (diameter, spread, held) in enumerate(zip(DIAMETERS_MM, SIZE_SPREAD, contents, strict=True)):
        first = 0 if number < len(cold) else len(cold)
        size = DIAMETERS_MM[first] * (held / contents[first]) ** (1 / 3)
        if abs(size / diameter - 1) > spread:
            return because("iq.sphere_size_other", measured_mm=size, expected_mm=diameter)
    z = float(np.mean([f.centre[0] for f in fits[:4]]))
    return IqPhantom(tuple(fits), level, (z, float(circle[0][1]), float(circle[0][2])), body, len(cold))


def _content(values: NDArray, centre: NDArray, reach_mm: float, level: float, voxel_mm: tuple[float, float, float]) -> float:
    """Return the sum above the background within a distance, times the volume of a voxel (value · mm³)."""
    low = [max(0, int(c - reach_mm / v)) for c, v in zip(centre, voxel_mm, strict=True)]
    high = [int(c + reach_mm / v) + 2 for c, v in zip(centre, voxel_mm, strict=True)]
    box = values[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    z, y, x = ((np.arange(a, a + n) - c) * v for a, n, c, v in zip(low, box.shape, centre, voxel_mm, strict=True))
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= reach_mm**2
    return float((box[inside].astype(np.float64) - level).sum() * np.prod(voxel_mm))
