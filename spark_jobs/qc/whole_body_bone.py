"""A first quality score of whole-body bone scans: aspects (counts, noise, sharpness, truncation, motion, header) by view.

Every aspect is one number that grows or falls with one degradation; what is good enough is reference data, not decided here.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "body_mask", "looks_like_whole_body", "measure"]

PROCEDURE = "whole_body_bone"
METHOD = "whole-body aspects"
VERSION = "1.0.0"
SHORTEST_MM = 900.0


def body_mask(image: NDArray) -> NDArray[np.bool_]:
    """Return the pixels that belong to the body: smoothed counts above a tenth of the median of what is clearly tissue."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(np.maximum(image, 0).astype(np.float64), 5)
    high = float(np.percentile(smooth, 99))
    if high <= 0:
        return np.zeros(image.shape, bool)
    tissue = float(np.median(smooth[smooth > 0.02 * high]))
    mask = ndimage.binary_opening(smooth > 0.25 * tissue, iterations=2)
    labels, pieces = ndimage.label(mask)
    if pieces > 1:
        sizes = ndimage.sum_labels(mask, labels, np.arange(1, pieces + 1))
        mask = np.isin(labels, 1 + np.flatnonzero(sizes > 0.02 * sizes.max()))
    return ndimage.binary_fill_holes(mask)


def looks_like_whole_body(image: NDArray, pixel_mm: float) -> bool:
    """Return whether an image is long and narrow and holds something long and narrow that is no flat field."""
    rows, columns = image.shape
    if rows < 1.8 * columns or rows * pixel_mm < SHORTEST_MM:
        return False
    mask = body_mask(image)
    length = int(mask.any(1).sum())
    if length * pixel_mm < 0.5 * SHORTEST_MM or mask.mean() > 0.9:
        return False
    widths = mask.sum(1)[mask.any(1)]
    return float(np.median(widths)) < 0.6 * length


def measure(views: Mapping[str, NDArray], pixel_mm: float, *, completeness: tuple[int, int] | None = None) -> Result:
    """Return the aspects of a whole-body bone scan.

    Parameters
    ----------
    views
        Counts by region ('anterior', 'posterior', or 'whole' where the header does not say which), rows from head to feet.
    pixel_mm
        Length of a square pixel's side.
    completeness
        How many of how many expected header fields are there; None leaves the aspect out.
    """
    measures: list[Measure] = []
    for region, image in views.items():
        counts = np.maximum(image, 0).astype(np.float64)
        mask = body_mask(counts)
        if mask.any(1).sum() * pixel_mm < 0.3 * SHORTEST_MM:
            return Result(PROCEDURE, NOT_MEASURED, f"the {region} view shows no body", None, METHOD, VERSION)
        for aspect, name, value, unit in _aspects(counts, mask, pixel_mm):
            measures.append(Measure(name, round(float(value), 4), unit, None, None, aspect, region))
    if completeness:
        there, expected = completeness
        measures.append(
            Measure("header_completeness_percent", round(100 * there / expected, 2), "%", None, None, "header", "whole")
        )
    figure = {"kind": PROCEDURE, "views": dict(views), "masks": {k: body_mask(v) for k, v in views.items()}, "pixel_mm": pixel_mm}
    return Result(PROCEDURE, MEASURED, None, None, METHOD, VERSION, tuple(measures), (), figure)


def _aspects(counts: NDArray[np.float64], mask: NDArray[np.bool_], pixel_mm: float) -> list[tuple[str, str, float, str]]:
    lines = np.flatnonzero(mask.any(1))
    length_cm = len(lines) * pixel_mm / 10
    inside = counts[mask]
    mean = float(inside.mean())
    noise = _noise(counts, mask)
    smooth = _binomial(counts)
    down, across = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    gradient = float(np.sqrt((down[mask] ** 2 + across[mask] ** 2).mean()))
    border = np.concatenate([mask[:, 0], mask[:, -1], mask[0], mask[-1]])
    return [
        ("counts", "view_kcts", float(counts.sum()) / 1000, "kcts"),
        ("counts", "counts_per_cm", float(inside.sum()) / length_cm, "counts/cm"),
        ("noise", "noise_percent", 100 * noise / mean, "%"),
        ("sharpness", "sharpness_ratio", gradient / noise if noise > 0 else 0.0, "1"),
        ("truncation", "truncation_percent", 100 * float(border.sum()) / len(lines), "%"),
        ("motion", "axis_bend_mm", _axis_bend(mask) * pixel_mm, "mm"),
        ("motion", "asymmetry_percent", _asymmetry(smooth, mask), "%"),
    ]


def _noise(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the counting noise of a pixel: the checkerboard difference is blind to edges and slopes."""
    checker = (counts[:-1, :-1] - counts[1:, :-1] - counts[:-1, 1:] + counts[1:, 1:]) / 2
    inside = mask[:-1, :-1] & mask[1:, 1:] & mask[1:, :-1] & mask[:-1, 1:]
    return float(np.sqrt((checker[inside] ** 2).mean())) if inside.any() else 0.0


def _binomial(image: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 16


def _axis(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and the middle of the body's outline in each, in pixels."""
    rows = np.flatnonzero(mask.any(1))
    part = mask[rows]
    left, right = part.argmax(1), mask.shape[1] - 1 - part[:, ::-1].argmax(1)
    return rows.astype(np.float64), (left + right) / 2


def _axis_bend(mask: NDArray[np.bool_]) -> float:
    """Return by how many pixels the body's middle leaves a straight line (90th percentile): a patient who moved or lay bent."""
    rows, middle = _axis(mask)
    line = np.polyfit(rows, middle, 1)
    return float(np.percentile(np.abs(middle - np.polyval(line, rows)), 90))


def _asymmetry(smooth: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return 100·|left − right| / (left + right) of the counts at both sides of the body's axis."""
    rows, middle = _axis(mask)
    line = np.polyval(np.polyfit(rows, middle, 1), np.arange(mask.shape[0]))
    side = np.arange(mask.shape[1])[None, :] - line[:, None]
    left, right = smooth[(side < 0) & mask].sum(), smooth[(side > 0) & mask].sum()
    return 100 * abs(float(left - right)) / float(left + right) if left + right > 0 else 100.0
