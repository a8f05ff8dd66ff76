"""Spatial resolution from one line source or two parallel ones (NEMA NU 1, 2.1): widths across the line, X and Y apart.

1. Find the line or the two parallel lines: one that runs down the image gives X, one that runs across it gives Y.
2. Cut the lines into strips of at most 30 mm and bring the rows of a strip onto the line's own axis.
3. Measure the widths of each strip's profile, and take their mean.

With a collimator the same widths are those of the system (NU 1, 3.1; with scattering material 3.2). The distance between two lines is
not known here, so the pixel size of the header is believed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.line_spread import (
    FINEST_PIXELS,
    LEAST_PEAK,
    SURE_PIXELS,
    Spread,
    Width,
    is_smoothed,
    line_spread,
    mean_width,
)
from spark_jobs.qc.numerics.lines import Line, Pattern, line_pattern
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = [
    "METHOD",
    "NARROWEST_MM",
    "PROCEDURE",
    "VERSION",
    "absurd",
    "measure",
    "picture",
    "reserve",
    "spreads_of",
    "width_measures",
]

PROCEDURE = "line_source"
METHOD = "NEMA NU 1 2.1 line spread"
VERSION = "1.1.3"
FORMULAE = (
    "FWHM and FWTM, in mm: widths of the profile at 1/2 and 1/10 of its maximum, mean over the strips",
    "pixel ≤ 0.2 FWHM: parabola through three points of the peak, linear interpolation at both levels, no background or slit correction",
    "pixel > 0.2 FWHM: fitted Gaussian integrated over each pixel, FWHM = 2.3548 σ, FWTM = 4.2919 σ",
)
NARROWEST_MM = 2.0  # FWHM; the sharpest crystals have 2.5


def measure(
    images: Sequence[NDArray],
    pixel_mm: float,
    *,
    detector: str | None = None,
    patterns: Sequence[Pattern | None] | None = None,
) -> Result:
    """Return FWHM and FWTM of line sources.

    Parameters
    ----------
    images
        Counts, rows × columns: one image, or one for X and one for Y.
    pixel_mm
        Length of a square pixel's side.
    patterns
        The lines of each image, where they are known already (None: they are not).
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    widths: dict[str, Width] = {}
    figure: dict[str, Any] | None = None
    quiet = False
    for image, known in zip(images, patterns or [None] * len(images), strict=True):
        pattern = known or line_pattern(image, pixel_mm)
        if pattern.kind != "line":
            return refuse(because("line.no_line"))
        axis, lines, seen = ("x", pattern.down, image) if pattern.down else ("y", pattern.across, image.T)
        if axis in widths:
            return refuse(because("line.axis_doubled", axis=axis.upper()))
        found = spreads_of(seen, lines, pixel_mm)
        if isinstance(found, str):
            return refuse(found)
        widths[axis] = mean_width(found, pixel_mm)
        quiet = quiet or is_smoothed(seen, lines)
        figure = figure or picture(PROCEDURE, image, pixel_mm, {axis: (lines, found)})
    wrong = absurd(widths)
    if wrong:
        return refuse(wrong)
    measures = width_measures(widths)
    few = reserve(widths) or (because("flood.too_little_noise") if quiet else None)
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, few, detector, METHOD, VERSION, measures, (), figure)


def spreads_of(image: NDArray, lines: Sequence[Line], pixel_mm: float, crossing: Sequence[Line] = ()) -> list[Spread] | str:
    """Return the strips of lines that run down an image, clear of lines that cross it, or the reason why there are none."""
    out: list[Spread] = []
    blocked = []
    for line in crossing:
        away = 2 * line.width + 4 / pixel_mm
        ends = (line.at(0), line.at(image.shape[1] - 1))
        blocked.append((min(ends) - away, max(ends) + away))
    for line in lines:
        middle = (line.first + line.last) / 2
        room = min((abs(line.at(middle) - other.at(middle)) for other in lines if other is not line), default=math.inf)
        found = line_spread(image, line, pixel_mm, blocked, room)
        if isinstance(found, str):
            return found
        out += found
    return out


def width_measures(widths: dict[str, Width]) -> tuple[Measure, ...]:
    """Return the measures of X and Y, and the smallest mean peak of the profiles."""
    out = []
    for axis, w in sorted(widths.items()):
        for name, value, error in (("fwhm", w.fwhm_mm, w.fwhm_se_mm), ("fwtm", w.fwtm_mm, w.fwtm_se_mm)):
            spread = None if math.isnan(error) else round(error, 4)
            out.append(Measure(f"{name}_{axis}_mm", round(value, 4), "mm", spread))
    out.append(Measure("peak_counts", round(min(w.peak_counts for w in widths.values()), 1), "counts"))
    return tuple(out)


def absurd(widths: dict[str, Width]) -> str | None:
    """Return why widths are of no gamma camera, or None."""
    narrow = min(w.fwhm_mm for w in widths.values())
    return because("bars.fwhm_absurd", fwhm_mm=narrow) if narrow < NARROWEST_MM else None


def reserve(widths: dict[str, Width]) -> str | None:
    """Return why the widths get no verdict (few counts, or pixels too coarse for them), or None."""
    peak = min(w.peak_counts for w in widths.values())
    if peak < LEAST_PEAK:
        return because("line.too_few_counts", counts=peak, least=LEAST_PEAK)
    pixels = max(w.pixels for w in widths.values())
    if pixels <= SURE_PIXELS:
        return None
    return because("line.pixels_unsure", part=pixels, most=FINEST_PIXELS)


def picture(
    kind: str, image: NDArray, pixel_mm: float, seen: dict[str, tuple[Sequence[Line], Sequence[Spread]]]
) -> dict[str, Any]:
    """Return the arrays of the picture: the image, the lines on it (x and y of their ends), and one profile for each axis."""
    ends, profiles = [], {}
    for axis, (lines, spreads) in seen.items():
        for line in lines:
            rows = np.array([line.first, line.last])
            along, across = rows, line.offset + line.slope * rows
            ends.append((across, along) if axis == "x" else (along, across))
        middle = spreads[len(spreads) // 2]
        profiles[axis] = (middle.offset_mm, middle.counts)
    return {"kind": kind, "image": image, "pixel_mm": pixel_mm, "lines": ends, "profiles": profiles}
