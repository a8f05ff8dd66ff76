"""Floods: the frames, field, geometry and time of each detector, and the match of the heads beside their uniformity."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spark_jobs.procedures.row import refusal
from spark_jobs.qc.gamma_camera import head_sensitivity_match, planar_uniformity
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.reading import Instance

__all__ = ["detector_item", "floods", "frame_seconds", "static"]


def static(instance: Instance) -> bool:
    """Return whether the class of the header is a static image of a gamma camera."""
    return instance.modality == "NM" and instance.kind == "STATIC"


def floods(series: Sequence[Instance]) -> list[Result]:
    """Return the uniformity of each detector, and the match of the detectors that saw one source at the same time."""
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        sums = instance.pixels.sum((1, 2), dtype=np.int64)
        measured: dict[str, int] = {}
        chosen: set[int] = set()
        for detector in sorted(set(detectors.tolist())):
            frames = np.flatnonzero(detectors == detector)
            name = str(detector)
            if len(set(windows[frames].tolist())) < len(frames):
                reason = "several frames of the same detector and energy window: two candidates"
                results.append(refusal(planar_uniformity, reason, name))
                continue
            best = max(frames, key=lambda f: int(sums[f]))
            about = detector_item(instance, int(detector))
            shape, dimensions = _field(instance, about)
            result = planar_uniformity.measure(
                instance.pixels[best],
                instance.pixel_mm or 0.0,
                field_shape=shape,
                field_mm=dimensions,
                detector=name,
                intrinsic=_intrinsic(about),
                source_mm=_positive(about.get("DistanceSourceToDetector"))
                or _positive(instance.dataset.get("DistanceSourceToDetector")),
                seconds=frame_seconds(instance),
            )
            if len(frames) > 1:
                note = f"{len(frames)} energy windows; the one with most counts was measured"
                result = replace(result, warnings=(*result.warnings, note))
            if result.status != NOT_MEASURED:
                measured[name] = int(sums[best])
                chosen.add(int(windows[best]))
            results.append(result)
        if len(measured) > 1 and len(measured) == len(set(detectors.tolist())):
            if len(chosen) > 1:
                reason = "the detectors hold most counts in different energy windows: their sensitivities cannot be compared"
                results.append(refusal(head_sensitivity_match, reason))
            else:
                results.append(head_sensitivity_match.measure(measured))
    return results


def detector_item(instance: Instance, detector: int) -> Any:
    """Return what the header says of one detector (1-based); empty where it says nothing."""
    items = list(instance.dataset.get("DetectorInformationSequence") or [])
    return items[detector - 1] if detector <= len(items) else (items[0] if len(items) == 1 else {})


def frame_seconds(instance: Instance) -> float | None:
    """Return the duration of a frame by ActualFrameDuration (ms), or None where the header gives none."""
    duration = _positive(instance.dataset.get("ActualFrameDuration"))
    return duration / 1000 if duration else None


def _field(instance: Instance, about: Any) -> tuple[str | None, tuple[float, ...]]:
    shape, dimensions = about.get("FieldOfViewShape"), about.get("FieldOfViewDimensions")
    if not shape or dimensions is None:
        return instance.field_of_view
    values = dimensions if hasattr(dimensions, "__iter__") and not isinstance(dimensions, str) else [dimensions]
    return str(shape).upper(), tuple(float(v) for v in values)


def _intrinsic(about: Any) -> bool | None:
    """Return whether there was no collimator; an empty CollimatorType, which real files have, declares nothing."""
    kind = str(about.get("CollimatorType") or "").strip().upper()
    return None if kind in ("", "UNKN") else kind == "NONE"


def _positive(value: Any) -> float | None:
    number = float(value) if value not in (None, "") else 0.0
    return number if number > 0 else None
