"""Floods: the frames, field, geometry and time of each detector, and the match of the heads beside their uniformity."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.heads import Head, apart, detector_item, field_of_view, heads_of
from spark_jobs.procedures.row import refusal
from spark_jobs.qc.gamma_camera import head_sensitivity_match, planar_uniformity
from spark_jobs.qc.numerics.cut_off import noise_ratio
from spark_jobs.qc.numerics.multiples import common_factor, counts_factor
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Result
from spark_jobs.reading import Instance

__all__ = ["floods", "frame_seconds", "static"]

LEAST_NOISE = 0.5  # of that of counts: structure of the detector adds to it, nothing takes from it


def static(instance: Instance) -> bool:
    """Return whether the class of the header is a static image of a gamma camera."""
    return instance.modality == "NM" and instance.kind == "STATIC"


def floods(series: Sequence[Instance]) -> list[Result]:
    """Return the uniformity of each detector, and the match of the detectors that saw one source at the same time."""
    results = []
    measured: dict[str, int] = {}
    heads = heads_of(series)
    for head in heads:
        instance = head.instance
        if len(head.frames) > 1:
            results.append(refusal(planar_uniformity, _many(head), head.name))
            continue
        (frame,) = head.frames
        about = detector_item(instance, head.detector)
        shape, dimensions = field_of_view(instance, about)
        image, notes, unknown = _counted(instance.pixels[frame])
        result = planar_uniformity.measure(
            image,
            instance.pixel_mm or 0.0,
            field_shape=shape,
            field_mm=dimensions,
            detector=head.name,
            intrinsic=_intrinsic(about),
            source_mm=_positive(about.get("DistanceSourceToDetector"))
            or _positive(instance.dataset.get("DistanceSourceToDetector")),
            seconds=frame_seconds(instance),
        )
        if result.status != NOT_MEASURED:
            measured[head.name] = int(image.sum(dtype=np.int64))
            result = replace(result, warnings=(*result.warnings, *notes))
        if unknown and result.status == MEASURED:
            result = replace(result, status=INDICATIVE, reason=unknown)
        results.append(result)
    if len(measured) > 1 and len(measured) == len(heads):
        doubt = apart(heads) if len(series) > 1 else None
        if len({frame_seconds(i) for i in series}) > 1:
            doubt = doubt or because("heads.durations_differ")
        if doubt:
            note = because("heads.sensitivities_not_compared", reason=doubt)
            results = [r if r.status == NOT_MEASURED else replace(r, warnings=(*r.warnings, note)) for r in results]
        else:
            results.append(head_sensitivity_match.measure(measured))
    return results


def _counted(image: NDArray) -> tuple[NDArray, tuple[str, ...], str | None]:
    """Return the counts behind an image whose values are all multiples of a number, notes, and why they are unknown (None: they are not).

    Uniformity knows no factor; how many counts there were decides whether it gets a verdict. Counts that were multiplied by n vary n times
    as much as counts do, counts that were rounded to multiples of n as counts do. What varies less was smoothed.
    """
    factor = counts_factor(image)
    if factor == 1:
        return image, (), None
    noise = noise_ratio(image)
    if noise is None or factor != int(factor) or common_factor(image) != factor or noise < LEAST_NOISE:
        return image, (), because("image.counts_multiplied", times=factor)
    if noise < LEAST_NOISE * factor:
        return image, (because("flood.counts_rounded", factor=factor),), None
    return image // int(factor), (because("flood.counts_divided", factor=factor),), None


def _many(head: Head) -> str:
    """Return why several frames of one detector are no flood."""
    if head.instance.dataset.get("DetectorVector") is None:
        return because("heads.frames_without_vector", frames=len(head.frames))
    return because("flood.frames_doubled")


def frame_seconds(instance: Instance) -> float | None:
    """Return the duration of a frame by ActualFrameDuration (ms), or None where the header gives none."""
    duration = _positive(instance.dataset.get("ActualFrameDuration"))
    return duration / 1000 if duration else None


def _intrinsic(about: Any) -> bool | None:
    """Return whether there was no collimator; an empty CollimatorType, which real files have, declares nothing."""
    kind = str(about.get("CollimatorType") or "").strip().upper()
    return None if kind in ("", "UNKN") else kind == "NONE"


def _positive(value: Any) -> float | None:
    number = float(value) if value not in (None, "") else 0.0
    return number if number > 0 else None
