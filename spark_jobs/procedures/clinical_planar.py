"""Clinical series of patients: how each kind of examination takes its frames, views and times."""

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import NDArray

from spark_jobs.procedures.clinical_header import BONE, completeness, is_patient, number, uptake
from spark_jobs.procedures.row import Procedure
from spark_jobs.qc import whole_body_bone
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS"]

# codes of CID 26/501 that say which side faces the detector
ANTERIOR = {"R-10202", "R-10206", "399348003", "272460009", "255549009"}
POSTERIOR = {"R-10204", "R-10214", "399024005", "272479007", "255551008"}


def _bone(series: Sequence[Instance]) -> list[Result]:
    views: dict[str, NDArray] = {}
    for instance in series:
        for frame in range(len(instance.pixels)):
            region = _region(instance, frame)
            name, count = region, 1
            while name in views:
                count += 1
                name = f"{region} {count}"
            views[name] = instance.pixels[frame]
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


ROWS = (Procedure(whole_body_bone, "PP-WBBONE", "clinical", _whole_body, "whole_body", _bone),)
