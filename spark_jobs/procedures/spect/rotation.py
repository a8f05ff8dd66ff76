"""Projections of a point source over a rotation: angles, detectors and windows of the frames."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.heads import Head, apart, detector_item, heads_of
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.combined.appearance import look_of_rotation
from spark_jobs.qc.looks import Look
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result
from spark_jobs.qc.spect import centre_of_rotation
from spark_jobs.reading import Instance, Unreadable, frames_of

__all__ = ["ROWS", "frame_angles", "look"]


def look(series: Sequence[Instance]) -> Look | None:
    """Return whether the frames show spots, or None when the series is no acquisition of projections."""
    first = series[0]
    if first.modality != "NM" or first.kind != "TOMO":
        return None
    if len(first.pixels) < 2:
        raise Unreadable(because("rotation.views_apart"))
    return look_of_rotation(first.pixels, first.pixel_mm or 1.0)


def _rotation(series: Sequence[Instance]) -> list[Result]:
    results = []
    heads = heads_of(series)
    for head in heads:
        angles = frame_angles(head.instance, head.instance.vector("DetectorVector"))
        if isinstance(angles, str):
            return [refusal(centre_of_rotation, angles)]
        pixels = frames_of(head.instance.pixels, head.frames)
        results.append(centre_of_rotation.measure(pixels, angles[head.frames], head.instance.pixel_mm or 0.0, detector=head.name))
    return _between_heads(heads, results)


def _between_heads(heads: Sequence[Head], results: list[Result]) -> list[Result]:
    """Return the results with the largest difference of the offsets between heads, which all of them share, or with why it is not told."""
    good = {str(r.detector): r for r in results if r.status == MEASURED}
    if len(results) < 2:
        return results
    doubt = apart(heads) if len({id(h.instance) for h in heads}) > 1 else None
    if len(good) < len(results):
        doubt = because("heads.not_all_measured")
    if doubt:
        note = because("heads.offsets_not_compared", reason=doubt)
        return [r if r.status == NOT_MEASURED else replace(r, warnings=(*r.warnings, note)) for r in results]
    offsets = {name: r.value("cor_offset_mm") for name, r in good.items()}
    high, low = max(offsets, key=lambda h: offsets[h]), min(offsets, key=lambda h: offsets[h])
    se = float(np.hypot(good[high].value("cor_offset_se_mm"), good[low].value("cor_offset_se_mm")))
    at = {"highest_detector": high, "lowest_detector": low}
    between = Measure("cor_head_difference_mm", round(offsets[high] - offsets[low], 4), "mm", round(se, 4), at)
    return [replace(r, measures=(*r.measures, between)) for r in results]


def frame_angles(instance: Instance, detectors: NDArray[np.int64]) -> NDArray[np.float64] | str:
    """Return the angle of each frame in degrees, or the reason why the header does not tell it.

    Angular step, angular view and rotation vectors are believed; NumberOfFramesInRotation is not: real files contradict it.
    """
    rotations = list(instance.dataset.get("RotationInformationSequence") or [])
    if not rotations:
        return because("rotation.angles_missing")
    which = instance.vector("RotationVector")
    if which.max() > len(rotations) or which.min() < 1:
        return because("rotation.vector_outside")
    steps = np.array([abs(float(r.get("AngularStep") or 0)) for r in rotations])
    if (steps <= 0).any():
        return because("rotation.step_missing")
    turns = np.array([-1.0 if str(r.get("RotationDirection") or "").upper() == "CW" else 1.0 for r in rotations])
    starts = np.array([float(r.get("StartAngle") or 0) for r in rotations])
    views = instance.dataset.get("AngularViewVector")
    index = instance.vector("AngularViewVector") - 1 if views is not None else _running(instance, detectors, which)
    own = {int(d): detector_item(instance, int(d)).get("StartAngle") for d in set(detectors.tolist())}
    first = starts[which - 1]
    if all(angle is not None for angle in own.values()):
        first = np.array([float(own[int(d)] or 0) for d in detectors])
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
    Procedure(centre_of_rotation, "PP-COR", "phantom", lambda i: i.modality == "NM" and i.kind == "TOMO", Look.SPOTS, _rotation),
)
