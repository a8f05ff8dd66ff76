"""Spatial resolution from a four-quadrant bar phantom: modulation of the counts in a disk of each quadrant (Hander 1997).

MTF = √(2(σ² − μ))/μ and FWHM = 1.058·w·√ln(1/MTF). That takes the bars for a sinusoid; the fundamental of bars is 4/π stronger,
so the published value is too small (3.5 mm reads 2.8-3.4) unless scatter happens to offset it. It is kept for limits, and a second
value with (π/4)·MTF stands beside it. Its FWHM is of the camera alone: the pixel's box, which takes sinc(f·p) along each axis from the
modulation (3.5 % of the FWHM at 1.5 mm), is divided out of it; the published values keep it. The bar width w is half of the pitch
that the image itself shows: bars as wide as their gaps.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.gamma_camera.bar_disks import cut, left_over
from spark_jobs.qc.gamma_camera.bars import Bars, find_bars, is_quadrant_phantom
from spark_jobs.qc.gamma_camera.line_source import NARROWEST_MM
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "quadrant_bar"
METHOD = "Hander 1997 bar modulation"
VERSION = "1.3.1"
FORMULAE = (
    "MTF = √(2 · (σ² − μ)) / μ, with mean μ and variance σ² of the counts in a disk",
    "FWHM (published) = 1.058 · w · √ln(1 / MTF), in mm, with bar width w in mm",
    "FWHM (corrected): the same with (π/4) · MTF / (sinc(fx · p) · sinc(fy · p)), with pixel p and the frequency (fx, fy) of the bars",
    "bar width w = half of the pitch of the bars in the image, in mm",
)
COARSEST_MM = 1.6  # Hander: a larger pixel does not sample the bars
LOWEST, HIGHEST = 0.1, 0.9  # outside, MTF does not tell a width (Hander); below, bars count as not resolved
FACTOR = 1.058
FUNDAMENTAL = math.pi / 4
PERIODS = (6.2439, 5.2428)  # diameters (in periods, Hander: 5-7) at which a disk's mean does not feel the phase of the bars
SAME_SQUARE = 0.1  # of the squared MTF: disks of one quadrant agree so well, or as noise lets them
UNSURE = 0.03  # relative uncertainty of FWHM above which there is no verdict (B)
BOXES = ("upper left", "upper right", "lower left", "lower right")
SCALED = 0.04  # of the width: more than that of it would come from noise that no counting made
SIDES = ("upper", "right", "lower", "left")


def measure(image: NDArray, pixel_mm: float, *, detector: str | None = None, bars: list[Bars] | None = None) -> Result:
    """Return bar width, modulation and FWHM of each quadrant, and the smallest bar width that is resolved.

    Parameters
    ----------
    image
        Counts, rows × columns, not negative.
    pixel_mm
        Length of a square pixel's side.
    bars
        The patterns of the image, when they are known already.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    if pixel_mm > COARSEST_MM:
        return refuse(because("bars.pixels_coarse", pixel_mm=pixel_mm, coarsest_mm=COARSEST_MM))
    bars = find_bars(image, pixel_mm) if bars is None else bars
    if not is_quadrant_phantom(bars, image):
        return refuse(because("bars.no_quadrants"))
    names = _names(bars, image)
    rows = [_quadrant(image, b, pixel_mm) for b in bars]
    small = [name for name, row in zip(names, rows, strict=True) if row is None]
    if small:
        return refuse(because("bars.disk_small", quadrant=small[0], periods=PERIODS[1]))
    for name, r in zip(names, rows, strict=True):
        if r is not None and r["odd"]:
            return refuse(because("bars.odd_counts", what=r["odd"], quadrant=name))
    found = sorted(((n, r) for n, r in zip(names, rows, strict=True) if r is not None), key=lambda x: -x[1]["width"])
    usable = [x for x in found if LOWEST <= x[1]["mtf"] <= HIGHEST]
    best = min(usable, key=lambda x: abs(x[1]["mtf"] - 0.5), default=None)
    measures, warnings = [], []
    for name, r in found:
        at: dict[str, Any] = {"row": round(r["row"], 1), "column": round(r["column"], 1)}
        if best is not None and name == best[0]:
            at["nearest_half"] = True
        values = [("bar_width_mm", r["width"], "mm", None), ("mtf_published", r["mtf"], "1", r["error"])]
        values.append(("mtf_corrected", FUNDAMENTAL * r["mtf"], "1", FUNDAMENTAL * r["error"]))
        if LOWEST <= r["mtf"] <= HIGHEST:
            for kind, mtf in (("published", r["mtf"]), ("corrected", FUNDAMENTAL * r["mtf"] / r["box"])):
                width = FACTOR * r["width"] * math.sqrt(math.log(1 / mtf))
                values.append((f"fwhm_{kind}_mm", width, "mm", width * r["error"] / r["mtf"] / (2 * math.log(1 / mtf))))
        else:
            warnings.append(because("bars.mtf_no_width", quadrant=name, mtf=r["mtf"], lowest=LOWEST, highest=HIGHEST))
        measures += [Measure(m, round(v, 5), u, None if e is None else round(e, 5), at, region=name) for m, v, u, e in values]
    resolved = [r["width"] for _, r in found if r["mtf"] >= LOWEST]
    if resolved:
        measures.append(Measure("smallest_resolved_mm", round(min(resolved), 4), "mm"))
    if len(found) < 4:
        warnings.append(because("bars.unresolved", quadrants=4 - len(found)))
    if best is None:
        return refuse(because("bars.no_middle_mtf"))
    narrow = FACTOR * best[1]["width"] * math.sqrt(math.log(1 / best[1]["mtf"]))
    if narrow < NARROWEST_MM:
        return refuse(because("bars.fwhm_absurd", fwhm_mm=narrow))
    few = None
    bend = 1 / (2 * math.log(1 / best[1]["mtf"]))  # percent of the width a percent of MTF
    if abs(best[1]["scaled"]) * bend > SCALED:
        few = because("bars.counts_scaled", percent=100 * abs(best[1]["scaled"]) * bend)
    unsure = best[1]["error"] / best[1]["mtf"] * bend
    if unsure > UNSURE:
        few = because("bars.too_few_counts", se_percent=100 * unsure, most_percent=100 * UNSURE)
    figure = {
        "kind": PROCEDURE,
        "image": image,
        "pixel_mm": pixel_mm,
        "disks": [(name, r["row"], r["column"], r["radius"], r["width"], r["mtf"]) for name, r in found],
    }
    return Result(
        PROCEDURE, INDICATIVE if few else MEASURED, few, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure
    )


def _quadrant(image: NDArray, bars: Bars, pixel_mm: float) -> dict[str, Any] | None:
    """Return bar width, MTF with its standard error, and the first disk; None when no disk fits into the pattern.

    `scaled` is the part of MTF that is wrong because the noise is not the counting noise which the formula takes off, `odd` names what
    stands out of the bars.
    """
    for periods in PERIODS:
        radius = periods * bars.pitch / 2
        centres = _centres(bars, radius)
        if centres:
            break
    else:
        return None
    disks = cut(image, centres, radius)
    squares = 2 * (disks.variances - disks.means) / disks.means**2
    # every other disk each way is enough to see that nothing stands out: dead or hot, or a seam of two quadrants within a disk
    steps = np.rint((np.array(centres) - (bars.row, bars.column)) / radius).astype(int)
    some = np.flatnonzero((steps % 2 == 0).all(1))
    noise, odd = left_over(disks, some if some.size else np.arange(len(centres)), bars.fx, bars.fy)
    clean = np.ones(len(centres), bool)
    if any(odd):
        _, odd = left_over(disks, np.arange(len(centres)), bars.fx, bars.fy)
        clean = np.array([o is None for o in odd])
    dead = None if clean.any() else odd[0]
    clean |= dead is not None
    middle = median(squares[clean])
    away = np.abs(squares - middle)
    # a disk that reaches over the seam of two quadrants, in a tile that is only partly filled, is far from the others
    kept = clean & (away <= max(SAME_SQUARE * middle, 6 * median(away[clean])))
    mtf = math.sqrt(max(float(np.mean(squares[kept])), 1e-6))
    mean = float(np.mean(disks.means))
    # error of a sample variance under Poisson noise; two disks that overlap are not independent, so the pixels of one count
    independent = min(int(disks.pixels.sum()), len(centres) * math.pi * radius**2 / 2)
    signal = float(np.mean(np.maximum(disks.variances - disks.means, 0)))
    error = math.sqrt((2 * mean**2 + 4 * mean * signal) / independent) / (mean**2 * mtf)
    first = min(centres, key=lambda c: math.hypot(c[0] - bars.row, c[1] - bars.column))
    return {
        "width": bars.pitch / 2 * pixel_mm,
        "mtf": mtf,
        "error": error,
        "row": first[0],
        "column": first[1],
        "radius": radius,
        "odd": dead,
        "scaled": (median(noise) - 1) / (mean * mtf**2),
        "box": float(np.sinc(bars.fx) * np.sinc(bars.fy)),
    }


def _centres(bars: Bars, radius: float) -> list[tuple[float, float]]:
    """Return centres of disks that lie wholly in tiles that the pattern fills: the middle, and others half a diameter apart."""
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring_y, ring_x = np.append(radius * np.sin(angles), 0), np.append(radius * np.cos(angles), 0)
    steps = np.arange(-3, 4) * radius
    rows, columns = bars.row + steps, bars.column + steps
    r = np.floor((rows[:, None] + ring_y + 0.5) / bars.tile).astype(int)[:, None, :]
    c = np.floor((columns[:, None] + ring_x + 0.5) / bars.tile).astype(int)[None, :, :]
    ny, nx = bars.tiles.shape
    within = (r >= 0) & (c >= 0) & (r < ny) & (c < nx)
    whole = (within & bars.tiles[np.clip(r, 0, ny - 1), np.clip(c, 0, nx - 1)]).all(2)
    return [(float(rows[i]), float(columns[j])) for i, j in np.argwhere(whole)]


def _names(bars: list[Bars], image: NDArray) -> list[str]:
    """Return where each quadrant lies, as seen on the image; a phantom turned by about 45° has sides, not corners."""
    middle = (
        (float(np.mean([b.row for b in bars])), float(np.mean([b.column for b in bars]))) if len(bars) == 4 else _centre(image)
    )
    away = [(b.row - middle[0], b.column - middle[1]) for b in bars]
    corners = np.mean([min(abs(y), abs(x)) / max(abs(y), abs(x)) for y, x in away]) > math.tan(math.pi / 8)
    if corners:
        return [BOXES[2 * (y > 0) + (x > 0)] for y, x in away]
    return [SIDES[round((math.atan2(y, x) + math.pi / 2) / (math.pi / 2)) % 4] for y, x in away]


def _centre(image: NDArray) -> tuple[float, float]:
    total = max(float(image.sum(dtype=np.float64)), 1e-9)
    rows, columns = image.sum(1, dtype=np.float64), image.sum(0, dtype=np.float64)
    return float(rows @ np.arange(len(rows))) / total, float(columns @ np.arange(len(columns))) / total
