"""Small bright sources on a planar image: where they are, and their centroids inside a round region over its background."""

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["around", "find_points", "settled", "smoothed"]

FAINTEST = 0.3  # of the brightest point
RIM = 3.0  # pixels of background around a region


def smoothed(image: NDArray) -> NDArray[np.float64]:
    """Return means over 3 × 3 pixels, so that a single noisy pixel is not taken for a source."""
    padded = np.pad(np.asarray(image, float), 1, mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:-2] + rows[1:-1] + rows[2:]) / 9


def around(
    stack: NDArray, columns: NDArray[np.int64], rows: NDArray[np.int64], reach: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return the square around a pixel of each image, which of its pixels the image has, and their rows and columns."""
    steps = np.arange(-reach, reach + 1)
    y, x = rows[:, None] + steps, columns[:, None] + steps
    has = ((y >= 0) & (y < stack.shape[1]))[:, :, None] & ((x >= 0) & (x < stack.shape[2]))[:, None, :]
    inside = np.clip(y, 0, stack.shape[1] - 1)[:, :, None], np.clip(x, 0, stack.shape[2] - 1)[:, None, :]
    return np.where(has, stack[np.arange(len(stack))[:, None, None], *inside], 0).astype(np.float64), has, y, x


def settled(
    stack: NDArray, cx: NDArray[np.float64], cy: NDArray[np.float64], radius: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return net counts, x and y of round regions, one an image, that followed their centroids until they rested.

    Rim pixels count in part; the background is the mean of a ring. A region centred on the source cuts its flanks evenly, and so
    does not pull the centroid towards where it began. No net counts (0): nothing is there.
    """
    reach = int(np.ceil(radius.max() + RIM)) + 3
    cut, has, y, x = around(stack, np.rint(cx).astype(np.int64), np.rint(cy).astype(np.int64), reach)
    size = radius[:, None, None]
    total = np.zeros(len(stack))
    for _ in range(30):
        dy, dx = y - cy[:, None], x - cx[:, None]
        distance = np.sqrt((dy**2)[:, :, None] + (dx**2)[:, None, :])
        weight = np.clip(size + 0.5 - distance, 0, 1) * has
        ring = (distance > size + 0.5) & (distance <= size + RIM) & has
        background = (cut * ring).sum((1, 2)) / np.maximum(ring.sum((1, 2)), 1)
        net = weight * (cut - background[:, None, None])
        total = np.maximum(net.sum((1, 2)), 0.0)
        safe = np.where(total > 0, total, np.inf)
        mx, my = (net.sum(1) * dx).sum(1) / safe, (net.sum(2) * dy).sum(1) / safe
        cx, cy = cx + np.clip(mx, -2, 2), cy + np.clip(my, -2, 2)
        if max(np.abs(mx).max(), np.abs(my).max()) < 5e-4:
            break
    return total, cx, cy


def find_points(image: NDArray, most: int, widest: float) -> list[tuple[float, float, float]]:
    """Return x, y and width at half maximum (pixels) of the points of an image; empty when it is no image of points alone.

    Parameters
    ----------
    most
        More points than this are no points.
    widest
        Width in pixels above which a bright spot is no point.
    """
    smooth = smoothed(image)
    floor = median(smooth)
    net = smooth - floor
    noise = 6 * np.sqrt(max(floor, 0.0) / 9) + 0.5
    highest = float(net.max())
    if highest <= noise:
        return []
    reach = int(1.7 * widest) + 4
    found: list[tuple[float, float, float]] = []
    while len(found) <= most:
        row, column = divmod(int(np.argmax(net)), net.shape[1])
        peak = float(net[row, column])
        if peak < max(FAINTEST * highest, noise):
            break
        top, left = max(row - reach, 0), max(column - reach, 0)
        near = net[top : row + reach + 1, left : column + reach + 1]
        y, x = np.arange(top, top + near.shape[0])[:, None], np.arange(left, left + near.shape[1])[None, :]
        square = (y - row) ** 2 + (x - column) ** 2
        width = 2 * float(np.sqrt(((near > 0.5 * peak) & (square <= (0.75 * widest) ** 2)).sum() / np.pi))
        inside = square <= max(1.7 * width, 3.0) ** 2
        flank = inside & (square > max(1.2 * width, 2.0) ** 2)
        if width > widest or float(near[flank].max(initial=0.0)) > 0.5 * peak:  # wide, or a piece of a line
            return []
        found.append((float(column), float(row), width))
        near[inside] = 0.0
    # what is left after the points are taken out must be background: fields, bodies and lines are not points
    return found if len(found) <= most and float((net > FAINTEST * highest).mean()) < 1e-3 else []
