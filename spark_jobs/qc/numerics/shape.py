"""Geometry of masks: outline, centroid, axes, distances, and how well one shape fits another after moving and turning it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because

__all__ = ["Shape", "likeness", "outline", "outline_distance", "shape_of"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """Centroid (row, column), full axes of the ellipse of equal second moments, and how far its long axis is turned, in pixels.

    `turn_deg` is 0 for a long axis along the rows' axis (upright) and grows to the right of the image's lower end: (−90, 90].
    """

    row: float
    column: float
    long: float
    short: float
    turn_deg: float
    area: int


def shape_of(mask: Mask) -> Shape:
    """Return the shape of a mask; an empty one is a ValueError."""
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        raise ValueError(because("shape.empty"))
    y, x = rows - rows.mean(), columns - columns.mean()
    pixel = 1 / 12  # second moment of one pixel
    yy, xx, xy = (y * y).mean() + pixel, (x * x).mean() + pixel, (y * x).mean()
    values, vectors = np.linalg.eigh(np.array([[yy, xy], [xy, xx]]))
    down, across = vectors[:, 1]
    if down < 0 or (down == 0 and across < 0):
        down, across = -down, -across
    turn = float(np.rad2deg(np.arctan2(across, down)))
    long, short = 4 * np.sqrt(values[::-1])
    return Shape(float(rows.mean()), float(columns.mean()), float(long), float(short), turn, int(rows.size))


def outline(mask: Mask) -> NDArray[np.int64]:
    """Return the pixels (row, column) of a mask that touch its outside, along rows or columns."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~inner)


def outline_distance(a: Mask, b: Mask) -> float:
    """Return the mean distance in pixels between two outlines: from each point to the nearest of the other, both ways."""
    one, other = outline(a).astype(np.float64), outline(b).astype(np.float64)
    apart = np.hypot(one[:, None, 0] - other[None, :, 0], one[:, None, 1] - other[None, :, 1])
    return float((apart.min(1).mean() + apart.min(0).mean()) / 2)


def likeness(mask: Mask, template: Mask, *, mirrored: bool = False) -> float:
    """Return the Dice overlap of two masks when the template is moved, turned and scaled onto the other: 1 is the same shape.

    Place, turn and size come from moments; a shape and its upside-down are tried both ways.
    """
    flipped = template[:, ::-1] if mirrored else template
    own, other = shape_of(mask), shape_of(flipped)
    scale = np.sqrt(own.area / other.area)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    y, x = (rows - own.row) / scale, (columns - own.column) / scale
    best = 0.0
    for extra in (0.0, 180.0):
        turn = np.deg2rad(own.turn_deg - other.turn_deg + extra)
        v, u = y * np.cos(turn) + x * np.sin(turn), -y * np.sin(turn) + x * np.cos(turn)
        at_row, at_column = np.rint(v + other.row).astype(np.int64), np.rint(u + other.column).astype(np.int64)
        inside = (at_row >= 0) & (at_row < flipped.shape[0]) & (at_column >= 0) & (at_column < flipped.shape[1])
        fitted = np.zeros(mask.shape, bool)
        fitted[inside] = flipped[at_row[inside], at_column[inside]]
        best = max(best, 2 * float((fitted & mask).sum()) / float(fitted.sum() + mask.sum()))
    return best
