"""CT number, noise and uniformity of a water phantom in the central slices of a series, and in those that read otherwise.

1. Find the round, homogeneous phantom in each central slice, and check that it is water in air.
2. Look for foreign objects, clipped pixels and inserts: any of them refuses or reserves the result.
3. Measure CT number and noise in a central region of 40 % of the diameter.
4. Compare four edge regions (10 % of the diameter, 10 mm inside the rim) with the centre; the largest deviation counts.
   Where slices differ by more than their noise, the one that is farthest off counts and not the mean: an average hides what alternates.
5. Measure the noise power spectrum within 60 % of the diameter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.noise_power import errors_of_disc, noise_power, patches
from spark_jobs.qc.ct.wide_insert import WIDE_MM, Suspicion, insert_or_shade
from spark_jobs.qc.numerics.cylinder import Cylinder, find_cylinder
from spark_jobs.qc.numerics.foreign_object import cut_off, find_objects, is_streak, water_of
from spark_jobs.qc.numerics.outline import disc
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "ct_water"
METHOD = "water phantom, central ROI 40 %"
VERSION = "1.7.0"
FORMULAE = (
    "noise = 100 · SD / (water + 1000 HU − common shift of water and air), in percent, SD of the central region in HU",
    "noise for 10 mm = noise in percent · √(T / 10 mm), in percent, with slice thickness T in mm",
    "uniformity = max |mean of an edge region − mean of the central region|, in HU",
    "water and uniformity: means over the slices, or the slice farthest off where one differs by > 1 HU and > 4 standard errors",
    "noise power: its integral over all frequencies is the variance, in HU²",
)
NOMINAL_MM = 10.0  # noise is also given as a slice of this thickness would have it
NOISE_PART = 0.6  # of the diameter: where the noise power is taken
CENTRE_PART, EDGE_PART = 0.4, 0.1  # of the diameter of the water
EDGE_MARGIN_MM = 10.0  # from the rim of the water to the rim of an edge ROI, as IEC 61223-3-5 has it
AIR_HU = -1000.0  # nominal: what surrounds a phantom on its couch is not clean enough to be measured
AIR_FROM_MM, AIR_TO_MM, AIR_PART, AIR_BAND_HU = 15.0, 40.0, 0.3, 60.0  # a ring beside the phantom; couches fill less of it
PADDING_HU = -1500.0  # below the reach of air: written outside the reconstructed circle
FURTHEST_HU = 40.0  # beyond it the object is not water (resins read 45-60), or the CT numbers are wrong
SHIFTED_HU = 15.0  # water and air that are off by the same number, to so much, are water and air whose CT numbers are shifted

DIFFER_HU, DIFFER_SE = 1.0, 4.0  # by which the value of one slice is another one than the mean


def measure(
    slices: Sequence[NDArray], pixel_mm: float, *, thickness_mm: float | None = None, detector: str | None = None
) -> Result:
    """Return HU, noise and uniformity of water.

    Parameters
    ----------
    slices
        Slices in HU, rows × columns each. HU and noise are means over them (noise in quadrature), the edge with the largest deviation
        counts; where slices differ, so does the worst one.
    pixel_mm
        Length of a square pixel's side.
    thickness_mm
        Slice thickness T; with it the noise is also given for 10 mm, n·√(T/10).
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    found: list[Cylinder] = []
    shifts: list[float] = []
    for hu in slices:
        cylinder = find_cylinder(hu, pixel_mm)
        if isinstance(cylinder, str):
            return refuse(cylinder)
        if not cylinder.homogeneous:
            return refuse(because("ct_water.inserts"))
        air = _air(hu, cylinder, pixel_mm)
        shifted = air is not None and abs(air - AIR_HU - cylinder.median_hu) <= SHIFTED_HU
        if abs(cylinder.median_hu) > FURTHEST_HU and not shifted:
            return refuse(because("ct_water.not_water", hu=cylinder.median_hu, air_hu=air or 0.0))
        shifts.append(cylinder.median_hu if abs(cylinder.median_hu) > FURTHEST_HU else 0.0)
        found.append(cylinder)
    if not found:
        return refuse(because("ct_water.no_slice"))

    shift = float(np.mean(shifts))
    doubt = _doubt(slices, found, pixel_mm, AIR_HU + shift)
    if isinstance(doubt, str):
        return refuse(doubt)
    if doubt.refused:
        return refuse(doubt.refused)
    centre_hu, variance = [], []
    edges: dict[str, list[float]] = {"top": [], "right": [], "bottom": [], "left": []}
    rings = []
    regions: list[NDArray[np.float64]] = []
    for hu, c in zip(slices, found, strict=True):
        diameter = c.diameter_mm / pixel_mm
        roi = hu[disc(hu.shape, c.row, c.column, CENTRE_PART * diameter / 2)].astype(np.float64)
        centre_hu.append(float(roi.mean()))
        variance.append(float(roi.var(ddof=1)))
        reach = diameter / 2 - EDGE_MARGIN_MM / pixel_mm - EDGE_PART * diameter / 2
        places = {"top": (-reach, 0.0), "right": (0.0, reach), "bottom": (reach, 0.0), "left": (0.0, -reach)}
        for name, (dy, dx) in places.items():
            edge = hu[disc(hu.shape, c.row + dy, c.column + dx, EDGE_PART * diameter / 2)]
            edges[name].append(float(edge.mean()))
        regions += patches(hu, c.row, c.column, NOISE_PART * diameter / 2)
        rings = [(c.row + dy, c.column + dx, EDGE_PART * diameter / 2) for dy, dx in places.values()]
        rings.append((c.row, c.column, CENTRE_PART * diameter / 2))
    water = float(np.mean(centre_hu))
    noise = float(np.sqrt(np.mean(variance)))
    deviation = {name: float(np.mean(values)) - water for name, values in edges.items()}
    worst = max(deviation, key=lambda name: abs(deviation[name]))
    uneven = abs(deviation[worst])
    percent = 100 * noise / (water - AIR_HU - shift)
    radius = CENTRE_PART * float(np.mean([c.diameter_mm for c in found])) / 2 / pixel_mm
    of_water, of_noise = errors_of_disc(slices, [(c.row, c.column) for c in found], radius, noise)
    notes = [because("ct_water.shifted", hu=shift)] if shift else []
    errors = [
        errors_of_disc([hu], [(c.row, c.column)], CENTRE_PART * c.diameter_mm / 2 / pixel_mm, float(np.sqrt(v)))[0]
        for hu, c, v in zip(slices, found, variance, strict=True)
    ]
    if _apart(centre_hu, errors):
        farthest = max(range(len(slices)), key=lambda k: abs(centre_hu[k]))
        water, of_water = centre_hu[farthest], errors[farthest]
        notes.append(because("ct_water.slices_differ", low_hu=min(centre_hu), high_hu=max(centre_hu)))
    of_edges = [e * CENTRE_PART / EDGE_PART for e in errors]
    for name, values in edges.items():
        own = [v - c for v, c in zip(values, centre_hu, strict=True)]
        for k in _apart(own, of_edges):
            if abs(own[k]) > uneven:
                uneven, worst = abs(own[k]), name
    measures = [
        Measure("water_hu", round(water, 3), "HU", round(of_water, 4)),
        Measure("noise_hu", round(noise, 4), "HU", round(of_noise, 4)),
        Measure("noise_percent", round(percent, 5), "%"),
        Measure("uniformity_max_hu", round(uneven, 3), "HU", None, {"edge": worst}),
    ]
    if thickness_mm:
        n10 = percent * float(np.sqrt(thickness_mm / NOMINAL_MM))
        measures.append(Measure("noise_10mm_percent", round(n10, 5), "%", None, {"thickness_mm": thickness_mm}))
    sides = {r.shape for r in regions}
    if len(sides) == 1 and noise > 0:
        power = noise_power(regions, pixel_mm)
        measures.append(Measure("nps_integral_hu2", round(power.integral_hu2, 4), "HU2"))
        measures.append(Measure("nps_peak_lp_per_mm", round(power.peak_per_mm, 4), "1/mm"))
    middle = len(slices) // 2
    figure = {"kind": PROCEDURE, "image": slices[middle], "pixel_mm": pixel_mm, "circles": rings, "worst": worst}
    figure["centre_part"] = CENTRE_PART
    status = INDICATIVE if doubt.reserved else MEASURED
    return Result(PROCEDURE, status, doubt.reserved, detector, METHOD, VERSION, tuple(measures), tuple(notes), figure)


def _apart(values: Sequence[float], errors: Sequence[float]) -> list[int]:
    """Return the slices whose value differs from the mean of all by more than 1 HU and more than 4 standard errors."""
    middle = float(np.mean(values))
    pairs = enumerate(zip(values, errors, strict=True))
    return [k for k, (v, e) in pairs if abs(v - middle) > max(DIFFER_HU, DIFFER_SE * e)]


def _air(hu: NDArray, c: Cylinder, pixel_mm: float) -> float | None:
    """Return what surrounds the phantom in HU, None where nothing of the slice does."""
    shape = (hu.shape[0], hu.shape[1])
    outer = c.outline_mm / 2 / pixel_mm
    beside = disc(shape, c.row, c.column, outer + AIR_TO_MM / pixel_mm)
    beside &= ~disc(shape, c.row, c.column, outer + AIR_FROM_MM / pixel_mm)
    air = hu[beside]
    air = air[air > PADDING_HU]
    return float(np.quantile(air, AIR_PART)) if air.size else None


def _doubt(slices: Sequence[NDArray], found: Sequence[Cylinder], pixel_mm: float, air_hu: float) -> str | Suspicion:
    """Return why the values of round, even slices of water are not believed, or None."""
    for hu, c in zip(slices, found, strict=True):
        air = _air(hu, c, pixel_mm)
        if air is not None and abs(air - air_hu) > AIR_BAND_HU:
            return because("ct_water.air_other", hu=air)
    same = len({(round(c.row), round(c.column), round(c.diameter_mm)) for c in found}) == 1
    mean = [np.mean(slices, axis=0)] if same and len(slices) > 1 else []
    wide = []
    for hu, c in zip([*slices, *mean], [*found, *found[: len(mean)]], strict=True):
        water = water_of(hu, c.row, c.column, c.diameter_mm / 2 / pixel_mm, pixel_mm)
        strange, faint = find_objects(water, pixel_mm, WIDE_MM) if water is not None else (None, None)
        wide += [faint] if faint is not None else []
        if strange is not None and water is not None and is_streak(water, strange, pixel_mm):
            return because("ct_water.streak", hu=strange.contrast_hu, row=strange.row, column=strange.column)
        if strange is not None:
            return because(
                "ct_water.foreign_object", size_mm=strange.size_mm, hu=strange.contrast_hu, row=strange.row, column=strange.column
            )
    for hu, c in zip(slices, found, strict=True):
        if cut_off(hu, disc((hu.shape[0], hu.shape[1]), c.row, c.column, NOISE_PART * c.diameter_mm / 2 / pixel_mm)):
            return because("ct_water.clipped")
    return insert_or_shade(slices, found, pixel_mm, wide)
