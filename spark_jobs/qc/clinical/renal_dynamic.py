"""Quality of renal dynamics: frames and their times, the bolus, both kidneys in the field, their contrast and motion.

1. Check the frame table: missing, repeated, empty and weak frames, gaps.
2. Find one or two kidneys in the frames from 1.5 to 4 minutes.
3. Measure their counts, contrast, place and likeness.
4. Fit a gamma variate to the first passage in the vessels: the width of the bolus.
5. Follow motion by the shifts between sums of one minute.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects, dynamic
from spark_jobs.qc.clinical.aspects import POSITIONING, TIMING
from spark_jobs.qc.clinical.time_curve import fit_bolus
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.shape import likeness
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "kidneys_of", "measure", "single_kidney"]

PROCEDURE = "renal_dynamic"
METHOD = "frame table, gamma variate, neighbour shifts"
VERSION = "1.2.0"
FORMULAE = (
    "bolus: A · u^α · e^(α(1 − u)), u = (t − t₀) / (t_peak − t₀); its FWHM in s",
    "organ/background ratio = mean of the kidney / median of the body without the kidneys",
    "motion = max √(Δrow² + Δcolumn²) of the path from one minute to the next but one, in pixels",
    "jump of the rate = 100 · max |rate / mean of its two neighbours − 1|, in percent, after the first minute",
    "likeness of the kidneys = Dice overlap of one with the mirror image of the other (1: the same shape)",
)
SEEN_S = (90.0, 240.0)  # when kidneys are bright and bladder and pelvis are not yet
OUTSTANDING = 1.4  # times the rest of the body
LONGEST_BOLUS_FRAME_S = 5.0
SIDES = ("image left", "image right")  # which kidney that is depends on the side of the detector: the image does not say it


def measure(
    frames: NDArray,
    times: dynamic.FrameTimes,
    pixel_mm: float,
    *,
    timing: Sequence[Measure] = (),
    completeness: tuple[int, int] | None = None,
) -> Result:
    """Return the aspects of a renal dynamic study of one detector.

    Parameters
    ----------
    frames
        frames × rows × columns, counts, in order of time.
    times
        When each was taken, and which are missing.
    """
    frames = np.maximum(frames, 0)
    if dynamic.empty_study(frames):
        return Result(PROCEDURE, NOT_MEASURED, dynamic.NO_CURVE, None, METHOD, VERSION)
    early = dynamic.between(frames, times, *SEEN_S)
    body = aspects.body_of(frames.sum(0, dtype=np.float64))
    sides = dict(zip(SIDES, kidneys_of(early, pixel_mm) or [], strict=False)) or single_kidney(early, body, pixel_mm)
    kidneys = list(sides.values())
    organs, curves, boxes = dynamic.organ_aspects(frames, times, pixel_mm, early, SEEN_S, sides, "kidney_kcts")
    measures = [*dynamic.faults_of(frames, times), *timing, *dynamic.counts_of(frames, times, body), *organs]
    if len(kidneys) == 2:
        # one that lies turned, or is cut off, is less like the other's mirror image
        measures.append(aspects.measure(POSITIONING, "kidney_likeness", likeness(kidneys[0], kidneys[1], mirrored=True), "1"))
    measures.append(aspects.measure(POSITIONING, "kidneys_in_field_count", len(kidneys), "1"))
    motion, se = dynamic.motion_of(frames, times, pixel_mm, boxes)
    bolus, note = _bolus(frames, times, kidneys, pixel_mm)
    measures += [*motion, *bolus, *aspects.header(completeness)]
    figure = {
        "kind": PROCEDURE,
        "image": early,
        "masks": kidneys,
        "curves": curves,
        "minutes": times.middle_s / 60,
        "durations": times.duration_s,
    }
    warnings = (*times.notes, *note)
    few = dynamic.few_counts(frames, se)
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, few, None, METHOD, VERSION, tuple(measures), warnings, figure)


def kidneys_of(image: NDArray[np.float64], pixel_mm: float) -> list[NDArray[np.bool_]] | None:
    """Return the masks of two kidneys, left of the image first, or None: two bright organs of like size beside each other.

    At each of several thresholds the separate bright regions are paired; sizes 8–150 cm², 60–260 mm apart across, less than 90 mm
    along. The pair that stands out most is taken.
    """
    from scipy import ndimage

    smooth = aspects.binomial(image, int(np.clip(round(2 * (6.0 / pixel_mm) ** 2), 1, 12)))
    top = float(smooth.max())
    if top <= 0:
        return None
    level = median(smooth[smooth > 0.05 * top])
    best: tuple[float, NDArray[np.bool_], NDArray[np.bool_]] | None = None
    for part in (0.75, 0.6, 0.5, 0.4, 0.3, 0.2):
        bright = smooth > level + part * (top - level)
        labels, pieces = ndimage.label(bright)
        if pieces < 2:
            continue
        index = np.arange(1, pieces + 1)
        area = ndimage.sum_labels(bright, labels, index) * pixel_mm**2
        fit = [int(k) for k in index[(area > 800) & (area < 15_000)]]
        centres = dict(zip(fit, ndimage.center_of_mass(bright, labels, fit), strict=True)) if fit else {}
        means = dict(zip(fit, ndimage.mean(smooth, labels, fit), strict=True)) if fit else {}
        for i, a in enumerate(fit):
            for b in fit[i + 1 :]:
                (ra, ca), (rb, cb) = centres[a], centres[b]
                across, along = abs(ca - cb) * pixel_mm, abs(ra - rb) * pixel_mm
                if not (60 < across < 260 and along < 90 and along < across and 0.25 < area[a - 1] / area[b - 1] < 4):
                    continue
                if min(means[a], means[b]) < OUTSTANDING * level:
                    continue
                score = min(means[a], means[b]) / max(level, 1e-9) + 0.01 * min(area[a - 1], area[b - 1]) / 800
                if best is None or score > best[0] * 1.05:
                    left, right = (a, b) if ca < cb else (b, a)
                    best = (float(score), labels == left, labels == right)
        if best is not None:
            break
    return None if best is None else [ndimage.binary_fill_holes(best[1]), ndimage.binary_fill_holes(best[2])]


def single_kidney(image: NDArray[np.float64], body: NDArray[np.bool_], pixel_mm: float) -> dict[str, NDArray[np.bool_]]:
    """Return the one kidney of somebody who shows no pair, by the side of the body it lies on; nothing when none stands out."""
    from scipy import ndimage

    smooth = aspects.binomial(image, int(np.clip(round(2 * (6.0 / pixel_mm) ** 2), 1, 12)))
    top = float(smooth.max())
    if top <= 0 or not body.any():
        return {}
    level = median(smooth[smooth > 0.05 * top])
    labels, _ = ndimage.label(smooth > (level + top) / 2)
    kidney = labels == labels[np.unravel_index(int(smooth.argmax()), smooth.shape)]
    middle = float(np.nonzero(body)[1].mean())
    off_mm = (float(np.nonzero(kidney)[1].mean()) - middle) * pixel_mm
    if not (
        800 < kidney.sum() * pixel_mm**2 < 15_000 and abs(off_mm) > 25 and float(smooth[kidney].mean()) > OUTSTANDING * level
    ):
        return {}
    return {SIDES[int(off_mm > 0)]: ndimage.binary_fill_holes(kidney)}


def _bolus(
    frames: NDArray, times: dynamic.FrameTimes, kidneys: list[NDArray[np.bool_]], pixel_mm: float
) -> tuple[list[Measure], list[str]]:
    """Return the width of the bolus in the vessels between and above the kidneys, or a warning why there is none."""
    early = times.start_s < dynamic.BOLUS_S
    if early.sum() < 8 or median(times.duration_s[early]) > LONGEST_BOLUS_FRAME_S:
        return [], [because("renal.bolus_frames_long", longest_s=LONGEST_BOLUS_FRAME_S)]
    first = frames[early]
    time = times.middle_s[early]
    if not np.allclose(times.duration_s[early], times.duration_s[early][0]):
        return [], [because("renal.bolus_frames_uneven")]
    passes, last = int(np.clip(round(2 * (8.0 / pixel_mm) ** 2), 2, 12)), max(3, len(first) // 6)
    brightest, end = np.full(first.shape[1:], -np.inf), np.zeros(first.shape[1:])
    for k, frame in enumerate(first):  # one at a time: those of 512 × 512 in double precision are 2 MB each
        smooth = aspects.binomial(frame.astype(np.float64), passes)
        brightest = np.maximum(brightest, smooth)
        end += smooth if k >= len(first) - last else 0.0
    # a vessel is bright early and less so at the end of the minute; kidneys only grow
    passing = brightest - end / last
    for kidney in kidneys:
        passing[kidney] = 0
    if passing.max() <= 0:
        return [], [because("renal.no_bolus")]
    vessel = passing > 0.6 * passing.max()
    fit = fit_bolus(time, first[:, vessel].sum(1, dtype=np.float64))
    if fit is None or not fit.good:
        how = because("curve.points_few") if fit is None else f"R² {fit.r2:.2f}"
        return [], [because("renal.no_bolus_curve", how=how)]
    return [
        aspects.measure(TIMING, "bolus_fwhm_s", fit.parameters["fwhm_s"], "s", "vessels"),
        aspects.measure(TIMING, "bolus_fit_r2", fit.r2, "1", "vessels"),
    ], []
