"""The table of procedures: how each takes its input from a series. A new procedure is one file in `qc/` and one row here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc import centre_of_rotation, ct_water, planar_uniformity, whole_body_bone
from spark_jobs.qc.appearance import look_of_rotation, look_of_static
from spark_jobs.qc.cylinder import find_cylinder
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Result
from spark_jobs.reading import Instance

__all__ = ["PROCEDURES", "Procedure", "header_votes", "look"]

SLICES = 9  # slices of the middle that are looked at
MEASURED_SLICES = 5
# codes of CID 26/501 that say which side faces the detector
ANTERIOR = {"R-10202", "R-10206", "399348003", "272460009", "255549009"}
POSTERIOR = {"R-10204", "R-10214", "399024005", "272479007", "255551008"}


@dataclass(frozen=True)
class Procedure:
    """One procedure: its module (METHOD, VERSION, measure), the kind of analysis, and how a series is fed to it."""

    module: ModuleType
    analysis: str  # phantom | clinical
    look: str  # the look of the pixels that names it
    run: Callable[[Sequence[Instance]], list[Result]]


def header_votes(series: Sequence[Instance]) -> set[str]:
    """Return the procedures that the class of the header (modality, value 3 of ImageType) admits; mixed classes admit none."""
    first = series[0]
    if any(i.modality != first.modality or i.kind != first.kind for i in series):
        return set()
    if first.modality == "CT":
        return {"ct_water"}
    if first.modality != "NM":
        return set()
    by_kind = {"STATIC": "planar_uniformity", "TOMO": "centre_of_rotation", "WHOLE BODY": "whole_body_bone"}
    if first.kind is None and first.is_capture:
        return {"whole_body_bone"}  # GE stores whole-body scans as NM in the class Secondary Capture
    return {by_kind[first.kind]} if first.kind in by_kind else set()


def look(series: Sequence[Instance]) -> str:
    """Return what the pixels look like: the name of a look in the table, or a word for what else they are."""
    first = series[0]
    pixel_mm = first.pixel_mm or 1.0
    if first.modality == "CT":
        found = [find_cylinder(i.hu, pixel_mm) for i in _middle(series, SLICES)]
        strange = next((c for c in found if isinstance(c, str)), None)
        if strange:
            return strange
        medians = [c.median_hu for c in found if not isinstance(c, str)]
        if any(not isinstance(c, str) and not c.homogeneous for c in found) or np.ptp(medians) > 20:
            return "a phantom with inserts"
        return "homogeneous cylinder"
    if len(first.pixels) > 1 and first.kind != "STATIC" and first.kind != "WHOLE BODY":
        return look_of_rotation(first.pixels)
    return look_of_static(first.pixels[int(np.argmax(first.pixels.sum((1, 2), dtype=np.int64)))], pixel_mm)


def _middle(series: Sequence[Instance], count: int) -> list[Instance]:
    """Return at most `count` slices spread over the middle three fifths of the slices along the axis."""
    ordered = sorted(series, key=lambda i: i.position_mm)
    cut = len(ordered) // 5
    inner = ordered[cut : len(ordered) - cut]
    return [inner[k] for k in sorted({round(k) for k in np.linspace(0, len(inner) - 1, min(count, len(inner)))})]


def _flood(series: Sequence[Instance]) -> list[Result]:
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        shape, dimensions = instance.field_of_view
        for detector in np.unique(detectors):
            frames = np.flatnonzero(detectors == detector)
            name = str(detector)
            if len(set(windows[frames].tolist())) < len(frames):
                reason = "several frames of the same detector and energy window: two candidates"
                results.append(_refusal(planar_uniformity, name, reason))
                continue
            best = max(frames, key=lambda f: int(instance.pixels[f].sum(dtype=np.int64)))
            result = planar_uniformity.measure(
                instance.pixels[best],
                instance.pixel_mm or 0.0,
                field_shape=shape,
                field_mm=dimensions,
                detector=name,
            )
            if len(frames) > 1:
                note = f"{len(frames)} energy windows; the one with most counts was measured"
                result = replace(result, warnings=(*result.warnings, note))
            results.append(result)
    return results


def _rotation(series: Sequence[Instance]) -> list[Result]:
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        angles = _angles(instance, detectors)
        if isinstance(angles, str):
            return [_refusal(centre_of_rotation, None, angles)]
        sums = instance.pixels.sum((1, 2), dtype=np.int64)
        for detector in np.unique(detectors):
            mine = detectors == detector
            window = max(np.unique(windows[mine]), key=lambda w: int(sums[mine & (windows == w)].sum()))
            chosen = np.flatnonzero(mine & (windows == window))
            results.append(
                centre_of_rotation.measure(
                    instance.pixels[chosen], angles[chosen], instance.pixel_mm or 0.0, detector=str(detector)
                )
            )
    heads = [r.value("cor_offset_mm") for r in results if r.status == MEASURED]
    if len(heads) > 1:
        note = f"largest difference of offset between heads {max(heads) - min(heads):.2f} mm"
        results = [replace(r, warnings=(*r.warnings, note)) for r in results]
    return results


def _angles(instance: Instance, detectors: NDArray[np.int64]) -> NDArray[np.float64] | str:
    """Return the angle of each frame in degrees, or the reason why the header does not tell it.

    Angular step, angular view and rotation vectors are believed; NumberOfFramesInRotation is not: real files contradict it.
    """
    rotations = list(instance.dataset.get("RotationInformationSequence") or [])
    if not rotations:
        return "RotationInformationSequence is missing: the angles are unknown"
    which = instance.vector("RotationVector")
    if which.max() > len(rotations) or which.min() < 1:
        return "RotationVector points outside RotationInformationSequence"
    steps = np.array([abs(float(r.get("AngularStep") or 0)) for r in rotations])
    if (steps <= 0).any():
        return "AngularStep is missing: the angles are unknown"
    turns = np.array([-1.0 if str(r.get("RotationDirection") or "").upper() == "CW" else 1.0 for r in rotations])
    starts = np.array([float(r.get("StartAngle") or 0) for r in rotations])
    views = instance.dataset.get("AngularViewVector")
    index = instance.vector("AngularViewVector") - 1 if views is not None else _running(instance, detectors, which)
    heads = list(instance.dataset.get("DetectorInformationSequence") or [])
    own = np.array([float(h.get("StartAngle") or 0) if h.get("StartAngle") is not None else np.nan for h in heads])
    first = starts[which - 1]
    if own.size and detectors.max() <= own.size and detectors.min() >= 1 and not np.isnan(own).any():
        first = own[detectors - 1]
    return first + turns[which - 1] * steps[which - 1] * index


def _running(instance: Instance, detectors: NDArray[np.int64], rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, 2 … within each detector, energy window and rotation, in the order of frames."""
    windows = instance.vector("EnergyWindowVector")
    seen: dict[tuple[int, int, int], int] = {}
    out = np.zeros(len(detectors), np.int64)
    for i, key in enumerate(zip(detectors.tolist(), windows.tolist(), rotations.tolist(), strict=True)):
        out[i] = seen.get(key, 0)
        seen[key] = out[i] + 1
    return out


def _water(series: Sequence[Instance]) -> list[Result]:
    chosen = _middle(series, MEASURED_SLICES)
    return [ct_water.measure([i.hu for i in chosen], series[0].pixel_mm or 0.0)]


def _bone(series: Sequence[Instance]) -> list[Result]:
    views: dict[str, NDArray] = {}
    for instance in series:
        for frame in range(len(instance.pixels)):
            region = _region(instance, frame)
            name, count = region, 1
            while name in views:
                count += 1
                name = f"{region} {count}"
            views[name] = instance.pixels[frame]
    there = min(i.completeness[0] for i in series)
    result = whole_body_bone.measure(views, series[0].pixel_mm or 0.0, completeness=(there, series[0].completeness[1]))
    if any(i.is_lossy for i in series):
        note = "the pixels went through lossy compression: noise and sharpness are not those of the camera"
        result = replace(result, warnings=(*result.warnings, note))
    return [result]


def _region(instance: Instance, frame: int) -> str:
    heads = list(instance.dataset.get("DetectorInformationSequence") or [])
    detector = int(instance.vector("DetectorVector")[frame])
    codes = set()
    if 1 <= detector <= len(heads):
        codes = {str(c.get("CodeValue", "")) for c in heads[detector - 1].get("ViewCodeSequence") or []}
    if codes & ANTERIOR:
        return "anterior"
    return "posterior" if codes & POSTERIOR else "whole"


def _refusal(module: ModuleType, detector: str | None, reason: str) -> Result:
    return Result(module.PROCEDURE, NOT_MEASURED, reason, detector, module.METHOD, module.VERSION)


PROCEDURES: dict[str, Procedure] = {
    planar_uniformity.PROCEDURE: Procedure(planar_uniformity, "phantom", "plateau", _flood),
    centre_of_rotation.PROCEDURE: Procedure(centre_of_rotation, "phantom", "spots", _rotation),
    ct_water.PROCEDURE: Procedure(ct_water, "phantom", "homogeneous cylinder", _water),
    whole_body_bone.PROCEDURE: Procedure(whole_body_bone, "clinical", "whole_body", _bone),
}
