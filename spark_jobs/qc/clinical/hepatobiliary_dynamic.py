"""Quality of hepatobiliary dynamics: frames and their times, counts, the liver in the field, its contrast, curve and motion.

1. Check the frame table: missing, repeated, empty and weak frames, gaps.
2. Find the liver in the frames from 4 to 12 minutes.
3. Measure its counts, contrast, place and distance from the lower edge.
4. Fit uptake and washout to its curve; a bad fit is not used.
5. Follow motion by the shifts between sums of one minute.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects, dynamic
from spark_jobs.qc.clinical.aspects import POSITIONING, TIMING
from spark_jobs.qc.clinical.time_curve import fit_uptake
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "liver_of", "measure"]

PROCEDURE = "hepatobiliary_dynamic"
METHOD = "frame table, uptake and washout, neighbour shifts"
VERSION = "1.2.0"
FORMULAE = (
    "liver: A · (e^(−k₂t) − e^(−k₁t)) + C; washout half-life = ln 2 / k₂, in min; time of the peak = ln(k₁ / k₂) / (k₁ − k₂), in min",
    "organ/background ratio = mean of the liver / median of the body without the liver",
    "motion = max √(Δrow² + Δcolumn²) of the path from one minute to the next but one, in pixels",
)
LONGEST_HALF = 3.0  # studies that the half-life of a washout may last: a longer one is a guess
SEEN_S = (240.0, 720.0)  # when the liver is bright and the gut is not yet


def measure(
    frames: NDArray,
    times: dynamic.FrameTimes,
    pixel_mm: float,
    *,
    timing: Sequence[Measure] = (),
    completeness: tuple[int, int] | None = None,
) -> Result:
    """Return the aspects of a hepatobiliary study of one detector; the arguments are those of the renal one."""
    frames = np.maximum(frames, 0)
    if dynamic.empty_study(frames):
        return Result(PROCEDURE, NOT_MEASURED, dynamic.NO_CURVE, None, METHOD, VERSION)
    early = dynamic.between(frames, times, *SEEN_S)
    liver = liver_of(early, pixel_mm)
    body = aspects.body_of(frames.sum(0, dtype=np.float64))
    seen = {} if liver is None else {"liver": liver}
    organs, curves, boxes = dynamic.organ_aspects(frames, times, pixel_mm, early, SEEN_S, seen, "liver_kcts")
    measures = [*dynamic.faults_of(frames, times), *timing, *dynamic.counts_of(frames, times, body), *organs]
    notes = list(times.notes)
    if liver is None:
        notes.append(because("hepatobiliary.no_liver"))
    else:
        # bile leaves to the gut below the liver: what lies there must be in the field
        rows = np.flatnonzero(liver.any(1))
        measures.append(aspects.measure(POSITIONING, "field_below_mm", (len(liver) - 1 - rows[-1]) * pixel_mm, "mm", "liver"))
        fitted, note = _clearance(curves["liver"], times)
        measures += fitted
        notes += note
    measures.append(aspects.measure(POSITIONING, "liver_in_field_count", int(liver is not None), "1"))
    motion, se = dynamic.motion_of(frames, times, pixel_mm, boxes)
    measures += [*motion, *aspects.header(completeness)]
    figure = {
        "kind": PROCEDURE,
        "image": early,
        "masks": list(seen.values()),
        "curves": curves,
        "minutes": times.middle_s / 60,
        "durations": times.duration_s,
    }
    few = dynamic.few_counts(frames, se)
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, few, None, METHOD, VERSION, tuple(measures), tuple(notes), figure)


def liver_of(image: NDArray[np.float64], pixel_mm: float) -> NDArray[np.bool_] | None:
    """Return the mask of the largest bright organ if it is 60–600 cm² large, or None."""
    from scipy import ndimage

    smooth = aspects.binomial(image, int(np.clip(round(2 * (6.0 / pixel_mm) ** 2), 1, 12)))
    top = percentile(smooth, 99.5)
    if top <= 0:
        return None
    level = median(smooth[smooth > 0.02 * top])
    labels, pieces = ndimage.label(smooth > level + 0.4 * (top - level))
    if not pieces:
        return None
    sizes = ndimage.sum_labels(labels > 0, labels, np.arange(1, pieces + 1))
    organ = labels == 1 + int(np.argmax(sizes))
    area = float(sizes.max()) * pixel_mm**2
    return ndimage.binary_fill_holes(organ) if 6_000 < area < 60_000 else None


def _clearance(curve: NDArray[np.float64], times: dynamic.FrameTimes) -> tuple[list[Measure], list[str]]:
    usual = median(times.duration_s)
    scaled = curve * usual / times.duration_s
    fit = fit_uptake(times.middle_s, scaled)
    if fit is None or not fit.good:
        how = because("curve.points_few") if fit is None else f"R² {fit.r2:.2f}"
        return [], [because("hepatobiliary.no_washout_curve", how=how)]
    fitted = [
        aspects.measure(TIMING, "liver_peak_min", fit.parameters["peak_s"] / 60, "min", "liver"),
        aspects.measure(TIMING, "liver_fit_r2", fit.r2, "1", "liver"),
    ]
    half_s, lasted_s = fit.parameters["washout_half_s"], float(times.duration_s.sum())
    if half_s > LONGEST_HALF * lasted_s:
        return fitted, [because("hepatobiliary.hardly_empties", minutes=lasted_s / 60)]
    return [*fitted, aspects.measure(TIMING, "liver_washout_half_min", half_s / 60, "min", "liver")], []
