"""Two series of one phantom with fiducials: which series belong together, and their places in the patient's axes."""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from numpy.typing import NDArray

from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc import registration
from spark_jobs.qc.fiducials import find_fiducials
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance, Unreadable
from spark_jobs.volumes import volume_of

__all__ = ["PAIRED", "ROWS", "registrations"]

ROWS: tuple[Procedure, ...] = ()  # nothing here is measured from one series
PAIRED: tuple[ModuleType, ...] = (registration,)
ORDER = ("CT", "NM", "PT")  # the first of a pair is what the other is compared with


def registrations(groups: Sequence[list[Instance]]) -> list[tuple[list[int], Result]]:
    """Return the numbers of the series that belong together as volumes of fiducials, each with its result.

    Series of one frame of reference or one study are looked at together; those that show no fiducials are left to themselves.
    """
    volumes = [k for k, series in enumerate(groups) if _may_be_volume(series)]
    out = []
    left = list(volumes)
    while left:
        together = [left[0]]
        for k in left[1:]:
            if any(_linked(groups[k][0], groups[j][0]) for j in together):
                together.append(k)
        left = [k for k in left if k not in together]
        if len(together) < 2:
            continue
        places = {k: found for k in together if (found := _places(groups[k])) is not None}
        if len(places) < 2:
            continue
        chosen = sorted(places, key=lambda k: _rank(groups[k][0]))
        out.append((chosen, _result([groups[k] for k in chosen], [places[k] for k in chosen])))
    return out


def _result(series: Sequence[list[Instance]], places: Sequence[NDArray | str]) -> Result:
    names = tuple(s[0].modality for s in series)
    if len(series) > 2:
        return refusal(registration, f"{len(series)} series show fiducials ({', '.join(names)}): name two of them")
    fixed, moved = places
    for name, found in zip(names, places, strict=True):
        if isinstance(found, str):
            return refusal(registration, f"{name}: {found}")
    assert not isinstance(fixed, str) and not isinstance(moved, str)
    result = registration.measure(fixed, moved, names=(names[0], names[1]))
    if _uid(series[0][0], "FrameOfReferenceUID") != _uid(series[1][0], "FrameOfReferenceUID"):
        note = "the two series name different frames of reference: their places are compared as if they were one"
        result = replace(result, warnings=(*result.warnings, note))
    note = f"offset and rotation of {names[1]} against {names[0]}"
    return replace(result, warnings=(*result.warnings, note))


def _places(series: list[Instance]) -> NDArray | str | None:
    """Return the fiducials in patient mm, the reason why their places must not be used, or None when there are none."""
    try:
        volume = volume_of(series)
        found = find_fiducials(volume.values, volume.voxel_mm, emission=series[0].modality != "CT")
        if isinstance(found, str):
            return None
        if any(i.is_clipped for i in series):
            return "clipped pixels: the largest value is the limit of the pixel type"
        if any(i.is_lossy for i in series):
            return "the pixels went through lossy compression"
        return volume.patient_mm(found.index)
    except Unreadable:
        return None  # the series gives the reason when it is looked at by itself


def _may_be_volume(series: list[Instance]) -> bool:
    first = series[0]
    if first.is_capture or any((i.rows, i.columns, i.pixel_mm) != (first.rows, first.columns, first.pixel_mm) for i in series):
        return False
    if first.modality == "NM":
        return first.kind == "RECON TOMO"
    return first.modality in ("CT", "PT") and first.kind != "LOCALIZER"


def _linked(one: Instance, other: Instance) -> bool:
    return any(_uid(one, k) and _uid(one, k) == _uid(other, k) for k in ("FrameOfReferenceUID", "StudyInstanceUID"))


def _uid(instance: Instance, keyword: str) -> str:
    return str(instance.dataset.get(keyword) or "")


def _rank(instance: Instance) -> tuple[int, str, str]:
    ds = instance.dataset
    moment = f"{ds.get('AcquisitionDate') or ds.get('SeriesDate') or ''}{ds.get('AcquisitionTime') or ds.get('SeriesTime') or ''}"
    return ORDER.index(instance.modality), moment, instance.series_uid
