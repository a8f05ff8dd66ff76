"""The field of view of a gamma camera on a grid of pixels: declared shapes, the lit area, and smaller copies of both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median, percentile

__all__ = [
    "PIECE",
    "Mask",
    "Shape",
    "covered",
    "declared_shape",
    "filled",
    "hull_shape",
    "largest",
    "lit_and_notches",
    "lit_area",
    "peel",
    "shifted",
]

Mask = NDArray[np.bool_]
Inside = Callable[[NDArray[np.floating], NDArray[np.floating]], Mask]
SUBPIXELS = 16
PIECE = 0.05  # of the largest piece's area: what is smaller is no part of a field
LIT, BITTEN = 0.5, 0.6  # of the plateau: what belongs to the field; what is missing from it (counts of a verdict vary by 1 %)
WIDEST_BAND = 0.25  # of the lit area: a wider gap lies between two objects


@dataclass(frozen=True)
class Shape:
    """A convex region about `centre` (x, y in pixels, 0 = centre of the first pixel); `inside` takes offsets from it (x, y: broadcastable)."""

    kind: str
    centre: tuple[float, float]
    half_width: float
    half_height: float
    inside: Inside

    def scaled(self, factor: float) -> "Shape":
        """Return the same shape with all linear dimensions multiplied by `factor`."""
        inside = self.inside
        return Shape(
            self.kind,
            self.centre,
            self.half_width * factor,
            self.half_height * factor,
            lambda x, y: inside(x / factor, y / factor),
        )


def declared_shape(kind: str, dimensions: tuple[float, ...], centre: tuple[float, float], lit: Mask) -> Shape:
    """Return the shape that a header declares (FieldOfViewShape, FieldOfViewDimensions, given here in pixels).

    The standard leaves open which way a rectangle or a hexagon lies on the image; the way that fits the lit area better is taken.
    """
    ys, xs = np.nonzero(lit)
    wide, high = float(np.ptp(xs)) + 1, float(np.ptp(ys)) + 1
    if kind == "ROUND":
        r = dimensions[0] / 2
        return Shape("round", centre, r, r, lambda x, y: x * x + y * y <= r * r)
    if kind == "HEXAGONAL":
        r, a = dimensions[0] / 2, dimensions[0] * np.sqrt(3) / 4
        points_on_x = abs(wide - 2 * r) + abs(high - 2 * a) <= abs(wide - 2 * a) + abs(high - 2 * r)

        def hexagon(x: NDArray[np.floating], y: NDArray[np.floating]) -> Mask:
            u, v = (np.abs(x), np.abs(y)) if points_on_x else (np.abs(y), np.abs(x))
            return (v <= a) & (v / 2 + u * np.sqrt(3) / 2 <= a)

        return Shape("hexagonal", centre, r if points_on_x else a, a if points_on_x else r, hexagon)
    w, h = dimensions[0], dimensions[-1]
    if abs(w - wide) + abs(h - high) > abs(h - wide) + abs(w - high):
        w, h = h, w
    return Shape("rectangle", centre, w / 2, h / 2, lambda x, y: (np.abs(x) <= w / 2) & (np.abs(y) <= h / 2))


def hull_shape(mask: Mask) -> Shape:
    """Return the convex hull of the pixels of a mask about the middle of their bounding box."""
    rows = np.nonzero(mask.any(1))[0]
    first, last = mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)
    cx, cy = (first.min() + last.max()) / 2, (rows[0] + rows[-1]) / 2
    y = np.repeat(rows - cy, 2) + np.tile([-0.5, 0.5], rows.size)
    left = _chain(y, np.repeat(first - cx - 0.5, 2), -1)
    right = _chain(y, np.repeat(last - cx + 0.5, 2), 1)

    def inside(px: NDArray[np.floating], py: NDArray[np.floating]) -> Mask:
        return (py >= y[0]) & (py <= y[-1]) & (px >= np.interp(py, *left)) & (px <= np.interp(py, *right))

    return Shape("measured", (float(cx), float(cy)), float(last.max() - cx + 0.5), float(rows[-1] - cy + 0.5), inside)


def _chain(y: NDArray[np.float64], x: NDArray[np.float64], sign: int) -> tuple[list[float], list[float]]:
    """Return the vertices of one side of a convex hull (monotone chain, y ascending)."""
    points: list[tuple[float, float]] = []
    starts = np.flatnonzero(np.diff(y, prepend=-np.inf) > 0)
    best = np.maximum.reduceat(sign * x, starts)
    for yy, xx in zip(y[starts].tolist(), best.tolist(), strict=True):
        while len(points) > 1:
            (y0, x0), (y1, x1) = points[-2], points[-1]
            if (x1 - x0) * (yy - y0) > (xx - x0) * (y1 - y0):
                break
            points.pop()
        points.append((yy, xx))
    return [p[0] for p in points], [sign * p[1] for p in points]


def covered(shape: Shape, rows: int, columns: int) -> Mask:
    """Return the pixels with at least half of their area inside a shape (NU 1: a pixel belongs when 50 % of it lies inside)."""
    cx, cy = shape.centre
    if shape.kind == "rectangle":
        part_x = _overlap(np.arange(columns) - cx, shape.half_width)
        part_y = _overlap(np.arange(rows) - cy, shape.half_height)
        return np.outer(part_y, part_x) >= 0.5 - 1e-9
    corner = shape.inside(np.arange(columns + 1) - 0.5 - cx, (np.arange(rows + 1) - 0.5 - cy)[:, None])
    count = corner[:-1, :-1].astype(np.int8) + corner[1:, :-1] + corner[:-1, 1:] + corner[1:, 1:]
    mask = count == 4
    ys, xs = np.nonzero((count > 0) & (count < 4))
    steps = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    px = (xs - cx)[:, None, None] + steps[None, None, :]
    py = (ys - cy)[:, None, None] + steps[None, :, None]
    mask[ys, xs] = np.count_nonzero(shape.inside(px, py), axis=(1, 2)) >= SUBPIXELS**2 / 2
    return mask


def _overlap(centres: NDArray[np.floating], half: float) -> NDArray[np.floating]:
    return np.clip(np.minimum(centres + 0.5, half) - np.maximum(centres - 0.5, -half), 0, 1)


def lit_area(blocks: NDArray[np.float64]) -> Mask:
    """Return the lit area of a flood: above half of the plateau, the largest piece, holes and bites filled.

    A dead photomultiplier must not take itself out of the field: inner holes are filled, and bites at the rim are filled where
    the opposite rim or the convex hull says that the field goes on (only bites of 3 × 3 pixels or more: rims stay as they are).
    Bites are looked for below a second level, too: noise about the first one makes a lace of a half-strength photomultiplier, which
    holds no 3 × 3 pixels and would be taken off as rim.
    """
    return lit_and_notches(blocks)[0]


def lit_and_notches(blocks: NDArray[np.float64]) -> tuple[Mask, Mask]:
    """Return the lit area, and what may be missing at its rim besides: outline or dead, nobody can tell.

    That are smaller pieces, of 2 × 3 pixels or more, and larger ones that are missing at the opposite rim too (a field that is turned
    a little, or two dead corners), so that only a mirror says that the field goes on.
    """
    bright = blocks > 0.3 * percentile(blocks, 99)
    plateau = median(blocks[bright]) if bright.any() else 0.0
    if plateau <= 0:
        return np.zeros(blocks.shape, bool), np.zeros(blocks.shape, bool)
    mask = filled(_joined(blocks > LIT * plateau))
    dark, mirrored = _missing(filled(_joined(blocks > BITTEN * plateau)))
    bites = _bites(_missing(mask)[0]) | _bites(dark)
    dark, mirrored = dark & ~bites, mirrored & ~bites
    return filled(mask | bites), _pieces(dark, 2, 3) | _pieces(dark, 3, 2) | _pieces(mirrored, 3, 3)


def _missing(mask: Mask) -> tuple[Mask, Mask]:
    """Return where the opposite rim or the convex hull says that a mask goes on, and where any of its mirror images says so."""
    ys, xs = np.nonzero(mask)
    box = (slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1))
    inner = mask[box]
    whole = inner | inner[::-1, ::-1]
    whole |= covered(hull_shape(whole), *whole.shape)
    out, mirrored = np.zeros_like(mask), np.zeros_like(mask)
    out[box] = whole & ~inner
    mirrored[box] = (whole | inner[::-1] | inner[:, ::-1]) & ~inner
    return out, mirrored


def _bites(missing: Mask) -> Mask:
    """Return the bites of 3 × 3 pixels or more, with their round rims: a pixel left dark is a hole, from which the peel would eat."""
    core = np.pad(_pieces(missing, 3, 3), 1)
    rows = core | shifted(core, 0, 1) | shifted(core, 0, -1)
    return missing & (rows | shifted(rows, 1, 0) | shifted(rows, -1, 0))[1:-1, 1:-1]


def _joined(lit: Mask) -> Mask:
    """Return the largest piece, with what a dead band cut off from it, and the band: else half a field would pass for a whole one."""
    numbers, sizes = _labelled(lit)
    first = (numbers == int(np.argmax(sizes))) & lit
    if int((sizes > PIECE * sizes.max()).sum()) < 2:
        return first
    pieces = (sizes > PIECE * sizes.max())[numbers]
    between = _spanned(pieces) | _spanned(pieces.T).T
    return between if (between & ~pieces).sum() <= WIDEST_BAND * pieces.sum() else first


def _spanned(mask: Mask) -> Mask:
    """Return a mask whose rows are filled from the first to the last true pixel."""
    return np.logical_or.accumulate(mask, 1) & np.logical_or.accumulate(mask[:, ::-1], 1)[:, ::-1]


# scipy.ndimage has all of these, but its import costs more than the whole measurement


def _labelled(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the number of the connected piece (four neighbours) of each pixel, 0 outside the mask, and the sizes of the pieces by number.

    Runs of the rows are joined where they touch, all at once: sparse noise has thousands of pieces.
    """
    begins = mask.copy()
    begins[:, 1:] &= ~mask[:, :-1]
    runs = np.where(mask, np.cumsum(begins, dtype=np.intp).reshape(mask.shape), 0)
    both = mask[1:] & mask[:-1]
    upper, lower = runs[:-1][both], runs[1:][both]
    root = np.arange(int(runs.max(initial=0)) + 1)
    while (joined := root[upper] != root[lower]).any():
        upper, lower = upper[joined], lower[joined]
        one, other = root[upper], root[lower]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while (root[root] != root).any():
            root = root[root]
    numbers = root[runs]
    sizes = np.bincount(numbers.ravel(), minlength=root.size)
    sizes[0] = 0
    return numbers, sizes


def largest(mask: Mask) -> Mask:
    """Return the largest connected piece of a mask."""
    numbers, sizes = _labelled(mask)
    return (numbers == int(np.argmax(sizes))) & mask


def filled(mask: Mask) -> Mask:
    """Return a mask without inner holes."""
    numbers, _ = _labelled(~np.pad(mask, 1))
    return (numbers != numbers[0, 0])[1:-1, 1:-1]


def _pieces(mask: Mask, rows: int, columns: int) -> Mask:
    """Return the parts of a mask that hold a rectangle of so many pixels."""
    places = [(y, x) for y in range(rows) for x in range(columns)]
    whole = reduce(np.logical_and, [shifted(mask, -y, -x) for y, x in places])
    return reduce(np.logical_or, [shifted(whole, y, x) for y, x in places])


def shifted(a: NDArray, dy: int, dx: int) -> NDArray:
    """Return an array (… × rows × columns) moved by whole pixels; what comes in from outside is zero."""
    out = np.zeros_like(a)
    h, w = a.shape[-2:]
    to = (..., slice(max(dy, 0), h + min(dy, 0)), slice(max(dx, 0), w + min(dx, 0)))
    out[to] = a[..., max(-dy, 0) : h - max(dy, 0), max(-dx, 0) : w - max(dx, 0)]
    return out


def peel(mask: Mask) -> Mask:
    """Return the mask without the pixels that abut its outside (four neighbours; the image's border is outside)."""
    return mask & shifted(mask, 1, 0) & shifted(mask, -1, 0) & shifted(mask, 0, 1) & shifted(mask, 0, -1)
