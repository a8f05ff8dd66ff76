"""Quality of the projections of a heart, gated or not: motion between views, gating, counts, contrast, coverage.

Motion is judged on the projections, before anything is reconstructed: a patient who moves breaks the sinogram (across the axis)
and the linogram (along it). The shift from each view to the next is smooth where only the camera turns; what leaves the running
median is motion. Along the axis nothing shifts when only the camera turns: the sum of the shifts is how far the heart crept.
Gates and beats are judged by what the camera wrote and by the counts of each gate.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.clinical.alignment import neighbour_shifts
from spark_jobs.qc.clinical.aspects import ARTEFACT, CONTRAST, COUNTS, MOTION, POSITIONING, TIMING, UNIFORMITY
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "heart_of", "measure"]

PROCEDURE = "myocardial_projections"
METHOD = "neighbour shifts, running median"
VERSION = "1.2.0"
FORMULAE = (
    "shift of a view = displacement from the view before − running median of nine views, in pixels; motion = max √(Δrow² + Δcolumn²)",
    "creep = |mean of the last five places along the axis − mean of the first five|, in pixels",
    "gate loss = 100 · (1 − min / max) of the counts of the gates, in percent",
    "rejected beats = 100 · rejected / (accepted + rejected), in percent",
    "jump of counts = 100 · max |counts of a view / running median − 1|, in percent",
)
SMOOTH_MM = 9.0  # standard deviation of the smoothing before views are compared
WINDOW = 9  # views of the running median: a turn of up to 60° looks straight in it
FEWEST_VIEWS = 12
LOOKED = 15  # views in which the organ is looked for
COARSE_MM = 5.0  # smaller pixels are joined two by two before views are compared
# standard error of a shift (stored pixels) above which the largest of 60 that are noise alone is some 0.8 px: no motion of 1 px is told
UNSURE_PX = 0.3
ENDS = 5  # views at each end of a head's turn whose places are averaged: a creep is told from one view that is off
FEWEST_COUNTS = 1_000  # in a view (B); emptier ones may look alike without showing anything


def measure(
    heads: Sequence[NDArray],
    pixel_mm: float,
    *,
    gates: NDArray | None = None,
    numbers: Sequence[Sequence[int]] | None = None,
    missing_views: int = 0,
    beats: Mapping[str, float] | None = None,
    timing: Sequence[Measure] = (),
    completeness: tuple[int, int] | None = None,
) -> Result:
    """Return the aspects of the projections of one examination.

    Parameters
    ----------
    heads
        For each detector its views × rows × columns in the order of the angle, all gates summed; counts.
    gates
        Counts of each gate (gates × views of all heads), None when the study is not gated.
    numbers
        For each head the numbers of its views as the header has them, to say where something was found; None: 1, 2, 3 …
    missing_views
        Views that the header announces and the object does not hold.
    beats
        What the header says of the beats: 'accepted', 'rejected' (numbers), 'heart_rate' (per minute).
    timing
        Further measures of the aspect timing, from the header.
    """
    if not heads or min(len(h) for h in heads) < FEWEST_VIEWS:
        return _refused(because("heart.views_few", least=FEWEST_VIEWS))
    views = np.concatenate([np.maximum(h, 0) for h in heads]).astype(np.float64)
    numbers = numbers or [list(range(1, len(h) + 1)) for h in heads]
    labels = [(d + 1, v) for d, own in enumerate(numbers) for v in own]
    kcts = views.sum((1, 2)) / 1000
    if median(kcts) <= 0:
        return _refused(because("heart.views_empty"))
    heart = heart_of(views, pixel_mm, max(1, len(views) // LOOKED))
    if heart is None:
        return _refused(because("heart.no_organ"))
    n = 2 if pixel_mm < COARSE_MM and min(views.shape[1:]) >= 64 else 1
    creeps, breaks, spread = [], [], []
    for own in heads:
        rows, columns = (s // n * n for s in own.shape[1:])
        joined = own[:, :rows, :columns].reshape(len(own), rows // n, n, columns // n, n).sum((2, 4))
        passes = int(np.clip(round(2 * (SMOOTH_MM / (pixel_mm * n)) ** 2), 2, 6))
        shifts = neighbour_shifts(np.maximum(joined, 0), passes) * n
        left = shifts - _running_median(shifts)
        path = np.concatenate([[0.0], np.cumsum(shifts[:, 0])])
        creeps.append(float(path[-ENDS:].mean() - path[:ENDS].mean()))
        breaks.append(left)
        spread.append(1.4826 * np.median(np.abs(left), axis=0))
    measures = [*_motion(breaks, spread, numbers), _creep(creeps, spread, [len(b) for b in breaks])]
    unsure = max(float(np.hypot(*s)) for s in spread) > UNSURE_PX or 1000 * median(kcts) < FEWEST_COUNTS
    measures += _counts(views, kcts, heart)
    measures += _gating(gates, beats)
    measures += [*timing, aspects.measure(TIMING, "missing_views_count", missing_views, "1")]
    measures += _artefacts(views, kcts, labels)
    measures += _coverage(views, heart, pixel_mm)
    measures += aspects.header(completeness)
    best = int(np.argmax(heart["contrast"]))
    figure = {
        "kind": PROCEDURE,
        "view": views[best],
        "heart": (heart["row"][best], heart["column"][best]),
        "sinogram": views[:, max(0, int(heart["band"][0])) : int(heart["band"][1]) + 1].sum(1),
        "breaks": np.concatenate([np.concatenate([[[0.0, 0.0]], b]) for b in breaks]),
        "pixel_mm": pixel_mm,
    }
    reason = None
    if unsure:
        reason = because("heart.too_few_counts", kcts=median(kcts))
    return Result(PROCEDURE, INDICATIVE if unsure else MEASURED, reason, None, METHOD, VERSION, tuple(measures), (), figure)


def heart_of(views: NDArray[np.float64], pixel_mm: float, step: int = 1) -> dict[str, NDArray] | None:
    """Return where a compact bright organ lies in each view, or None when most views show none.

    `row`, `column`, `area_mm2`, `contrast` (its mean over the median of the rest of the body) have one value a view (NaN where the
    view shows none or was left out); `band` holds the first and last row of the organ in the views that show it best. Every `step`-th
    view is looked at.
    """
    from scipy import ndimage

    smooth = aspects.binomial(views[::step], int(np.clip(round(2 * (SMOOTH_MM / pixel_mm) ** 2), 2, 12)))
    found = np.full((len(views), 6), np.nan)
    for k, image in zip(range(0, len(views), step), smooth, strict=True):
        top = float(image.max())
        if top <= 0:
            continue
        peak = np.unravel_index(int(image.argmax()), image.shape)
        body = image > 0.05 * top
        level = median(image[body])
        hot, _ = ndimage.label(image > (top + level) / 2)
        organ = hot == hot[peak]
        rows, columns = np.nonzero(organ)
        rest = body & (image <= (top + level) / 2)
        if not rest.any():
            continue
        found[k] = (
            rows.mean(), columns.mean(), organ.sum() * pixel_mm**2,
            float(image[organ].mean()) / max(median(image[rest]), 1e-9), rows.min(), rows.max(),
        )  # fmt: skip
    seen = (found[:, 3] > 1.4) & (found[:, 2] > 300) & (found[:, 2] < 25_000) & ((found[:, 5] - found[:, 4]) * pixel_mm < 180)
    if seen.sum() < 0.4 * len(smooth):
        return None
    found[~seen] = np.nan
    best = np.argsort(np.nan_to_num(found[:, 3]))[-max(3, int(seen.sum()) // 3) :]
    band = np.array([np.nanmedian(found[best, 4]), np.nanmedian(found[best, 5])])
    return {
        "row": found[:, 0],
        "column": found[:, 1],
        "area_mm2": found[:, 2],
        "contrast": np.nan_to_num(found[:, 3]),
        "band": band,
    }


def _running_median(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(shifts)
    width = min(WINDOW, count)
    starts = np.clip(np.arange(count) - width // 2, 0, count - width)
    return np.median(shifts[starts[:, None] + np.arange(width)], axis=1)


def _motion(breaks: list[NDArray], spread: list[NDArray], numbers: Sequence[Sequence[int]]) -> list[Measure]:
    sizes = [np.hypot(b[:, 0], b[:, 1]) for b in breaks]
    head = int(np.argmax([s.max() for s in sizes]))
    at = int(sizes[head].argmax())
    se = float(np.hypot(*spread[head]))
    out = [_shift("motion_max_px", sizes[head][at], se, head, numbers[head][at + 1])]
    for axis, name in ((1, "sinogram_break_px"), (0, "linogram_break_px")):
        own = [np.abs(b[:, axis]) for b in breaks]
        h = int(np.argmax([o.max() for o in own]))
        k = int(own[h].argmax())
        out.append(_shift(name, own[h][k], float(spread[h][axis]), h, numbers[h][k + 1]))
    paths = [np.cumsum(b[:, 0]) for b in breaks]
    out.append(
        aspects.measure(MOTION, "axial_path_px", max(float(np.ptp(np.concatenate([[0.0], p]))) for p in paths), "px", "heart")
    )
    return out


def _creep(creeps: list[float], spread: list[NDArray], steps: list[int]) -> Measure:
    """Return how far the heart moved along the axis from the first views to the last, towards higher rows when positive."""
    head = int(np.argmax(np.abs(creeps)))
    se = float(spread[head][0] * np.sqrt(steps[head]))
    return aspects.measure(
        MOTION,
        "axial_creep_px",
        abs(creeps[head]),
        "px",
        "heart",
        uncertainty=se,
        at={"detector": head + 1, "px": round(creeps[head], 2)},
    )


def _shift(name: str, value: float, se: float, head: int, view: int) -> Measure:
    return aspects.measure(MOTION, name, value, "px", "heart", uncertainty=se, at={"detector": head + 1, "view": int(view)})


def _counts(views: NDArray[np.float64], kcts: NDArray[np.float64], heart: dict[str, NDArray]) -> list[Measure]:
    best = int(np.argmax(heart["contrast"]))
    view = views[best]
    mask = aspects.binomial(view, 4) > 0.05 * aspects.binomial(view, 4).max()
    mean = float(view[mask].mean())
    return [
        aspects.measure(COUNTS, "view_kcts", median(kcts), "kcts"),
        aspects.measure(COUNTS, "total_mcts", float(kcts.sum()) / 1000, "Mcts"),
        aspects.measure(COUNTS, "noise_percent", 100 * aspects.noise(view, mask) / mean if mean > 0 else 0.0, "%"),
        aspects.measure(CONTRAST, "heart_background_ratio", percentile(heart["contrast"], 90), "1", "heart"),
    ]


def _gating(gates: NDArray | None, beats: Mapping[str, float] | None) -> list[Measure]:
    out = []
    if gates is not None and len(gates) > 1:
        sums = gates.sum(1).astype(np.float64)
        out.append(aspects.measure(TIMING, "gates_count", len(gates), "1"))
        loss = 100 * (1 - sums.min() / sums.max()) if sums.max() > 0 else 100.0
        out.append(aspects.measure(TIMING, "gate_loss_percent", loss, "%", at={"gate": int(sums.argmin()) + 1}))
        out += [aspects.measure(COUNTS, "gate_kcts", s / 1000, "kcts", f"gate {k}") for k, s in enumerate(sums, 1)]
    if beats:
        accepted, rejected = beats.get("accepted"), beats.get("rejected")
        if accepted is not None and rejected is not None and accepted + rejected > 0:
            out.append(aspects.measure(TIMING, "rejected_beats_percent", 100 * rejected / (accepted + rejected), "%"))
        if beats.get("heart_rate"):
            out.append(aspects.measure(TIMING, "heart_rate_per_min", beats["heart_rate"], "1/min"))
    return out


def _artefacts(views: NDArray[np.float64], kcts: NDArray[np.float64], labels: list[tuple[int, int]]) -> list[Measure]:
    """Return views that are empty, repeated or jump in counts; neighbours of another head do not count."""
    repeated = int((views[1:] == views[:-1]).all((1, 2)).sum()) if len(views) > 1 else 0
    head = np.array([d for d, _ in labels])
    worst, where = 0.0, labels[0]
    for d in np.unique(head):
        own = np.flatnonzero(head == d)
        level = _running_median(kcts[own][:, None])[:, 0]
        jump = np.abs(kcts[own] / np.maximum(level, 1e-9) - 1)
        if jump.max() > worst:
            worst, where = float(jump.max()), labels[own[int(jump.argmax())]]
    at = {"detector": where[0], "view": int(where[1])}
    return [
        aspects.measure(UNIFORMITY, "view_counts_jump_percent", 100 * worst, "%", at=at),
        aspects.measure(ARTEFACT, "empty_views_count", int((kcts <= 0.05 * median(kcts)).sum()), "1"),
        aspects.measure(ARTEFACT, "repeated_views_count", repeated, "1"),
    ]


def _coverage(views: NDArray[np.float64], heart: dict[str, NDArray], pixel_mm: float) -> list[Measure]:
    rows, columns = views.shape[1:]
    row, column = heart["row"], heart["column"]
    radius = np.sqrt(heart["area_mm2"] / np.pi) / pixel_mm
    distance = np.minimum.reduce([row, rows - 1 - row, column, columns - 1 - column]) - radius
    # the body goes on above and below the field by nature; what it must not do is to leave it at the sides
    lit = aspects.binomial(views, 4).mean(0)
    mask = lit > 0.1 * percentile(lit, 95)
    lines = mask.any(1)
    cut = (mask[:, 0] | mask[:, -1])[lines].mean() if lines.any() else 0.0
    return [
        aspects.measure(POSITIONING, "heart_edge_mm", max(float(np.nanpercentile(distance, 5)), 0.0) * pixel_mm, "mm", "heart"),
        aspects.measure(POSITIONING, "truncation_percent", 100 * float(cut), "%"),
    ]


def _refused(reason: str) -> Result:
    return Result(PROCEDURE, NOT_MEASURED, reason, None, METHOD, VERSION)
