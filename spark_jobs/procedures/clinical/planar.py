"""Planar views of patients: whole bodies and thyroids."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.nuclides import half_life_s
from messages import because
from spark_jobs.documents import Document
from spark_jobs.procedures.administration import half_life_of_sheet, moment_of_sheet
from spark_jobs.procedures.clinical.header import BONE, PLANAR, completeness, is_patient, number, of_class, uptake
from spark_jobs.procedures.gamma_camera.source import scan_start
from spark_jobs.procedures.heads import ANTERIOR, POSTERIOR, facing, view_of
from spark_jobs.procedures.moments import iso
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.procedures.sheets import sheet_of
from spark_jobs.qc.clinical import thyroid_static, whole_body_bone
from spark_jobs.qc.clinical.thyroid_uptake import Syringe
from spark_jobs.qc.looks import Look
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance, Unreadable

__all__ = ["ROWS", "look"]

LONGEST_WAIT_S, LONGEST_HALF_LIVES = 86_400.0, 3.0  # from the full syringe to the view, whichever is longer
LONGEST_LOBE_MM = 75.0  # without a code, larger glands could be bottles


def look(series: Sequence[Instance]) -> Look | None:
    """Return lobes when a static view shows two upright lobes beside each other and nothing else of their size, or None."""
    first = series[0]
    if first.modality != "NM" or first.kind != "STATIC":
        return None
    pixel_mm = first.pixel_mm or 1.0
    for view in first.pixels:
        lobes = thyroid_static.lobes_of(view.astype(np.float64), pixel_mm)
        if lobes is not None and max(m.any(1).sum() for m in lobes) * pixel_mm <= LONGEST_LOBE_MM:
            return Look.LOBES
    return None


def _bone(series: Sequence[Instance]) -> list[Result]:
    views = _views(series)
    first = series[0]
    timing, notes = uptake(first.dataset)
    unread: list[str] = []
    result = whole_body_bone.measure(
        views,
        first.pixel_mm or 0.0,
        completeness=completeness(series, BONE),
        scan_speed_mm_per_s=number(first.dataset, "ScanVelocity", unread),
        timing=timing,
    )
    if any(i.is_lossy for i in series):
        note = because("image.lossy_indicative")
        notes = (note, *notes)
    return [replace(result, warnings=(*result.warnings, *notes, *unread))]


def _thyroid(series: Sequence[Instance], sheets: Sequence[Document] = ()) -> list[Result]:
    try:
        series = _from_the_front(series)
    except Unreadable as exc:
        return [refusal(thyroid_static, str(exc))]
    first = series[0]
    unread: list[str] = []
    milliseconds = number(first.dataset, "ActualFrameDuration", unread)
    try:
        sheet, unnamed = sheet_of(series, sheets)
        syringe = None if sheet is None else _syringe(series, sheet)
    except Unreadable as exc:
        unnamed, syringe = (), str(exc)
    timing, notes = uptake(first.dataset)
    notes = (*notes, *unnamed, *unread)
    if isinstance(syringe, str):
        notes = (*notes, because("uptake.not_measured", reason=syringe))
    result = thyroid_static.measure(
        _views(series),
        first.pixel_mm or 0.0,
        seconds=milliseconds / 1000 if milliseconds else None,
        timing=timing,
        completeness=completeness(series, PLANAR),
        syringe=None if isinstance(syringe, str) else syringe,
    )
    return [replace(result, warnings=(*result.warnings, *notes))]


def _from_the_front(series: Sequence[Instance]) -> list[Instance]:
    """Return the objects without the frames of detectors that lie behind the patient; raise `Unreadable` where these are unknown."""
    out = []
    for instance in series:
        detectors = instance.vector("DetectorVector")
        behind = [d for d in np.unique(detectors) if view_of(instance, int(d)) == POSTERIOR]
        front = np.flatnonzero(~np.isin(detectors, behind))
        if len(np.unique(detectors[front])) > 1:
            out.append(facing(instance, ANTERIOR))
        elif len(front):
            out.append(instance.only(front))
    if not out:
        raise Unreadable(because("heads.no_view", view=ANTERIOR))
    return out


def _syringe(series: Sequence[Instance], sheet: Mapping[str, Any]) -> Syringe | str:
    """Return the countings of the syringe that a sheet gives, or why they cannot be used.

    The sheet: `{"procedure": "thyroid_static", "study_uid": …, "nuclide": "Tc-99m", "full_cps": …, "full_at": …, "empty_cps": …,
    "empty_at": …}`, moments as ISO 8601 on the clock of the camera.
    """
    try:
        full, empty = float(sheet["full_cps"]), float(sheet["empty_cps"])
        half_life = half_life_s([str(sheet["nuclide"])])
        if any(iso(sheet[name]) is None for name in ("full_at", "empty_at")):
            raise ValueError(sheet)
    except (KeyError, TypeError, ValueError):
        return because("uptake.sheet_incomplete")
    if half_life is None:
        return because("uptake.nuclide_unknown")
    try:
        half_life_of_sheet(series, sheet["nuclide"])
        moments = [moment_of_sheet(series, sheet, name) for name in ("full_at", "empty_at")]
        start = scan_start(series[0])[0]
        if start is None:
            return because("header.scan_start_unknown")
        waited = [(start - m).total_seconds() for m in moments]
        if not 0 <= waited[1] <= waited[0]:
            return because("uptake.syringe_order")
        longest = max(LONGEST_WAIT_S, LONGEST_HALF_LIVES * half_life)
        if waited[0] > longest:
            return because("uptake.syringe_too_early", hours=waited[0] / 3600, most_hours=longest / 3600)
        syringe = Syringe(full, waited[0], empty, waited[1], half_life)
        syringe.injected_cps()
    except ValueError as exc:
        return str(exc)
    return syringe


def _views(series: Sequence[Instance]) -> dict[str, NDArray]:
    """Return the frames of a series by the side that the header says, numbered where one side comes twice."""
    views: dict[str, NDArray] = {}
    for instance in series:
        for frame in range(len(instance.pixels)):
            region = view_of(instance, int(instance.vector("DetectorVector")[frame])) or "whole"
            name, count = region, 1
            while name in views:
                count += 1
                name = f"{region} {count}"
            views[name] = instance.pixels[frame]
    return views


def _whole_body(instance: Instance) -> bool:
    # GE stores whole-body scans as NM in the class Secondary Capture, some without a kind
    return (
        instance.modality == "NM"
        and is_patient(instance)
        and (instance.kind == "WHOLE BODY" or (instance.kind is None and instance.is_capture))
    )


ROWS = (
    Procedure(whole_body_bone, "PP-WBBONE", "clinical", _whole_body, Look.WHOLE_BODY, _bone),
    Procedure(
        thyroid_static,
        "PP-THYROID",
        "clinical",
        partial(of_class, "PP-THYROID"),
        Look.LOBES,
        _thyroid,
        with_sheets=_thyroid,
        sheet_keys=("nuclide", "full_cps", "full_at", "empty_cps", "empty_at"),
    ),
)
