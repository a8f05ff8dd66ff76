"""Where a cylinder phantom lies in a tomogram, which of its slices are uniform, and what else is in it: geometry before numbers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.cut_off import CUT_OFF, is_tomogram_cut_off
from spark_jobs.qc.numerics.field import Mask
from spark_jobs.qc.numerics.order import median, percentile

__all__ = ["Phantom", "boxed", "find_phantom", "radial_median"]

FIELD_PART, RIM_MM = 0.8, 15.0  # the field that is measured: 80 % of the radius, and at least so far from the wall
SMALLEST_MM, LARGEST_MM = 90.0, 450.0
STEEPEST_DEG = 3.0
FULL, UNIFORM = 0.93, 0.97  # of the highest level; rods leave 77-85 % of it, a blurred end less
COARSE_MM = 12.0  # spheres, not noise, survive a box of this width
SPHERE_DEPTH, HOT_HEIGHT, NOISE_FACTOR = 0.10, 0.3, 4.5
SPHERE_REACH_MM = 27.0  # half of the largest sphere, and its blur
BLANK_MM, SHORTEST_RODS_MM = 30.0, 20.0
LEAST_SPAN, UP_AND_DOWN = 0.2, 3.2  # the level along the axis goes up once and down once, and less than half of that for rods
SOURCE_MM, MOST_SOURCE_MM3, SOURCE_GROWS, COARSE_VOXELS = 30.0, 300_000.0, 8.0, 30  # the last: about one voxel that holds it all
WALL_MM, WALL = 18.0, 0.3  # so far outside the wall at most this part of what is so far inside it; blur of 25 mm leaves 0.05


@dataclass(frozen=True)
class Phantom:
    """A cylinder along the slices' axis.

    `row`, `column` are of the axis in the slice `middle` (pixels, 0-based) and `lean` says by how many pixels (row, column) the
    axis moves a slice; `uniform` and `rods` are indices of slices; `spheres` are coarse places (slice, row, column) of compact cold
    spots; `hot` counts compact hot spots.
    """

    row: float
    column: float
    middle: float
    lean: tuple[float, float]
    diameter_mm: float
    field_radius_mm: float
    uniform: tuple[int, ...]
    rods: tuple[int, ...]
    spheres: tuple[tuple[int, int, int], ...]
    hot: int
    level: float

    @property
    def kind(self) -> str:
        """Return the look of the phantom in the words of the table of procedures."""
        if self.hot > 2:
            return because("look.hot_spheres")
        return Look.SYSTEM_PHANTOM if len(self.spheres) > 2 or self.rods else Look.UNIFORM_CYLINDER

    def distance_mm(self, shape: tuple[int, int], pixel_mm: float, at_slice: float | None = None) -> NDArray[np.float64]:
        """Return the distance of each pixel of a slice from the axis."""
        row, column = self.axis(self.middle if at_slice is None else at_slice)
        ys, xs = np.ogrid[: shape[0], : shape[1]]
        return np.hypot(ys - row, xs - column) * pixel_mm

    def axis(self, at_slice: float) -> tuple[float, float]:
        """Return row and column of the axis in a slice."""
        step = at_slice - self.middle
        return self.row + self.lean[0] * step, self.column + self.lean[1] * step


def find_phantom(volume: NDArray, pixel_mm: float, slice_mm: float) -> Phantom | str:
    """Return the cylinder phantom in a volume (slices × rows × columns), or the reason why there is none."""
    source = small_sources(volume, (slice_mm, pixel_mm, pixel_mm))
    if source:
        return source
    coarse = volume[::2, ::2, ::2] if len(volume) > 8 else volume[:, ::2, ::2]
    high = percentile(coarse, 99)
    if high <= 0:
        return because("tomogram.empty")
    level = median(coarse[coarse > 0.3 * high])
    areas = (volume > 0.4 * level).sum((1, 2))
    there = areas > 0.6 * median(areas[areas > 0.3 * areas.max()])
    mean = volume[there].mean(0, dtype=np.float64)
    lit = mean > 0.5 * median(mean[mean > 0.3 * high])
    outline = _outline(_spanned(lit) & _spanned(lit.T).T, mean, pixel_mm)
    if isinstance(outline, str):
        return outline
    row, column, diameter = outline
    radius = diameter / 2
    inner = min(FIELD_PART * radius, radius - RIM_MM)

    reach = int(np.ceil(radius / pixel_mm + 3))
    top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
    box = volume[:, top : int(row) + reach + 2, left : int(column) + reach + 2].astype(np.float32)
    ys, xs = np.ogrid[top : top + box.shape[1], left : left + box.shape[2]]
    distance = np.hypot(ys - row, xs - column) * pixel_mm
    field = distance <= inner
    q = np.median(box[:, field], axis=1)
    span = float(np.ptp(q))
    if span > LEAST_SPAN * q.max() and float(np.abs(np.diff(q)).sum()) > UP_AND_DOWN * span:
        return because("tomogram.out_of_order")
    if is_tomogram_cut_off(volume):
        return because(CUT_OFF)
    run = _run(q > 0.5 * percentile(q, 95), int(np.argmax(q)))
    plateau = percentile(q[run], 95)
    axis = _axis(box, run, 0.5 * q, distance <= radius + 3 * pixel_mm, top, left)
    lean_deg = float(np.degrees(np.arctan(np.hypot(*axis[2]) * pixel_mm / slice_mm)))
    if len(run) > 4 and lean_deg > STEEPEST_DEG:
        return because("tomogram.tilted", tilt_deg=lean_deg)
    full = run[q[run] >= FULL * plateau]
    if len(full) < 3:
        return because("tomogram.levels_few")
    rest = _residual(box, full, q, distance, pixel_mm, slice_mm)
    inside = rest[:, field]
    noise = 1.4826 * median(np.abs(inside))
    if (np.abs(inside) < 0.35).mean() < 0.85:
        return because("tomogram.not_even")
    steps = (slice_mm, pixel_mm, pixel_mm)
    cold, hot = (
        _spots(np.where(field, sign * rest, 0.0), max(least, NOISE_FACTOR * noise), steps)
        for sign, least in ((-1, SPHERE_DEPTH), (1, HOT_HEIGHT))
    )
    spheres = tuple((int(full[z]), y + top, x + left) for z, y, x in cold)
    even = full[q[full] >= UNIFORM * plateau]
    if len(spheres) > 2:
        plane = median([s[0] for s in spheres])
        even = even[np.abs(even - plane) * slice_mm > SPHERE_REACH_MM]
    return Phantom(
        *axis[:2],
        float(run.mean()),
        axis[2],
        diameter,
        inner,
        tuple(int(z) for z in even),
        _rods(q, run, plateau, slice_mm),
        spheres,
        len(hot),
        plateau,
    )


def small_sources(volume: NDArray, steps_mm: tuple[float, float, float]) -> str | None:
    """Return that a volume shows points or lines of activity and little else, or None.

    At half of the highest value a source is at most 30 mm wide in two directions, and there are at most six; at a seventh of it they
    have grown as a blurred point or line does (a Gaussian's volume by 4.7), which an organ or sphere in a warm background exceeds.
    """
    top = float(volume.max())
    bright = volume > 0.5 * top
    number = int(bright.sum())
    if (
        top <= 0
        or number * float(np.prod(steps_mm)) > MOST_SOURCE_MM3
        or int((volume > top / 7).sum()) > SOURCE_GROWS * number + COARSE_VOXELS
    ):
        return None
    from scipy import ndimage

    found = ndimage.find_objects(ndimage.label(bright, np.ones((3, 3, 3)))[0])
    sizes = [sorted((s.stop - s.start) * mm for s, mm in zip(place, steps_mm, strict=True)) for place in found]
    if not 1 <= len(sizes) <= 6 or any(size[1] > SOURCE_MM for size in sizes):
        return None
    if any(size[2] > SOURCE_MM for size in sizes):
        return because("tomogram.line_source")
    return because("tomogram.point_source")


def _outline(mask: Mask, mean: NDArray[np.float64], pixel_mm: float) -> tuple[float, float, float] | str:
    """Return centre (row, column) and diameter (mm) of a round object, or what is wrong with it."""
    ys, xs = np.nonzero(mask)
    if len(ys) < 80:
        return because("tomogram.no_object")
    if ys.min() == 0 or xs.min() == 0 or ys.max() == mask.shape[0] - 1 or xs.max() == mask.shape[1] - 1:
        return because("tomogram.truncated")
    row, column = float(ys.mean()), float(xs.mean())
    radius = float(np.sqrt(len(ys) / np.pi))
    if not SMALLEST_MM <= 2 * radius * pixel_mm <= LARGEST_MM:
        return because("tomogram.size_other", diameter_mm=2 * radius * pixel_mm)
    yy, xx = np.ogrid[: mask.shape[0], : mask.shape[1]]
    distance = np.hypot(yy - row, xx - column)
    wrong = (mask ^ (distance <= radius)) & (np.abs(distance - radius) > 1)
    height, width = np.ptp(ys) + 1, np.ptp(xs) + 1
    if wrong.sum() > 0.01 * len(ys) or max(abs(height - 2 * radius), abs(width - 2 * radius)) > max(0.06 * 2 * radius, 2.5):
        return because("tomogram.not_round")
    level = median(mean[distance < 0.8 * radius])
    outside = mean[(distance > radius + 30 / pixel_mm)]
    if outside.size and percentile(outside, 99) > 0.3 * level:
        return because("tomogram.activity_beside")
    inner, outer = (
        median(mean[np.abs(distance - radius - side * WALL_MM / pixel_mm) < max(1.0, 4 / pixel_mm)]) for side in (-1, 1)
    )
    if outer > WALL * inner:
        return because("tomogram.fades_out")
    if (mean[distance < radius - 12 / pixel_mm] < 0.3 * level).mean() > 0.04:
        return because("tomogram.not_filled")
    return row, column, 2 * radius * pixel_mm


def _spanned(lit: Mask) -> Mask:
    """Return a mask whose rows are filled from the first to the last lit pixel."""
    return np.logical_or.accumulate(lit, 1) & np.logical_or.accumulate(lit[:, ::-1], 1)[:, ::-1]


def _run(good: Mask, start: int) -> NDArray[np.int64]:
    """Return the indices of the unbroken run of true values around a start."""
    first = last = start
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return np.arange(first, last + 1)


def _axis(
    box: NDArray[np.float32], run: NDArray[np.int64], threshold: NDArray, near: Mask, top: int, left: int
) -> tuple[float, float, tuple[float, float]]:
    """Return row and column of the axis in the middle of the run, and its lean in pixels a slice, from each slice's outline."""
    lit = (box[run] > threshold[run, None, None]) & near
    first, last = lit.argmax(2), box.shape[2] - 1 - lit[:, :, ::-1].argmax(2)
    chord = np.where(lit.any(2), last - first + 1, 0).astype(np.float64)
    total = chord.sum(1)
    cy = (chord * np.arange(box.shape[1])).sum(1) / total
    cx = (chord * (first + last) / 2).sum(1) / total
    if len(run) < 5:
        return float(cy.mean() + top), float(cx.mean() + left), (0.0, 0.0)
    z = run - run.mean()
    slopes = [float((z * c).sum() / (z * z).sum()) for c in (cy, cx)]
    return float(cy.mean() + top), float(cx.mean() + left), (slopes[0], slopes[1])


def radial_median(image: NDArray, distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return the image of the median of each annulus (`width` in the unit of `distance`); stacks of images share one profile."""
    ring = (distance / width).astype(np.int64)
    flat = image.reshape(-1, ring.size)
    order = np.argsort(ring.ravel(), kind="stable")
    edges = np.searchsorted(ring.ravel()[order], np.arange(ring.max() + 2))
    ordered = flat[:, order]
    medians = np.array([median(ordered[:, a:b]) if b > a else 0.0 for a, b in pairwise(edges)])
    return np.interp(distance, (np.arange(len(medians)) + 0.5) * width, medians)


def boxed(volume: NDArray, sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the running mean over an odd number of pixels along each axis; borders repeat."""
    out = volume.astype(np.float64)
    for axis, n in enumerate(sizes):
        if n < 2:
            continue
        half = n // 2
        before = (slice(None),) * axis
        first, last = out[(*before, slice(1))], out[(*before, slice(-1, None))]
        total = np.cumsum(np.concatenate([*[first] * (half + 1), out, *[last] * half], axis), axis)
        out = (total[(*before, slice(n, None))] - total[(*before, slice(-n))]) / n
    return out


def _odd(length_mm: float, step_mm: float) -> int:
    return max(1, 2 * round((length_mm / step_mm - 1) / 2) + 1)


def _residual(
    box: NDArray[np.float32], full: NDArray[np.int64], q: NDArray, distance: NDArray, pixel_mm: float, slice_mm: float
) -> NDArray[np.float64]:
    """Return the coarse, relative difference of the full slices from their own radial profile."""
    n = _odd(COARSE_MM, pixel_mm)
    smooth = boxed(box[full] / q[full, None, None], (_odd(COARSE_MM, slice_mm), n, n))
    return smooth - radial_median(smooth, distance, max(pixel_mm, 4.0))


def _spots(depth: NDArray[np.float64], least: float, steps: tuple[float, float, float]) -> list[tuple[int, int, int]]:
    """Return places of compact spots, deepest first; a spot that repeats along the axis is a tube or ring, not a sphere."""
    left = depth.copy()
    zs, ys, xs = (np.arange(n) * s for n, s in zip(depth.shape, steps, strict=True))
    found: list[tuple[int, int, int]] = []
    while len(found) < 24:
        z, y, x = np.unravel_index(int(np.argmax(left)), left.shape)
        if left[z, y, x] < least:
            break
        found.append((int(z), int(y), int(x)))
        near = (
            ((zs - zs[z]) ** 2)[:, None, None] + ((ys - ys[y]) ** 2)[None, :, None] + ((xs - xs[x]) ** 2)[None, None, :]
        ) < BLANK_MM**2
        left[near] = 0.0
    return [
        a
        for a in found
        if not any(b is not a and np.hypot(ys[a[1]] - ys[b[1]], xs[a[2]] - xs[b[2]]) < BLANK_MM / 2 for b in found)
    ]


def _rods(q: NDArray, run: NDArray[np.int64], plateau: float, slice_mm: float) -> tuple[int, ...]:
    """Return the slices of a section of rods: a long run of one lower level."""
    lower = (q > 0.6 * plateau) & (q < FULL * plateau)
    lower[: run[0]] = False
    lower[run[-1] + 1 :] = False
    best = np.zeros(0, np.int64)
    for start in np.flatnonzero(lower & ~np.concatenate([[False], lower[:-1]])):
        part = _run(lower, int(start))
        level = median(q[part])
        even = part[np.abs(q[part] - level) < 0.06 * level]
        if len(even) > len(best):
            best = even
    return tuple(int(z) for z in best) if len(best) * slice_mm >= SHORTEST_RODS_MM else ()
