"""Spatial linearity from slits at constant pitch (NEMA NU 1, 2.2): where the peaks lie, against straight and equally spaced lines.

In strips along the slits (as thin as counts allow, at most 30 mm) a peak is the middle of its profile. NU 1 takes the midpoint of the
half maxima; that follows the pixels (0.1 mm reads 0.16 at 1.6 mm) and feels the noise of a few of them, so that the middle is found
from all counts of the profile here, which is the same place where the profile is symmetric. Differential: standard
deviation of peaks about each slit's own line. Absolute: largest displacement from fitted, equally spaced parallel lines. Both for the
useful field (UFOV: declared, else all that the slits cover) and the central one (CFOV: 75 % of its linear dimensions). With an image
for X and one for Y the differential values are averaged and the absolute ones are the larger.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.field import declared_shape
from spark_jobs.qc.numerics.lines import Line, Pattern, half_maxima, line_pattern, strip_sums
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "linearity"
METHOD = "NEMA NU 1 2.2"
VERSION = "1.2.2"
FORMULAE = (
    "differential linearity = √(Σ d² / degrees of freedom), in mm: d is the distance of a peak from the straight line of its own slit",
    "absolute linearity = max |d|, in mm: d is the distance of a peak from fitted parallel lines at equal spacing",
    "X and Y: mean of the differential values, larger of the absolute ones",
)
THICKEST_MM = 30.0  # NU 1
THINNEST_MM = 3.0
STRIP_COUNTS = 2_000  # wanted in the peak of a strip: then a peak's place is known to some 0.05 mm
LEAST_HEIGHT = 0.5  # of the slit's median peak: at the border of the field the slit is half covered
SCALED = 1.6  # times more variance than counts have: they were multiplied
MANY_COUNTS = 5000  # in a pixel on a slit
FEWEST_BRIGHT, ALONG = 200, 15  # pixels on slits; pixels along a slit that tell how bright it is
NOISY_MM = 0.15  # a peak that is known less well says nothing about linearity (B)
CENTRAL = 0.75
FINE_PIXELS = (
    4.0  # width of a slit: below it the midpoint of half maxima follows the pixels, and a Gaussian's slope is matched instead
)
LEAST_SIGMA = 1.25  # pixels, of that Gaussian: a narrower one follows the pixels too
SURE_PIXELS, NARROWEST_PIXELS = 1.7, 1.3  # width of a slit below which peaks may be wrong by more than 0.05 mm; and by much more


@dataclass(frozen=True)
class Slits:
    """Peaks of one image: the slit's number, place along the slit and across it (mm), displacements from both kinds of lines."""

    axis: str
    slit: NDArray[np.int64]
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    noise_mm: float
    width: float  # of the slits' profiles at half maximum, in pixels


def measure(
    images: Sequence[NDArray],
    pixel_mm: float,
    *,
    field_shape: str | None = None,
    field_mm: tuple[float, ...] = (),
    detector: str | None = None,
    patterns: Sequence[Pattern | None] | None = None,
) -> Result:
    """Return differential and absolute linearity.

    Parameters
    ----------
    images
        Counts, rows × columns: slits of one direction, or one image for each direction.
    pixel_mm
        Length of a square pixel's side.
    field_shape, field_mm
        What the header declares; None: the field is what the slits cover.
    patterns
        The lines of each image, where they are known already (None: they are not).
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    found: list[Slits] = []
    values: dict[str, list[tuple[float, float | None, dict | None]]] = {}
    figure: dict[str, Any] | None = None
    for image, known in zip(images, patterns or [None] * len(images), strict=True):
        pattern = known or line_pattern(image, pixel_mm)
        if pattern.kind != "slits":
            return refuse(because("linearity.no_slits"))
        axis, lines, view = ("x", pattern.down, image) if pattern.down else ("y", pattern.across, image.T)
        if any(s.axis == axis for s in found):
            return refuse(because("linearity.axis_doubled", axis=axis.upper()))
        slits = _located(view, lines, pixel_mm, axis)
        if slits.width < NARROWEST_PIXELS:
            return refuse(because("linearity.pixels_too_coarse", pixel_mm=pixel_mm))
        found.append(slits)
        extent = (view.shape[1] * pixel_mm, view.shape[0] * pixel_mm)
        fields = _fields(slits, extent, field_shape, field_mm)
        if fields is None:
            return refuse(because("linearity.peaks_few"))
        for name, inside in fields.items():
            for key, triple in _values(slits, inside).items():
                values.setdefault(f"{key}_{name}_mm", []).append(triple)
        figure = figure or _picture(image, pixel_mm, slits, fields)
    measures = []
    for name in ("differential_ufov_mm", "differential_cfov_mm", "absolute_ufov_mm", "absolute_cfov_mm"):
        each = values[name]
        at: dict | None = None
        if name.startswith("differential"):
            value = float(np.mean([v for v, _, _ in each]))
        else:
            value, _, place = max(each, key=lambda v: v[0])
            at = None if place is None else {k: round(v / pixel_mm, 2) for k, v in place.items()}
        errors = [e for _, e, _ in each if e is not None]
        spread = round(float(np.sqrt(np.sum(np.square(errors)))) / len(each), 4) if errors else None
        measures.append(Measure(name, round(value, 4), "mm", spread, at))
    noise = max(s.noise_mm for s in found)
    scale = max(counts_scale(image) for image in images)
    few = None
    if noise > NOISY_MM:
        few = because("linearity.too_few_counts", se_mm=noise, most_mm=NOISY_MM)
    elif scale > SCALED:
        few = because("linearity.counts_scaled", times=scale)
    elif min(s.width for s in found) < SURE_PIXELS:
        few = because("linearity.pixels_coarse", pixel_mm=pixel_mm)
    warnings = [] if field_shape else [because("linearity.field_measured")]
    if len(found) == 1:
        warnings.append(because("linearity.one_direction", axis=found[0].axis.upper()))
    return Result(
        PROCEDURE, INDICATIVE if few else MEASURED, few, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure
    )


def counts_scale(image: NDArray) -> float:
    """Return by which factor counts were multiplied, from their noise: 1 for counts as they came, below 1 for smoothed ones.

    Along a slit the fourth difference of pixels, a − 4b + 6c − 4d + e, holds noise and hardly any slope or bend; its square is on average
    a + 16b + 36c + 16d + e for counts of Poisson, and the factor times that for multiples. Of both directions the quieter one runs along
    the slits.
    """
    factors = []
    for turned in (image, image.T):
        counts = turned.astype(np.float64)
        sums = np.cumsum(np.pad(counts, ((1, 0), (0, 0))), axis=0)
        level = np.zeros_like(counts)
        half = ALONG // 2
        level[half : len(counts) - half] = (sums[ALONG:] - sums[:-ALONG]) / ALONG  # chosen by many pixels, not by its own noise
        bright = level[2:-2] > 0.5 * percentile(level, 99.5)
        if np.count_nonzero(bright) >= FEWEST_BRIGHT:
            rows = [counts[k : len(counts) - 4 + k][bright] for k in range(5)]
            differs = sum(w * r for w, r in zip((1, -4, 6, -4, 1), rows, strict=True))
            expected = sum(w * w * r for w, r in zip((1, -4, 6, -4, 1), rows, strict=True))
            factor = float(np.sum(differs**2) / max(float(np.sum(expected)), 1.0))
            # so many counts leave no noise, and the edges of slits are no line any more
            factors.append(factor if percentile(level, 99.5) / max(factor, 1.0) < MANY_COUNTS else 1.0)
    return min(factors, default=1.0)


def _located(image: NDArray, lines: Sequence[Line], pixel_mm: float, axis: str) -> Slits:
    """Return the peaks of slits that run down an image, strip by strip."""
    height = median([x.height for x in lines])
    wanted = math.ceil(STRIP_COUNTS / max(height, 1e-9))
    rows = int(max(1, min(max(wanted, round(THINNEST_MM / pixel_mm)), THICKEST_MM // pixel_mm)))
    sums = strip_sums(image, rows)
    middles = np.arange(len(sums)) * rows + (rows - 1) / 2
    reach = int(max(3, math.ceil(max(x.width for x in lines) + 3 / pixel_mm)))
    padded = np.pad(sums, ((0, 0), (2 * reach, 2 * reach)))
    slit, strip, top, windows = [], [], [], []
    for k, line in enumerate(lines):
        strips = np.flatnonzero((middles >= line.first) & (middles <= line.last))
        guess = np.interp(middles[strips], line.rows, line.columns)
        near = np.rint(guess).astype(int)
        window = padded[strips[:, None], near[:, None] + 2 * reach + np.arange(-(reach // 2), reach // 2 + 1)]
        highest = near + window.argmax(1) - reach // 2
        window = padded[strips[:, None], highest[:, None] + 2 * reach + np.arange(-reach, reach + 1)]
        peak = window[:, reach]
        tall = peak >= LEAST_HEIGHT * (median(peak) if len(peak) else 0.0)
        slit.append(np.full(int(tall.sum()), k))
        strip.append(strips[tall])
        top.append(highest[tall])
        windows.append(window[tall])
    seen = np.concatenate(windows)
    left, right = half_maxima(seen)
    good = np.isfinite(left + right)
    width = median((left + right)[good]) if good.any() else 0.0
    away, error = _matched(seen[good], max(width / 2.3548, LEAST_SIGMA))
    return Slits(
        axis,
        np.concatenate(slit)[good],
        middles[np.concatenate(strip)[good]] * pixel_mm,
        (np.concatenate(top)[good] + away) * pixel_mm,
        median(error) * pixel_mm if good.any() else 0.0,
        width,
    )


def _matched(windows: NDArray[np.float64], sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far from the middle of each window (peaks × samples) its peak lies, and the standard error by counting noise.

    A Gaussian's slope is moved until it meets equal counts on both sides: the middle of a symmetric profile, as the midpoint of its
    half maxima is, from all of its counts. A constant background drops out, and so does what sampling by pixels adds.
    """
    steps = np.arange(windows.shape[1]) - windows.shape[1] // 2
    centre = np.zeros(len(windows))
    for _ in range(12):
        away = steps - centre[:, None]
        slope = away * np.exp(-0.5 * (away / sigma) ** 2)
        bend = (windows * (1 - (away / sigma) ** 2) * np.exp(-0.5 * (away / sigma) ** 2)).sum(1)
        move = np.where(bend > 0, (windows * slope).sum(1) / np.where(bend > 0, bend, 1), 0.0)
        error = np.where(bend > 0, np.sqrt((windows * slope**2).sum(1)) / np.where(bend > 0, bend, 1), np.inf)
        centre = centre + np.clip(move, -0.5, 0.5)
        if np.abs(move).max(initial=0.0) < 1e-4:
            break
    return centre, error


def _fields(
    s: Slits, extent: tuple[float, float], kind: str | None, dimensions: tuple[float, ...]
) -> dict[str, NDArray[np.bool_]] | None:
    """Return which peaks lie in the useful and in the central field, or None when there are too few."""
    pairs = ((s.across, extent[0]), (s.along, extent[1]))
    if kind in ("RECTANGLE", "ROUND", "HEXAGONAL") and dimensions and min(dimensions) > 0:
        x, y = ((v - (full - 1) / 2) for v, full in pairs)
        box = np.ones((max(1, round(np.ptp(s.along))), max(1, round(np.ptp(s.across)))), bool)
        shape = declared_shape(kind, dimensions, (0.0, 0.0), box)
        out = {"ufov": shape.inside(x, y), "cfov": shape.scaled(CENTRAL).inside(x, y)}
    else:
        x, y = (v - (v.min() + v.max()) / 2 for v, _ in pairs)
        central = (np.abs(x) <= CENTRAL * np.ptp(x) / 2) & (np.abs(y) <= CENTRAL * np.ptp(y) / 2)
        out = {"ufov": np.ones(len(x), bool), "cfov": central}
    few = any(len(np.unique(s.slit[m])) < 3 or m.sum() < 12 for m in out.values())
    return None if few else out


def _values(s: Slits, inside: NDArray[np.bool_]) -> dict[str, tuple[float, float | None, dict | None]]:
    """Return differential and absolute linearity of the peaks inside a field, each with standard error and place."""
    slit, along, across = s.slit[inside], s.along[inside], s.across[inside]
    squares, free = 0.0, 0
    for k in np.unique(slit):
        mine = slit == k
        if mine.sum() < 4:
            continue
        rest = across[mine] - np.polyval(np.polyfit(along[mine], across[mine], 1), along[mine])
        squares += float(rest @ rest)
        free += int(mine.sum()) - 2
    differential = math.sqrt(squares / free) if free else math.nan
    added = differential - math.sqrt(max(differential**2 - s.noise_mm**2, 0.0))
    rest = _from_equal_lines(slit, along, across)
    highest = s.noise_mm * math.sqrt(
        2 * math.log(len(rest))
    )  # what the noise of so many peaks is expected to add to their largest
    worst = int(np.argmax(np.abs(rest)))
    places = (across[worst], along[worst]) if s.axis == "x" else (along[worst], across[worst])
    return {
        # counting noise of the peaks adds to the spread: what it adds is uncertain, too
        "differential": (differential, math.hypot(differential / math.sqrt(2 * free), added) if free else None, None),
        "absolute": (float(np.abs(rest[worst])), highest, {"row": float(places[1]), "column": float(places[0])}),
    }


def _from_equal_lines(slit: NDArray, along: NDArray, across: NDArray) -> NDArray[np.float64]:
    """Return displacements (mm) across fitted, equally spaced parallel lines.

    Place and pitch are fitted by least squares. The common tilt is that with the smallest largest displacement: how the mask lies on
    the detector is no fault of the camera, and a tilt by least squares leans on any wave that is odd about the middle.
    """
    base = np.stack([np.ones_like(along), slit.astype(np.float64)], 1)
    both = np.stack([across, along], 1)
    fit, *_ = np.linalg.lstsq(base, both, rcond=None)
    rest, lever = (both - base @ fit).T
    start = float(rest @ lever / max(float(lever @ lever), 1e-12))
    reach = 2 * float(np.ptp(rest - start * lever)) / max(float(np.ptp(lever)), 1e-12)
    low, high = start - reach, start + reach
    for _ in range(40):  # the largest displacement is a convex function of the tilt
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if np.abs(rest - a * lever).max() <= np.abs(rest - b * lever).max():
            high = b
        else:
            low = a
    tilt = (low + high) / 2
    return (rest - tilt * lever) / math.hypot(1, tilt)


def _picture(image: NDArray, pixel_mm: float, s: Slits, fields: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    rest = _from_equal_lines(s.slit, s.along, s.across)
    x, y = (s.across, s.along) if s.axis == "x" else (s.along, s.across)
    return {
        "kind": PROCEDURE,
        "image": image,
        "pixel_mm": pixel_mm,
        "column": x / pixel_mm,
        "row": y / pixel_mm,
        "displacement_mm": rest,
        "cfov": fields["cfov"],
        "axis": s.axis,
    }
