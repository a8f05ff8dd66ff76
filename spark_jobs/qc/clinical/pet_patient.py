"""Quality of PET images of patients: noise in the liver, counts, activity and SUV, coverage, jumps between beds.

1. Find the body, and in it a sphere of 30 mm in the most even bright place at the right of the trunk: the liver.
2. Measure noise and contrast of the liver, counts and activity by the header, and SUV; values that no body can have are dropped:
   a body holds no more than was injected, weighs what its volume says, and its mean SUV is about 1 (all that was injected, evenly).
3. Measure the gradient energy in the body.
4. Find jumps of level and of place from layer to layer: seams of beds, motion between beds.
5. Measure truncation, coverage, negative voxels and counts outside the body.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.clinical.alignment import neighbour_shifts
from spark_jobs.qc.clinical.aspects import ARTEFACT, CONTRAST, COUNTS, MOTION, POSITIONING, UNIFORMITY
from spark_jobs.qc.numerics.layers import Values, blocks, layers
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "body_of", "is_like_a_patient", "measure", "noise_equivalent_cps"]

PROCEDURE = "pet_patient"
METHOD = "liver, body and planes"
VERSION = "1.1.0"
FORMULAE = (
    "liver SNR = mean / SD within a sphere of 30 mm diameter; noise = 100 · SD / mean, in percent",
    "liver/body ratio = mean of the liver / median of the body",
    "SUV = concentration in Bq/ml · weight in g / decay-corrected injected activity in Bq, in g/ml",
    "part of the activity given that the image holds = mean SUV · volume of the body in ml / weight in g",
    "noise-equivalent rate = T² / P / duration, in cps, T = (P − R) · (1 − SF), prompts P, randoms R, scatter fraction SF",
    "gradient energy = root mean square gradient / mean in the body, in 1/cm, by blocks of 8 mm",
    "plane jump = 100 · median of ln(voxel / voxel of the layer before) − running median, in percent; axis jump likewise, in mm",
)
COARSE_MM = 8.0
LIVER_RADIUS_MM = 15.0
SHORTEST_MM, UNEVEN = 450.0, 0.12  # of a patient; phantoms are shorter, or as wide at one end as at the other
WINDOW = 7  # layers of the running median
TRUNK = 0.5  # of the largest cross-section
PER_KG = "activity_mbq_per_kg"
# Mass balance: all that was injected, spread evenly, is an SUV of 1 (Keyes, J Nucl Med 36:1836). Of FDG a quarter is in the urine in the
# end (ICRP 128), of no tracer of the first hours more than half, and scanners agree with activimeters within 10 % (EANM/EARL)
MOST_HELD = 1.2  # of what was injected
TRUNK_SUV = (0.4, 2.5)  # of a field of a trunk's length (SHORTEST_MM), which holds more than half of the body's mass
PART_SUV = (0.05, 10.0)  # of a shorter field: a thyroid, a bladder or an empty limb may be most of it
LATE_MIN, LATE_SUV = 180.0, 0.05  # hours and days after the injection most of it may have left the body
MOST_LIVER_SUV = 25.0
MOST_KG_A_LITRE = 1.3  # litres of a body over its weight: lungs and the edges of voxels make some more than 1
TALLEST_M, HEAVIEST = (
    2.0,
    1.5,
)  # where no height is given; weight over that of a body as heavy everywhere as within a trunk's field
NEC_CPS = 50.0, 5e6  # of patients: the longest scanners reach 2 Mcps
PER_KG_RANGE = 0.01, 100.0  # MBq/kg that anybody was given for an image
ENDS = 3  # layers at the ends of the scan, which end by nature

Voxel = tuple[float, float, float]
Mask = NDArray[np.bool_]


def measure(
    values: Values,
    voxel_mm: Voxel,
    *,
    suv_factor: float | None = None,
    right_first: bool = True,
    nec_cps: float | None = None,
    mbq_per_kg: float | None = None,
    weight_kg: float | None = None,
    height_m: float | None = None,
    timing: Sequence[Measure] = (),
    completeness: tuple[int, int] | None = None,
    warnings: Sequence[str] = (),
) -> Result:
    """Return the aspects of one PET volume.

    Parameters
    ----------
    values
        slices × rows × columns, as rescaled.
    voxel_mm
        Distance of slices, rows and columns.
    suv_factor
        What values are multiplied with to be SUV; None: the header does not give it, and no SUV is measured.
    right_first
        Whether the patient's right is at the low columns.
    nec_cps, mbq_per_kg
        Noise-equivalent rate by the header's counts, and activity given per weight; None: not in the header.
    weight_kg, height_m
        Of the patient; None: not in the header, and what they prove of the SUV stays unproven.
    """
    body = body_of(values, voxel_mm)
    if body is None:
        return Result(PROCEDURE, NOT_MEASURED, because("pet_patient.no_body"), None, METHOD, VERSION)
    notes = list(warnings)
    inside = _within(values, body)
    level = median(inside)
    planes = np.flatnonzero(body.any((1, 2)))
    measures = []
    if nec_cps is not None and not NEC_CPS[0] <= nec_cps <= NEC_CPS[1]:
        notes.append(because("pet_patient.rate_absurd", kcps=nec_cps / 1000))
    elif nec_cps is not None:
        measures.append(aspects.measure(COUNTS, "nec_kcps", nec_cps / 1000, "kcps"))
    if mbq_per_kg is not None and not PER_KG_RANGE[0] <= mbq_per_kg <= PER_KG_RANGE[1]:
        notes.append(because("pet_patient.activity_absurd", mbq_per_kg=mbq_per_kg))
    elif mbq_per_kg is not None:
        measures.append(aspects.measure(COUNTS, PER_KG, mbq_per_kg, "MBq/kg"))
    liver = _liver(values, body, voxel_mm, right_first, level)
    if liver is None:
        notes.append(because("pet_patient.no_liver"))
    else:
        mean, spread, place = liver
        at = {"slice": place[0], "row": place[1], "column": place[2]}
        measures.append(aspects.measure(COUNTS, "liver_snr", mean / max(spread, 1e-9), "1", "liver", at=at))
        measures.append(aspects.measure(COUNTS, "noise_percent", 100 * spread / mean, "%", "liver"))
        measures.append(aspects.measure(CONTRAST, "liver_body_ratio", mean / max(level, 1e-9), "1", "liver"))
    if suv_factor is not None:
        whole, of_liver = suv_factor * float(inside.mean()), suv_factor * (liver[0] if liver else 0.0)
        litres, length = float(body.sum()) * float(np.prod(voxel_mm)) / 1e6, len(planes) * voxel_mm[0]
        wait = next((m.value for m in timing if m.name == "uptake_min"), None)
        absurd = _no_mass(litres, length, weight_kg, height_m) or _no_balance(whole, of_liver, litres, length, weight_kg, wait)
        if absurd:
            notes.append(absurd)
            measures = [m for m in measures if m.name != PER_KG]  # what is wrong is activity or weight, or may be
        else:
            if liver is not None:
                measures.append(aspects.measure(COUNTS, "liver_suv_mean", of_liver, "g/ml", "liver"))
            measures.append(aspects.measure(COUNTS, "body_suv_mean", whole, "g/ml"))
    front = np.concatenate([part.mean(1, dtype=np.float64) for _, part in layers(values)])
    measures.append(aspects.measure(CONTRAST, "gradient_energy_per_cm", _gradient(values, body, voxel_mm), "1/cm"))
    measures += _planes(values, body, voxel_mm)
    measures += _coverage(values, body, inside, planes, voxel_mm)
    measures += [*timing, *aspects.header(completeness)]
    figure = {
        "kind": PROCEDURE,
        "image": front,
        "mask": body.any(1),
        "voxel_mm": voxel_mm,
        "liver": None if liver is None else liver[2],
    }
    return Result(PROCEDURE, MEASURED, None, None, METHOD, VERSION, tuple(measures), tuple(notes), figure)


def _no_mass(litres: float, length_mm: float, weight_kg: float | None, height_m: float | None) -> str | None:
    """Return why a weight is not that of the body in the image, None where it may be.

    A body weighs no less than what the image shows of it. Nowhere is it as heavy for its length as along the trunk: it weighs no more than
    that for all its height, with a reserve for the fat at the skin that holds too little to be seen.
    """
    if weight_kg is None:
        return None
    most = np.inf
    if length_mm >= SHORTEST_MM:
        most = HEAVIEST * litres / (length_mm / 1000) * (height_m or TALLEST_M)
    if litres <= MOST_KG_A_LITRE * weight_kg and weight_kg <= most:
        return None
    return because("pet_patient.weight_contradicts", weight_kg=weight_kg, litres=litres, length_mm=length_mm)


def _no_balance(
    mean: float, of_liver: float, litres: float, length_mm: float, weight_kg: float | None, wait_min: float | None
) -> str | None:
    """Return why no body has these SUV, None where one may: more than was injected, or a mean that no field of this length has."""
    held = None if weight_kg is None else mean * litres / weight_kg
    if held is not None and held > MOST_HELD:
        return because("pet_patient.more_than_given", percent=100 * held, body=mean)
    low, high = TRUNK_SUV if length_mm >= SHORTEST_MM else PART_SUV
    low = min(low, LATE_SUV) if wait_min is not None and wait_min > LATE_MIN else low
    if low <= mean <= high and of_liver <= MOST_LIVER_SUV:
        return None
    return because("pet_patient.suv_absurd", body=mean, liver=of_liver, length_mm=length_mm, low=low, high=high)


def noise_equivalent_cps(prompts: float, randoms: float, scatter_fraction: float, seconds: float) -> float:
    """Return T²/P per second, T = (P − R)(1 − SF): prompts, randoms in the window, scattered part of the trues."""
    trues = max(prompts - randoms, 0.0) * (1 - scatter_fraction)
    return trues**2 / prompts / seconds if prompts > 0 and seconds > 0 else 0.0


def body_of(values: Values, voxel_mm: Voxel) -> Mask | None:
    """Return the voxels of the largest connected body, or None."""
    from scipy import ndimage

    small, step = _coarse(values, voxel_mm)
    high = percentile(small, 99.5)
    if high <= 0:
        return None
    tissue = median(small[small > 0.05 * high])
    labels, pieces = ndimage.label(small > 0.3 * tissue)
    if not pieces:
        return None
    sizes = ndimage.sum_labels(labels > 0, labels, np.arange(1, pieces + 1))
    largest = labels == 1 + int(np.argmax(sizes))
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in largest])
    if filled.sum() * COARSE_MM**3 < 1e6:  # a litre
        return None
    out = filled
    for axis, n in enumerate(step):
        out = out.repeat(n, axis)
    pads = [(0, s - o) for s, o in zip(values.shape, out.shape, strict=True)]
    return np.pad(out, pads, mode="edge")


def is_like_a_patient(values: Values, voxel_mm: Voxel) -> bool:
    """Return whether a volume holds something as long as a trunk, of changing width and uneven content."""
    body = body_of(values, voxel_mm)
    if body is None:
        return False
    area = body.sum((1, 2)).astype(np.float64)
    area = area[area > 0]
    inner = area[len(area) // 20 : len(area) - len(area) // 20]
    inside = _within(values, body)
    return bool(
        len(area) * voxel_mm[0] >= SHORTEST_MM
        and inner.std() / inner.mean() >= UNEVEN
        and inside.std() / max(inside.mean(), 1e-9) > 0.4
    )


def _coarse(values: Values, voxel_mm: Voxel) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Return the volume in blocks of about 8 mm, and how many voxels a block has along each axis."""
    step = tuple(max(1, round(COARSE_MM / v)) for v in voxel_mm)
    return np.stack([b.mean((0, 2, 4), dtype=np.float64) for b in blocks(values, step)]), (step[0], step[1], step[2])


def _within(values: Values, body: Mask) -> NDArray:
    """Return the values of the voxels of the body."""
    return np.concatenate([part[body[some]] for some, part in layers(values)])


def _liver(
    values: Values, body: Mask, voxel_mm: Voxel, right_first: bool, level: float
) -> tuple[float, float, tuple[int, int, int]] | None:
    """Return mean, standard deviation and centre of a sphere of 3 cm in the most even bright place at the right of the trunk.

    The place is where, over cubes of 4 cm, the mean is 1.2–8 times the body's middle value and the spread over the mean is least; in
    the middle half of the body's length and at the patient's right. A spleen or a stomach at the left is so left out.
    """
    from scipy import ndimage

    small, step = _coarse(values, voxel_mm)
    inside, _ = _coarse(body, voxel_mm)
    mean = ndimage.uniform_filter(small, 5)
    square = ndimage.uniform_filter(small**2, 5)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    allowed = (mean > 1.2 * level) & (mean < 8 * level) & (ndimage.uniform_filter(inside, 5) > 0.97)
    planes = np.flatnonzero((inside > 0.5).any((1, 2)))
    length = planes[-1] - planes[0]
    allowed[: planes[0] + length // 4] = False
    allowed[planes[-1] - length // 4 :] = False
    columns = np.flatnonzero((inside > 0.5).any((0, 1)))
    middle = (columns[0] + columns[-1]) // 2
    if right_first:
        allowed[:, :, middle:] = False
    else:
        allowed[:, :, : middle + 1] = False
    if not allowed.any():
        return None
    uneven = np.where(allowed, spread / np.maximum(mean, 1e-9), np.inf)
    best = np.unravel_index(int(uneven.argmin()), uneven.shape)
    if uneven[best] > 0.35:
        return None
    centre = tuple(int(b * n + n // 2) for b, n in zip(best, step, strict=True))
    reach = [int(np.ceil(LIVER_RADIUS_MM / v)) for v in voxel_mm]
    z, y, x = (slice(max(0, c - r), min(c + r + 1, n)) for c, r, n in zip(centre, reach, values.shape, strict=True))
    grid = np.meshgrid(*(np.arange(p.start, p.stop) for p in (z, y, x)), indexing="ij")
    distance = np.sqrt(sum(((g - c) * v) ** 2 for g, c, v in zip(grid, centre, voxel_mm, strict=True)))
    voxels = values[z, y, x][distance <= LIVER_RADIUS_MM].astype(np.float64)
    return float(voxels.mean()), float(voxels.std(ddof=1)), (centre[0], centre[1], centre[2])


def _gradient(values: Values, body: Mask, voxel_mm: Voxel) -> float:
    """Return the root mean square gradient in the body over its mean, by blocks of 8 mm: blur lowers it, noise hardly counts."""
    small, step = _coarse(values, voxel_mm)
    inside = _coarse(body, voxel_mm)[0] > 0.5
    squares = [(np.gradient(small, n * v / 10, axis=a) ** 2) for a, (n, v) in enumerate(zip(step, voxel_mm, strict=True))]
    energy: NDArray[np.float64] = np.sqrt(squares[0] + squares[1] + squares[2])
    return float(np.sqrt((energy[inside] ** 2).mean()) / max(small[inside].mean(), 1e-9))


def _planes(values: Values, body: Mask, voxel_mm: Voxel) -> list[Measure]:
    """Return the largest jump of level and of place from one layer of 8 mm to the next: seams of beds, and motion between beds.

    The level's jump is the middle of the voxels' own ratios: organs begin and end in some voxels of a layer, a seam is in all.
    """
    small, step = _coarse(values, voxel_mm)
    inside = _coarse(body, voxel_mm)[0] > 0.5
    area = inside.sum((1, 2))
    layers = np.flatnonzero(area > TRUNK * area.max())  # at the neck everything changes by nature
    small, inside = small[layers[0] : layers[-1] + 1], inside[layers[0] : layers[-1] + 1]
    if len(small) < 2 * WINDOW:
        return []
    smooth = aspects.binomial(small, 1)
    both = inside[1:] & inside[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(both & (smooth[:-1] > 0) & (smooth[1:] > 0), np.log(smooth[1:] / smooth[:-1]), np.nan)
    level = np.nanmedian(ratio.reshape(len(ratio), -1), axis=1)
    place = neighbour_shifts(small, 2) * [step[1] * voxel_mm[1], step[2] * voxel_mm[2]]
    out = []
    for aspect, name, curve, unit in (
        (UNIFORMITY, "plane_jump_percent", 100 * level[:, None], "%"),
        (MOTION, "axis_jump_mm", place, "mm"),
    ):
        left = curve - np.stack([_middle(c) for c in curve.T], axis=1)
        two = left[ENDS : -ENDS - 1] + left[ENDS + 1 : -ENDS]  # what happens within a layer shows half on either side of it
        size = np.sqrt((two**2).sum(1))
        k = int(np.nanargmax(size))
        at = {"slice": int((k + ENDS + 1 + layers[0]) * step[0])}
        out.append(aspects.measure(aspect, name, float(size[k]), unit, at=at))
    return out


def _middle(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running median, the same length."""
    padded = np.pad(curve, WINDOW // 2, mode="edge")
    out: NDArray[np.float64] = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, WINDOW), axis=1)
    return out


def _coverage(values: Values, body: Mask, inside: NDArray, planes: NDArray[np.int64], voxel_mm: Voxel) -> list[Measure]:
    rim = np.concatenate([body[:, 0], body[:, -1], body[:, :, 0], body[:, :, -1]], axis=1)
    edge = np.asarray(rim.any(1), bool)[planes]
    negative = float((inside < 0).mean())
    beyond = sum(float(np.maximum(part[~body[some]], 0).sum(dtype=np.float64)) for some, part in layers(values))
    stray = beyond / max(float(inside.sum(dtype=np.float64)), 1e-9)
    return [
        aspects.measure(POSITIONING, "truncation_percent", 100 * float(edge.mean()), "%"),
        aspects.measure(POSITIONING, "coverage_mm", len(planes) * voxel_mm[0], "mm"),
        aspects.measure(ARTEFACT, "negative_percent", 100 * negative, "%"),
        aspects.measure(ARTEFACT, "outside_percent", 100 * stray, "%"),
    ]
