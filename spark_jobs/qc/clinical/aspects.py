"""What all clinical methods share: the names of the aspects, and numbers that are the same in every kind of planar image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import Measure

__all__ = [
    "ARTEFACT",
    "CONTRAST",
    "COUNTS",
    "HEADER",
    "MOTION",
    "POSITIONING",
    "TIMING",
    "UNIFORMITY",
    "banding_percent",
    "binomial",
    "body_of",
    "box",
    "dead_lines",
    "edge_distance",
    "grown",
    "header",
    "measure",
    "noise",
    "outside_percent",
    "sharpness",
]

COUNTS = "counts/noise"
CONTRAST = "contrast"
MOTION = "motion"
POSITIONING = "positioning/coverage"
UNIFORMITY = "uniformity"
ARTEFACT = "artefact"
TIMING = "timing"
HEADER = "header completeness"


def measure(
    aspect: str,
    name: str,
    value: float,
    unit: str,
    region: str = "whole",
    *,
    uncertainty: float | None = None,
    at: dict | None = None,
) -> Measure:
    """Return a measure of an aspect and a region; four digits behind the point are more than any of these methods can tell."""
    spread = None if uncertainty is None else round(float(uncertainty), 4)
    return Measure(name, round(float(value), 4), unit, spread, at, aspect, region)


def header(completeness: tuple[int, int] | None) -> tuple[Measure, ...]:
    """Return how much of the header that an exam of this kind should have is filled; nothing when nobody counted."""
    if completeness is None:
        return ()
    there, expected = completeness
    return (measure(HEADER, "header_completeness_percent", 100 * there / expected, "%"),)


def noise(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the counting noise of a pixel: the checkerboard difference is blind to edges and slopes."""
    checker = (counts[:-1, :-1] - counts[1:, :-1] - counts[:-1, 1:] + counts[1:, 1:]) / 2
    inside = mask[:-1, :-1] & mask[1:, 1:] & mask[1:, :-1] & mask[:-1, 1:]
    return float(np.sqrt((checker[inside] ** 2).mean())) if inside.any() else 0.0


def binomial(images: NDArray[Any], times: int = 1) -> NDArray[Any]:
    """Return images (… × rows × columns) smoothed `times` by 1-2-1 along rows and columns: a Gaussian of √(times/2) pixels."""
    for _ in range(times):
        padded = np.concatenate([images[..., :1, :], images, images[..., -1:, :]], axis=-2)
        images = (padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]) / 4
        padded = np.concatenate([images[..., :1], images, images[..., -1:]], axis=-1)
        images = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    return images


def sharpness(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the gradient energy over the noise (root mean square gradient of the smoothed image, over a pixel's noise)."""
    own = noise(counts, mask)
    if own <= 0:
        return 0.0
    smooth = binomial(counts)
    down, across = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    return float(np.sqrt((down[mask] ** 2 + across[mask] ** 2).mean())) / own


def banding_percent(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the structure of whole lines beyond counting noise, the worse of rows and columns, in % of a line's counts.

    Second differences of line sums over the mask are blind to slopes; their Poisson part is subtracted. Stalls of a scan, rows of
    a detector and a badly joined mosaic show here.
    """
    worst = 0.0
    for axis in (0, 1):
        inside = mask & np.roll(mask, 1, 1 - axis) & np.roll(mask, -1, 1 - axis)
        # sums over lines as long as what three neighbouring lines share: an outline that widens is no band
        lines = []
        for step in (-1, 0, 1):
            lines.append(np.where(inside, np.roll(counts, step, 1 - axis), 0.0).sum(axis))
        total = lines[0] + 2 * lines[1] + lines[2]
        good = total > 0.2 * median(total[total > 0]) if (total > 0).any() else np.zeros(total.shape, bool)
        if good.sum() < 8:
            continue
        second = (lines[1] - (lines[0] + lines[2]) / 2)[good]
        poisson = (lines[1] + (lines[0] + lines[2]) / 4)[good]
        level = lines[1][good].mean()
        # the middle 90 %: edges of organs are steep in a few lines, bands are where they should not be, in many
        excess = np.sort(second**2 - poisson)
        cut = max(1, len(excess) // 10)
        worst = max(worst, float(np.sqrt(max(excess[:-cut].mean(), 0.0)) / level))
    return 100 * worst


def dead_lines(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> int:
    """Return how many rows and columns that cross a good part of the mask, or lie beside such a one, hold no count at all."""
    out = 0
    for axis in (0, 1):
        across, total = mask.sum(axis), counts.sum(axis)
        lit = np.flatnonzero(total > 0)
        if lit.size:
            inner = slice(int(lit[0]), int(lit[-1]) + 1)
            near = np.maximum(across, np.maximum(np.roll(across, 1), np.roll(across, -1)))
            out += int(((total == 0) & (near > 0.2 * near.max()))[inner].sum())
    return out


def outside_percent(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the share of counts outside the mask (grown by 3 pixels) that stand out of the background there, in %.

    Urine on a garment, a syringe on the table, a source in the next room: what is not in the patient.
    """
    outside = counts[~grown(mask, 3)]
    if outside.size == 0 or counts.sum() <= 0:
        return 0.0
    level = median(outside)
    bright = outside[outside > level + 5 * np.sqrt(level) + 5]
    return 100 * float((bright - level).sum()) / float(counts.sum())


def body_of(image: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the pixels that belong to the patient: smoothed counts above a tenth of the brighter tissue, holes filled."""
    from scipy import ndimage

    smooth = binomial(image, 4)
    lit = smooth[smooth > 0.02 * smooth.max()]
    if lit.size == 0:
        return np.zeros(image.shape, bool)
    return ndimage.binary_fill_holes(smooth > 0.2 * median(lit))


def grown(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Return a mask grown by one pixel, `times` times, along rows and columns."""
    for _ in range(times):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask


def edge_distance(mask: NDArray[np.bool_]) -> int:
    """Return how many pixels lie between a mask and the nearest edge of the image."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(min(rows[0], mask.shape[0] - 1 - rows[-1], columns[0], mask.shape[1] - 1 - columns[-1]))


def box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Return rows and columns of a mask with a margin, inside the image."""
    out = []
    for axis in (1, 0):
        lines = np.flatnonzero(mask.any(axis))
        out.append(slice(max(0, int(lines[0]) - margin), min(mask.shape[1 - axis], int(lines[-1]) + 1 + margin)))
    return out[0], out[1]
