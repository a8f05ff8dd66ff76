"""Image quality of a PET scanner by the NEMA body phantom: contrast, background variability, recovery, lung residual.

1. Find the six spheres by their places on one circle and their sizes.
2. Check for damaged slices, clipped voxels, warm surroundings and a wrong slice distance.
3. Place twelve background regions in each of five slices (0, ±10, ±20 mm), in each sphere's diameter.
4. Take the mean in the circle through each sphere's centre: contrast and background variability.
5. Take recovery from the maximum and from the contour half way between background and maximum.
6. Measure the lung insert over the same slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.blurred_sphere import SphereFit
from spark_jobs.qc.numerics.cut_off import CUT_OFF
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.slips import slip
from spark_jobs.qc.pet.iq_phantom import DIAMETERS_MM, IqPhantom, find_iq_phantom
from spark_jobs.qc.pet.pet_cylinder import AWAY_MM, COLD
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "Filling", "measure"]

PROCEDURE = "pet_nema_iq"
METHOD = "NEMA NU 2 image quality; spheres in the plane of their centres"
VERSION = "1.2.0"
FORMULAE = (
    "contrast of a hot sphere: Q_H = 100 · (C_H / C_B − 1) / (a_H / a_B − 1), in percent",
    "contrast of a cold sphere: Q_C = 100 · (1 − C_C / C_B), in percent",
    "background variability = 100 · SD_B / C_B, in percent, over 60 regions of the sphere's diameter, with K − 1 degrees of freedom",
    "recovery RC = C measured / C true, from the maximum and from the mean within B + 0.5 · (max − B)",
    "lung residual = 100 · C_lung / C_B, in percent",
    "background bias = 100 · (C_B / C filled − 1), in percent",
)
PLANES_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)  # background slices (NU 2, 7.4)
ROIS = 12  # a slice
MARGINS_MM = (15.0, 10.0, 6.0, 3.0)  # from the edge and from the spheres: the standard's 15 mm, less where a phantom has no room
LUNG_ROI_MM = 30.0
LUNG_FULL = 0.75  # of the background: no insert displaces the activity
CORE_FWHM, SMALLEST_CORE_MM = 1.25, 5.0  # how far the edge of the largest sphere reaches in, and the least core to take a mean of
SAME_LEVEL = 0.15  # between the slices of the body
MOST_EQUAL, EQUAL, NOISY = 8, 1e-5, 0.002  # voxels that share the largest value, of a volume whose background is noisy
NOISIEST_PERCENT = (
    15.0  # of a voxel of the background: EARL asks for less, for noise lifts the largest voxels, and with them recovery
)
LONGEST_PERCENT = 8.0  # along the axis more than across: resolutions that differ by 2 mm make 2 % of it
REACH_MM, ASIDE_MM = 34.0, 4.0  # from the middle of the largest sphere; the lines beside it
# Of the largest hot sphere, and of the background over what was filled: a scanner that blurs, or is calibrated half as high again, has
# these; EARL's bands end at 1.00 for the mean within the contour (37 mm)
POSSIBLE_RC, POSSIBLE_CONTRAST, POSSIBLE_LEVEL = (0.3, 1.5), (15.0, 125.0), (0.5, 2.0)
FINE = 4  # sub-samples along a pixel


@dataclass(frozen=True)
class Filling:
    """Activity concentrations (Bq/ml) of spheres and background at the time that the voxels are corrected to."""

    spheres: float
    background: float


def measure(
    values: NDArray, voxel_mm: tuple[float, float, float], *, filling: Filling | None = None, detector: str | None = None
) -> Result:
    """Return the figures of the six spheres.

    Parameters
    ----------
    values
        Slices × rows × columns, axis along the phantom. Bq/ml where `filling` is given, any linear unit otherwise.
    filling
        None: the activities are not known. Contrast and recovery then stand against the filling that the largest sphere itself
        shows, which cannot see a wrong calibration: the result is indicative and gets no verdict.
    """
    phantom = find_iq_phantom(values, voxel_mm)
    if isinstance(phantom, str):
        return Result(PROCEDURE, NOT_MEASURED, phantom, detector, METHOD, VERSION)
    centre = round(phantom.centre[0])
    planes = [round(phantom.centre[0] + p / voxel_mm[0]) for p in PLANES_MM]
    if planes[0] < 0 or planes[-1] >= len(values) or len(set(planes)) < len(planes):
        return Result(PROCEDURE, NOT_MEASURED, because("iq.slices_few"), detector, METHOD, VERSION)
    places, margin = _background_places(phantom, planes, voxel_mm)
    if len(places) < ROIS:
        return Result(PROCEDURE, NOT_MEASURED, because("iq.no_room_for_background"), detector, METHOD, VERSION)
    damaged = _damaged(values, phantom, planes) or _warm(values, phantom, planes, voxel_mm)
    if damaged:
        return Result(PROCEDURE, NOT_MEASURED, damaged, detector, METHOD, VERSION)
    notes = [] if margin == MARGINS_MM[0] else [because("iq.margin_smaller", margin_mm=margin, standard_mm=MARGINS_MM[0])]
    backgrounds = {
        d: np.array([_disc_mean(values[k], r, c, d / 2, voxel_mm) for k in planes for r, c in places]) for d in DIAMETERS_MM
    }
    level = float(backgrounds[DIAMETERS_MM[0]].mean())
    true = (
        filling.spheres if filling else _filling_seen(values, phantom.spheres[phantom.cold], DIAMETERS_MM[phantom.cold], voxel_mm)
    )
    ratio = filling.spheres / filling.background if filling else true / level
    out: list[Measure] = []
    for number, (diameter, sphere) in enumerate(zip(DIAMETERS_MM, phantom.spheres, strict=True), 1):
        region = f"{diameter:.0f} mm"
        z, row, column = sphere.centre
        at: dict[str, Any] = {"sphere": number, "slice": round(z, 2), "row": round(row, 2), "column": round(column, 2)}
        own = backgrounds[diameter]
        seen = _sphere_mean(values, sphere.centre, diameter / 2, voxel_mm)
        figures = {
            "sphere_diameter_mm": (diameter, "mm"),
            "background_variability_percent": (100 * own.std(ddof=1) / own.mean(), "%"),
            "psf_fwhm_mm": (sphere.fwhm_mm, "mm"),
        }
        if number <= phantom.cold:  # filled with water: what of the background's activity is missing (NU 2, 7.4.1)
            at["filling"] = "cold"
            figures["contrast_percent"] = (100 * (1 - seen / own.mean()), "%")
            out += [Measure(n, round(float(v), 4), u, None, at, None, region) for n, (v, u) in figures.items()]
            continue
        half, top = _recovered(values, sphere.centre, diameter / 2, level, voxel_mm)
        figures |= {
            "contrast_percent": (100 * (seen / own.mean() - 1) / (ratio - 1), "%"),
            "rc_a50": (half / true, "1"),
            "rc_max": (top / true, "1"),
        }
        out += [Measure(n, round(float(v), 4), u, None, at, None, region) for n, (v, u) in figures.items()]
    if phantom.cold:
        notes.append(because("iq.largest_two_cold"))
    lung = float(np.mean([_disc_mean(values[k], *phantom.centre[1:], LUNG_ROI_MM / 2, voxel_mm) for k in planes])) / level
    if lung < LUNG_FULL:
        out.append(Measure("lung_residual_percent", round(100 * lung, 4), "%"))
    else:
        notes.append(because("iq.no_lung"))
    if filling:
        shown = 100 * (level / filling.background - 1)
        out.append(Measure("background_bias_percent", round(shown, 4), "%"))
    tilt = max(s.centre[0] for s in phantom.spheres) - min(s.centre[0] for s in phantom.spheres)
    if tilt * voxel_mm[0] > 6:
        notes.append(because("iq.tilted", distance_mm=tilt * voxel_mm[0]))
    figure = _figure(values[centre], phantom, places, voxel_mm)
    noise = _noise_percent(values, planes, places, voxel_mm)
    longer = _longer_percent(values, phantom.spheres[0].centre, level, voxel_mm)
    reason: str | None = None
    if longer is None or abs(longer) > LONGEST_PERCENT:
        how = because("iq.length_not_seen") if longer is None else because("iq.length_differs", percent=longer)
        reason = because("iq.slice_distance_doubtful", diameter_mm=DIAMETERS_MM[0], how=how)
    if noise > NOISIEST_PERCENT:
        reason = because("iq.too_few_counts", noise_percent=noise, most_percent=NOISIEST_PERCENT)
    if filling is not None:
        largest = f"{DIAMETERS_MM[phantom.cold]:.0f} mm"
        seen_there = {m.name: m.value for m in out if m.region == largest}
        reason = _no_scanner(seen_there["rc_a50"], seen_there["contrast_percent"], level / filling.background) or reason
    if filling is None:
        reason = because("iq.activities_not_given", sphere_mm=DIAMETERS_MM[phantom.cold])
        out.append(Measure("filling_ratio_seen", round(ratio, 4), "1"))
    return Result(
        PROCEDURE, INDICATIVE if reason else MEASURED, reason, detector, METHOD, VERSION, tuple(out), tuple(notes), figure
    )


def _no_scanner(recovery: float, contrast_percent: float, level: float) -> str | None:
    """Return why the figures of the largest hot sphere and of the background are none that a scanner can have, None where they may be."""
    for value, (low, high) in ((recovery, POSSIBLE_RC), (contrast_percent, POSSIBLE_CONTRAST), (level, POSSIBLE_LEVEL)):
        if not low <= value <= high:
            return because("iq.no_scanner", recovery=recovery, contrast_percent=contrast_percent, times=level, cause=slip(level))
    return None


def _longer_percent(
    values: NDArray, centre: tuple[float, float, float], level: float, voxel_mm: tuple[float, float, float]
) -> float | None:
    """Return by how much a sphere looks longer along the axis than across, at half height; None where an edge is not seen.

    What the distance of slices says is believed by nothing else in the image: recovery and contrast of a sphere take it for granted.
    """
    from scipy import ndimage

    steps = np.arange(0.0, REACH_MM, 0.25)
    aside = np.array([(a, b) for a in (-ASIDE_MM, 0.0, ASIDE_MM) for b in (-ASIDE_MM, 0.0, ASIDE_MM)])
    lengths = []
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        length = 0.0
        for sign in (-1.0, 1.0):
            places = np.zeros((3, len(aside), steps.size))
            places[axis] = sign * steps
            for column, k in enumerate(others):
                places[k] = aside[:, column : column + 1]
            index = places / np.array(voxel_mm)[:, None, None] + np.array(centre)[:, None, None]
            profile = ndimage.map_coordinates(values, index, order=1, mode="nearest").mean(0) - level
            height = float(profile[steps <= ASIDE_MM].mean())
            below = np.flatnonzero(profile * np.sign(height) < 0.5 * abs(height))
            if not below.size or below[0] == 0:
                return None
            k = int(below[0])
            before, after = profile[k - 1] / height, profile[k] / height
            length += float(steps[k - 1] + 0.25 * (before - 0.5) / max(before - after, 1e-9))
        lengths.append(length)
    return 100 * (2 * lengths[0] / (lengths[1] + lengths[2]) - 1)


def _damaged(values: NDArray, phantom: IqPhantom, planes: Sequence[int]) -> str | None:
    """Return what is wrong with slices that the spheres lie in, or with the tops of the spheres; None when nothing is."""
    common = phantom.body[list(planes)].sum(0) > len(planes) / 2
    levels = np.array([median(s[common]) for s in values[planes[0] : planes[-1] + 1]])
    middle = median(levels)
    worst = int(np.argmax(np.abs(levels - middle)))
    part = float(levels[worst]) / middle
    if abs(part - 1) > SAME_LEVEL:
        return because("iq.slice_damaged", slice=planes[0] + worst + 1, percent=100 * part)
    near = values[planes[0] : planes[-1] + 1]
    piled = int((near >= near.max() * (1 - EQUAL)).sum())
    if piled <= MOST_EQUAL:
        return None
    noise = median(np.abs(near[:, common] / middle - 1))  # spheres and insert are the lesser part
    return because(CUT_OFF) if noise > NOISY else None


def _warm(values: NDArray, phantom: IqPhantom, planes: Sequence[int], voxel_mm: tuple[float, float, float]) -> str | None:
    """Return why the values beside the body tell that all values are too high, or None."""
    from scipy import ndimage

    body = phantom.body[list(planes)].any(0)
    beside = ndimage.distance_transform_edt(~body, sampling=voxel_mm[1:]) > AWAY_MM
    if not beside.any() or abs(median(values[planes[0] : planes[-1] + 1, beside])) <= COLD * phantom.background:
        return None
    return because("iq.surroundings_warm")


def _noise_percent(
    values: NDArray, planes: Sequence[int], places: Sequence[tuple[float, float]], voxel_mm: tuple[float, float, float]
) -> float:
    """Return the standard deviation of a voxel within the regions of the background, percent of their mean."""
    rows, columns = ((np.arange(n) * v) for n, v in zip(values.shape[1:], voxel_mm[1:], strict=True))
    variance, mean = [], []
    for r, c in places:
        away = np.hypot(rows[:, None] - r * voxel_mm[1], columns[None, :] - c * voxel_mm[2])
        inside = values[list(planes)][:, away <= DIAMETERS_MM[0] / 2].astype(np.float64)
        variance.append(inside.var(axis=1, ddof=1).mean())
        mean.append(inside.mean())
    return 100 * float(np.sqrt(np.mean(variance)) / np.mean(mean))


def _filling_seen(values: NDArray, sphere: SphereFit, diameter_mm: float, voxel_mm: tuple[float, float, float]) -> float:
    """Return the mean in the core of the largest hot sphere that no edge reaches; with a blur too wide for a core, what the fit says."""
    core = diameter_mm / 2 - CORE_FWHM * sphere.fwhm_mm
    if core < SMALLEST_CORE_MM:
        return sphere.height + sphere.background
    z, y, x = ((np.arange(n) - c) * v for n, c, v in zip(values.shape, sphere.centre, voxel_mm, strict=True))
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= core**2
    return float(values[inside].mean(dtype=np.float64))


def _figure(
    image: NDArray, phantom: IqPhantom, places: Sequence[tuple[float, float]], voxel_mm: tuple[float, float, float]
) -> dict[str, Any]:
    spheres = [(s.centre[1], s.centre[2], d / 2 / voxel_mm[1]) for s, d in zip(phantom.spheres, DIAMETERS_MM, strict=True)]
    regions = [(r, c, DIAMETERS_MM[0] / 2 / voxel_mm[1]) for r, c in places]
    return {"kind": PROCEDURE, "image": image, "spheres": spheres, "background": regions, "level": phantom.background}


def _background_places(
    phantom: IqPhantom, planes: Sequence[int], voxel_mm: tuple[float, float, float]
) -> tuple[list[tuple[float, float]], float]:
    """Return twelve centres of 37 mm regions (row, column), as far from each other as can be, and the margin they keep."""
    from scipy import ndimage

    body = phantom.body[list(planes)].all(0)
    depth = ndimage.distance_transform_edt(np.pad(body, 1), sampling=voxel_mm[1:])[1:-1, 1:-1]
    ys, xs = np.ogrid[: body.shape[0], : body.shape[1]]
    radius = DIAMETERS_MM[0] / 2
    for margin in MARGINS_MM:
        free = depth >= margin + radius
        for sphere, diameter in zip(phantom.spheres, DIAMETERS_MM, strict=True):
            away = np.hypot((ys - sphere.centre[1]) * voxel_mm[1], (xs - sphere.centre[2]) * voxel_mm[2])
            free &= away >= margin + radius + diameter / 2
        away = np.hypot((ys - phantom.centre[1]) * voxel_mm[1], (xs - phantom.centre[2]) * voxel_mm[2])
        free &= away >= 25.0 + radius + margin  # the insert's outer radius
        rows, columns = np.nonzero(free)
        if len(rows) >= ROIS:
            return _spread(rows, columns, phantom), margin
    return [], 0.0


def _spread(rows: NDArray, columns: NDArray, phantom: IqPhantom) -> list[tuple[float, float]]:
    """Return points that are each as far as can be from those before: deterministic, ties go to the first."""
    points = np.column_stack([rows, columns]).astype(np.float64)
    start = int(np.argmax(np.hypot(*(points - np.array(phantom.centre[1:])).T)))
    chosen = [start]
    nearest = np.hypot(*(points - points[start]).T)
    while len(chosen) < ROIS:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.hypot(*(points - points[chosen[-1]]).T))
    return [(float(points[k, 0]), float(points[k, 1])) for k in chosen]


def _disc_mean(image: NDArray, row: float, column: float, radius_mm: float, voxel_mm: tuple[float, float, float]) -> float:
    """Return the mean in a circle; a pixel counts by the part of it that lies inside."""
    ry, rx = radius_mm / voxel_mm[1], radius_mm / voxel_mm[2]
    r0, c0 = max(0, int(row - ry - 1)), max(0, int(column - rx - 1))
    box = image[r0 : int(row + ry) + 3, c0 : int(column + rx) + 3]
    sub = (np.arange(FINE) + 0.5) / FINE - 0.5
    y = ((np.arange(r0, r0 + box.shape[0])[:, None] + sub).ravel() - row) / ry
    x = ((np.arange(c0, c0 + box.shape[1])[:, None] + sub).ravel() - column) / rx
    inside = y[:, None] ** 2 + x**2 <= 1
    weight = inside.reshape(box.shape[0], FINE, box.shape[1], FINE).sum((1, 3))
    return float((weight * box).sum() / weight.sum())


def _sphere_mean(
    values: NDArray, centre: tuple[float, float, float], radius_mm: float, voxel_mm: tuple[float, float, float]
) -> float:
    """Return the mean in the circle through a sphere's centre; the plane between two slices is interpolated (cubic spline)."""
    from scipy import ndimage

    reach = [int(np.ceil(radius_mm / v)) + 8 for v in voxel_mm]
    low = [max(0, round(c) - n) for c, n in zip(centre, reach, strict=True)]
    box = values[tuple(slice(a, round(c) + n + 1) for a, c, n in zip(low, centre, reach, strict=True))]
    step = 0.25
    grid = np.arange(-radius_mm + step / 2, radius_mm, step)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    inside = y**2 + x**2 <= radius_mm**2
    at = [
        np.full(int(inside.sum()), centre[0] - low[0]),
        y[inside] / voxel_mm[1] + centre[1] - low[1],
        x[inside] / voxel_mm[2] + centre[2] - low[2],
    ]
    return float(ndimage.map_coordinates(box.astype(np.float64), at, order=3, mode="nearest").mean())


def _recovered(
    values: NDArray, centre: tuple[float, float, float], radius_mm: float, level: float, voxel_mm: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the mean within the contour half way from background to maximum, and the maximum (EARL)."""
    from scipy import ndimage

    reach = radius_mm + 6
    low = [max(0, int(c - reach / v)) for c, v in zip(centre, voxel_mm, strict=True)]
    box = values[tuple(slice(a, int(c + reach / v) + 2) for a, c, v in zip(low, centre, voxel_mm, strict=True))]
    z, y, x = ((np.arange(a, a + n) - c) * v for a, n, c, v in zip(low, box.shape, centre, voxel_mm, strict=True))
    near = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= reach**2
    seen = np.where(near, box, level)
    top = float(seen.max())
    labels, _ = ndimage.label(seen >= level + 0.5 * (top - level))
    contour = labels == labels[np.unravel_index(int(np.argmax(seen)), seen.shape)]
    return float(seen[contour].mean(dtype=np.float64)), top
