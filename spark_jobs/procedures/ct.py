"""CT series: which phantom lies in the slices, and how each procedure takes them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spark_jobs.procedures.row import Procedure, middle, refusal
from spark_jobs.qc import catphan, ct_water
from spark_jobs.qc.ct_stack import Axis, Stack, axis_of
from spark_jobs.qc.cylinder import find_cylinder
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.qc.sensitometry import Match, find_module
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

SLICES = 9  # slices of the middle that are looked at
MEASURED_SLICES = 5
SAME_MM = 0.01  # slices nearer to each other are two images of the same place
UNEVEN_PART = 0.1
ALIKE = ("ConvolutionKernel", "SliceThickness", "ImageOrientationPatient", "KVP", "RescaleType")  # of all slices of one series
HU_TYPES = ("", "HU", "US")  # RescaleType; US (unspecified) is what many scanners write


def look(series: Sequence[Instance]) -> str | None:
    """Return what lies in the slices, or None when the series is no CT."""
    first = series[0]
    if first.modality != "CT":
        return None
    if any(int(i.dataset.get("NumberOfFrames") or 1) > 1 for i in series):
        return "an object with many frames (enhanced CT), which is not read"
    axis, module = _survey(series)
    if isinstance(axis, str):
        return axis
    if module is not None:
        return "rods of a CatPhan or ACR phantom"
    found = [find_cylinder(i.hu, first.pixel_mm or 1.0) for i in middle(series, SLICES)]
    strange = next((c for c in found if isinstance(c, str)), None)
    if strange:
        return strange
    medians = [c.median_hu for c in found if not isinstance(c, str)]
    if any(not isinstance(c, str) and not c.homogeneous for c in found) or np.ptp(medians) > 20:
        return "a phantom with inserts"
    return "homogeneous cylinder"


def _survey(series: Sequence[Instance]) -> tuple[Axis | str, tuple[int, Match] | None]:
    """Return the axis of the phantom and its module of rods; what the look found is kept for the run that follows."""
    key = tuple(i.sop_uid for i in series)
    kept = series[0].notes.get("ct")
    if kept is None or kept[0] != key:
        stack = _stack(series)
        axis = axis_of(stack)
        kept = series[0].notes["ct"] = (key, axis, None if isinstance(axis, str) else find_module(stack, axis))
    return kept[1], kept[2]


def _stack(series: Sequence[Instance]) -> Stack:
    ordered = sorted(series, key=lambda i: i.position_mm)
    positions = np.array([i.position_mm for i in ordered])
    thickness = _thickness_mm(ordered[0])
    if not _placed(series):
        positions = np.arange(len(ordered)) * (thickness or 1.0)
    return Stack(lambda k: ordered[k].hu, positions, ordered[0].pixel_mm or 1.0, thickness)


def _placed(series: Sequence[Instance]) -> bool:
    return all(i.dataset.get("ImagePositionPatient") for i in series)


def _thickness_mm(instance: Instance) -> float | None:
    value = instance.dataset.get("SliceThickness")
    return float(value) if value not in (None, "") and float(value) > 0 else None


def _doubt(series: Sequence[Instance]) -> str | None:
    """Return why the slices of a series are not one stack of CT numbers, or None."""
    for keyword in ALIKE:
        values = sorted({str(i.dataset.get(keyword) or "") for i in series})
        if len(values) > 1:
            return (
                f"the series mixes slices of different {keyword} ({', '.join(v or 'none' for v in values[:3])}): two candidates"
            )
    if str(series[0].dataset.get("RescaleType") or "").strip().upper() not in HU_TYPES:
        return f"RescaleType is {series[0].dataset.get('RescaleType')}: stored values are no Hounsfield units"
    return None


def _water(series: Sequence[Instance]) -> list[Result]:
    doubt = _doubt(series)
    if doubt:
        return [refusal(ct_water, doubt)]
    chosen = middle(series, MEASURED_SLICES)
    return [ct_water.measure([i.hu for i in chosen], series[0].pixel_mm or 0.0, thickness_mm=_thickness_mm(series[0]))]


def _catphan(series: Sequence[Instance]) -> list[Result]:
    doubt = _doubt(series)
    if doubt:
        return [refusal(catphan, doubt)]
    stack = _stack(series)
    notes: list[str] = []
    if len(series) > 1:
        steps = np.diff(stack.positions)
        if steps.min() < SAME_MM:
            return [refusal(catphan, "several slices lie at the same position: two candidates")]
        if not _placed(series):
            if stack.thickness_mm is None:
                return [
                    refusal(
                        catphan, "ImagePositionPatient and SliceThickness are missing: no distance between slices can be told"
                    )
                ]
            notes.append("ImagePositionPatient is missing: slices were placed by number and SliceThickness")
        if np.ptp(steps) > UNEVEN_PART * float(np.median(steps)):
            notes.append("the slices are not evenly spaced: some may be missing")
    axis, module = _survey(series)
    result = catphan.measure(stack, seen=None if isinstance(axis, str) or module is None else (axis, module))
    return [result if result.status == NOT_MEASURED else replace(result, warnings=(*result.warnings, *notes))]


def _ct(instance: Instance) -> bool:
    return instance.modality == "CT"


ROWS = (
    Procedure(ct_water, "PP-CTWATER", "phantom", _ct, "homogeneous cylinder", _water),
    Procedure(catphan, "PP-CATPHAN", "phantom", _ct, "rods of a CatPhan or ACR phantom", _catphan),
)
