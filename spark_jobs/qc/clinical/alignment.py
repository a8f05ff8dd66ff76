"""Shifts between images that follow each other, to a fraction of a pixel."""

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.clinical.aspects import binomial

__all__ = ["moved_by", "neighbour_shifts"]

Stack = NDArray[np.floating]
REACH = 8  # pixels that a first guess may find
STEPS = 5
SETTLED = 0.02  # pixels
AT_ONCE = 2**20  # pixels of pairs that are compared together: a study of 80 images of 512 × 512 has 80 MB


def neighbour_shifts(frames: NDArray, smooth: int = 4, *, overwrite: bool = False) -> NDArray[np.float64]:
    """Return by how many pixels (rows, columns) each frame lies further than the one before: (frames − 1) × 2.

    Least squares of the difference of both frames on the mean of their gradients (Lucas and Kanade), both frames moved half way
    towards each other, repeated; the first guess is the largest correlation of the frames' profiles. The later frame is scaled to
    the counts of the earlier. Only the interior counts: a body that continues beyond the field has no edge there.

    Parameters
    ----------
    frames
        frames × rows × columns, counts.
    smooth
        How often 1-2-1 is applied; noise and pixels below a patient's sharpness would pull the answer to whole pixels.
    overwrite
        Frames of single precision may be smoothed in their place.
    """
    images = frames.astype(np.float32, copy=not overwrite)
    for k, image in enumerate(images):
        images[k] = binomial(image, smooth)
    before, after = images[:-1], images[1:]
    shifts = np.stack([_guess(before.sum(2), after.sum(2)), _guess(before.sum(1), after.sum(1))], axis=1)
    rows, columns = images.shape[1:]
    pairs = max(1, AT_ONCE // (rows * columns))
    for _ in range(STEPS):
        edge = int(min(np.ceil(np.abs(shifts).max() / 2) + 2, rows // 4, columns // 4))
        steps = []
        for first in range(0, len(shifts), pairs):
            some = slice(first, first + pairs)
            steps.append(_step(before[some], after[some], shifts[some], edge))
        step = np.concatenate(steps)
        shifts = np.clip(shifts + np.clip(step, -1, 1), -REACH - 2, REACH + 2)
        if np.abs(step).max() < SETTLED:
            break
    return shifts


def _step(before: Stack, after: Stack, shifts: NDArray[np.float64], edge: int) -> NDArray[np.float64]:
    """Return what is left of the shifts of some pairs (rows, columns) when both images are moved half way; `edge` pixels do not count."""
    rows, columns = before.shape[1:]
    a, b = moved_by(before, shifts / 2), moved_by(after, -shifts / 2)
    inner = (slice(None), slice(edge, rows - edge), slice(edge, columns - edge))
    sums = np.maximum(b[inner].sum((1, 2)), 1e-9)
    b = b * (a[inner].sum((1, 2)) / sums)[:, None, None]
    mean, left = ((a + b) / 2), (b - a)[inner]
    gy, gx = np.gradient(mean, axis=1)[inner], np.gradient(mean, axis=2)[inner]
    yy, xx, xy = (gy * gy).sum((1, 2)), (gx * gx).sum((1, 2)), (gy * gx).sum((1, 2))
    ry, rx = (gy * left).sum((1, 2)), (gx * left).sum((1, 2))
    det = np.maximum(yy * xx - xy * xy, 1e-12)
    return np.stack([-(xx * ry - xy * rx) / det, -(yy * rx - xy * ry) / det], axis=1)


def moved_by(images: Stack, shifts: NDArray[np.float64]) -> Stack:
    """Return images moved by (rows, columns) each, linearly interpolated; edges are repeated."""
    out = images
    for axis in (1, 2):
        size = images.shape[axis]
        place = np.arange(size)[None, :] - shifts[:, axis - 1][:, None]
        low = np.floor(place).astype(np.int64)
        part = (place - low).astype(images.dtype)
        shape = (len(images), size, 1) if axis == 1 else (len(images), 1, size)
        lower, upper = (np.clip(low + k, 0, size - 1).reshape(shape) for k in (0, 1))
        weight = part.reshape(shape)
        near, far = (np.take_along_axis(out, at, axis) for at in (lower, upper))
        out = near + (far - near) * weight
    return out


def _guess(before: Stack, after: Stack) -> NDArray[np.float64]:
    """Return the whole number of pixels by which profiles correlate best."""
    length = before.shape[1]
    a = before - before.mean(1, keepdims=True)
    b = after - after.mean(1, keepdims=True)
    reach = min(REACH, length // 4)
    scores = []
    for k in range(-reach, reach + 1):
        x = a[:, max(0, -k) : length - max(0, k)]
        y = b[:, max(0, k) : length - max(0, -k)]
        scores.append((x * y).sum(1) / np.sqrt(np.maximum((x * x).sum(1) * (y * y).sum(1), 1e-9)))
    return np.argmax(scores, axis=0).astype(np.float64) - reach
