"""What all dynamic studies share: when each frame was taken and which are missing, counts by frame, motion between frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.clinical.alignment import neighbour_shifts
from spark_jobs.qc.clinical.aspects import ARTEFACT, CONTRAST, COUNTS, MOTION, POSITIONING, TIMING, UNIFORMITY
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import Measure

__all__ = [
    "NO_CURVE",
    "FrameTimes",
    "between",
    "counts_of",
    "empty_study",
    "faults_of",
    "few_counts",
    "motion_of",
    "organ_aspects",
    "still_frames",
]

NO_CURVE = "curve.frames_few"

BOLUS_S = 60.0  # before it the picture changes faster than a patient moves
GROUP_S = 60.0
WEAK = 0.7  # of both neighbours' rates: nothing in a body falls and rises again so fast
REACH_MM = 8.0
FEWEST_COUNTS = 1_000  # in a frame (B): below some 400 a frame that lost 30 % cannot be told from counting noise
UNSURE_PX = 0.3  # standard error of a shift above which a motion of one pixel cannot be told


@dataclass(frozen=True)
class FrameTimes:
    """When the frames of one detector were taken, in order of time; seconds from the first frame's start.

    `missing` names the frames (phase, number in the phase) that the header announces and the object does not hold.
    """

    start_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    phase: NDArray[np.int64]
    missing: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def middle_s(self) -> NDArray[np.float64]:
        """Return the middle of each frame."""
        return self.start_s + self.duration_s / 2


def between(frames: NDArray, times: FrameTimes, begin_s: float, end_s: float) -> NDArray[np.float64]:
    """Return the counts per second of the frames whose middle lies between two times; of the nearest frame when none does."""
    chosen = (times.middle_s >= begin_s) & (times.middle_s < end_s)
    if not chosen.any():
        chosen[int(np.argmin(np.abs(times.middle_s - (begin_s + end_s) / 2)))] = True
    return frames[chosen].sum(0, dtype=np.float64) / times.duration_s[chosen].sum()


def empty_study(frames: NDArray) -> bool:
    """Return whether there are too few frames, or no counts, to follow a curve."""
    return len(frames) < 8 or frames.sum() <= 0


def few_counts(frames: NDArray, motion_se_px: float) -> str | None:
    """Return why the counts are too few for a verdict, or None."""
    usual = median(frames.sum((1, 2), dtype=np.float64))
    if usual < FEWEST_COUNTS:
        return because("dynamic.too_few_counts", counts=usual, least=FEWEST_COUNTS)
    if motion_se_px > UNSURE_PX:
        return because("dynamic.shifts_scatter", se_px=motion_se_px, most_px=UNSURE_PX)
    return None


def organ_aspects(
    frames: NDArray,
    times: FrameTimes,
    pixel_mm: float,
    early: NDArray[np.float64],
    seen_s: tuple[float, float],
    organs: Mapping[str, NDArray[np.bool_]],
    counts_name: str,
) -> tuple[list[Measure], dict[str, NDArray[np.float64]], dict[str, tuple[slice, slice]]]:
    """Return counts, contrast and place of organs (masks by region), their curves, and the boxes about them.

    Parameters
    ----------
    early, seen_s
        The image in which the organs stand out, and from when to when it was taken.
    counts_name
        The measure of an organ's counts in that time.
    """
    smooth = aspects.binomial(early, 2)
    around = aspects.body_of(frames.sum(0, dtype=np.float64))
    for mask in organs.values():
        around = around & ~aspects.grown(mask, 3)
    level = median(smooth[around]) if around.any() else 0.0
    shown = (times.middle_s >= seen_s[0]) & (times.middle_s < seen_s[1])
    measures, curves, boxes = [], {}, {}
    for region, mask in organs.items():
        curves[region] = frames[:, mask].sum(1, dtype=np.float64)
        ratio = float(smooth[mask].mean()) / max(level, 1e-9)
        measures += [
            aspects.measure(COUNTS, counts_name, float(curves[region][shown].sum()) / 1000, "kcts", region),
            aspects.measure(CONTRAST, "organ_background_ratio", ratio, "1", region),
            aspects.measure(POSITIONING, "organ_edge_mm", aspects.edge_distance(mask) * pixel_mm, "mm", region),
        ]
        boxes[region] = aspects.box(mask, 6)
    return measures, curves, boxes


def faults_of(frames: NDArray, times: FrameTimes) -> list[Measure]:
    """Return how many frames are missing, repeated, empty or too weak, the time of each phase, and gaps between frames."""
    sums = frames.sum((1, 2), dtype=np.float64)
    rate = sums / times.duration_s
    arrived = int(np.argmax(_lit(sums, sums)))  # before the tracer comes there is nothing to count
    empty = arrived + np.flatnonzero(~_lit(sums[arrived:], sums))
    twice = [
        k for k in range(1, len(frames)) if sums[k] > 0 and sums[k] == sums[k - 1] and np.array_equal(frames[k], frames[k - 1])
    ]
    least, most = np.minimum(rate[:-2], rate[2:]), np.maximum(rate[:-2], rate[2:])
    middle = slice(1, -1)
    expected = least * times.duration_s[middle]
    low = (rate[middle] < WEAK * least) & (expected - sums[middle] > 6 * np.sqrt(np.maximum(expected, 1)))
    high = (rate[middle] * WEAK > most) & (
        sums[middle] - most * times.duration_s[middle] > 6 * np.sqrt(np.maximum(sums[middle], 1))
    )
    late = times.start_s[middle] > BOLUS_S  # a bolus that passes in one frame is a peak by nature
    weak = np.setdiff1d(np.flatnonzero(low) + 1, empty)
    odd = np.setdiff1d(np.flatnonzero(high & late) + 1, np.concatenate([empty + 1, empty - 1, weak - 1, weak + 1]))
    gaps = times.start_s[1:] - times.start_s[:-1] - times.duration_s[:-1]
    out = [
        _count("missing_frames_count", [because("frames.phase_frame", phase=p, frame=k) for p, k in times.missing], TIMING),
        _count("repeated_frames_count", [k + 1 for k in twice], TIMING),
        _count("empty_frames_count", [int(k) + 1 for k in empty], TIMING),
        _count("weak_frames_count", [int(k) + 1 for k in np.sort(np.concatenate([weak, odd]))], TIMING),
        aspects.measure(TIMING, "largest_gap_s", max(0.0, float(gaps.max(initial=0.0))), "s"),
        aspects.measure(TIMING, "duration_min", float(times.start_s[-1] + times.duration_s[-1]) / 60, "min"),
    ]
    for p in np.unique(times.phase):
        own = times.duration_s[times.phase == p]
        out.append(aspects.measure(TIMING, "frame_time_s", median(own), "s", f"phase {p}"))
    return out


def _lit(sums: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which frames hold more than the fiftieth part of what a frame of the study holds: the others are empty."""
    return sums > 0.02 * median(of)


def _count(name: str, where: Sequence[int | str], aspect: str) -> Measure:
    return aspects.measure(aspect, name, len(where), "1", at={"frames": list(where[:10])} if where else None)


def counts_of(frames: NDArray, times: FrameTimes, mask: NDArray[np.bool_]) -> list[Measure]:
    """Return counts by frame and in all, noise of the summed image, jumps of the rate that no body makes, light outside the body."""
    sums = frames.sum((1, 2), dtype=np.float64)
    whole = frames.sum(0, dtype=np.float64)
    rate = sums / times.duration_s
    late = times.start_s >= BOLUS_S
    jump = 0.0
    if late.sum() >= 5:
        own = rate[late]
        jump = float(np.max(np.abs(own[1:-1] / np.maximum((own[:-2] + own[2:]) / 2, 1e-9) - 1)))
    inside = whole[mask]
    noise = 100 * aspects.noise(whole, mask) / float(inside.mean()) if mask.any() and inside.mean() > 0 else 0.0
    return [
        aspects.measure(COUNTS, "frame_kcts", median(sums) / 1000, "kcts"),
        aspects.measure(COUNTS, "total_mcts", float(sums.sum()) / 1e6, "Mcts"),
        aspects.measure(COUNTS, "max_rate_kcps", float(rate.max()) / 1000, "kcts/s"),
        aspects.measure(COUNTS, "noise_percent", noise, "%"),
        aspects.measure(UNIFORMITY, "rate_jump_percent", 100 * jump, "%"),
        aspects.measure(UNIFORMITY, "banding_percent", aspects.banding_percent(whole, mask), "%"),
        aspects.measure(ARTEFACT, "dead_lines_count", aspects.dead_lines(whole, mask), "1"),
        aspects.measure(ARTEFACT, "outside_percent", aspects.outside_percent(whole, mask), "%"),
    ]


def still_frames(frames: NDArray, times: FrameTimes) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return sums of frames over about a minute, each scaled to a rate, from the end of the bolus on; and their middle times.

    Empty frames are left out: a minute of them would lie nowhere.
    """
    totals = frames.sum((1, 2), dtype=np.float64)
    chosen = np.flatnonzero((times.start_s >= BOLUS_S) & _lit(totals, totals))
    if len(chosen) < 6:
        chosen = np.flatnonzero(_lit(totals, totals))
    group = np.floor((times.start_s[chosen] - times.start_s[chosen[0]]) / GROUP_S).astype(np.int64)
    minutes = [chosen[group == g] for g in np.unique(group)]
    rates = np.empty((len(minutes), *frames.shape[1:]), np.float32)
    for k, own in enumerate(minutes):
        rates[k] = frames[own].sum(0, dtype=np.float64) / times.duration_s[own].sum()
    return rates, np.array([float(times.middle_s[own].mean()) for own in minutes])


def motion_of(
    frames: NDArray, times: FrameTimes, pixel_mm: float, boxes: dict[str, tuple[slice, slice]]
) -> tuple[list[Measure], float]:
    """Return the largest shift from one minute to the next but one, and how far each organ drifts; and the noise of such a shift in pixels.

    Parameters
    ----------
    boxes
        Rows and columns about each organ whose drift is followed, by name.
    """
    groups, middles = still_frames(frames, times)
    if len(groups) < 4:
        return [], 0.0
    passes = int(np.clip(round(2 * (REACH_MM / pixel_mm) ** 2), 2, 12))
    organs = {
        name: groups[:, rows, columns].copy()
        for name, (rows, columns) in boxes.items()
        if rows.stop - rows.start >= 8 and columns.stop - columns.start >= 8
    }
    shifts = neighbour_shifts(groups, passes, overwrite=True)
    left = shifts - np.median(shifts, axis=0)
    path = np.concatenate([[[0.0, 0.0]], np.cumsum(left, axis=0)])
    # a patient who moves in the middle of a minute shows half of it on either side
    step = path[2:] - path[:-2]
    size = np.hypot(step[:, 0], step[:, 1])
    k = int(size.argmax())
    se = float(np.hypot(*(1.4826 * np.median(np.abs(left), axis=0))))
    at = {"minute": round(float(middles[k + 1]) / 60, 2)}
    out = [aspects.measure(MOTION, "motion_max_px", size[k], "px", uncertainty=se, at=at)]
    for name, organ in organs.items():
        path = np.cumsum(neighbour_shifts(organ, passes, overwrite=True), axis=0)
        out.append(aspects.measure(MOTION, "drift_px", float(np.hypot(path[:, 0], path[:, 1]).max()), "px", name))
    return out, se
