"""Uniformity of a PET scanner over the slices and the volume of an evenly filled cylinder.

1. Find the evenly filled cylinder; the slices next to its ends are left out.
2. Compare the mean of each slice with that of all, within 85 % of the radius.
3. Cut each slice into squares of about 10 mm; those that lie wholly inside count.
4. Compare squares with each other, over the volume and within their slice, and the centre with the border.
"""

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.cut_off import FLAT
from spark_jobs.qc.pet.pet_cylinder import find_pet_cylinder
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "pet_uniformity"
METHOD = "even cylinder: slices, 10 mm squares, centre against border"
VERSION = "1.0.1"
FORMULAE = (
    "IU of the volume = 100 · (max − min) / (max + min), in percent, over squares of about 10 mm",
    "deviation of a slice = 100 · |slice mean / mean − 1|, in percent; the largest counts",
    "deviation in a slice = 100 · |square / mean of the slice's squares − 1|, in percent; the largest counts",
    "coefficient of variation = 100 · SD / mean, in percent, over the voxels within 85 % of the radius",
    "centre/border ratio = mean within 35 % of the radius / mean between 65 % and 85 %",
)
SQUARE_MM = 10.0  # side of the squares of NU 2-1994 and IEC 61675-1
PART = 0.85  # of the radius
NOISIEST_PERCENT = 5.0  # standard deviation of a square by noise alone, above which the largest of hundreds says nothing


def measure(values: NDArray, voxel_mm: tuple[float, float, float], *, detector: str | None = None) -> Result:
    """Return the uniformity of the cylinder; the unit of the voxels does not matter.

    Each slice is cut into squares of about 10 mm; a square counts when it lies wholly inside. A square's noise is estimated from
    its pixels as if they were independent, which reconstruction makes too small: it only tells that a scan has far too few counts.
    """
    cylinder = find_pet_cylinder(values, voxel_mm)
    if isinstance(cylinder, str):
        return Result(PROCEDURE, NOT_MEASURED, cylinder, detector, METHOD, VERSION)
    inside = cylinder.inside(values.shape, voxel_mm, PART)
    slices = slice(cylinder.first, cylinder.last + 1)
    volume = values[slices].astype(np.float64)
    mask = inside[slices]
    mean = float(volume[mask].mean())
    means = (volume * mask).sum((1, 2)) / mask.sum((1, 2))
    ny, nx = (max(1, round(SQUARE_MM / v)) for v in voxel_mm[1:])
    rows, columns = volume.shape[1] // ny, volume.shape[2] // nx
    shape = (len(volume), rows, ny, columns, nx)
    cut = volume[:, : rows * ny, : columns * nx].reshape(shape)
    full = mask[:, : rows * ny, : columns * nx].reshape(shape).all((2, 4))
    squares = np.where(full, cut.mean((2, 4)), np.nan)
    noise = 100 * float(np.sqrt(np.mean(cut.var((2, 4), ddof=1)[full] / (ny * nx)))) / mean if ny * nx > 1 else 0.0
    high, low = np.nanmax(squares), np.nanmin(squares)
    per_slice = np.nanmax(np.abs(squares / np.nanmean(squares, axis=(1, 2), keepdims=True) - 1), axis=(1, 2))
    worst_slice, worst = int(np.argmax(np.abs(means - mean))), int(np.argmax(per_slice))
    centre = float(volume[cylinder.inside(values.shape, voxel_mm, 0.35)[slices]].mean())
    border = float(volume[mask & ~cylinder.inside(values.shape, voxel_mm, 0.65)[slices]].mean())
    out = (
        Measure("volume_iu_percent", round(float(100 * (high - low) / (high + low)), 4), "%"),
        Measure(
            "slice_deviation_max_percent",
            round(100 * abs(float(means[worst_slice]) / mean - 1), 4),
            "%",
            None,
            {"slice": cylinder.first + worst_slice + 1},
        ),
        Measure(
            "in_slice_deviation_max_percent",
            round(100 * float(per_slice[worst]), 4),
            "%",
            None,
            {"slice": cylinder.first + worst + 1},
        ),
        Measure("cov_percent", round(100 * float(volume[mask].std(ddof=1)) / mean, 4), "%"),
        Measure("centre_border_ratio", round(centre / border, 5), "1"),
        Measure("cylinder_diameter_mm", round(2 * cylinder.radius_mm, 2), "mm"),
    )
    reason = None
    if np.ptp(volume[mask]) == 0:
        reason = because(FLAT)
    if noise > NOISIEST_PERCENT:
        reason = because("pet_uniformity.too_few_counts", square_mm=SQUARE_MM, noise_percent=noise)
    circle = (
        cylinder.rows[cylinder.first + worst],
        cylinder.columns[cylinder.first + worst],
        PART * cylinder.radius_mm / voxel_mm[1],
    )
    figure = {
        "kind": PROCEDURE,
        "image": volume[worst],
        "mean": mean,
        "circle": circle,
        "slices": means / mean,
        "first_slice": cylinder.first,
        "mean_image": volume.mean(0),
        "pixel_mm": voxel_mm[1],
    }
    return Result(PROCEDURE, INDICATIVE if reason else MEASURED, reason, detector, METHOD, VERSION, out, (), figure)
