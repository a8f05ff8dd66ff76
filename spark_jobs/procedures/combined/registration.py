"""Two series of one phantom with fiducials: which series belong together, and their places in the patient's axes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

from numpy.typing import NDArray

from messages import because
from spark_jobs.numbers import text_of
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.combined import registration
from spark_jobs.qc.numerics.fiducials import find_fiducials
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance, Unreadable
from spark_jobs.volumes import slices_of

__all__ = ["PAIRED", "ROWS", "Head", "registrations"]

ROWS: tuple[Procedure, ...] = ()  # nothing here is measured from one series
PAIRED: tuple[ModuleType, ...] = (registration,)
PLACE = ("AcquisitionDate", "SeriesDate", "AcquisitionTime", "SeriesTime", "FrameOfReferenceUID", "StudyInstanceUID")
ORDER = ("CT", "NM", "PT")  # the first of a pair is what the other is compared with


@dataclass(frozen=True)
class Head:
    """What the first image of a series says of its place: enough to tell which series belong together, without one image in memory."""

    modality: str
    is_volume: bool
    series_uid: str
    frame_uid: str
    study_uid: str
    moment: str

    @classmethod
    def of(cls, first: Instance) -> "Head":
        """Return the head of a series by its first image."""
        said = {k: text_of(first.dataset, k) for k in PLACE}
        date, time = said["AcquisitionDate"] or said["SeriesDate"], said["AcquisitionTime"] or said["SeriesTime"]
        frame, study = said["FrameOfReferenceUID"], said["StudyInstanceUID"]
        return cls(first.modality, _may_be_volume(first), first.series_uid, frame, study, f"{date}{time}")


def registrations(heads: Sequence[Head], opened: Callable[[int], list[Instance]]) -> Iterator[tuple[list[int], Result]]:
    """Yield the numbers of the series that belong together as volumes of fiducials, each with its result.

    Series of one frame of reference or one study are looked at together; those that show no fiducials, and those whose headers are
    broken, are left to themselves. One series is in memory at a time, and of CT a few slices: emission is looked at first, for where it
    shows no fiducials there is nothing to compare CT with.

    Parameters
    ----------
    opened
        Returns the images of the series of a number; may raise `Unreadable`.
    """
    for together in _together([k for k, head in enumerate(heads) if head.is_volume], heads):
        try:
            emission = [k for k in together if heads[k].modality != "CT"]
            places = {k: found for k in emission if (found := _places(opened(k))) is not None}
            if not places:
                continue
            of_ct = [k for k in together if heads[k].modality == "CT"]
            places |= {k: found for k in of_ct if (found := _places(opened(k))) is not None}
            if len(places) < 2:
                continue
            chosen = sorted(places, key=lambda k: (ORDER.index(heads[k].modality), heads[k].moment, heads[k].series_uid))
            result = _result([heads[k] for k in chosen], [places[k] for k in chosen])
        except Exception:  # each series gives its own reason when it is looked at by itself
            continue
        yield chosen, result


def _together(volumes: Sequence[int], heads: Sequence[Head]) -> list[list[int]]:
    """Return the numbers of series, of two modalities or more, that share a frame of reference or a study, perhaps by way of others."""
    group: dict[int, list[int]] = {}
    first: dict[tuple[str, str], int] = {}
    for k in volumes:
        group[k] = [k]
        for uid in (("frame", heads[k].frame_uid), ("study", heads[k].study_uid)):
            other = first.setdefault(uid, k) if uid[1] else k
            if group[other] is not group[k]:
                group[other] += group[k]
                for j in group[k]:
                    group[j] = group[other]
    # what is compared with CT is of another modality: two CT series of a study are no pair
    every = {id(g): g for g in group.values()}.values()
    return [sorted(members) for members in every if len({heads[k].modality for k in members}) > 1]


def _result(series: Sequence[Head], places: Sequence[NDArray | str]) -> Result:
    names = tuple(s.modality for s in series)
    if len(series) > 2:
        return refusal(registration, because("registration.series_many", count=len(series), series=list(names)))
    fixed, moved = places
    for name, found in zip(names, places, strict=True):
        if isinstance(found, str):
            return refusal(registration, because("registration.volume", volume=name, reason=found))
    assert not isinstance(fixed, str) and not isinstance(moved, str)
    result = registration.measure(fixed, moved, names=(names[0], names[1]))
    if series[0].frame_uid != series[1].frame_uid:
        note = because("registration.frames_of_reference_differ")
        result = replace(result, warnings=(*result.warnings, note))
    note = because("registration.offset_against", moved=names[1], fixed=names[0])
    return replace(result, warnings=(*result.warnings, note))


def _places(series: list[Instance]) -> NDArray | str | None:
    """Return the fiducials in patient mm, the reason why their places must not be used, or None when there are none."""
    first = series[0]
    if any((i.rows, i.columns, i.pixel_mm) != (first.rows, first.columns, first.pixel_mm) for i in series):
        return None
    try:
        values, volume = slices_of(series)
        found = find_fiducials(values, volume.voxel_mm, emission=first.modality != "CT")
        if isinstance(found, str):
            return None
        if any(i.is_clipped for i in series):
            return because("image.clipped")
        if any(i.is_lossy for i in series):
            return because("image.lossy")
        return volume.patient_mm(found.index)
    except Unreadable:
        return None  # the series gives the reason when it is looked at by itself


def _may_be_volume(first: Instance) -> bool:
    if first.is_capture:
        return False
    if first.modality == "NM":
        return first.kind == "RECON TOMO"
    return first.modality in ("CT", "PT") and first.kind != "LOCALIZER"
