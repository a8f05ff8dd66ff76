"""Uniformity of a tomogram of a cylinder (IAEA Human Health Series 6, 4.3.3; the toolkit NMQC's regions), over its uniform slices.

All values but the noise are of the mean of the uniform slices, in the field: 80 % of the phantom's radius, and at least 15 mm from
its wall. The sources leave open: smoothing (the nine-point kernel of NU 1 is used for the integral uniformity, as planar floods
have it, and for nothing else), and what a ring's contrast is (here: how far the mean of an annulus one pixel wide leaves the line
through the annuli two to four pixels inside and outside it, percent of the mean).
"""

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.cut_off import FLAT
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result
from spark_jobs.qc.spect.uniform_slices import UniformSlices, ring_profile, uniform_slices

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "tomographic_uniformity"
METHOD = "mean of uniform slices, field 80 % of the radius"
VERSION = "1.0.1"
FORMULAE = (
    "IU = 100 · (max − min) / (max + min), in percent, of the smoothed mean of the uniform slices",
    "coefficient of variation = 100 · SD / mean, in percent, without smoothing",
    "centre/border ratio = mean within 40 % of the field's radius / mean beyond 75 % of it",
    "ring contrast = 100 · |annulus − line through its neighbours| / mean, in percent; the line is fitted over r²",
)
CENTRE, BORDER = 0.4, 0.75  # of the field's radius: NMQC's disc in the centre, and where its border begins


def measure(
    volume: NDArray, pixel_mm: float, slice_mm: float, *, over: UniformSlices | str | None = None, detector: str | None = None
) -> Result:
    """Return the uniformity of a tomogram.

    Parameters
    ----------
    volume
        Slices × rows × columns in the order of their places along the axis, any unit proportional to activity.
    pixel_mm, slice_mm
        Side of a square pixel, distance of slices.
    over
        The uniform slices, or why there are none, when that is known already.
    """
    seen = uniform_slices(volume, pixel_mm, slice_mm) if over is None else over
    if isinstance(seen, str):
        return Result(PROCEDURE, NOT_MEASURED, seen, detector, METHOD, VERSION)
    found, distance, field = seen.phantom, seen.distance_mm, seen.field
    mean = seen.values.mean(0)
    inside = mean[field]
    average = float(inside.mean())
    independent = seen.noise_percent / float(
        np.sqrt(len(seen.values))
    )  # percent, of one pixel of the mean, were slices independent

    smooth = np.where(field, _smoothed(mean), average)
    high, low = float(smooth.max()), float(smooth.min())
    row, column = divmod(int(np.argmax(np.abs(smooth - average))), mean.shape[1])
    centre = distance <= CENTRE * found.field_radius_mm
    border = field & (distance >= BORDER * found.field_radius_mm)
    ratio = float(mean[centre].mean() / mean[border].mean())
    ratio_se = ratio * independent / 100 * float(np.sqrt(1 / centre.sum() + 1 / border.sum()))
    radii, profile, pixels = ring_profile(mean, distance, field, pixel_mm)
    ring, at_mm, ring_se = _ring(radii, profile, pixels, average, independent)
    worst = {"row": row, "column": column, "relative": round(float(smooth[row, column]) / average, 4)}
    measures = (
        Measure("iu_percent", round(100 * (high - low) / (high + low), 4), "%", None, worst),
        Measure("cov_percent", round(100 * float(inside.std(ddof=1)) / average, 4), "%"),
        Measure("centre_border_ratio", round(ratio, 5), "1", round(ratio_se, 5)),
        Measure("ring_contrast_percent", round(ring, 4), "%", round(ring_se, 4), {"radius_mm": round(at_mm, 1)}),
    )
    reason = seen.few_counts or (because(FLAT) if np.ptp(seen.values[:, field]) == 0 else None)
    warnings = (
        because(
            "tomogram.slices_used",
            slices=len(found.uniform),
            numbers=_numbers(found.uniform),
            diameter_mm=found.diameter_mm,
            noise_percent=seen.noise_percent,
        ),
    )
    figure = {
        "kind": PROCEDURE,
        "image": mean / average,
        "axis": found.axis(seen.at_slice),
        "pixel_mm": pixel_mm,
        "radius": found.field_radius_mm / pixel_mm,
        "centre": CENTRE * found.field_radius_mm / pixel_mm,
        "worst": worst,
        "radii_mm": radii,
        "profile": profile / average,
        "ring_mm": at_mm,
    }
    status = INDICATIVE if reason else MEASURED
    return Result(PROCEDURE, status, reason, detector, METHOD, VERSION, measures, warnings, figure)


def _ring(
    radii: NDArray[np.float64], profile: NDArray[np.float64], pixels: NDArray[np.int64], average: float, noise: float
) -> tuple[float, float, float]:
    """Return the largest contrast of an annulus (percent), its radius and its uncertainty."""
    best = (0.0, float(radii[0]), 0.0)
    for k in range(len(radii)):
        near = [j for j in range(len(radii)) if 2 <= abs(j - k) <= 4]
        if len(near) < 3 or len(radii) - 1 - k < 2:
            continue
        weights = pixels[near].astype(np.float64)
        # a line in r²: shading is even about the axis, so that this holds in the centre too, where all neighbours lie on one side
        line = np.polyfit(radii[near] ** 2 - radii[k] ** 2, profile[near], 1, w=np.sqrt(weights))
        contrast = 100 * abs(float(profile[k] - line[-1])) / average
        if contrast > best[0]:
            best = (contrast, float(radii[k]), noise * float(np.sqrt(1 / pixels[k] + 1 / weights.sum())))
    return best


def _smoothed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 16


def _numbers(slices: tuple[int, ...]) -> str:
    """Return slice numbers as ranges: 4-7, 20-21."""
    parts: list[list[int]] = []
    for z in slices:
        if parts and z == parts[-1][1] + 1:
            parts[-1][1] = z
        else:
            parts.append([z, z])
    return ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in parts)
