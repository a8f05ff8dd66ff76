"""What a PET header says of the activity given: amount, moments, half-life, unit. Contradictions are refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.nuclides import half_life_s, nuclide_of
from spark_jobs.qc.pet.suv import given_activity, reference_activity, suv_factor
from spark_jobs.reading import Instance, Unreadable

__all__ = [
    "Administration",
    "administration_of",
    "factor_of",
    "half_life_of_sheet",
    "moment_of_sheet",
    "reference_moment",
    "scan_start",
]

LARGEST_MBQ = 10_000.0  # a dose below 10 000 "Bq" is one in MBq
GE_SCAN_MOMENT = (0x0009, 0x100D)
PHILIPS_SUV = (0x7053, 0x1000)
OF_SERIES = ("PatientWeight", "SUVType", "SeriesDate", "SeriesTime", PHILIPS_SUV)  # what all slices of a series share
OF_AGENT = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")
BY_WEIGHT = "BW"  # SUVType, and what GML means without one (PS3.3 C.8.9.1)
LONGEST = timedelta(hours=24)  # from the injection to the scan
LONGEST_HALF_LIVES = 6.0  # the same where the injection has a time of day and no date: midnight explains no more
SAME_S = 60.0  # two elements that tell the moment of injection may differ by a rounded minute


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
    try:
        if unit == "BQML":
            given = told or administration_of(series)
            return suv_factor(unit, given.reference_bq, given.weight_kg), given.notes
        kind = str(ds.get("SUVType") or BY_WEIGHT).strip().upper()
        if unit == "GML" and kind != BY_WEIGHT:
            raise Unreadable(f"SUVType is {kind}: these values are no SUV by body weight")
        factor = ds.get(PHILIPS_SUV)
        return suv_factor(unit, None, None, float(factor.value) if factor is not None else None), ()
    except ValueError as exc:
        raise Unreadable(str(exc)) from exc


def administration_of(series: Sequence[Instance]) -> Administration:
    """Return the activity in the phantom or patient at the moment that the voxels are corrected to."""
    ds = series[0].dataset
    _refuse_contradiction(series)
    items = list(ds.get("RadiopharmaceuticalInformationSequence") or [])
    if len(items) != 1:
        raise Unreadable(f"the header tells {len(items)} radiopharmaceuticals, not one: the activity is unknown")
    item = items[0]
    dose = float(item.get("RadionuclideTotalDose") or 0)
    if dose <= 0:
        raise Unreadable("RadionuclideTotalDose is missing or zero: the activity is unknown")
    notes = []
    if dose < LARGEST_MBQ:
        notes.append(f"a dose of {dose:g} is taken as MBq")
        dose *= 1e6
    try:
        half_life = half_life_s(_names(item), float(item.get("RadionuclideHalfLife") or 0) or None)
    except ValueError as exc:
        raise Unreadable(str(exc)) from exc
    if half_life is None:
        raise Unreadable("RadionuclideHalfLife and the nuclide are missing: no decay can be told")
    correction = decay_correction(series)
    start = scan_start(series)
    seconds = (start - _injection(item, start, half_life)).total_seconds() if correction == "START" else 0.0
    try:
        reference = reference_activity(given_activity(dose, 0.0, half_life), seconds, half_life, correction)
    except ValueError as exc:
        raise Unreadable(str(exc)) from exc
    weight = float(ds.get("PatientWeight") or 0) or None
    return Administration(reference, weight, tuple(notes))


def reference_moment(series: Sequence[Instance], half_life: float) -> datetime:
    """Return the moment that the voxels are decay-corrected to; raise `Unreadable` when the header does not tell it."""
    _refuse_contradiction(series)
    correction = decay_correction(series)
    start = scan_start(series)
    if correction == "START":
        return start
    items = list(series[0].dataset.get("RadiopharmaceuticalInformationSequence") or [])
    if correction != "ADMIN" or len(items) != 1:
        raise Unreadable(f"DecayCorrection is {correction or 'missing'}: voxels refer to no one moment")
    return _injection(items[0], start, half_life)


def half_life_of_sheet(series: Sequence[Instance], name: Any) -> float:
    """Return the half-life of a sheet's nuclide; another one than the header's is `Unreadable`: voxels were corrected by that."""
    nuclide = nuclide_of(str(name or ""))
    half_life = half_life_s([nuclide])
    if half_life is None:
        raise Unreadable("the sheet's nuclide is missing or unknown: its activities cannot be carried to the scan")
    for item in series[0].dataset.get("RadiopharmaceuticalInformationSequence") or []:
        try:
            half_life_s([nuclide, *_names(item)], float(item.get("RadionuclideHalfLife") or 0) or None)
        except ValueError:
            raise Unreadable(
                f"the sheet's nuclide is {nuclide}, and the header's another, or of another half-life: which of them is right "
                "is unknown"
            ) from None
    return half_life


def moment_of_sheet(series: Sequence[Instance], sheet: Mapping[str, Any], when: str) -> datetime:
    """Return a moment of a sheet on the clock of the header; offsets from UTC that cannot be compared with it are `Unreadable`.

    Moments without an offset, and those of a header that tells none, are of the site's clock.
    """
    said = {k: _iso(v) for k, v in sheet.items() if k.endswith("_at")}
    moment = said.get(when)
    if moment is None:
        raise Unreadable(f"the sheet's {when} is no moment")
    offset = str(series[0].dataset.get("TimezoneOffsetFromUTC") or "").strip()
    if moment.tzinfo is not None and offset:
        try:
            return moment.astimezone(datetime.strptime(offset, "%z").tzinfo).replace(tzinfo=None)
        except ValueError:
            raise Unreadable(f"TimezoneOffsetFromUTC is {offset}, which is no offset") from None
    offsets = {m.utcoffset() for m in said.values() if m is not None}
    if len(offsets) > 1 and not offset:
        raise Unreadable(
            "the sheet's moments have different offsets from UTC, and the header tells none: they cannot be compared"
        )
    if moment.utcoffset() == timedelta(0):
        raise Unreadable(f"the sheet's {when} is in UTC, and the header does not tell how far its own clock is from that")
    return moment.replace(tzinfo=None)


def _iso(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def _names(item: Any) -> list[str]:
    return [str(c.get(k) or "") for c in item.get("RadionuclideCodeSequence") or [] for k in ("CodeValue", "CodeMeaning")]


def _refuse_contradiction(series: Sequence[Instance]) -> None:
    """Raise `Unreadable` where slices contradict each other: which of them came first must not tell the value."""
    told = [i.dataset for i in series]
    for name in OF_SERIES:
        if len({str(getattr(v, "value", v)) for v in (ds.get(name) for ds in told)}) > 1:
            raise Unreadable(
                f"the slices have different {name if isinstance(name, str) else 'SUV factors (7053,1000)'}: two candidates"
            )
    agents = [list(ds.get("RadiopharmaceuticalInformationSequence") or []) for ds in told]
    for name in OF_AGENT:
        if len({tuple(str(item.get(name)) for item in items) for items in agents}) > 1:
            raise Unreadable(f"the slices have different {name}: two candidates")
    if len({tuple(n for item in items for n in _names(item)) for items in agents}) > 1:
        raise Unreadable("the slices have different RadionuclideCodeSequence: two candidates")


def decay_correction(series: Sequence[Instance]) -> str:
    """Return DecayCorrection, empty where it is missing; slices that differ are `Unreadable`."""
    found = {str(i.dataset.get("DecayCorrection") or "").strip().upper() for i in series}
    if len(found) > 1:
        raise Unreadable(f"the slices have different DecayCorrection: {', '.join(sorted(f or 'none' for f in found))}")
    return found.pop()


def unit_of(series: Sequence[Instance]) -> str:
    """Return Units, empty where it is missing; slices that differ are `Unreadable`."""
    units = {str(i.dataset.get("Units") or "").strip().upper() for i in series}
    if len(units) > 1:
        raise Unreadable(f"the slices have different units: {', '.join(sorted(units))}")
    return units.pop()


def scan_start(series: Sequence[Instance]) -> datetime:
    """Return the start that decay correction refers to: the series' own, unless it is later than an acquisition.

    A series that was made anew carries the time of that; then the vendor's private moment of the scan, or the earliest acquisition.
    """
    ds = series[0].dataset
    acquired = [m for m in (_acquired(i.dataset) for i in series) if m is not None]
    earliest = min(acquired, default=None)
    begun = _moment(ds.get("SeriesDate"), ds.get("SeriesTime"))
    if begun is not None and (earliest is None or begun <= earliest):
        return begun
    private = ds.get(GE_SCAN_MOMENT)
    stated = _moment_of_text(private.value) if private is not None else None
    if stated is not None and (earliest is None or stated <= earliest):
        return stated
    if earliest is None:
        raise Unreadable("neither the series nor an acquisition has date and time: the start of the scan is unknown")
    return earliest


def _acquired(ds: Any) -> datetime | None:
    whole = _moment_of_text(ds.get("AcquisitionDateTime"))
    return whole or _moment(ds.get("AcquisitionDate") or ds.get("SeriesDate"), ds.get("AcquisitionTime"))


def _injection(item: Any, start: datetime, half_life: float) -> datetime:
    """Return the moment of injection; a bare time of day is the last one before the scan, so that midnight may lie between."""
    whole = _moment_of_text(item.get("RadiopharmaceuticalStartDateTime"))
    bare = item.get("RadiopharmaceuticalStartTime")
    clock = _moment(start.strftime("%Y%m%d"), bare)
    if clock is not None and clock > start:
        clock -= timedelta(days=1)
    if whole is not None and clock is not None:
        apart = abs((whole - clock).total_seconds()) % 86_400
        if min(apart, 86_400 - apart) > SAME_S:
            raise Unreadable("RadiopharmaceuticalStartDateTime and RadiopharmaceuticalStartTime contradict each other")
    moment = whole or clock
    if moment is None:
        raise Unreadable("the moment of injection is missing: no decay can be told")
    if whole is None and (start - moment).total_seconds() > LONGEST_HALF_LIVES * half_life:
        raise Unreadable(
            f"RadiopharmaceuticalStartTime {moment:%H:%M} lies after the scan at {start:%H:%M}, and no date explains it"
        )
    if not timedelta(0) <= start - moment <= LONGEST:
        raise Unreadable(f"the injection at {moment:%Y-%m-%d %H:%M} does not come before the scan at {start:%Y-%m-%d %H:%M}")
    return moment


def _moment(date: Any, time: Any) -> datetime | None:
    day, clock = str(date or "").strip(), str(time or "").strip()
    return _moment_of_text(day + clock) if len(day) == 8 and len(clock) >= 4 else None


def _moment_of_text(value: Any) -> datetime | None:
    """Return a DICOM date and time without its zone: within one header, all moments are of one clock."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    text = text.strip().rstrip("\0").split("+")[0].split("-")[0]
    whole, _, part = text.partition(".")
    if len(whole) < 12 or not whole.isdigit():
        return None
    try:
        moment = datetime.strptime(whole.ljust(14, "0")[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return moment + timedelta(seconds=float(f"0.{part}")) if part.isdigit() else moment
