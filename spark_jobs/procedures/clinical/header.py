"""What the headers of clinical series say beside the frames: completeness, who lies there, waiting and scan times."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from messages import because
from spark_jobs.numbers import number_of
from spark_jobs.procedures.agent import agents, half_life_of
from spark_jobs.procedures.moments import DATES, acquired, assumed, injected, time_of
from spark_jobs.qc.clinical.aspects import TIMING, measure
from spark_jobs.qc.result import Measure
from spark_jobs.reading import Instance, Unreadable

__all__ = [
    "BONE",
    "CLASSES",
    "DYNAMIC",
    "GATED",
    "PET",
    "PLANAR",
    "TOMO",
    "completeness",
    "is_patient",
    "number",
    "of_class",
    "uptake",
]

COMMON = (
    "AcquisitionDate", "AcquisitionTime", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "PixelSpacing", "PatientPosition", "PatientWeight",
)  # fmt: skip
CAMERA = ("EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence", "DetectorInformationSequence")
# what a physicist or reader needs to judge an exam, beside the pixels
BONE = (*COMMON, *CAMERA)
PLANAR = (*COMMON, *CAMERA, "ActualFrameDuration")
DYNAMIC = (*COMMON, *CAMERA, "PhaseInformationSequence", "PhaseVector", "TimeSliceVector")
TOMO = (*COMMON, *CAMERA, "RotationInformationSequence", "AngularViewVector")
GATED = (*TOMO, "GatedInformationSequence", "TimeSlotVector")
PET = (
    *COMMON, "PatientSize", "RadiopharmaceuticalInformationSequence", "Units", "DecayCorrection", "CorrectedImage",
    "AttenuationCorrectionMethod", "RandomsCorrectionMethod", "ReconstructionMethod", "ActualFrameDuration", "SliceThickness",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SeriesDate", "SeriesTime",
)  # fmt: skip

INJECTED = ("RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime")
NO_DAY = date(2000, 1, 2)  # of times of day in a header without any day

# which class of image each code asks a clinical method for; other images of the same order (a CT, a tomogram) are not measured
CLASSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "PP-WBBONE": ("NM", ("WHOLE BODY",)),
    "PP-THYROID": ("NM", ("STATIC",)),
    "PP-RENAL": ("NM", ("DYNAMIC",)),
    "PP-HEPATO": ("NM", ("DYNAMIC",)),
    "PP-MYOCARD": ("NM", ("TOMO", "GATED TOMO")),
    "PP-PETCT": ("PT", ()),  # any kind
}


def of_class(code: str, instance: Instance) -> bool:
    """Return whether an object is of the class that a code names, and may be a patient's."""
    modality, kinds = CLASSES[code]
    return instance.modality == modality and (not kinds or instance.kind in kinds) and is_patient(instance)


def completeness(series: Sequence[Instance], fields: Sequence[str]) -> tuple[int, int]:
    """Return how many of the fields are filled in the worst object of a series, and how many there should be."""
    return min(sum(1 for f in fields if _filled(i.dataset.get(f))) for i in series), len(fields)


def is_patient(instance: Instance) -> bool:
    """Return whether an object may be a patient's: phantoms are scheduled as `QC^<serial>`."""
    return not str(instance.dataset.get("PatientID") or "").startswith("QC^")


def number(dataset: Any, keyword: str, notes: list[str]) -> float | None:
    """Return a number of the header, None where it is absent, empty or zero; one that cannot be read is a note, and no absent one."""
    try:
        return number_of(dataset, keyword) or None
    except Unreadable as exc:
        notes.append(str(exc))
        return None


def uptake(ds: Any) -> tuple[list[Measure], tuple[str, ...]]:
    """Return the minutes from injection to acquisition, as a list of one or none, and why there are none although the header has both.

    A time of day without a day is read as `moments.injected` says; where it could be of another day, no time is measured.
    """
    moments = [item for item in agents(ds) if any(item.get(k) for k in INJECTED)]
    if not moments:
        return [], ()
    try:
        began, clock = acquired(ds), time_of(ds, "AcquisitionTime")
        if began is None and clock is not None and not any(ds.get(d) for d in DATES):
            began = datetime.combine(NO_DAY, clock)
        if began is None:
            return [], ()
        given = {injected(ds, item, began, half_life_of([item])) for item in moments}
    except Unreadable as exc:
        return [], (because("pet_patient.no_uptake_time", reason=exc),)
    if len(given) > 1:
        return [], (because("pet_patient.injections_many", count=len(given)),)
    unknown = any(half_life_of([i]) is None and not i.get("RadiopharmaceuticalStartDateTime") for i in moments)
    notes = (because("header.injection_day_taken"),) if unknown else ()
    notes = tuple(dict.fromkeys([*notes, *(n for i in moments for n in assumed(ds, i) if not unknown)]))
    seconds = max((began - given.pop()).total_seconds(), 0.0)
    return [measure(TIMING, "uptake_min", seconds / 60, "min")], notes


def _filled(value: Any) -> bool:
    if value is None or value == "" or value == 0:
        return False
    return not (hasattr(value, "__len__") and len(value) == 0)
