"""Width of a line's profile at half and tenth maximum (NEMA NU 1, 2.1), in strips of at most 30 mm along the line.

Rows of a strip are moved by fractions of a pixel onto the line's own axis (Fourier shift), so that a tilt does not widen the sum.
Where the pixel is at most 0.2 FWHM: parabola through three points of the peak, linear interpolation at half and tenth maximum, on
the profile as it is (no background and no slit correction: NU 1 forbids both). Above that: a Gaussian integrated over each pixel,
plus a constant, fitted to all rows of the strip at their own sub-pixel phases; widths are those of the fitted curve.
A pixel that counts what falls on it adds p²/12 to the variance of a profile, one that is a sample adds nothing, and interpolation does
not take it out: how far the two lie apart is part of the uncertainty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.gaussian import FWHM
from spark_jobs.qc.numerics.lines import Line, half_maxima

__all__ = [
    "FINEST_PIXELS",
    "LEAST_PEAK",
    "SURE_PIXELS",
    "Spread",
    "Width",
    "is_smoothed",
    "line_spread",
    "mean_width",
    "sampling_mm",
]

TENTH = 4.2919 / FWHM  # FWTM of a Gaussian over its FWHM
STRIP_MM = 30.0  # NU 1
FINEST_PIXELS = 0.2  # FWHM: a larger pixel biases interpolation by more than 1.5 %
SURE_PIXELS = 0.4  # FWHM: above that the width hangs on what a pixel is by more than 3.7 %, no verdict
COARSEST_PIXELS = 1.3  # FWHM: above that a profile does not tell its width
LEAST_PEAK = 1_000  # counts in the peak of a strip's profile (B)
DENT = 0.04  # of the peak: a profile that rises again by more has lost counts in between
UNLIKE = 0.15  # of the peak: a column that is farther from the fitted profile has lost counts, or others have
DENTED = "line.dent"
QUIET, OF_ROUNDING, FEWEST_FIVES = (
    0.4,
    5.0,
    60,
)  # of the variance of counts; fourth differences that rounding makes, and how many tell
FINE = 4  # samples a pixel of the profile that is interpolated
STEEPEST_DEG = 5.0


@dataclass(frozen=True)
class Spread:
    """One strip of one line: widths in mm across the line, counts in the peak pixel of the strip's profile."""

    row: float
    column: float
    fwhm_mm: float
    fwtm_mm: float
    peak_counts: float
    fitted: bool
    offset_mm: NDArray[np.float64]  # the profile, for the picture
    counts: NDArray[np.float64]


@dataclass(frozen=True)
class Width:
    """Mean widths of many strips, each with its uncertainty (NaN for a single strip).

    `pixels` is the size of a pixel as a part of the FWHM.
    """

    fwhm_mm: float
    fwhm_se_mm: float
    fwtm_mm: float
    fwtm_se_mm: float
    peak_counts: float
    pixels: float


def line_spread(image: NDArray, line: Line, pixel_mm: float, clear_of: Sequence[tuple[float, float]] = (), room_px: float = 1e9):
    """Return the strips of a line that runs down an image, or the reason (str) why its widths cannot be had.

    Parameters
    ----------
    clear_of
        Row intervals that other lines cross: no strip reaches into them.
    room_px
        Distance to the nearest other line: the profile ends half way.
    """
    tilt = math.degrees(math.atan(abs(line.slope)))
    if tilt > STEEPEST_DEG:
        return because("line.tilted", tilt_deg=tilt, steepest_deg=STEEPEST_DEG)
    reach = min(2.2 * 1.83 * line.width + 2, room_px / 2)
    reach = int(max(3, min(reach, 60 / pixel_mm + 4)))
    out = []
    for rows in _strips(line, image.shape[0], pixel_mm, clear_of):
        found = _strip(image, line, rows, reach, pixel_mm)
        if isinstance(found, str):
            return found
        if found is not None:
            out.append(found)
    return out or because("line.too_short")


def is_smoothed(image: NDArray, lines: Sequence[Line]) -> bool:
    """Return whether pixels vary less along lines that run down an image than their counts let them: smoothed, enlarged or divided.

    The fourth difference, a - 4b + 6c - 4d + e, holds noise and hardly any slope or bend; its square is on average
    a + 16b + 36c + 16d + e for counts of Poisson. Whole numbers that were made of a drawn line without noise differ by a few.
    """
    squares, expected = [], []
    for line in lines:
        rows = np.arange(max(0, math.ceil(line.first + line.width)), min(len(image) - 1, math.floor(line.last - line.width)) + 1)
        middle = np.rint(np.interp(rows, line.rows, line.columns)).astype(np.int64)
        for aside in range(-int(line.width / 4), int(line.width / 4) + 1):
            columns = np.clip(middle[2:-2] + aside, 0, image.shape[1] - 1)
            five = [image[rows[k : len(rows) - 4 + k], columns].astype(np.float64) for k in range(5)]
            squares.append(sum(w * v for w, v in zip((1, -4, 6, -4, 1), five, strict=True)) ** 2)
            expected.append(sum(w * w * v for w, v in zip((1, -4, 6, -4, 1), five, strict=True)))
    seen, counts = (np.concatenate(v) if v else np.zeros(0) for v in (squares, expected))
    if seen.size < FEWEST_FIVES or counts.sum() <= 0:
        return False
    middle_square = float(np.median(seen))  # of normal noise 0.455 of the mean
    return OF_ROUNDING**2 < middle_square < 0.455 * QUIET * float(counts.mean())


def mean_width(spreads: Sequence[Spread], pixel_mm: float) -> Width:
    """Return means over strips; the uncertainty is their standard error and what the size of a pixel leaves open."""
    n = len(spreads)
    half, tenth = np.array([s.fwhm_mm for s in spreads]), np.array([s.fwtm_mm for s in spreads])
    open_mm = sampling_mm(float(half.mean()), pixel_mm)
    errors = [
        math.hypot(float(v.std(ddof=1)) / math.sqrt(n), left) if n > 1 else math.nan
        for v, left in ((half, open_mm), (tenth, TENTH * open_mm))
    ]
    peak = float(np.mean([s.peak_counts for s in spreads]))
    return Width(float(half.mean()), errors[0], float(tenth.mean()), errors[1], peak, pixel_mm / float(half.mean()))


def sampling_mm(fwhm_mm: float, pixel_mm: float) -> float:
    """Return how much wider a Gaussian of this FWHM is with the pixel's own width (a box of variance p²/12) than without, mm."""
    return math.hypot(fwhm_mm, FWHM * pixel_mm / math.sqrt(12)) - fwhm_mm


def _strips(line: Line, height: int, pixel_mm: float, clear_of: Sequence[tuple[float, float]]) -> list[NDArray[np.int64]]:
    """Return the rows of each strip: the line without its ends and crossings, cut into equal strips of at most 30 mm."""
    ends = min(1.5 * line.width, 0.1 * line.length)  # the ends of a capillary are blurred along it too
    rows = np.arange(max(0, math.ceil(line.first + ends)), min(height - 1, math.floor(line.last - ends)) + 1)
    free = np.ones(len(rows), bool)
    for low, high in clear_of:
        free &= (rows < low) | (rows > high)
    most = max(1, int(STRIP_MM / pixel_mm + 1e-9))
    out = []
    for piece in np.split(rows[free], np.flatnonzero(np.diff(rows[free]) > 1) + 1):
        if len(piece):
            out += np.array_split(piece, math.ceil(len(piece) / most))
    longest = max((len(p) for p in out), default=0)
    return [p for p in out if len(p) >= 0.5 * longest]


def _strip(image: NDArray, line: Line, rows: NDArray[np.int64], reach: int, pixel_mm: float) -> Spread | str | None:
    axis = line.offset + line.slope * rows
    # the line as it lies in this strip: a camera bends straight lines by some tenths of a millimetre
    near = np.abs(line.rows - rows.mean()) <= max(len(rows), 1.5 * STRIP_MM / pixel_mm)
    if near.sum() >= 3:
        axis = axis + float(np.mean(line.columns[near] - line.offset - line.slope * line.rows[near]))
    whole = np.rint(axis).astype(np.int64)
    if whole.min() < 3 or whole.max() > image.shape[1] - 4:
        return None
    columns = whole[:, None] + np.arange(-reach, reach + 1)
    inside = (columns >= 0) & (columns < image.shape[1])
    window = np.where(inside, image[rows[:, None], np.clip(columns, 0, image.shape[1] - 1)], 0).astype(np.float64)
    phase = axis - whole
    cosine = 1 / math.hypot(1, line.slope)
    rough = line.width
    if rough >= 0.8 / FINEST_PIXELS:
        profile = _straightened(window, phase)
        half, tenth, top = _interpolated(profile)
        if half >= FINE / FINEST_PIXELS:
            if math.isnan(tenth):
                return because("line.no_tenth_neighbour")
            if _dented(profile, top, tenth):
                return because(DENTED)
            x = (np.arange(len(profile)) / FINE - reach) * pixel_mm * cosine
            scale = pixel_mm * cosine / FINE
            return Spread(float(rows.mean()), float(axis.mean()), half * scale, tenth * scale, top, False, x, profile)
    return _fitted(window, phase, rows, axis, pixel_mm, cosine, reach, rough)


def _straightened(window: NDArray[np.float64], phase: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sum of rows, each moved back by its phase (pixels), at FINE samples a pixel."""
    n = window.shape[1]
    turn = np.exp(2j * np.pi * np.outer(phase, np.fft.rfftfreq(n)))
    spectrum = (np.fft.rfft(window, axis=1) * turn).sum(0)
    fine = np.fft.irfft(spectrum, n * FINE) * FINE
    return fine[: (n - 1) * FINE + 1]


def _interpolated(profile: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return full widths at half and tenth maximum (in samples, NaN where not reached) and the height of the peak."""
    middle = len(profile) // 2
    near = len(profile) // 4
    top = middle - near + int(np.argmax(profile[middle - near : middle + near + 1]))
    left, here, right = profile[top - FINE], profile[top], profile[top + FINE]
    bend = left - 2 * here + right
    height = here - (right - left) ** 2 / (8 * bend) if bend < 0 else here
    widths = []
    for part in (0.5, 0.1):
        reach = min(top, len(profile) - 1 - top)
        window = profile[None, top - reach : top + reach + 1].copy()
        window[0, reach] = 2 * part * height  # half_maxima takes half of the middle sample
        a, b = half_maxima(window)
        widths.append(float(a[0] + b[0]))
    return widths[0], widths[1], float(height)


def _dented(profile: NDArray[np.float64], height: float, tenth: float) -> bool:
    """Return whether a profile rises again on its way down from its peak, within its width at tenth maximum."""
    middle, near = len(profile) // 2, len(profile) // 4
    top = middle - near + int(np.argmax(profile[middle - near : middle + near + 1]))
    reach = int(tenth * 0.75) + 1
    for side in (profile[top : top + reach], profile[max(top - reach + 1, 0) : top + 1][::-1]):
        if float((side - np.minimum.accumulate(side)).max()) > DENT * height + 6 * math.sqrt(max(height, 0.0)):
            return True
    return False


def _fitted(
    window: NDArray[np.float64],
    phase: NDArray[np.floating],
    rows: NDArray[np.int64],
    axis: NDArray[np.floating],
    pixel_mm: float,
    cosine: float,
    reach: int,
    rough: float,
) -> Spread | str | None:
    """Return the widths of a pixel-integrated Gaussian plus a constant, fitted by least squares to all pixels of a strip."""
    offsets = np.arange(-reach, reach + 1) - phase[:, None]
    centre, sigma = 0.0, max(math.sqrt(max(rough**2 - 0.6, 0.1)) / 2.3548, 0.3)
    counts = window.ravel()
    level = amplitude = 0.0
    for _ in range(30):
        high, low = (offsets + 0.5 - centre) / sigma, (offsets - 0.5 - centre) / sigma
        shape = (_normal(high) - _normal(low)).ravel()
        ph, pl = _density(high), _density(low)
        base = np.stack([shape, np.ones_like(shape)], 1)
        (amplitude, level), *_ = np.linalg.lstsq(base, counts, rcond=None)
        if amplitude <= 0:
            return None
        slopes = amplitude * np.stack([(pl - ph).ravel(), (low * pl - high * ph).ravel()], 1) / sigma
        step, *_ = np.linalg.lstsq(np.concatenate([slopes, base], 1), counts - base @ (amplitude, level), rcond=None)
        move, widen = float(np.clip(step[0], -0.5, 0.5)), float(np.clip(step[1], -0.3 * sigma, 0.5 * sigma))
        centre, sigma = centre + move, sigma + widen
        if abs(move) + abs(widen) < 1e-5:
            break
    if not 1 / COARSEST_PIXELS <= 2.3548 * sigma < 2 * reach or abs(centre) > reach / 2:
        return because("line.pixels_coarse", pixel_mm=pixel_mm, coarsest=COARSEST_PIXELS)
    peak = amplitude / (sigma * math.sqrt(2 * math.pi))
    left_over = (counts - base @ (amplitude, level)).reshape(window.shape).mean(0)
    if float(np.abs(left_over).max()) > UNLIKE * peak + 6 * math.sqrt(max(peak, 0.0) / len(rows)):
        return because(DENTED)
    background = max(float(level), 0.0)
    widths = []
    for part in (0.5, 0.1):
        left = part * (peak + background) - background
        if left <= 0:
            return because("line.no_tenth_background")
        widths.append(2 * sigma * math.sqrt(2 * math.log(peak / left)) * pixel_mm * cosine)
    fine = np.linspace(-reach, reach, 8 * reach + 1)
    curve = len(rows) * (peak * np.exp(-0.5 * ((fine - centre) / sigma) ** 2) + level)
    return Spread(
        float(rows.mean()),
        float(axis.mean()),
        widths[0],
        widths[1],
        float(window.sum(0).max()),
        True,
        fine * pixel_mm * cosine,
        curve,
    )


_erf = np.vectorize(math.erf, otypes=[float])  # scipy's import would cost more than the whole measurement


def _normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * _erf(z / math.sqrt(2)))


def _density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
