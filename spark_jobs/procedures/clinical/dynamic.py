"""Dynamic studies of patients: which frame was taken when, and which that the header announces are not there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_jobs.procedures.clinical.header import DYNAMIC, completeness, number, of_class, uptake
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.clinical import dynamic, hepatobiliary_dynamic, renal_dynamic
from spark_jobs.qc.clinical.dynamic import FrameTimes
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "frame_times", "look"]

KIDNEYS = "two kidneys over time"
LIVER = "a liver over time"
SHORTEST_RENAL_S, SHORTEST_BILIARY_S = 300.0, 600.0
SMALLEST_LIVER_MM2 = 10_000.0
Study = tuple[NDArray, FrameTimes]


def look(series: Sequence[Instance]) -> str | None:
    """Return KIDNEYS, LIVER or None: two like organs that fill and empty, or one large one whose tracer goes elsewhere."""
    first = series[0]
    if first.modality != "NM" or first.kind != "DYNAMIC":
        return None
    study = _study(series)
    if isinstance(study, str) or len(study[0]) < 8:
        return None
    frames, times = study
    pixel_mm = first.pixel_mm or 1.0
    lasting = float(times.start_s[-1] + times.duration_s[-1])
    kidneys = renal_dynamic.kidneys_of(dynamic.between(frames, times, *renal_dynamic.SEEN_S), pixel_mm)
    if kidneys is not None:
        filling = _fills(frames, times, kidneys[0] | kidneys[1])
        return KIDNEYS if filling and lasting >= SHORTEST_RENAL_S else None
    liver = hepatobiliary_dynamic.liver_of(dynamic.between(frames, times, *hepatobiliary_dynamic.SEEN_S), pixel_mm)
    if liver is None or lasting < SHORTEST_BILIARY_S or liver.sum() * pixel_mm**2 < SMALLEST_LIVER_MM2:
        return None
    return LIVER if _fills(frames, times, liver) and _moves_on(frames, liver) else None


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


def _study(series: Sequence[Instance]) -> Study | str:
    """Return frames of the detector and energy window with most counts, in order of time, with their times; or why not."""
    if len(series) > 1:
        return f"{len(series)} objects in the series: two candidates"
    (instance,) = series
    detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
    sums = instance.pixels.sum((1, 2), dtype=np.int64)
    pairs = sorted({(int(d), int(w)) for d, w in zip(detectors, windows, strict=True)})
    best = max(pairs, key=lambda p: int(sums[(detectors == p[0]) & (windows == p[1])].sum()))
    mine = np.flatnonzero((detectors == best[0]) & (windows == best[1]))
    found = frame_times(
        instance.dataset, mine, instance.vector("PhaseVector"), instance.dataset.get("TimeSliceVector"), len(pairs)
    )
    if isinstance(found, str):
        return found
    order, times = found
    return instance.pixels[mine[order]], times


def frame_times(
    ds: Any, mine: NDArray[np.int64], phases: NDArray[np.int64], slices: Any, streams: int
) -> tuple[NDArray[np.int64], FrameTimes] | str:
    """Return the order in time of the frames `mine` and their times, or why these are unknown.

    Durations come from PhaseInformationSequence (some vendors fill nothing else), else from FrameTimeVector, ActualFrameDuration or
    FrameTime. NumberOfFramesInPhase may count one detector's frames or those of all `streams` (detectors × windows): the nearer one
    is meant. TimeSliceVector may begin anew in each phase or run on.
    """
    own = phases[mine]
    numbers = np.asarray(slices, np.int64)[mine] if slices is not None else None
    if slices is not None and len(np.atleast_1d(slices)) != len(phases):
        return f"TimeSliceVector has {len(np.atleast_1d(slices))} values for {len(phases)} frames"
    items = list(ds.get("PhaseInformationSequence") or [])
    vector = ds.get("FrameTimeVector")
    if not items and vector is not None and len(np.atleast_1d(vector)) == len(phases) and streams == 1:
        return _by_vector(np.asarray(vector, np.float64) / 1000, number(ds, "ActualFrameDuration"))
    alone = number(ds, "ActualFrameDuration") or number(ds, "FrameTime")
    if own.min() < 1 or (items and own.max() > len(items)):
        return "PhaseVector points outside PhaseInformationSequence"
    start, starts, durations, missing, order = 0.0, [], [], [], []
    for phase in range(1, max(int(own.max()), len(items)) + 1):
        item = items[phase - 1] if items else ds
        lasting = number(item, "ActualFrameDuration") or alone
        if not lasting:
            return "neither PhaseInformationSequence nor FrameTime says how long a frame lasted"
        step = (lasting + (number(item, "PauseBetweenFrames") or 0.0)) / 1000
        start += (number(item, "PhaseDelay") or 0.0) / 1000 if items else 0.0
        here = np.flatnonzero(own == phase)
        said = number(item, "NumberOfFramesInPhase") if items else _said(ds, streams)
        expected = _nearer(said, len(here), streams)
        place = _places(None if numbers is None else numbers[here], expected, len(here))
        length = max(expected, int(place.max()) + 1 if len(place) else 0)
        there = set(place.tolist())
        missing += [(phase, k + 1) for k in range(length) if k not in there]
        seq = np.argsort(place, kind="stable")
        order += here[seq].tolist()
        starts += (start + place[seq] * step).tolist()
        durations += [lasting / 1000] * len(here)
        start += length * step
    at = np.array(order, np.int64)
    begun = np.array(starts) - starts[0]
    notes = [f"{len(missing)} frames that the header announces are missing"] if missing else []
    return at, FrameTimes(begun, np.array(durations), own[at], tuple(missing), tuple(notes))


def _said(ds: Any, streams: int) -> float | None:
    """Return how many frames an object without phases announces beside NumberOfFrames."""
    return number(ds, "NumberOfTimeSlices")


def _nearer(said: float | None, got: int, streams: int) -> int:
    if said is None:
        return got
    return min((int(said), round(said / streams)), key=lambda n: abs(n - got)) if streams > 1 else int(said)


def _places(numbers: NDArray[np.int64] | None, expected: int, got: int) -> NDArray[np.int64]:
    """Return the place (0 …) of each frame in its phase; repeated numbers take the following places."""
    if numbers is None or not got or len(set(numbers.tolist())) < got:
        return np.arange(got)
    # numbers that run on over phases begin behind the frames before; a phase whose first frame is missing begins at 2
    first = 1 if numbers.min() <= max(1, expected - got + 1) else int(numbers.min())
    return numbers - first


def _by_vector(steps: NDArray[np.float64], lasting: float | None) -> tuple[NDArray[np.int64], FrameTimes] | str:
    """Return times from increments in front of each frame; an increment far above those beside it is a gap."""
    starts = np.cumsum(steps)
    starts -= starts[0]
    between = np.diff(starts)
    if len(between) < 2 or (between <= 0).any():
        return "FrameTimeVector does not run forward: the time of frames is unknown"
    missing = []
    usual = between.copy()
    for k in range(len(between)):
        beside = [between[j] for j in (k - 1, k + 1) if 0 <= j < len(between)]
        if len(beside) == 2 and between[k] > 1.5 * max(beside) and abs(beside[0] - beside[1]) < 0.1 * beside[0]:
            usual[k] = beside[0]
            missing += [(1, k + 2 + m) for m in range(round(between[k] / beside[0]) - 1)]
    durations = np.append(usual, usual[-1]) if lasting is None else np.full(len(starts), lasting / 1000)
    notes = [f"{len(missing)} frames are missing between others"] if missing else []
    return np.arange(len(starts)), FrameTimes(starts, durations, np.ones(len(starts), np.int64), tuple(missing), tuple(notes))


def _fed(module: ModuleType) -> Callable[[Sequence[Instance]], list[Result]]:
    def run(series: Sequence[Instance]) -> list[Result]:
        study = _study(series)
        if isinstance(study, str):
            return [refusal(module, study)]
        frames, times = study
        timing, notes = uptake(series[0].dataset)
        result = module.measure(
            frames, times, series[0].pixel_mm or 0.0, timing=timing, completeness=completeness(series, DYNAMIC)
        )
        return [replace(result, warnings=(*result.warnings, *notes))]

    return run


ROWS = (
    Procedure(renal_dynamic, "PP-RENAL", "clinical", partial(of_class, "PP-RENAL"), KIDNEYS, _fed(renal_dynamic)),
    Procedure(hepatobiliary_dynamic, "PP-HEPATO", "clinical", partial(of_class, "PP-HEPATO"), LIVER, _fed(hepatobiliary_dynamic)),
)
