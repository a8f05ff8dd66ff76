"""Planar views of patients: whole bodies and thyroids."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spark_jobs.procedures.clinical_header import BONE, PLANAR, completeness, is_patient, number, of_class, uptake
from spark_jobs.procedures.row import Procedure
from spark_jobs.qc import thyroid_static, whole_body_bone
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

LOBES = "two lobes of a thyroid"
LONGEST_LOBE_MM = 75.0  # without a code, larger glands could be bottles

# codes of CID 26/501 that say which side faces the detector
ANTERIOR = {"R-10202", "R-10206", "399348003", "272460009", "255549009"}
POSTERIOR = {"R-10204", "R-10214", "399024005", "272479007", "255551008"}


def look(series: Sequence[Instance]) -> str | None:
    """Return LOBES when a static view shows two upright lobes beside each other and nothing else of their size, or None."""
    first = series[0]
    if first.modality != "NM" or first.kind != "STATIC":
        return None
    brightest = first.pixels[int(np.argmax(first.pixels.sum((1, 2), dtype=np.int64)))]
    lobes = thyroid_static.lobes_of(brightest.astype(np.float64), first.pixel_mm or 1.0)
    if lobes is None or max(m.any(1).sum() for m in lobes) * (first.pixel_mm or 1.0) > LONGEST_LOBE_MM:
        return None
    return LOBES


def _bone(series: Sequence[Instance]) -> list[Result]:
    views = _views(series)
    first = series[0]
    result = whole_body_bone.measure(
        views,
        first.pixel_mm or 0.0,
        completeness=completeness(series, BONE),
        scan_speed_mm_per_s=number(first.dataset, "ScanVelocity"),
        timing=uptake(first),
    )
    if any(i.is_lossy for i in series):
        note = "the pixels went through lossy compression: noise and sharpness are not those of the camera"
        result = replace(result, warnings=(*result.warnings, note))
    return [result]


def _thyroid(series: Sequence[Instance]) -> list[Result]:
    first = series[0]
    milliseconds = number(first.dataset, "ActualFrameDuration")
    result = thyroid_static.measure(
        _views(series),
        first.pixel_mm or 0.0,
        seconds=milliseconds / 1000 if milliseconds else None,
        timing=uptake(first),
        completeness=completeness(series, PLANAR),
    )
    return [result]


def _views(series: Sequence[Instance]) -> dict[str, NDArray]:
    """Return the frames of a series by the side that the header says, numbered where one side comes twice."""
    views: dict[str, NDArray] = {}
    for instance in series:
        for frame in range(len(instance.pixels)):
            region = _region(instance, frame)
            name, count = region, 1
            while name in views:
                count += 1
                name = f"{region} {count}"
            views[name] = instance.pixels[frame]
    return views


def _region(instance: Instance, frame: int) -> str:
    heads = list(instance.dataset.get("DetectorInformationSequence") or [])
    detector = int(instance.vector("DetectorVector")[frame])
    codes = set()
    if 1 <= detector <= len(heads):
        codes = {str(c.get("CodeValue", "")) for c in heads[detector - 1].get("ViewCodeSequence") or []}
    if codes & ANTERIOR:
        return "anterior"
    return "posterior" if codes & POSTERIOR else "whole"


def _whole_body(instance: Instance) -> bool:
    # GE stores whole-body scans as NM in the class Secondary Capture, some without a kind
    return (
        instance.modality == "NM"
        and is_patient(instance)
        and (instance.kind == "WHOLE BODY" or (instance.kind is None and instance.is_capture))
    )


ROWS = (
    Procedure(whole_body_bone, "PP-WBBONE", "clinical", _whole_body, "whole_body", _bone),
    Procedure(thyroid_static, "PP-THYROID", "clinical", partial(of_class, "PP-THYROID"), LOBES, _thyroid),
)
