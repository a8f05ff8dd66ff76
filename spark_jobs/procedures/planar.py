"""Planar images of a gamma camera: how static images are looked at, and how each planar procedure takes its input."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc import planar_uniformity
from spark_jobs.qc.appearance import look_of_static
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]


def look(series: Sequence[Instance]) -> str | None:
    """Return what the brightest frame looks like, or None when the series holds no planar images."""
    first = series[0]
    if first.modality != "NM" or not (len(first.pixels) == 1 or first.kind in ("STATIC", "WHOLE BODY")):
        return None
    return look_of_static(first.pixels[int(np.argmax(first.pixels.sum((1, 2), dtype=np.int64)))], first.pixel_mm or 1.0)


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
                results.append(refusal(planar_uniformity, reason, name))
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


def _static(instance: Instance) -> bool:
    return instance.modality == "NM" and instance.kind == "STATIC"


ROWS = (Procedure(planar_uniformity, "PP-FLOOD", "phantom", _static, "plateau", _flood),)
