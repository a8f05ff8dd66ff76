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

from spark_jobs.qc.gamma_camera.line_source import picture, reserve, spreads_of, width_measures
from spark_jobs.qc.numerics.line_spread import Spread, Width, mean_width
from spark_jobs.qc.numerics.lines import Line, Pattern, line_pattern
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "four_bar"
METHOD = "NEMA NU 1 2.1 line spread, four bars 100 mm apart"
VERSION = "1.2.0"
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
        return refuse("two lines down and two across at equal distances were not found: this is no image of a four-bar phantom")
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
        told = f"the lines for {axis.upper()} are {apart * pixel_mm:.1f} mm apart, not {separation_mm:.0f}"
        if wrong > NEAR_SEPARATION:
            return refuse(f"{told}: another phantom, or the pixel spacing is wrong")
        if wrong > SURE_SEPARATION:
            off = off or f"{told}: the pixel spacing of the header, which the widths are in, is in doubt"
        size = separation_mm / apart
        sizes.append(Measure(f"pixel_size_{axis}_mm", round(size, 5), "mm", round(size * error / apart, 5)))
    warnings = (f"pixel size holds for a phantom whose lines are {separation_mm:.0f} mm apart",)
    few = reserve(widths) or off
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
