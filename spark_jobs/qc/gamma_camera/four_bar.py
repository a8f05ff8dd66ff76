"""Spatial resolution and pixel size from four lines, two down and two across (bars or capillaries in a square).

Widths as NEMA NU 1, 2.1, in strips clear of the crossing lines. Pixel size is the known separation ÷ the fitted separation of the
two peaks in pixels. The header does not tell the separation: the usual phantom has 100 mm. Where the image disagrees with that by
more than 5 %, the phantom is another one or the header's pixel size is wrong, and then the widths would be wrong as well: refused.
By more than 3 % the widths, which are in the header's millimetres, get no verdict.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.gamma_camera.line_source import picture, reserve, spreads_of, width_measures
from spark_jobs.qc.numerics.line_spread import Spread, Width, is_smoothed, mean_width
from spark_jobs.qc.numerics.lines import Line, Pattern, line_pattern
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "four_bar"
METHOD = "NEMA NU 1 2.1 line spread, four bars 100 mm apart"
VERSION = "1.2.2"
FORMULAE = (
    "pixel size = known separation of the two lines / fitted separation in pixels, in mm",
    "FWHM and FWTM across each line, in mm: widths of the profile at 1/2 and 1/10 of its maximum",
)
SEPARATION_MM = 100.0
NEAR_SEPARATION, SURE_SEPARATION = 0.05, 0.03


def measure(
    image: NDArray,
    pixel_mm: float,
    *,
    separation_mm: float = SEPARATION_MM,
    detector: str | None = None,
    pattern: Pattern | None = None,
) -> Result:
    """Return FWHM, FWTM and pixel size in X and Y of one image of a four-bar phantom.

    Parameters
    ----------
    image
        Counts, rows × columns.
    pixel_mm
        Length of a square pixel's side, as the header says; widths are in these millimetres.
    separation_mm
        Distance between the two lines of each direction.
    pattern
        The lines of the image, when they are known already.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    pattern = pattern or line_pattern(image, pixel_mm)
    down, across = pattern.down, pattern.across
    if pattern.kind != "crossed lines":
        return refuse(because("four_bar.no_lines"))
    widths: dict[str, Width] = {}
    seen: dict[str, tuple[Sequence[Line], Sequence[Spread]]] = {}
    for axis, lines, crossing, view in (("x", down, across, image), ("y", across, down, image.T)):
        found = spreads_of(view, lines, pixel_mm, crossing)
        if isinstance(found, str):
            return refuse(found)
        widths[axis], seen[axis] = mean_width(found, pixel_mm), (lines, found)
    sizes, off = [], None
    for axis, lines in (("x", down), ("y", across)):
        apart, error = _separation(lines)
        wrong = abs(apart * pixel_mm / separation_mm - 1)
        told = because("four_bar.distance_other", axis=axis.upper(), distance_mm=apart * pixel_mm, expected_mm=separation_mm)
        if wrong > NEAR_SEPARATION:
            return refuse(because("four_bar.phantom_other", reason=told))
        if wrong > SURE_SEPARATION:
            off = off or because("four_bar.spacing_doubtful", reason=told)
        size = separation_mm / apart
        sizes.append(Measure(f"pixel_size_{axis}_mm", round(size, 5), "mm", round(size * error / apart, 5)))
    warnings = (because("four_bar.size_holds_for", distance_mm=separation_mm),)
    quiet = is_smoothed(image, down) or is_smoothed(image.T, across)
    few = reserve(widths) or off or (because("flood.too_little_noise") if quiet else None)
    return Result(
        PROCEDURE,
        INDICATIVE if few else MEASURED,
        few,
        detector,
        METHOD,
        VERSION,
        (*width_measures(widths), *sizes),
        warnings,
        picture(PROCEDURE, image, pixel_mm, seen),
    )


def _separation(lines: list[Line]) -> tuple[float, float]:
    """Return the distance of two lines across them in pixels, at the middle of their common length, and its standard error."""
    left, right = lines
    middle = (max(left.first, right.first) + min(left.last, right.last)) / 2
    slope = (left.slope + right.slope) / 2
    errors = [float(np.std(x.columns - x.offset - x.slope * x.rows, ddof=2)) / math.sqrt(len(x.rows)) for x in lines]
    return abs(right.at(middle) - left.at(middle)) / math.hypot(1, slope), math.hypot(*errors)
