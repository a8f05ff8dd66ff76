"""Projections of a point source over a rotation: angles, detectors and windows of the frames."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.combined.appearance import look_of_rotation
from spark_jobs.qc.result import MEASURED, Measure, Result
from spark_jobs.qc.spect import centre_of_rotation
from spark_jobs.reading import Instance

__all__ = ["ROWS", "frame_angles", "look"]


def look(series: Sequence[Instance]) -> str | None:
    """Return whether the frames show spots, or None when the series is no acquisition of projections."""
    first = series[0]
    if first.modality != "NM" or first.kind != "TOMO" or len(first.pixels) < 2:
        return None
    return look_of_rotation(first.pixels, first.pixel_mm or 1.0)


def _rotation(series: Sequence[Instance]) -> list[Result]:
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        angles = frame_angles(instance, detectors)
        if isinstance(angles, str):
            return [refusal(centre_of_rotation, angles)]
        for detector in sorted(set(detectors.tolist())):
            mine = detectors == detector
            there = sorted(set(windows[mine].tolist()))
            of = {w: mine & (windows == w) for w in there}
            most = max(there, key=lambda w: int(instance.pixels[of[w]].sum(dtype=np.int64))) if len(there) > 1 else there[0]
            chosen = slice(None) if of[most].all() else of[most]  # all frames are not copied
            result = centre_of_rotation.measure(
                instance.pixels[chosen], angles[chosen], instance.pixel_mm or 0.0, detector=str(detector)
            )
            if len(there) > 1 and result.status == MEASURED:
                note = f"{len(there)} energy windows; the one with most counts was measured"
                result = replace(result, warnings=(*result.warnings, note))
            results.append(result)
    return _between_heads(results)


def _between_heads(results: list[Result]) -> list[Result]:
    """Return the results with the largest difference of the offsets between heads, which all of them share."""
    heads = {str(r.detector): r for r in results if r.status == MEASURED}
    if len(heads) < 2 or len(heads) < len(results):
        return results
    offsets = {name: r.value("cor_offset_mm") for name, r in heads.items()}
    high, low = max(offsets, key=lambda h: offsets[h]), min(offsets, key=lambda h: offsets[h])
    se = float(np.hypot(heads[high].value("cor_offset_se_mm"), heads[low].value("cor_offset_se_mm")))
    at = {"highest_detector": high, "lowest_detector": low}
    between = Measure("cor_head_difference_mm", round(offsets[high] - offsets[low], 4), "mm", round(se, 4), at)
    return [replace(r, measures=(*r.measures, between)) for r in results]


def frame_angles(instance: Instance, detectors: NDArray[np.int64]) -> NDArray[np.float64] | str:
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


ROWS = (
    Procedure(centre_of_rotation, "PP-COR", "phantom", lambda i: i.modality == "NM" and i.kind == "TOMO", "spots", _rotation),
)
