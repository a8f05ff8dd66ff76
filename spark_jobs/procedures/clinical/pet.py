"""PET images of patients: volume, SUV, activity and counts of the header."""

from collections.abc import Sequence
from functools import partial

from messages import because
from spark_jobs.procedures.administration import LARGEST_MBQ, factor_of
from spark_jobs.procedures.agent import agents
from spark_jobs.procedures.clinical.header import PET, completeness, number, of_class, uptake
from spark_jobs.procedures.moments import acquired
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.clinical import pet_patient
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import Measure, Result
from spark_jobs.reading import Instance, Unreadable
from spark_jobs.volumes import slices_of

__all__ = ["ROWS", "look"]

THICKNESS_OFF = 0.1
HEIGHTS_M = 0.3, 2.5  # PatientSize is in metres; other numbers are of another unit
OF_RATES = ("PrimaryPromptsCountsAccumulated", "SecondaryCountsAccumulated", "ActualFrameDuration", "ScatterFractionFactor")


def look(series: Sequence[Instance]) -> Look | None:
    """Return a patient when the volume holds something as long and as uneven as a patient, or None."""
    if series[0].modality != "PT" or len(series) < 3:
        return None
    try:
        values, volume = slices_of(series)
    except Unreadable:
        return None
    return Look.PATIENT if pet_patient.is_like_a_patient(values, volume.voxel_mm) else None


def _patient(series: Sequence[Instance]) -> list[Result]:
    values, volume = slices_of(series)
    first = series[0].dataset
    if len({str(i.dataset.get("FrameOfReferenceUID") or "") for i in series}) > 1:
        return [refusal(pet_patient, because("pet_patient.frames_of_reference_differ"))]
    notes: list[str] = []
    factor = None
    try:
        factor, said = factor_of(series)
        notes += said
    except Unreadable as exc:
        notes.append(because("pet_patient.no_suv", reason=exc))
    if "ATTN" not in {str(v).upper() for v in first.get("CorrectedImage") or []}:
        notes.append(because("pet_patient.no_attenuation_correction"))
    thick = number(first, "SliceThickness", notes)
    if thick and abs(thick - volume.voxel_mm[0]) > THICKNESS_OFF * volume.voxel_mm[0]:
        notes.append(because("pet_patient.slices_overlap", thickness_mm=thick, distance_mm=volume.voxel_mm[0]))
    timing, waiting = _uptake(series)
    weight, height = number(first, "PatientWeight", notes), number(first, "PatientSize", notes)
    nec, given = _nec(series, notes), _given(series[0], weight, notes)
    return [
        pet_patient.measure(
            values,
            volume.voxel_mm,
            suv_factor=factor,
            right_first=bool(volume.steps_mm[0, 2] > 0),
            nec_cps=nec,
            mbq_per_kg=given,
            weight_kg=weight,
            height_m=height if height is not None and HEIGHTS_M[0] <= height <= HEIGHTS_M[1] else None,
            timing=timing,
            completeness=completeness(series, PET),
            warnings=list(dict.fromkeys([*notes, *waiting])),
        )
    ]


def _uptake(series: Sequence[Instance]) -> tuple[list[Measure], tuple[str, ...]]:
    """Return what the header of the first acquisition says of the time from injection to scan."""
    try:
        begun = [(acquired(i.dataset), k) for k, i in enumerate(series)]
    except Unreadable as exc:
        return [], (because("pet_patient.no_uptake_time", reason=exc),)
    _, first = min(((m, k) for m, k in begun if m is not None), default=(None, 0))
    return uptake(series[first].dataset)


def _nec(series: Sequence[Instance], notes: list[str]) -> float | None:
    """Return the middle noise-equivalent rate of the slices whose headers give prompts, randoms, scatter and duration."""
    rates = []
    for i in series:
        told = len(notes)
        prompts, randoms, lasting, scatter = (number(i.dataset, k, notes) for k in OF_RATES)
        if len(notes) > told:
            return None  # of a rate of other slices alone
        if prompts and lasting and scatter is not None:
            rates.append(pet_patient.noise_equivalent_cps(prompts, randoms or 0.0, scatter, lasting / 1000))
    return median(rates) if rates else None


def _given(instance: Instance, weight_kg: float | None, notes: list[str]) -> float | None:
    """Return the activity given in MBq per kg of the patient, None where the header lacks one of them."""
    items = agents(instance.dataset)
    dose = number(items[0], "RadionuclideTotalDose", notes) if len(items) == 1 else None
    if not dose or not weight_kg:
        return None
    return (dose if dose < LARGEST_MBQ else dose / 1e6) / weight_kg


ROWS = (
    Procedure(pet_patient, "PP-PETCT", "clinical", partial(of_class, "PP-PETCT"), Look.PATIENT, _patient, reconstructed=True),
)
