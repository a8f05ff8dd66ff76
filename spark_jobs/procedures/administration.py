"""What a PET header says of the activity given: amount, moments, half-life, unit. Contradictions are refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, nan
from typing import Any

from connectors.nuclides import half_life_s, nuclide_of
from messages import because
from spark_jobs.numbers import number_of
from spark_jobs.private_elements import private_value
from spark_jobs.procedures.agent import agents, half_life_of, names_of
from spark_jobs.procedures.moments import assumed, days_of, injected
from spark_jobs.procedures.moments import moment_of_sheet as on_header
from spark_jobs.procedures.reference_moment import Reference, decay_correction, reference_of, scan_start
from spark_jobs.qc.numerics.decay import decayed
from spark_jobs.qc.pet.suv import given_activity, suv_factor
from spark_jobs.qc.terms import shown
from spark_jobs.reading import Instance, Unreadable

__all__ = [
    "Administration",
    "administration_of",
    "factor_of",
    "half_life_of_sheet",
    "moment_of_sheet",
    "reference_moment",
    "unit_of",
]

LARGEST_MBQ = 10_000.0  # a dose below 10 000 "Bq" is one in MBq
PHILIPS_SUV = (0x7053, "Philips PET Private Group", 0x00)
OF_SERIES = ("PatientWeight", "SUVType", "SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC")  # what all slices of a series share
OF_AGENT = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")
BY_WEIGHT = "BW"  # SUVType, and what GML means without one (PS3.3 C.8.9.1)


@dataclass(frozen=True)
class Administration:
    """Activity (Bq) at the moment that the voxels are corrected to, and the weight (kg)."""

    reference_bq: float
    weight_kg: float | None
    notes: tuple[str, ...]


def factor_of(series: Sequence[Instance], told: Administration | None = None) -> tuple[float, tuple[str, ...]]:
    """Return the factor from voxels to SUV, and notes; raise `Unreadable` when neither what a sheet told nor the header gives it."""
    ds = series[0].dataset
    _refuse_contradiction(series)
    unit = unit_of(series)
    if unit == "BQML":
        given = told or administration_of(series)
        return _factor(unit, given.reference_bq, given.weight_kg), given.notes
    kind = str(ds.get("SUVType") or BY_WEIGHT).strip().upper()
    if unit == "GML" and kind != BY_WEIGHT:
        raise Unreadable(because("header.suv_type_other", type=shown("SUVType", kind)))
    return _factor(unit, None, None, _of_philips(ds) if unit == "CNTS" else None), ()


def _factor(unit: str, activity_bq: float | None, weight_kg: float | None, philips: float | None = None) -> float:
    try:
        return suv_factor(unit, activity_bq, weight_kg, philips)
    except ValueError as exc:
        raise Unreadable(str(exc)) from exc


def _of_philips(ds: Any) -> float | None:
    """Return the vendor's SUV factor, None where it is absent; one that is no finite number is `Unreadable`."""
    value = private_value(ds, *PHILIPS_SUV)
    try:
        factor = None if value is None else float(value)
    except (TypeError, ValueError):
        factor = nan
    if factor is not None and not isfinite(factor):
        raise Unreadable(because("header.vendor_unreadable", what=because("header.vendor_factor_7053")))
    return factor


def administration_of(series: Sequence[Instance]) -> Administration:
    """Return the activity in the phantom or patient at the moment that the voxels are corrected to."""
    ds = series[0].dataset
    _refuse_contradiction(series)
    item = _agent(series)
    dose = number_of(item, "RadionuclideTotalDose")
    if dose <= 0:
        raise Unreadable(because("header.total_dose_missing"))
    notes = []
    if dose < LARGEST_MBQ:
        notes.append(because("header.dose_taken_as_mbq", dose=dose))
        dose *= 1e6
    half_life = half_life_of([item])
    if half_life is None:
        raise Unreadable(because("header.half_life_missing"))
    weight = number_of(ds, "PatientWeight") or None
    days = days_of(item, scan_start(series), half_life)
    if decay_correction(series) == "ADMIN" and days:
        # voxels and RadionuclideTotalDose are both of RadiopharmaceuticalStartTime (PS3.3 C.8.9.1.1.5, C.8.9.2): no decay lies between
        return Administration(given_activity(dose, 0.0, half_life), weight, (*notes, *_held_at(series, half_life, days)))
    reference = reference_moment(series, half_life)
    seconds = (reference.moment - _injection(series, half_life)).total_seconds()
    activity = decayed(given_activity(dose, 0.0, half_life), seconds, half_life)
    return Administration(activity, weight, (*notes, *assumed(ds, item), *reference.notes))


def _held_at(series: Sequence[Instance], half_life: float, days: Sequence[datetime]) -> tuple[str, ...]:
    """Return the notes on a time of day that voxels are corrected to; raise `Unreadable` where the numbers of the slices are of none of them."""
    reasons = []
    for day in days:
        try:
            return reference_of(series, half_life, lambda: day).notes  # noqa: B023 (called before the next turn)
        except Unreadable as exc:
            reasons.append(exc)
    raise reasons[0]


def reference_moment(series: Sequence[Instance], half_life: float) -> Reference:
    """Return the moment that the voxels are decay-corrected to; raise `Unreadable` when the header does not tell it."""
    _refuse_contradiction(series)
    items = agents(series[0].dataset)
    days = days_of(items[0], scan_start(series), half_life) if len(items) == 1 and decay_correction(series) == "ADMIN" else []
    return reference_of(series, half_life, lambda: _injection(series, half_life), days)


def half_life_of_sheet(series: Sequence[Instance], name: Any) -> float:
    """Return the half-life of a sheet's nuclide; another one than the header's is `Unreadable`: voxels were corrected by that."""
    nuclide = nuclide_of(str(name or ""))
    half_life = half_life_s([nuclide])
    if half_life is None:
        raise Unreadable(because("sheet.nuclide_missing"))
    for item in agents(series[0].dataset):
        stated = number_of(item, "RadionuclideHalfLife")
        try:
            half_life_s([nuclide, *names_of(item)], stated or None)
        except ValueError:
            raise Unreadable(because("sheet.nuclide_contradicts", nuclide=nuclide)) from None
    return half_life


def moment_of_sheet(series: Sequence[Instance], sheet: Mapping[str, Any], when: str) -> datetime:
    """Return a moment of a sheet on the clock of the series' header (`moments.moment_of_sheet`)."""
    return on_header(series[0].dataset, sheet, when)


def _injection(series: Sequence[Instance], half_life: float) -> datetime:
    return injected(series[0].dataset, _agent(series), scan_start(series), half_life)


def _agent(series: Sequence[Instance]) -> Any:
    items = agents(series[0].dataset)
    if len(items) != 1:
        raise Unreadable(because("header.radiopharmaceuticals_many", count=len(items)))
    return items[0]


def _refuse_contradiction(series: Sequence[Instance]) -> None:
    """Raise `Unreadable` where slices contradict each other: which of them came first must not tell the value."""
    told = [i.dataset for i in series]
    for name in OF_SERIES:
        if len({str(ds.get(name)) for ds in told}) > 1:
            raise Unreadable(because("header.slices_differ", keyword=name))
    if len({str(private_value(ds, *PHILIPS_SUV)) for ds in told}) > 1:
        raise Unreadable(because("header.suv_factors_differ"))
    given = [agents(ds) for ds in told]
    for name in OF_AGENT:
        if len({tuple(str(item.get(name)) for item in items) for items in given}) > 1:
            raise Unreadable(because("header.slices_differ", keyword=name))
    if len({tuple(n for item in items for n in names_of(item)) for items in given}) > 1:
        raise Unreadable(because("header.nuclides_differ"))


def unit_of(series: Sequence[Instance]) -> str:
    """Return Units, empty where it is missing; slices that differ are `Unreadable`."""
    units = {str(i.dataset.get("Units") or "").strip().upper() for i in series}
    if len(units) > 1:
        raise Unreadable(because("header.units_differ", units=sorted(shown("Units", u) for u in units)))
    return units.pop()
