"""Contrast of the cold spheres, smallest rod and noise of a Jaszczak phantom (the toolkit NMQC's contrast and ACR's, side by side).

U is the mean of the uniform slices in the field (80 % of the radius): the median over slices, so that the blur of an end stays
out. S is the mean of a sphere of the nominal diameter about the place that the ring of all spheres gives, integrated between voxels:
`contrast_michelson_percent` = 100·|U − S|/(U + S). ACR's `contrast_acr_percent` = 100·(U − S_min)/U takes the lowest value in the
sphere, and is therefore raised by noise where a sphere is small. The diameter is nominal: that of the standard set whose volumes,
shapes and blur explain the image best.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result
from spark_jobs.qc.spect.rods import rod_modulations, smallest_resolved
from spark_jobs.qc.spect.spheres import Ring, find_ring, sampled
from spark_jobs.qc.spect.tomogram import Phantom, find_phantom
from spark_jobs.qc.spect.uniform_slices import UniformSlices, ring_profile, uniform_slices

__all__ = ["METHOD", "PROCEDURE", "VERSION", "Misfit", "Spheres", "find_spheres", "measure"]

PROCEDURE = "tomographic_contrast"
METHOD = "Jaszczak, spheres of the standard sets by geometry"
VERSION = "1.0.2"
FORMULAE = (
    "contrast (Michelson) = 100 · |U − S| / (U + S), in percent, with U the uniform slices and S the mean of the sphere",
    "contrast (ACR) = 100 · (U − S_min) / U, in percent, with S_min the lowest value in the sphere",
    "noise = 100 · standard deviation of a pixel in a uniform slice / mean, in percent",
)
CYLINDER_MM = (196.0, 234.0)  # inside 216 mm; a wrong pixel size shows here first
SURE_MM = (207.0, 225.0)  # beyond it a contrast is some 8 % wrong if the pixel spacing is what is wrong (B)
ONE_SET = 1.02  # a set that fits hardly better than the other is said to be uncertain


@dataclass(frozen=True)
class Spheres:
    """The uniform slices of a system phantom, the mean of their field, and the ring of its spheres."""

    over: UniformSlices
    level: float
    ring: Ring


@dataclass(frozen=True)
class Misfit:
    """Why spheres cannot be measured; `geometry`: because the phantom, or the header's millimetres, are not what they should be."""

    reason: str
    geometry: bool


def find_spheres(volume: NDArray, pixel_mm: float, slice_mm: float, *, phantom: Phantom | None = None) -> Spheres | Misfit:
    """Return the spheres of a system phantom, or why there are none; the arguments are those of `measure`."""
    found = find_phantom(volume, pixel_mm, slice_mm) if phantom is None else phantom
    if isinstance(found, str):
        return Misfit(found, False)
    if not CYLINDER_MM[0] <= found.diameter_mm <= CYLINDER_MM[1]:
        wrong = because("jaszczak.cylinder_other", diameter_mm=found.diameter_mm)
        return Misfit(wrong, True)
    seen = uniform_slices(volume, pixel_mm, slice_mm, found)
    if isinstance(seen, str):
        return Misfit(seen, False)
    if len(found.spheres) < 3:
        return Misfit(because("jaszczak.spheres_few", spheres=len(found.spheres)), False)
    radii, profile, _ = ring_profile(seen.values.mean(0), seen.distance_mm, seen.field, pixel_mm)
    level = np.interp(seen.distance_mm, radii, profile).astype(np.float32)
    missing = np.divide(volume, level, dtype=np.float32)  # no voxel needs more digits, and this is the largest array of all
    np.subtract(1, missing, out=missing)
    ring = find_ring(
        missing,
        np.asarray(found.spheres, np.float64),
        (found.middle, found.row, found.column),
        found.lean,
        (slice_mm, pixel_mm, pixel_mm),
        seen.noise_percent / 100,
    )
    if isinstance(ring, str):
        return Misfit(ring, True)
    for s in ring.spheres:
        if s.centre[0] * slice_mm < s.diameter_mm / 2 or (len(volume) - 1 - s.centre[0]) * slice_mm < s.diameter_mm / 2:
            return Misfit(because("jaszczak.truncated"), False)
    return Spheres(seen, median(seen.values[:, seen.field].mean(1)), ring)


def measure(
    volume: NDArray, pixel_mm: float, slice_mm: float, *, spheres: Spheres | Misfit | None = None, detector: str | None = None
) -> Result:
    """Return contrasts, smallest rod and noise.

    Parameters
    ----------
    volume
        Slices × rows × columns in the order of their places along the axis, any unit proportional to activity.
    pixel_mm, slice_mm
        Side of a square pixel, distance of slices.
    spheres
        What `find_spheres` gave, when that is known already.
    """
    seen = find_spheres(volume, pixel_mm, slice_mm) if spheres is None else spheres
    if isinstance(seen, Misfit):
        return Result(PROCEDURE, NOT_MEASURED, seen.reason, detector, METHOD, VERSION)
    found, ring, uniform, noise = seen.over.phantom, seen.ring, seen.level, seen.over.noise_percent
    steps = (slice_mm, pixel_mm, pixel_mm)
    measures = _spheres(volume, ring, steps, uniform, noise)
    warnings = _notes(found, ring)
    modulation = rod_modulations(volume[list(found.rods)], found, pixel_mm) if found.rods else None
    if modulation is None:
        warnings.append(because("jaszczak.no_rods"))
    else:
        smallest = smallest_resolved(modulation)
        if smallest is None:
            warnings.append(because("jaszczak.rods_unresolved"))
        else:
            at = {"modulation_percent": round(100 * smallest.modulation, 2), "angle_deg": round(smallest.angle_deg)}
            measures.append(Measure("smallest_rod_mm", smallest.diameter_mm, "mm", None, at))
    measures.append(
        Measure(
            "noise_percent",
            round(noise, 4),
            "%",
            round(noise / float(np.sqrt(2 * seen.over.field.sum() * len(seen.over.values) / 8)), 4),
        )
    )
    reason = seen.over.few_counts
    if reason is None and not SURE_MM[0] <= found.diameter_mm <= SURE_MM[1]:
        reason = because("jaszczak.cylinder_doubtful", diameter_mm=found.diameter_mm)
    figure = {
        "kind": PROCEDURE,
        "image": _plane(volume, ring) / uniform,
        "rods": volume[list(found.rods)].mean(0) / uniform if found.rods else None,
        "circles": [(*s.centre[1:], s.diameter_mm / 2 / pixel_mm, f"{s.diameter_mm:g}") for s in ring.spheres],
        "axis": found.axis(ring.spheres[0].centre[0]),
        "radius": found.diameter_mm / 2 / pixel_mm,
    }
    status = INDICATIVE if reason else MEASURED
    return Result(PROCEDURE, status, reason, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure)


def _spheres(volume: NDArray, ring: Ring, steps: tuple[float, float, float], uniform: float, noise: float) -> list[Measure]:
    """Return diameter and both contrasts of each sphere, largest first."""
    measures = []
    voxel = float(np.prod(steps))
    for number, sphere in enumerate(ring.spheres, 1):
        mean, lowest = sampled(volume, sphere.centre, sphere.diameter_mm / 2, steps)
        voxels = np.pi / 6 * sphere.diameter_mm**3 / voxel
        alike = max(1.0, (2 * ring.sigma_mm / voxel ** (1 / 3)) ** 1.5)
        spread = noise / 100 * uniform * float(np.sqrt(min(1.0, alike / voxels)))
        z, row, column = (round(v, 2) for v in sphere.centre)
        at = {"sphere": number, "slice": z, "row": row, "column": column}
        region = f"{sphere.diameter_mm:g} mm"
        michelson = 100 * abs(uniform - mean) / (uniform + mean)
        measures += [
            Measure("sphere_diameter_mm", sphere.diameter_mm, "mm", None, at, None, region),
            Measure(
                "contrast_michelson_percent",
                round(michelson, 4),
                "%",
                round(200 * uniform * spread / (uniform + mean) ** 2, 4),
                at,
                None,
                region,
            ),
            Measure("contrast_acr_percent", round(100 * (uniform - lowest) / uniform, 4), "%", None, at, None, region),
        ]
    return measures


def _notes(found: Phantom, ring: Ring) -> list[str]:
    largest = ring.spheres[0]
    notes: list[str] = [
        because(
            "jaszczak.measured_from",
            diameter_mm=found.diameter_mm,
            radius_mm=ring.radius_mm,
            blur_mm=2.3548 * ring.sigma_mm,
            slices=len(found.uniform),
        )
    ]
    if ring.margin < ONE_SET:
        notes.append(because("jaszczak.set_doubtful"))
    unseen = [f"{s.diameter_mm:g}" for s in ring.spheres if s.depth < 3 * s.depth_se]
    if unseen:
        notes.append(because("jaszczak.spheres_unseen", diameters_mm=list(unseen)))
    if largest.depth < 0.7:
        notes.append(because("jaszczak.spheres_not_water", percent=100 * largest.depth))
    return notes


def _plane(volume: NDArray, ring: Ring) -> NDArray[np.float64]:
    z = round(median([s.centre[0] for s in ring.spheres]))
    return volume[max(z - 1, 0) : z + 2].mean(0, dtype=np.float64)
