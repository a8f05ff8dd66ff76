"""What the header tells of a radioactive source: nuclide, activity at the start of the scan, and when each frame was taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.nuclides import nuclide_of
from messages import because
from spark_jobs.procedures import frame_time
from spark_jobs.procedures.agent import agents, half_life_of, names_of
from spark_jobs.procedures.moments import DAY_S, acquired, assumed, days_of, first_day, injected, time_of
from spark_jobs.qc.numerics.decay import decayed
from spark_jobs.reading import Instance, Unreadable

__all__ = ["Activity", "activity", "frame_times", "half_life", "nuclide_of_header", "scan_start", "stated_mbq"]

LARGEST_MBQ = 100_000.0  # NM states activity in MBq; a larger number can only be Bq


@dataclass(frozen=True)
class Activity:
    """Activity at the start of a scan, the half-life, and what had to be assumed.

    `if_day_before` is by what the activity is to be divided where it was measured a day earlier than assumed; None: the day is told.
    """

    mbq: float
    half_life_s: float
    notes: tuple[str, ...] = ()
    if_day_before: float | None = None


def stated_mbq(instance: Instance) -> float | None:
    """Return RadionuclideTotalDose as it stands, or None; 0 is what vendors write when nobody typed it in."""
    values = [_number(item.get("RadionuclideTotalDose")) for item in agents(instance.dataset)]
    return next((v for v in values if v), None)


def activity(instance: Instance) -> Activity | str:
    """Return the activity at the start of the scan, or the reason why the header does not tell it."""
    items = [item for item in agents(instance.dataset) if _number(item.get("RadionuclideTotalDose"))]
    if not items:
        return because("source.activity_missing")
    if len(items) > 1:
        return because("source.activities_many", count=len(items))
    life = half_life(instance)
    if isinstance(life, str):
        return life
    try:
        start, notes = scan_start(instance)
        if start is None:
            return because("source.scan_start_missing")
        seconds = (start - injected(instance.dataset, items[0], start, life)).total_seconds()
        notes = (*notes, *assumed(instance.dataset, items[0]))
    except Unreadable as exc:
        return str(exc)
    value = float(_number(items[0].get("RadionuclideTotalDose")) or 0.0)
    if value > LARGEST_MBQ:
        value /= 1e6
        notes = (*notes, because("source.taken_as_bq", tbq=value))
    untold = days_of(items[0], start, life)
    return Activity(decayed(value, seconds, life), life, notes, decayed(1.0, -DAY_S, life) if untold else None)


def half_life(instance: Instance) -> float | str:
    """Return the half-life of the header's nuclide in seconds, or the reason why it is unknown."""
    try:
        found = half_life_of(agents(instance.dataset))
    except Unreadable as exc:
        return str(exc)
    return found if found is not None else because("source.nuclide_unknown")


def nuclide_of_header(instance: Instance) -> str | None:
    """Return the one nuclide that the codes of the header name, or None."""
    found = {nuclide_of(name) for item in agents(instance.dataset) for name in names_of(item)} - {None}
    return found.pop() if len(found) == 1 else None


def scan_start(instance: Instance) -> tuple[datetime | None, tuple[str, ...]]:
    """Return when the acquisition began and what had to be assumed; None where no element tells the time."""
    ds = instance.dataset
    start = acquired(ds)
    if start is not None:
        return start, ()
    for name in ("SeriesTime", "ContentTime"):
        day, clock = first_day(ds), time_of(ds, name)
        if day is not None and clock is not None:
            return datetime.combine(day, clock), (because("frames.start_taken", keyword=name),)
    return None, ()


def frame_times(series: Sequence[Instance], which: Sequence[NDArray[np.int64]]) -> tuple[NDArray, NDArray] | str:
    """Return start and duration in seconds of the chosen frames of each instance, or the reason why they are unknown."""
    starts, durations = [], []
    try:
        begins = [scan_start(i)[0] if len(series) > 1 else None for i in series]  # the moments of several are compared
    except Unreadable as exc:
        return str(exc)
    if len(series) > 1 and any(b is None for b in begins):
        return because("frames.acquisition_time_missing")
    for instance, frames, begin in zip(series, which, begins, strict=True):
        found = frame_time.frame_times(instance, frames)
        if isinstance(found, str):
            return found
        order, times = found
        there = len(frames) + len(times.missing)
        said = sum(
            int(_number(p.get("NumberOfFramesInPhase")) or 0) for p in instance.dataset.get("PhaseInformationSequence") or []
        )
        untold = times.missing and instance.dataset.get("TimeSliceVector") is None
        if untold or said not in (0, there, there * instance.streams):
            return because("frames.phases_contradict", announced=said, frames=len(frames))
        later = (begin - begins[0]).total_seconds() if begin is not None and begins[0] is not None else 0.0
        back = np.argsort(order, kind="stable")
        starts.append(times.start_s[back] + later)
        durations.append(times.duration_s[back])
    return np.concatenate(starts), np.concatenate(durations)


def _number(value: Any) -> float | None:
    number = float(value) if value not in (None, "") else 0.0
    return number if number > 0 else None
