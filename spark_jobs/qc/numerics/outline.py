"""The outline of a round phantom in a CT slice: coarse to find it, rays at full resolution to measure it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.field import largest, shifted
from spark_jobs.qc.numerics.order import median

__all__ = ["BODY_HU", "Outline", "disc", "find_outline", "sampled"]

BODY_HU = -500.0
COARSE_MM = 4.0
COUCH_MM = 12.0  # what is thinner than twice this is taken off before the object is looked for
RAYS = 180
TRIM_MM = 1.5
TOUCHING_PART = 0.25


@dataclass(frozen=True)
class Outline:
    """A circle: centre (row, column in pixels), diameter in mm, and the part of the rays that found it."""

    row: float
    column: float
    diameter_mm: float
    part: float


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies within `radius` pixels of a point."""
    out = np.zeros(shape, bool)
    top, left = max(0, int(row - radius)), max(0, int(column - radius))
    bottom, right = max(0, int(row + radius) + 2), max(0, int(column + radius) + 2)
    ys, xs = np.ogrid[top : min(bottom, shape[0]), left : min(right, shape[1])]
    out[top:bottom, left:right] = (ys - row) ** 2 + (xs - column) ** 2 <= radius**2
    return out


def sampled(image: NDArray, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return bilinear samples of an image; places outside take the nearest border."""
    rows = np.clip(rows, 0, image.shape[0] - 1.001)
    columns = np.clip(columns, 0, image.shape[1] - 1.001)
    y, x = rows.astype(np.intp), columns.astype(np.intp)
    dy, dx = rows - y, columns - x
    upper = image[y, x] * (1 - dx) + image[y, x + 1] * dx
    lower = image[y + 1, x] * (1 - dx) + image[y + 1, x + 1] * dx
    return np.asarray(upper * (1 - dy) + lower * dy, np.float64)


def find_outline(hu: NDArray, pixel_mm: float) -> Outline | str:
    """Return the circle around the object of a slice, or the reason why there is none."""
    step = max(1, round(COARSE_MM / pixel_mm))
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    coarse = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    size = step * pixel_mm
    body = _opened(coarse > BODY_HU, max(1, round(COUCH_MM / size)))
    if not body.any():
        return because("outline.nothing")
    body = largest(body)
    # holes are filled along the rows: an outline that is round has none to the outside
    body = np.maximum.accumulate(body, axis=1) & np.maximum.accumulate(body[:, ::-1], axis=1)[:, ::-1]
    ys, xs = np.nonzero(body)
    used = hu[: rows * step, : columns * step]
    if any(
        _touches(*side, step)
        for side in zip((body, body[::-1], body.T, body.T[::-1]), (used, used[::-1], used.T, used.T[::-1]), strict=True)
    ):
        return because("outline.touches_border")
    diameter = 2 * np.sqrt(len(ys) / np.pi)
    height, width = np.ptp(ys) + 1, np.ptp(xs) + 1
    if max(abs(height - diameter), abs(width - diameter)) > max(0.06 * diameter, 2.5):
        return because("outline.not_round")
    row, column = (ys.mean() + 0.5) * step - 0.5, (xs.mean() + 0.5) * step - 0.5
    return _circle(hu, row, column, diameter / 2 * step, pixel_mm)


def _touches(body: NDArray[np.bool_], hu: NDArray, step: int) -> bool:
    """Return whether the object goes on beyond the first row: a coarse pixel there is not yet a proof."""
    there = np.repeat(body[0], step)
    return bool(there.any() and (hu[0][there] > BODY_HU).mean() > TOUCHING_PART)


def _circle(hu: NDArray, row: float, column: float, radius: float, pixel_mm: float) -> Outline | str:
    """Return the circle through the places where rays leave the object; what rays meet beside it (a couch) is trimmed."""
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    reach = np.arange(0.8 * radius, 1.2 * radius + 3, 0.5)
    y = row + np.outer(np.sin(angles), reach)
    x = column + np.outer(np.cos(angles), reach)
    inside = sampled(hu, y, x) > BODY_HU
    leaves = inside[:, :-1] & ~inside[:, 1:]
    found = leaves.any(1)
    if found.sum() < 0.5 * RAYS:
        return because("outline.not_round")
    first = leaves.argmax(1)
    index = np.arange(RAYS)
    values = sampled(hu, y[index, first], x[index, first]), sampled(hu, y[index, first + 1], x[index, first + 1])
    share = (values[0] - BODY_HU) / np.maximum(values[0] - values[1], 1e-6)
    r = reach[first] + 0.5 * np.clip(share, 0, 1)
    py, px = row + r * np.sin(angles), column + r * np.cos(angles)
    keep = found
    cy, cx, radius_px = row, column, radius
    for _ in range(4):
        a = np.column_stack([py[keep], px[keep], np.ones(keep.sum())])
        b = py[keep] ** 2 + px[keep] ** 2
        (p, q, s), *_ = np.linalg.lstsq(a, b, rcond=None)
        cy, cx = p / 2, q / 2
        radius_px = float(np.sqrt(s + cy**2 + cx**2))
        away = np.abs(np.hypot(py - cy, px - cx) - radius_px)
        spread = median(away[keep])
        keep = found & (away <= max(TRIM_MM / pixel_mm, 4 * spread))
        if spread * pixel_mm > TRIM_MM or keep.sum() < 0.5 * RAYS:
            return because("outline.not_round")
    return Outline(float(cy), float(cx), 2 * radius_px * pixel_mm, float(keep.mean()))


def _opened(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    for _ in range(times):
        mask = mask & shifted(mask, 1, 0) & shifted(mask, -1, 0) & shifted(mask, 0, 1) & shifted(mask, 0, -1)
    for _ in range(times):
        mask = mask | shifted(mask, 1, 0) | shifted(mask, -1, 0) | shifted(mask, 0, 1) | shifted(mask, 0, -1)
    return mask
