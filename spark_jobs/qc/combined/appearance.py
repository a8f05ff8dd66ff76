"""What the pixels of a gamma camera image look like (plateau, spots, pattern, body): one of the selector's votes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.clinical.whole_body_bone import looks_like_whole_body
from spark_jobs.qc.gamma_camera.bars import Bars, find_bars, is_quadrant_phantom
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.field import lit_area, peel
from spark_jobs.qc.numerics.lines import Pattern, line_pattern
from spark_jobs.qc.numerics.order import median

__all__ = ["Seen", "look_of_rotation", "look_of_static"]

PATTERN = 0.12  # relative structure beyond counting noise: bars 0.14-0.6, uniform fields below 0.05
FAINT = 0.03  # above it the spectrum is asked whether there are bars
FLAT_PART = 0.6  # of the lit area within 30 % of its median
EVEN = 0.3
SPOT_MM = 40.0  # full width of a point source as far away as a camera turns; a heart is wider


@dataclass(frozen=True)
class Seen:
    """What a planar image looks like, and what was found to tell it: the measurement need not look for it again.

    `bars` and `pattern` are None where they were not looked for.
    """

    word: Look
    bars: list[Bars] | None = None
    pattern: Pattern | None = None


def look_of_static(image: NDArray, pixel_mm: float) -> Seen:
    """Return what one planar image looks like."""
    if looks_like_whole_body(image, pixel_mm):
        return Seen(Look.WHOLE_BODY)
    field = _look_of_field(image, pixel_mm)
    if field is not None:
        return field
    pattern = line_pattern(image, pixel_mm)
    return Seen(Look(pattern.kind) if pattern.kind else Look.OTHER, pattern=pattern)


def _look_of_field(image: NDArray, pixel_mm: float) -> Seen | None:
    """Return 'plateau' or 'pattern' for an evenly lit field, 'quadrants' for one with bars in four quadrants, otherwise None."""
    n = max(1, int(6.4 / pixel_mm))
    rows, columns = image.shape[0] // n, image.shape[1] // n
    blocks = image[: rows * n, : columns * n].reshape(rows, n, columns, n).sum((1, 3), dtype=np.float64)
    lit = lit_area(blocks)
    if lit.sum() < 100 or lit.mean() < 0.1:
        return None
    inside = blocks[peel(lit)]
    if inside.size == 0:
        return None
    flat = (np.abs(inside - median(inside)) < EVEN * median(inside)).mean() >= FLAT_PART
    structure = _structure(image, lit, n) if flat else np.inf
    # fine bars that a camera hardly resolves are flat to the eye of the blocks, yet they are no flood
    bars = find_bars(image, pixel_mm) if structure > FAINT else []
    if is_quadrant_phantom(bars, image):
        return Seen(Look.QUADRANTS, bars)
    return None if not flat else Seen(Look.PATTERN if structure > PATTERN else Look.PLATEAU)


def _structure(image: NDArray, lit: NDArray[np.bool_], n: int) -> float:
    """Return the relative structure at pixel scale beyond Poisson noise (trimmed mean over tiles: dead tubes drop out)."""
    tile = 2 * n if n > 1 else 4
    rows, columns = image.shape[0] // tile, image.shape[1] // tile
    step = tile // n
    inner = np.asarray(peel(lit)[: rows * step, : columns * step].reshape(rows, step, columns, step).all((1, 3)))
    means, variances = [], []
    for row, wanted in enumerate(inner):  # the whole image in double precision would be the most memory that an analysis takes
        strip = image[row * tile : (row + 1) * tile, : columns * tile].reshape(tile, columns, tile)
        chosen = strip[:, wanted].swapaxes(0, 1).astype(np.float64)
        means.append(chosen.mean((1, 2)))
        variances.append(chosen.var((1, 2), ddof=1))
    if sum(map(len, means)) < 8:
        return 0.0
    mean = np.concatenate(means)
    excess = np.sort((np.concatenate(variances) - mean) / np.maximum(mean, 1e-9) ** 2)
    cut = len(excess) // 10
    return float(np.sqrt(max(excess[cut : len(excess) - cut].mean(), 0.0)))


def look_of_rotation(views: NDArray, pixel_mm: float) -> Look:
    """Return 'spots' when each view holds one to three small bright spots and little else, else that it is something else."""
    widest = np.pi / 4 * (SPOT_MM**2 / pixel_mm**2 + 4)  # pixels; the smoothing adds the 4
    step = max(1, len(views) // 8)
    for view in views[::step]:
        image = view.astype(np.float64)
        if image.max() <= 0:
            return Look.OTHER
        padded = np.pad(image, 1)
        smooth = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        smooth = (smooth[:-2] + smooth[1:-1] + smooth[2:]) / 9
        net = smooth - median(smooth)
        bright = net > 0.5 * net.max()
        if bright.mean() > 0.02 and bright.sum() > 120:
            return Look.OTHER
        rows, columns = np.nonzero(bright)
        spots = _groups(rows, columns)
        if not 1 <= spots <= 3 or bright.sum() > spots * widest:
            return Look.OTHER
    return Look.SPOTS


def _groups(rows: NDArray, columns: NDArray) -> int:
    """Return how many groups of touching points there are (small sets only)."""
    left = set(zip(rows.tolist(), columns.tolist(), strict=True))
    groups = 0
    while left:
        groups += 1
        stack = [left.pop()]
        while stack:
            r, c = stack.pop()
            for near in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    stack.append(near)
    return groups
