"""The heads of a gamma camera in the objects of a series: what the header says of each, which side it sees, and which acquired together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.reading import Instance, Unreadable

__all__ = [
    "ANTERIOR",
    "POSTERIOR",
    "Head",
    "apart",
    "camera_of",
    "detector_item",
    "facing",
    "field_absurd",
    "field_of_view",
    "heads_of",
    "view_of",
]

ANTERIOR, POSTERIOR = "anterior", "posterior"
# codes of CID 26/501 that say which side faces the detector
FRONT = {"R-10202", "R-10206", "399348003", "272460009", "255549009"}
BACK = {"R-10204", "R-10214", "399024005", "272479007", "255551008"}
SAME_DEG = 1.0
# mm, of the matrix: ring and camera fields are 160-700, a zoom of four leaves 100-150; a field of 600 whose spacing is in cm seems 60
FIELDS_MM = 70.0, 1500.0


@dataclass(frozen=True)
class Head:
    """One detector of one object: how it is named, its number there, and its frames (0-based)."""

    name: str
    instance: Instance
    detector: int
    frames: NDArray[np.int64]


def heads_of(series: Sequence[Instance]) -> list[Head]:
    """Return the detectors of all objects; where two objects speak of one number, the name says which object it is ('1#2')."""
    found = [(i, int(d), np.flatnonzero(v == d)) for i in series for v in [i.vector("DetectorVector")] for d in _different(v)]
    many, seen = Counter(d for _, d, _ in found), Counter[int]()
    out = []
    for instance, detector, frames in found:
        seen[detector] += 1
        out.append(Head(f"{detector}#{seen[detector]}" if many[detector] > 1 else str(detector), instance, detector, frames))
    return out


def apart(heads: Sequence[Head], *, at_once: bool = True) -> str | None:
    """Return why it is not known that these are different heads of one acquisition (`at_once`: of one moment), None where it is.

    One number in two objects is two heads where their DetectorID differs, or where they began at one moment at different angles:
    a head is in one place at a time.
    """
    for number in {h.detector for h in heads}:
        same = [h for h in heads if h.detector == number]
        if len(same) < 2:
            continue
        ids = [str(detector_item(h.instance, h.detector).get("DetectorID") or "") for h in same]
        if all(ids) and len(set(ids)) == len(same):
            continue
        moments = {_moment(h.instance) for h in same}
        angles = [_start_deg(h) for h in same]
        known = [a for a in angles if a is not None]
        turned = len(known) == len(same) and all(
            abs((a - b + 180) % 360 - 180) > SAME_DEG for k, a in enumerate(known) for b in known[:k]
        )
        if not (turned and len(moments) == 1):
            return because("heads.detector_doubled", objects=len(same), detector=number, heads=len(same))
    if at_once and len({_moment(h.instance) for h in heads}) > 1:
        return because("heads.times_differ")
    return None


def camera_of(instance: Instance) -> tuple[object, ...] | None:
    """Return what the images of all heads of one acquisition share; None where the object is of another modality or of several heads."""
    if instance.modality != "NM" or instance.kind not in ("STATIC", "TOMO"):
        return None
    try:
        if len(_different(instance.vector("DetectorVector"))) != 1:
            return None
    except Unreadable:
        return None
    about = (instance.kind, instance.device_serial, instance.station_name, tuple(sorted(instance.codes)))
    return (*about, instance.rows, instance.columns, instance.pixel_mm)


def detector_item(instance: Instance, detector: int) -> Any:
    """Return what the header says of one detector (1-based); empty where it describes none.

    Raises
    ------
    Unreadable
        It describes detectors, and not this one.
    """
    items = list(instance.dataset.get("DetectorInformationSequence") or [])
    if not items or detector <= len(items):
        return items[detector - 1] if items else {}
    if len(items) == 1 and len(_different(instance.vector("DetectorVector"))) == 1:
        return items[0]
    raise Unreadable(because("heads.vector_outside", detector=detector, described=len(items)))


def field_of_view(instance: Instance, about: Any) -> tuple[str | None, tuple[float, ...]]:
    """Return shape and dimensions (mm) of the field that a detector's item, or else the object, declares; (None, ()): not declared."""
    for item in (about, instance.dataset):
        shape, dimensions = item.get("FieldOfViewShape"), item.get("FieldOfViewDimensions")
        if shape and dimensions is not None:
            values = dimensions if hasattr(dimensions, "__iter__") and not isinstance(dimensions, str) else [dimensions]
            return str(shape).upper(), tuple(float(v) for v in values)
    return None, ()


def field_absurd(instance: Instance) -> str | None:
    """Return why the pixel size of NM or PET images is not believed: no scanner has a field of that size; else None.

    Of a whole-body scan the width counts, of other images the longer side.
    """
    if instance.modality not in ("NM", "PT") or instance.is_capture or instance.pixel_mm is None:
        return None
    side = instance.columns if instance.kind == "WHOLE BODY" else max(instance.rows, instance.columns)
    field_mm = side * instance.pixel_mm
    if FIELDS_MM[0] <= field_mm <= FIELDS_MM[1]:
        return None
    return because("header.field_absurd", field_mm=field_mm, pixel_mm=instance.pixel_mm, pixels=side)


def view_of(instance: Instance, detector: int) -> str | None:
    """Return ANTERIOR or POSTERIOR by the ViewCodeSequence of a detector, None where it says neither."""
    places = [detector_item(instance, detector), instance.dataset]
    for item in places:
        for code in item.get("ViewCodeSequence") or []:
            value, meaning = str(code.get("CodeValue") or ""), str(code.get("CodeMeaning") or "").strip().lower()
            if value in FRONT or meaning in ("anterior", "antero-posterior"):
                return ANTERIOR
            if value in BACK or meaning in ("posterior", "postero-anterior"):
                return POSTERIOR
    return None


def facing(instance: Instance, wanted: str) -> Instance:
    """Return the object with the frames of the detector that sees the wanted side, as it is where it has one detector that names no side.

    Raises
    ------
    Unreadable
        No detector sees that side, or which one does is unknown.
    """
    detectors = instance.vector("DetectorVector")
    views = {int(d): view_of(instance, int(d)) for d in _different(detectors)}
    right = [d for d, v in views.items() if v == wanted]
    if len(right) == 1:
        return instance.only(np.flatnonzero(detectors == right[0]))
    if len(right) > 1:
        raise Unreadable(because("heads.view_doubled", detectors=len(right), view=wanted))
    silent = [d for d, v in views.items() if v is None]
    if not silent:
        raise Unreadable(because("heads.no_view", view=wanted))
    if len(views) > 1:
        raise Unreadable(because("heads.view_unknown", view=wanted, detectors=len(views)))
    return instance


def _different(numbers: NDArray[np.int64]) -> list[int]:
    return sorted(set(numbers.tolist()))  # np.unique would load numpy.ma


def _moment(instance: Instance) -> str:
    ds = instance.dataset
    whole = str(ds.get("AcquisitionDateTime") or "") or f"{ds.get('AcquisitionDate') or ''}{ds.get('AcquisitionTime') or ''}"
    return whole.partition(".")[0]


def _start_deg(head: Head) -> float | None:
    own = detector_item(head.instance, head.detector).get("StartAngle")
    turns = list(head.instance.dataset.get("RotationInformationSequence") or [])
    given = own if own not in (None, "") else next((r.get("StartAngle") for r in turns), None)
    return None if given is None or given == "" else float(given)
