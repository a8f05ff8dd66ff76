"""When each frame of a dynamic acquisition was taken, and which frames that the header announces are not there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.numbers import number_of
from spark_jobs.qc.clinical.dynamic import FrameTimes
from spark_jobs.reading import Instance, Unreadable

__all__ = ["frame_times"]


def frame_times(instance: Instance, mine: NDArray[np.int64]) -> tuple[NDArray[np.int64], FrameTimes] | str:
    """Return the order in time of the frames `mine` (of one detector and energy window) and their times, or why these are unknown.

    Durations come from PhaseInformationSequence (some vendors fill nothing else), else from FrameTimeVector, ActualFrameDuration or
    FrameTime; a FrameTime longer than the duration is how far frames lie apart. NumberOfFramesInPhase may count one detector's frames or
    those of all detectors and windows: the nearer one is meant. TimeSliceVector may begin anew in each phase or run on.
    """
    try:
        return _frame_times(instance, mine)
    except Unreadable as exc:
        return str(exc)


def _frame_times(instance: Instance, mine: NDArray[np.int64]) -> tuple[NDArray[np.int64], FrameTimes] | str:
    ds, streams = instance.dataset, instance.streams
    numbers = instance.vector("TimeSliceVector")[mine] if ds.get("TimeSliceVector") is not None else None
    items = list(ds.get("PhaseInformationSequence") or [])
    own = _phases(instance, items, mine, streams)
    if own is None:
        return because("frames.phase_vector_missing", frames=len(mine), phases=len(items))
    vector = ds.get("FrameTimeVector")
    if not items and vector is not None and len(np.atleast_1d(vector)) == len(mine) and streams == 1:
        return _by_vector(np.asarray(vector, np.float64) / 1000, _number(ds, "ActualFrameDuration"))
    alone = _number(ds, "ActualFrameDuration") or _number(ds, "FrameTime")
    if own.min() < 1 or (items and own.max() > len(items)):
        return because("frames.phase_vector_outside")
    start, starts, durations, missing, order = 0.0, [], [], [], []
    for phase in range(1, max(int(own.max()), len(items)) + 1):
        item = items[phase - 1] if items else ds
        lasting = _number(item, "ActualFrameDuration") or alone
        if not lasting:
            return because("frames.no_duration")
        step = (lasting + (_number(item, "PauseBetweenFrames") or 0.0)) / 1000
        if not items:  # a shorter FrameTime is for the display
            step = max(step, (_number(ds, "FrameTime") or 0.0) / 1000)
        start += (_number(item, "PhaseDelay") or 0.0) / 1000 if items else 0.0
        here = np.flatnonzero(own == phase)
        said = _number(item, "NumberOfFramesInPhase") if items else _said(ds, streams)
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
    notes = [because("frames.announced_missing", count=len(missing))] if missing else []
    return at, FrameTimes(begun, np.array(durations), own[at], tuple(missing), tuple(notes))


def _phases(instance: Instance, items: Sequence[Any], mine: NDArray[np.int64], streams: int) -> NDArray[np.int64] | None:
    """Return the phase of each frame (1-based); where the vector is missing, by the numbers of frames in the phases if they fit."""
    if instance.dataset.get("PhaseVector") is not None or len(items) < 2:
        return instance.vector("PhaseVector")[mine]
    said = [int(_number(item, "NumberOfFramesInPhase") or 0) for item in items]
    for share in {1, streams}:
        if sum(said) == share * len(mine) and all(n % share == 0 for n in said):
            return np.repeat(np.arange(1, len(said) + 1), [n // share for n in said])
    return None


def _said(ds: Any, streams: int) -> float | None:
    """Return how many frames an object without phases announces beside NumberOfFrames."""
    return _number(ds, "NumberOfTimeSlices")


def _nearer(said: float | None, got: int, streams: int) -> int:
    if said is None:
        return got
    return min((int(said), round(said / streams)), key=lambda n: abs(n - got)) if streams > 1 else int(said)


def _places(numbers: NDArray[np.int64] | None, expected: int, got: int) -> NDArray[np.int64]:
    """Return the place (0 …) of each frame in its phase; repeated numbers take the following places."""
    if numbers is None or not got or len(set(numbers.tolist())) < got:
        return np.arange(got)
    if got == expected:  # nothing is announced that is not there: numbers with gaps, as of interleaved detectors, are an order
        return np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    # numbers that run on over phases begin behind the frames before; a phase whose first frame is missing begins at 2
    first = 1 if numbers.min() <= max(1, expected - got + 1) else int(numbers.min())
    return numbers - first


def _by_vector(steps: NDArray[np.float64], lasting: float | None) -> tuple[NDArray[np.int64], FrameTimes] | str:
    """Return times from increments in front of each frame; an increment far above those beside it is a gap."""
    starts = np.cumsum(steps)
    starts -= starts[0]
    between = np.diff(starts)
    if len(between) < 2 or (between <= 0).any():
        return because("frames.time_vector_backwards")
    missing = []
    usual = between.copy()
    for k in range(len(between)):
        beside = [between[j] for j in (k - 1, k + 1) if 0 <= j < len(between)]
        if len(beside) == 2 and between[k] > 1.5 * max(beside) and abs(beside[0] - beside[1]) < 0.1 * beside[0]:
            usual[k] = beside[0]
            missing += [(1, k + 2 + m) for m in range(round(between[k] / beside[0]) - 1)]
    durations = np.append(usual, usual[-1]) if lasting is None else np.full(len(starts), lasting / 1000)
    notes = [because("frames.missing_between", count=len(missing))] if missing else []
    return np.arange(len(starts)), FrameTimes(starts, durations, np.ones(len(starts), np.int64), tuple(missing), tuple(notes))


def _number(dataset: Any, keyword: str) -> float | None:
    """Return a number of the header, None where it is absent, empty or zero."""
    return number_of(dataset, keyword) or None
