"""Projections of patients' hearts: which frame is which view, gate and detector, and what is missing."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.clinical.header import GATED, TOMO, completeness, number, of_class, uptake
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.clinical import myocardial_projections
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.order import percentile
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

LOOKED = 12  # views that are looked at
ASIDE_MM = 12.0
LONG_MM = 240.0  # phantoms of emission tomography are below 220 mm long


def look(series: Sequence[Instance]) -> Look | None:
    """Return a heart when most views show one compact bright organ in a body, or None."""
    first = series[0]
    if (
        first.modality != "NM"
        or first.kind not in ("TOMO", "GATED TOMO")
        or len(first.pixels) < myocardial_projections.FEWEST_VIEWS
    ):
        return None
    angles = first.vector("AngularViewVector")
    if angles.max() > 1:
        numbers = np.unique(angles)
        chosen = numbers[:: max(1, len(numbers) // LOOKED)]
        views = np.stack([first.pixels[angles == v].sum(0, dtype=np.int64) for v in chosen])
    else:
        views = first.pixels[:: max(1, len(first.pixels) // LOOKED)]
    heart = myocardial_projections.heart_of(views.astype(np.float64), first.pixel_mm or 1.0)
    if heart is None:
        return None
    if first.kind == "TOMO":
        # phantoms are short and lie in the axis; a patient goes on along the table, and the heart turns beside the axis
        wide = np.ptp(heart["column"][np.isfinite(heart["column"])])
        lit = np.percentile(views, 90, axis=2).mean(0)
        long = (lit > 0.1 * percentile(lit, 75)).sum()
        if wide * (first.pixel_mm or 1.0) < ASIDE_MM or long * (first.pixel_mm or 1.0) < LONG_MM:
            return None
    return Look.HEART


def _heart(series: Sequence[Instance]) -> list[Result]:
    if len(series) > 1:
        return [refusal(myocardial_projections, because("series.objects_many", count=len(series)))]
    (instance,) = series
    gated = instance.kind == "GATED TOMO"
    parts = _parts(instance, gated)
    if isinstance(parts, str):
        return [refusal(myocardial_projections, parts)]
    heads, numbers, gates, missing = parts
    unread: list[str] = []
    beats = _beats(instance, unread) if gated else None
    fields = GATED if gated else TOMO
    timing, notes = uptake(instance.dataset)
    result = myocardial_projections.measure(
        heads, instance.pixel_mm or 0.0, gates=gates, numbers=numbers, missing_views=missing, beats=beats,
        timing=timing, completeness=completeness(series, fields),
    )  # fmt: skip
    return [replace(result, warnings=(*result.warnings, *notes, *dict.fromkeys(unread)))]


Parts = tuple[list[NDArray], list[list[int]], NDArray | None, int]


def _parts(instance: Instance, gated: bool) -> Parts | str:
    """Return the views of each detector with gates summed, their numbers, the counts of gates, and how many views are missing."""
    pixels = instance.pixels
    detectors = instance.vector("DetectorVector")
    slots, rotations = instance.vector("TimeSlotVector"), instance.vector("RotationVector")
    given = instance.dataset.get("AngularViewVector") is not None
    if gated and instance.dataset.get("TimeSlotVector") is None:
        return because("heart.time_slots_missing")
    angles = instance.vector("AngularViewVector") if given else _running(detectors, rotations, slots)
    sums = pixels.sum((1, 2), dtype=np.int64)
    heads, numbers, gates, missing = [], [], [], 0
    every = np.unique(slots)
    for detector in np.unique(detectors):
        for rotation in np.unique(rotations[detectors == detector]):
            mine = (detectors == detector) & (rotations == rotation)
            there = np.unique(angles[mine])
            if not len(there):
                continue
            views, share = [], []
            for v in there:
                at = np.flatnonzero(mine & (angles == v))
                if len(set(slots[at].tolist())) < len(at) and instance.dataset.get("RRIntervalVector") is None:
                    return because("heart.frames_doubled")
                views.append(pixels[at].sum(0, dtype=np.int64))
                share.append([int(sums[at[slots[at] == s]].sum()) for s in every])
                missing += len(set(every.tolist()) - set(slots[at].tolist())) > 0
            heads.append(np.stack(views))
            numbers.append(there.tolist())
            gates.append(np.array(share).T)
    longest = max(len(h) for h in heads)
    for own in numbers:
        first = 1 if own[0] <= 2 else own[0]  # heads may number their views on
        missing += max(own[-1] - first + 1, longest) - len(own)
    return heads, numbers, (np.concatenate(gates, axis=1) if gated else None), missing


def _running(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1, 2, 3 … within frames whose keys are equal, in the order of frames."""
    seen: dict[tuple[int, ...], int] = {}
    out = np.zeros(len(keys[0]), np.int64)
    for k, key in enumerate(zip(*(v.tolist() for v in keys), strict=True)):
        seen[key] = out[k] = seen.get(key, 0) + 1
    return out


def _beats(instance: Instance, unread: list[str]) -> dict[str, float] | None:
    """Return accepted and rejected beats of all data items; IntervalsAcquired is read as those accepted (the standard is not plain)."""
    found: dict[str, float] = {}
    for item in instance.dataset.get("GatedInformationSequence") or []:
        for data in item.get("DataInformationSequence") or []:
            for name, keyword in (("accepted", "IntervalsAcquired"), ("rejected", "IntervalsRejected")):
                count = number(data, keyword, unread)
                if count is not None or data.get_item(keyword) is not None:
                    found[name] = found.get(name, 0.0) + (count or 0.0)
            rate = number(data, "HeartRate", unread) or number(item, "HeartRate", unread)
            if rate:
                found["heart_rate"] = rate
    return found or None


ROWS = (Procedure(myocardial_projections, "PP-MYOCARD", "clinical", partial(of_class, "PP-MYOCARD"), Look.HEART, _heart),)
