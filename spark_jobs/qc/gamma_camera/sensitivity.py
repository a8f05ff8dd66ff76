"""Planar sensitivity of one head: net count rate of a small source over its mean activity (NEMA NU 1, 3.3).

S = (cps − background)/(D·A): A is the activity at the start of the scan, D = (1 − e⁻ˣ)/x with x = ln 2·Δt/T½ its mean over the
scan. The net rate is taken inside a circle that holds the whole image of the source, whatever its blur; the background is the
mean outside that circle, or the same circle on an image without the source.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.cut_off import is_cut_off, noise_ratio
from spark_jobs.qc.numerics.decay import mean_factor
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "Source", "find_source", "is_empty", "measure"]

PROCEDURE = "sensitivity"
METHOD = "NEMA NU 1 3.3"
VERSION = "1.2.1"
FORMULAE = (
    "S = (gross counts − background counts) / Δt / (D · A), in cps/MBq, A the activity at the start of the scan in MBq",
    "D = (1 − e^(−x)) / x, x = ln 2 · Δt / T½: mean activity over the scan / activity at its start",
)
BLOCK_MM = 4.0  # the source is looked for on blocks of about this size
LARGEST_PART, LARGEST_MM = 0.4, 320.0  # of the image, and in diameter: a larger even area is a flood
EVEN = 0.3  # of the level of a field: within it an area is even
FAINTEST = 3.0  # times what is around it: a source outshines the room, a bad photomultiplier no flood by so much
MOST_ELSEWHERE = 0.05  # of the source's brightness, anywhere outside its circle
EDGES = 4.5  # widths of the flank between 50 and 10 % that the circle goes beyond the 50 % line
SCALED = (0.5, 2.2)  # times the noise of counts
# cps/MBq with a collimator: ultra-high resolution and pinholes have some tens, high sensitivity 460; broken cameras lose counts, gain none
POSSIBLE = (1.0, 700.0)
LARGEST_SE = 0.01  # relative; above it there are too few counts for a verdict


@dataclass(frozen=True)
class Source:
    """A compact source, in pixels of the image: its centre, the radii of its half maximum and of a circle that holds it whole."""

    x: float
    y: float
    half: float
    radius: float
    brightness: float  # counts per pixel over the background


def find_source(image: NDArray, pixel_mm: float) -> Source | None:
    """Return the one round compact source of an image whose background is even, or None."""
    n = max(1, int(BLOCK_MM / pixel_mm))
    blocks = _blocks(image, n)
    smooth = _nine(blocks)
    floor = median(smooth)
    net = smooth - floor
    peak = float(net.max())
    noise = 5 * np.sqrt(max(floor, 1.0) / 7)
    if peak < 2 * noise:
        return None
    half, tenth = net > 0.5 * peak, net > max(0.1 * peak, noise)
    if half.mean() > LARGEST_PART:
        return None
    ys, xs = np.nonzero(half)
    weight = net[half]
    x, y = float((xs * weight).sum() / weight.sum()), float((ys * weight).sum() / weight.sum())
    far = float(np.hypot(xs - x, ys - y).max()) + 0.5
    if 2 * far * n * pixel_mm > LARGEST_MM:
        return None
    if far > 1.35 * np.sqrt(half.sum() / np.pi) + 0.5:  # not round, or two sources
        return None
    rows, columns = np.arange(net.shape[0])[:, None] - y, np.arange(net.shape[1])[None, :] - x
    distance = np.hypot(rows, columns)
    near = tenth & (distance < 2.5 * far + 3)
    flank = max(float(distance[near].max()) + 0.5 - far, 1.0)
    radius = far + EDGES * flank
    if min(x, y, net.shape[1] - 1 - x, net.shape[0] - 1 - y) < far + flank:
        return None
    outside = distance > radius
    if (np.abs(net) < EVEN * floor).mean() > LARGEST_PART and peak < FAINTEST * floor:
        return None  # a flood, whatever spot stands on it
    if not outside.any() or float(net[outside].max()) > max(MOST_ELSEWHERE * peak, noise):
        return None
    oy, ox = (image.shape[0] % n) // 2, (image.shape[1] % n) // 2
    return Source(ox + x * n + (n - 1) / 2, oy + y * n + (n - 1) / 2, far * n, radius * n, peak / n**2)


def is_empty(image: NDArray, pixel_mm: float, source: Source) -> bool:
    """Return whether an image shows nothing like a source, so that it can serve as the background of another."""
    n = max(1, int(BLOCK_MM / pixel_mm))
    smooth = _nine(_blocks(image, n))
    floor = median(smooth)
    return float(smooth.max() - floor) < max(0.1 * source.brightness * n**2, 6 * np.sqrt(max(floor, 1.0) / 7))


def measure(
    image: NDArray,
    pixel_mm: float,
    seconds: float,
    activity_mbq: float,
    half_life_s: float,
    *,
    background: NDArray | None = None,
    background_seconds: float | None = None,
    if_day_before: float | None = None,
    detector: str | None = None,
) -> Result:
    """Return the sensitivity of one head.

    Parameters
    ----------
    image
        Counts, rows × columns, of a compact source.
    seconds, half_life_s
        Duration of the image and half-life of the nuclide.
    activity_mbq
        Activity at the start of the image.
    background, background_seconds
        An image without the source and its duration; None: the part of `image` that shows no source.
    if_day_before
        By what the activity is to be divided where it was measured a day earlier than assumed; None: its day is told. The day is
        believed where the sensitivity of the other one is none that a camera has.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    if is_cut_off(image):
        return refuse(because("image.counts_cut_off"))
    source = find_source(image, pixel_mm)
    if source is None:
        return refuse(because("sensitivity.no_compact_source"))
    y, x = np.arange(image.shape[0])[:, None] - source.y, np.arange(image.shape[1])[None, :] - source.x
    distance = np.hypot(y, x)
    inside = distance <= source.radius
    counts, warnings = float(image[inside].sum(dtype=np.float64)), []
    if background is not None and background_seconds:
        empty = float(background[inside].sum(dtype=np.float64))
        per_pixel, variance = empty / background_seconds * seconds / inside.sum(), empty * (seconds / background_seconds) ** 2
    else:
        outside = ~inside
        ring = outside & (distance <= source.radius + max(5.0, 0.3 * source.radius))
        if ring.sum() < 50:
            return refuse(because("sensitivity.background_unknown"))
        level, near = float(image[outside].mean()), float(image[ring].mean())
        if abs(near - level) > 3 * np.sqrt(max(near, 1e-9) / ring.sum()) + 0.005 * near:
            warnings.append(because("sensitivity.background_uneven"))
            outside, level = ring, near
        per_pixel = level
        variance = level * inside.sum() ** 2 / outside.sum()
    net = counts - per_pixel * float(inside.sum())
    se = float(np.sqrt(counts + variance))
    if net <= 3 * se:
        return refuse(because("sensitivity.source_in_background"))
    rate = net / seconds
    value = rate / (activity_mbq * mean_factor(seconds, half_life_s))
    measures = (
        Measure("sensitivity_cps_per_mbq", float(f"{value:.7g}"), "cps/MBq", float(f"{value * se / net:.3g}")),
        Measure("net_rate_cps", float(f"{rate:.7g}"), "cps", float(f"{se / seconds:.3g}")),
        Measure("background_percent", round(100 * (counts - net) / net, 3), "%"),
        Measure("activity_mbq", float(f"{activity_mbq:.7g}"), "MBq"),
    )
    few = se > LARGEST_SE * net
    reason: str | None = because("sensitivity.too_few_counts", se_percent=100 * se / net) if few else None
    reason = _no_camera(value, if_day_before) or reason
    noise = noise_ratio(image)
    if noise is not None and not SCALED[0] < noise < SCALED[1]:
        reason = because("sensitivity.counts_scaled", times=noise)
    circle = (source.x, source.y, source.radius)
    figure = {"kind": PROCEDURE, "image": image, "circle": circle, "pixel_mm": pixel_mm}
    return Result(
        PROCEDURE, INDICATIVE if reason else MEASURED, reason, detector, METHOD, VERSION, measures, tuple(warnings), figure
    )


def _no_camera(value: float, if_day_before: float | None) -> str | None:
    """Return why a sensitivity gets no verdict: no camera has it, or one has it with another day of the activity as well."""
    if not POSSIBLE[0] <= value <= POSSIBLE[1]:
        return because("sensitivity.absurd", value=value, low=POSSIBLE[0], high=POSSIBLE[1])
    if if_day_before is not None and value * if_day_before <= POSSIBLE[1]:
        return because("sensitivity.day_unknown", value=value, other=value * if_day_before)
    return None


def _blocks(image: NDArray, n: int) -> NDArray[np.float64]:
    oy, ox = (image.shape[0] % n) // 2, (image.shape[1] % n) // 2
    rows, columns = image.shape[0] // n, image.shape[1] // n
    return image[oy : oy + rows * n, ox : ox + columns * n].reshape(rows, n, columns, n).sum((1, 3), dtype=np.float64)


def _nine(a: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(a, 1, mode="edge")
    rows = 2 * padded[:, 1:-1]
    rows += padded[:, :-2]
    rows += padded[:, 2:]
    out = 2 * rows[1:-1]
    out += rows[:-2]
    out += rows[2:]
    out /= 16
    return out
