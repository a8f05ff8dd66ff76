"""Spatial resolution of a whole-body scan along and across the motion (NEMA NU 1, 5), from point or line sources.

Rows of the image lie across the motion. A line across the motion gives the width along it, a line along the motion that across
it; a point gives both, by a Gaussian integrated over each pixel of its two profiles.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.gamma_camera.line_source import absurd, reserve, spreads_of
from spark_jobs.qc.numerics.gaussian import FWHM, fit_bins
from spark_jobs.qc.numerics.line_spread import Width, mean_width, sampling_mm
from spark_jobs.qc.numerics.lines import line_pattern
from spark_jobs.qc.numerics.point import find_points
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure", "shows_sources"]

PROCEDURE = "whole_body_scan"
METHOD = "NEMA NU 1 5"
VERSION = "1.1.1"
FORMULAE = (
    "FWHM = 2.3548 σ · pixel size, in mm, of a Gaussian integrated over each pixel (points)",
    "FWHM of the line's profile as in line_source, in mm (lines)",
)
MOST_POINTS = 12
WIDEST_MM = 40.0
FWTM_PER_FWHM = 4.2919 / FWHM
NAMES = {"x": "fwhm_across_mm", "y": "fwhm_along_mm"}


def shows_sources(image: NDArray, pixel_mm: float) -> bool:
    """Return whether an image shows point or line sources and nothing else."""
    if find_points(image, MOST_POINTS, WIDEST_MM / pixel_mm):
        return True
    return line_pattern(image, pixel_mm).kind in ("line", "crossed lines")


def measure(images: Sequence[NDArray], pixel_mm: float, *, detector: str | None = None) -> Result:
    """Return the widths of one head along and across the motion.

    Parameters
    ----------
    images
        Counts, rows × columns: one image, or one for each direction.
    pixel_mm
        Length of a square pixel's side.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    found: dict[str, list[Width]] = {}
    for image in images:
        one = _of_points(image, pixel_mm) or _of_lines(image, pixel_mm)
        if isinstance(one, str):
            return refuse(one)
        for axis, width in one.items():
            found.setdefault(axis, []).append(width)
    if any(len(v) > 1 for v in found.values()):
        return refuse(because("whole_body_scan.direction_doubled"))
    widths = {axis: v[0] for axis, v in found.items()}
    wrong = absurd(widths)
    if wrong:
        return refuse(wrong)
    measures = []
    for axis in sorted(widths, reverse=True):
        se = widths[axis].fwhm_se_mm
        measures.append(Measure(NAMES[axis], round(widths[axis].fwhm_mm, 4), "mm", None if np.isnan(se) else round(se, 4)))
    missing = tuple(because("whole_body_scan.not_measured", what=NAMES[a]) for a in NAMES if a not in widths)
    few = reserve(widths)
    figure = {"kind": PROCEDURE, "image": images[0], "pixel_mm": pixel_mm}
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, few, detector, METHOD, VERSION, tuple(measures), missing, figure)


def _of_points(image: NDArray, pixel_mm: float) -> dict[str, Width] | None:
    """Return mean widths over the points of an image, None where it shows none."""
    points = find_points(image, MOST_POINTS, WIDEST_MM / pixel_mm)
    out: dict[str, list[tuple[float, float, float]]] = {"x": [], "y": []}
    for column, row, width in points:
        reach = int(np.ceil(2.2 * width)) + 2
        top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
        cut = image[top : int(row) + reach + 1, left : int(column) + reach + 1].astype(float)
        for axis, start, guess in (("x", left, column), ("y", top, row)):
            profile = cut.sum(0 if axis == "x" else 1)
            edges = start + np.arange(profile.size) - 0.5
            peak = fit_bins(edges, edges + 1, profile, guess, max(width / FWHM, 0.5), constant=True)
            if peak is None:
                return None
            out[axis].append((FWHM * peak.sigma * pixel_mm, FWHM * peak.sigma_se * pixel_mm, float(profile.max())))
    if not points:
        return None
    return {a: _mean(np.array(v), pixel_mm) for a, v in out.items()}


def _mean(values: NDArray[np.float64], pixel_mm: float) -> Width:
    width, count = float(values[:, 0].mean()), len(values)
    se = float(np.sqrt((values[:, 1] ** 2).sum())) / count
    if count > 1:
        se = max(se, float(values[:, 0].std(ddof=1)) / float(np.sqrt(count)))
    se = float(np.hypot(se, sampling_mm(width, pixel_mm)))
    return Width(width, se, width * FWTM_PER_FWHM, se * FWTM_PER_FWHM, float(values[:, 2].min()), pixel_mm / width)


def _of_lines(image: NDArray, pixel_mm: float) -> dict[str, Width] | str:
    pattern = line_pattern(image, pixel_mm)
    if pattern.kind not in ("line", "crossed lines"):
        return because("whole_body_scan.nothing")
    out = {}
    for axis, lines, seen, other in (("x", pattern.down, image, pattern.across), ("y", pattern.across, image.T, pattern.down)):
        if lines:
            spreads = spreads_of(seen, lines, pixel_mm, other)
            if isinstance(spreads, str):
                return spreads
            out[axis] = mean_width(spreads, pixel_mm)
    return out
