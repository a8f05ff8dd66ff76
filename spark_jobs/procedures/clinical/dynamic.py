"""Dynamic studies of patients: which frame was taken when, and which that the header announces are not there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.clinical.header import DYNAMIC, completeness, of_class, uptake
from spark_jobs.procedures.frame_time import frame_times
from spark_jobs.procedures.heads import ANTERIOR, POSTERIOR, facing
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.clinical import aspects, dynamic, hepatobiliary_dynamic, renal_dynamic
from spark_jobs.qc.clinical.dynamic import FrameTimes
from spark_jobs.qc.looks import Look
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance, Unreadable, frames_of

__all__ = ["ROWS", "look"]

SHORTEST_RENAL_S, SHORTEST_BILIARY_S = 300.0, 600.0
SMALLEST_LIVER_MM2 = 10_000.0
Study = tuple[NDArray, FrameTimes]


def look(series: Sequence[Instance]) -> Look | None:
    """Return kidneys, a liver or None: two like organs that fill and empty, or one large one whose tracer goes elsewhere."""
    first = series[0]
    if first.modality != "NM" or first.kind != "DYNAMIC":
        return None
    studies = _studies(series)
    if isinstance(studies, str):
        return None
    words = (_look(frames, times, first.pixel_mm or 1.0) for frames, times in studies if len(frames) >= 8)
    return next((word for word in words if word), None)


def _look(frames: NDArray, times: FrameTimes, pixel_mm: float) -> Look | None:
    lasting = float(times.start_s[-1] + times.duration_s[-1])
    kidneys = renal_dynamic.kidneys_of(dynamic.between(frames, times, *renal_dynamic.SEEN_S), pixel_mm)
    if kidneys is not None:
        filling = _fills(frames, times, kidneys[0] | kidneys[1])
        return Look.KIDNEYS if filling and lasting >= SHORTEST_RENAL_S else None
    liver = hepatobiliary_dynamic.liver_of(dynamic.between(frames, times, *hepatobiliary_dynamic.SEEN_S), pixel_mm)
    if liver is None or liver.sum() * pixel_mm**2 < SMALLEST_LIVER_MM2:
        return Look.KIDNEYS if lasting >= SHORTEST_RENAL_S and _is_one_kidney(frames, times, pixel_mm) else None
    if lasting < SHORTEST_BILIARY_S:
        return None
    return Look.LIVER if _fills(frames, times, liver) and _moves_on(frames, liver) else None


def _is_one_kidney(frames: NDArray, times: FrameTimes, pixel_mm: float) -> bool:
    """Return whether one organ of the size of a kidney, beside the middle of the body, takes tracer up."""
    early = dynamic.between(frames, times, *renal_dynamic.SEEN_S)
    body = aspects.body_of(frames.sum(0, dtype=np.float64))
    found = renal_dynamic.single_kidney(early, body, pixel_mm)
    return any(k.sum() * pixel_mm**2 < SMALLEST_LIVER_MM2 and _fills(frames, times, k) for k in found.values())


def _fills(frames: NDArray, times: FrameTimes, organ: NDArray[np.bool_]) -> bool:
    """Return whether an organ takes tracer up: the source in a phantom can only decay."""
    rate = frames[:, organ].sum(1, dtype=np.float64) / times.duration_s
    width = max(1, len(rate) // 20)
    means = np.convolve(rate, np.full(width, 1 / width), "valid")
    return bool(means[0] < 0.75 * means.max())


def _moves_on(frames: NDArray, organ: NDArray[np.bool_]) -> bool:
    """Return whether an organ's share of the counts changes by a fifth; a source keeps its shape, whatever dead time does to rates."""
    inside, total = frames[:, organ].sum(1, dtype=np.float64), frames.sum((1, 2), dtype=np.float64)
    share = [float(inside[c].sum() / total[c].sum()) for c in np.array_split(np.arange(len(frames)), 6) if total[c].sum() > 0]
    return min(share[0], share[-1]) < 0.8 * max(share)


def _studies(series: Sequence[Instance]) -> list[Study] | str:
    """Return frames in order of time, and their times, of each detector of the one object of a series; or why there are none."""
    if len(series) > 1:
        return because("series.objects_many", count=len(series))
    (instance,) = series
    detectors = instance.vector("DetectorVector")
    out = []
    for detector in np.unique(detectors):
        mine = np.flatnonzero(detectors == detector)
        found = frame_times(instance, mine)
        if isinstance(found, str):
            return found
        out.append((frames_of(instance.pixels, mine[found[0]]), found[1]))
    return out


def _fed(module: ModuleType, side: str) -> Callable[[Sequence[Instance]], list[Result]]:
    """Return the run of a method on the detector that sees a side of the patient."""

    def run(series: Sequence[Instance]) -> list[Result]:
        try:
            studies = _studies([facing(i, side) for i in series])
        except Unreadable as exc:
            return [refusal(module, str(exc))]
        if isinstance(studies, str):
            return [refusal(module, studies)]
        ((frames, times),) = studies
        timing, notes = uptake(series[0].dataset)
        result = module.measure(
            frames, times, series[0].pixel_mm or 0.0, timing=timing, completeness=completeness(series, DYNAMIC)
        )
        return [replace(result, warnings=(*result.warnings, *notes))]

    return run


ROWS = (
    Procedure(renal_dynamic, "PP-RENAL", "clinical", partial(of_class, "PP-RENAL"), Look.KIDNEYS, _fed(renal_dynamic, POSTERIOR)),
    Procedure(
        hepatobiliary_dynamic,
        "PP-HEPATO",
        "clinical",
        partial(of_class, "PP-HEPATO"),
        Look.LIVER,
        _fed(hepatobiliary_dynamic, ANTERIOR),
    ),
)
