"""CT series: which phantom lies in the slices, and how each procedure takes them."""

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from messages import Message, because
from spark_jobs.procedures.ct.slice_order import is_placed, order_of, same_pixels, shifted_slice
from spark_jobs.procedures.row import Procedure, middle, refusal
from spark_jobs.qc.ct import catphan, ct_water
from spark_jobs.qc.ct.ct_stack import Axis, Stack, axis_of
from spark_jobs.qc.ct.sensitometry import Match, find_module, numbers_of_rods
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.cylinder import find_cylinder
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import BODY_HU, disc
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Result
from spark_jobs.qc.terms import shown
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

PRINT_STEP = 16  # rows: enough to know the same noise again
DIFFERENT_HU = 20.0  # slices of one even phantom differ less
END_PART = 0.002  # of the pixels, at either end of their values
SLICES = 9  # slices of the middle that are looked at
MEASURED_SLICES = 5
LIKE_HU, END_HU = (
    2.0,
    40.0,
)  # from the middle slice: alike; and no air and no plate, that any series of a whole phantom has at its ends
MIDDLE_PART, AIR_PART, PADDING_HU = 0.1, 0.1, -1500.0  # of the diameter, of the pixels; written outside of the circle
ALIKE = (  # of all slices of one series
    "ConvolutionKernel",
    "SliceThickness",
    "ImageOrientationPatient",
    "KVP",
    "RescaleType",
    "RescaleSlope",
    "RescaleIntercept",
    "GantryDetectorTilt",
)
HU_TYPES = ("", "HU", "US")  # RescaleType; US (unspecified) is what many scanners write


def look(series: Sequence[Instance]) -> Look | str | None:
    """Return what lies in the slices, or None when the series is no CT."""
    first = series[0]
    if first.modality != "CT":
        return None
    if any(int(i.dataset.get("NumberOfFrames") or 1) > 1 for i in series):
        return because("ct.enhanced")
    axis, module = _survey(series)
    looked = middle(series, SLICES)
    if isinstance(axis, str):
        return _wrong_scale(looked) or axis
    if module is not None:
        return Look.CT_RODS
    stack, _ = _stack(series)
    wrong = numbers_of_rods(stack, axis)
    if wrong is not None:
        return wrong
    found = [find_cylinder(i.hu, first.pixel_mm or 1.0) for i in looked]
    strange = next((c for c in found if isinstance(c, str)), None)
    if strange:
        return strange
    if any(not isinstance(c, str) and not c.homogeneous for c in found):
        return because("ct.inside_uneven")
    medians = np.array([c.median_hu for c in found if not isinstance(c, str)])
    if np.ptp(medians) > DIFFERENT_HU:
        away = medians - np.median(medians)
        worst = int(np.abs(away).argmax())
        if int((np.abs(away) > DIFFERENT_HU / 2).sum()) == 1:
            number = sorted(series, key=lambda i: i.position_mm).index(looked[worst]) + 1
            return because("ct.slice_shifted", slice=number, slices=len(series), hu=float(away[worst]))
        return _doubt(series) or Look.CT_INSERTS
    return Look.CT_CYLINDER


def _wrong_scale(slices: Sequence[Instance]) -> str | None:
    """Return why slices in which no round object is seen hold no CT numbers, or None: those of any object have air, and what is denser."""
    lowest = min(float(np.quantile(i.hu, END_PART)) for i in slices)
    highest = max(float(np.quantile(i.hu, 1 - END_PART)) for i in slices)
    if lowest > BODY_HU:
        return because("ct.no_air", hu=lowest)
    return because("ct.no_matter", hu=highest) if highest < BODY_HU else None


def _survey(series: Sequence[Instance]) -> tuple[Axis | str, tuple[int, Match] | None]:
    """Return the axis of the phantom and its module of rods; what the look found is kept for the run that follows."""
    key = tuple(i.sop_uid for i in series)
    kept = series[0].notes.get("ct")
    if kept is None or kept[0] != key:
        stack, _ = _stack(series)
        axis = axis_of(stack)
        kept = series[0].notes["ct"] = (key, axis, None if isinstance(axis, str) else find_module(stack, axis))
    return kept[1], kept[2]


def _stack(series: Sequence[Instance]) -> tuple[Stack, dict[int, int]]:
    """Return the slices in the order of their places, and a dictionary that fills with prints of the slices that are looked at."""
    ordered = sorted(series, key=lambda i: i.position_mm)
    positions = np.array([i.position_mm for i in ordered])
    thickness = _thickness_mm(ordered[0])
    if not is_placed(series):
        positions = np.arange(len(ordered)) * (thickness or 1.0)
    prints: dict[int, int] = {}

    def hu(k: int) -> NDArray[np.float32]:
        values = ordered[k].hu
        if k not in prints:
            prints[k] = crc32(values[::PRINT_STEP].tobytes())
        return values

    return Stack(hu, positions, ordered[0].pixel_mm or 1.0, thickness), prints


def _thickness_mm(instance: Instance) -> float | None:
    value = instance.dataset.get("SliceThickness")
    return float(value) if value not in (None, "") and float(value) > 0 else None


def _doubt(series: Sequence[Instance]) -> str | None:
    """Return why the slices of a series are not one stack of CT numbers, or None."""
    for keyword in ALIKE:
        values = sorted({str(i.dataset.get(keyword) or "") for i in series})
        if len(values) > 1:
            return because("ct.slices_mixed", keyword=keyword)
    if str(series[0].dataset.get("RescaleType") or "").strip().upper() not in HU_TYPES:
        return because("ct.rescale_type_other", type=shown("RescaleType", series[0].dataset.get("RescaleType")))
    return None


def _water(series: Sequence[Instance]) -> list[Result]:
    order = order_of(series)
    doubt = _doubt(series) or order.refused
    if doubt:
        return [refusal(ct_water, doubt)]
    stack, prints = _stack(series)
    axis, _ = _survey(series)
    levels = [_levels(stack, axis, k) for k in range(len(series))] if isinstance(axis, Axis) else []
    wrong = same_pixels(stack, prints) or shifted_slice(np.array(levels))
    if wrong:
        return [refusal(ct_water, wrong)]
    chosen, notes = _with_extremes(series, np.array(levels)[:, 0] if levels else np.zeros(0))
    slices = [i.hu for i in chosen]
    result = ct_water.measure(slices, series[0].pixel_mm or 0.0, thickness_mm=_thickness_mm(series[0]))
    if len(series) > 1 and len(set(prints.values())) == 1 and result.status != NOT_MEASURED:
        result = replace(result, warnings=(*result.warnings, because("ct.slices_identical")))
    if notes and result.status != NOT_MEASURED:
        result = replace(result, warnings=(*result.warnings, *notes))
    return [_reserved(result, order.reserved)]


def _with_extremes(series: Sequence[Instance], water: NDArray[np.float64]) -> tuple[list[Instance], list[Message]]:
    """Return the slices of the middle and those within the water that read most and least, and notes.

    `water` is what the middle of each slice reads, HU. Slices of the outer fifths are within the water where a slice farther out reads
    as the others do: an end plate, or the end of the water, lies at the end.
    """
    chosen = middle(series, MEASURED_SLICES)
    if len(water) < len(chosen) + 1:
        return chosen, []
    ordered = sorted(series, key=lambda i: i.position_mm)
    cut = len(ordered) // 5
    away = water - np.median(water[cut : len(water) - cut])
    alike = np.flatnonzero(np.abs(away) <= LIKE_HU)
    first, last = (min(cut, alike[0]), max(len(water) - cut - 1, alike[-1])) if alike.size else (cut, len(water) - cut - 1)
    level = np.ptp(away[first : last + 1]) <= 2 * LIKE_HU  # where the slices within differ, nothing tells an end from them
    ends = [k for k in range(len(water)) if level and not first <= k <= last and abs(away[k]) < END_HU]
    notes = [because("ct.end_slices_differ", slices=[k + 1 for k in ends])] if ends else []
    inside = np.arange(first, last + 1)
    extremes = {int(inside[away[inside].argmin()]), int(inside[away[inside].argmax()])}
    kept = {id(i) for i in chosen} | {id(ordered[k]) for k in extremes if abs(away[k]) > LIKE_HU}
    return [i for i in ordered if id(i) in kept], notes


def _levels(stack: Stack, axis: Axis, k: int) -> tuple[float, float]:
    """Return what the middle of the phantom and the air beside it read in a slice, HU."""
    hu, (row, column) = stack.hu(k), axis.at(float(stack.positions[k]))
    inside = hu[disc((hu.shape[0], hu.shape[1]), row, column, MIDDLE_PART * axis.diameter_mm / stack.pixel_mm)]
    return median(inside), float(np.quantile(hu[hu > PADDING_HU], AIR_PART)) if (hu > PADDING_HU).any() else 0.0


def _catphan(series: Sequence[Instance]) -> list[Result]:
    order = order_of(series)
    doubt = _doubt(series) or order.refused
    if doubt:
        return [refusal(catphan, doubt)]
    stack, prints = _stack(series)
    notes: list[str] = []
    if len(series) > 1 and not is_placed(series):
        if stack.thickness_mm is None:
            reason = because("ct.distance_unknown")
            return [refusal(catphan, reason)]
        notes.append(because("ct.placed_by_number"))
    axis, module = _survey(series)
    result = catphan.measure(stack, seen=None if isinstance(axis, str) or module is None else (axis, module))
    copied = same_pixels(stack, prints)
    if copied:
        return [refusal(catphan, copied)]
    if result.status == NOT_MEASURED:
        return [result]
    return [_reserved(replace(result, warnings=(*result.warnings, *notes)), order.reserved)]


def _reserved(result: Result, reason: str | None) -> Result:
    """Return the values without a verdict where there is a reason for that."""
    return replace(result, status=INDICATIVE, reason=reason) if reason and result.status == MEASURED else result


def _ct(instance: Instance) -> bool:
    return instance.modality == "CT"


ROWS = (
    Procedure(ct_water, "PP-CTWATER", "phantom", _ct, Look.CT_CYLINDER, _water),
    Procedure(catphan, "PP-CATPHAN", "phantom", _ct, Look.CT_RODS, _catphan),
)
