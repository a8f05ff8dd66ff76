"""Quality of whole-body bone scans, aspect by aspect and view by view.

Every aspect is one number that grows or falls with one degradation; what is good enough is reference data, not decided here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.clinical.aspects import ARTEFACT, CONTRAST, COUNTS, MOTION, POSITIONING, TIMING, UNIFORMITY
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "body_mask", "looks_like_whole_body", "measure"]

PROCEDURE = "whole_body_bone"
METHOD = "whole-body aspects"
VERSION = "2.2.1"
FORMULAE = (
    "noise = 100 · σ / mean, in percent; σ is the root mean square of the checkerboard differences (a − b − c + d) / 2",
    "sharpness = root mean square gradient of the smoothed image / σ",
    "bone/tissue ratio = 95th percentile / median of the smoothed counts in the body",
    "asymmetry = 100 · |left − right| / (left + right), in percent, of the counts at both sides of the body's axis",
    "banding = 100 · √(mean square of second differences of line sums − Poisson part) / mean line sum, in percent",
    "extravasation = 100 · net counts of one hot spot beside the axis / counts of the view, in percent",
)
SHORTEST_MM = 900.0
FEW_PLACES, MOST = (
    0.04,
    0.75,
)  # of the image: sources and their blur; of a patient it holds a quarter of the counts, with a full bladder half
BLOCKS, FEWEST_BLOCKS = (
    32,
    5,
)  # parts of a line of the scan that are compared with those of the next, and how many must be in the body
CARRIED = np.array([-5.0, 4.0, 13.0]) / 12  # the straight line through three values, half a step beyond the last
TRUNK, LEGS = (0.16, 0.5), (0.55, 0.93)  # of the body's length from the head
SPINE, SHAFTS = (
    2.0,
    1.5,
)  # what spine and bones of the legs have over the tissue beside them; vessels and organs of an early phase below 1.5 and 1.4
NO_BONES = "bone.no_bones"
EARLIEST_MIN = 60.0  # after injection: earlier views are of flow and blood pool; EANM (2016) asks for 2 h and more
SURE, MEDIAN_NOISE = 6.0, 1.2533  # standard deviations; the standard error of a median is so many times that of a mean


def body_mask(image: NDArray) -> NDArray[np.bool_]:
    """Return the pixels that belong to the body: smoothed counts above a tenth of the median of what is clearly tissue."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(np.maximum(image, 0).astype(np.float64), 5)
    high = percentile(smooth, 99)
    if high <= 0:
        return np.zeros(image.shape, bool)
    tissue = median(smooth[smooth > 0.02 * high])
    mask = ndimage.binary_opening(smooth > 0.25 * tissue, iterations=2)
    labels, pieces = ndimage.label(mask)
    if pieces > 1:
        sizes = ndimage.sum_labels(mask, labels, np.arange(1, pieces + 1))
        mask = np.isin(labels, 1 + np.flatnonzero(sizes > 0.02 * sizes.max()))
    return ndimage.binary_fill_holes(mask)


def looks_like_whole_body(image: NDArray, pixel_mm: float) -> bool:
    """Return whether an image is long and narrow and holds something long and narrow that is no flat field."""
    rows, columns = image.shape
    if rows < 1.8 * columns or rows * pixel_mm < SHORTEST_MM:
        return False
    if _is_sources(image):
        return False
    mask = body_mask(image)
    length = int(mask.any(1).sum())
    if length * pixel_mm < 0.5 * SHORTEST_MM or mask.mean() > 0.9:
        return False
    widths = mask.sum(1)[mask.any(1)]
    return median(widths) < 0.6 * length


def _is_sources(image: NDArray) -> bool:
    """Return whether so few places hold most of the counts that they are sources: the sparse counts around them are no body."""
    blocks = image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4]
    blocks = blocks.reshape(blocks.shape[0] // 4, 4, blocks.shape[1] // 4, 4).sum((1, 3), dtype=np.float64).ravel()
    few = int(FEW_PLACES * blocks.size)
    return float(np.partition(blocks, -few)[-few:].sum()) > MOST * float(blocks.sum())


def measure(
    views: Mapping[str, NDArray],
    pixel_mm: float,
    *,
    completeness: tuple[int, int] | None = None,
    scan_speed_mm_per_s: float | None = None,
    timing: Sequence[Measure] = (),
) -> Result:
    """Return the aspects of a whole-body bone scan.

    Parameters
    ----------
    views
        Counts by region ('anterior', 'posterior', or 'whole' where the header does not say which), rows from head to feet.
    pixel_mm
        Length of a square pixel's side.
    completeness
        How many of how many expected header fields are there; None leaves the aspect out.
    scan_speed_mm_per_s
        ScanVelocity of the header; None leaves the speed out.
    timing
        Further measures of the aspect timing, from the header.
    """
    measures: list[Measure] = []
    masks = {}
    bones = False
    for region, image in views.items():
        counts = np.maximum(image, 0).astype(np.float64)
        mask = masks[region] = body_mask(counts)
        if mask.any(1).sum() * pixel_mm < 0.3 * SHORTEST_MM:
            return Result(PROCEDURE, NOT_MEASURED, because("bone.view_empty", view=region), None, METHOD, VERSION)
        measures += [
            aspects.measure(aspect, name, value, unit, region) for aspect, name, value, unit in _aspects(counts, mask, pixel_mm)
        ]
        measures.append(_injection(counts, mask, pixel_mm, region))
        bones = bones or shows_bones(counts, mask, pixel_mm)
    if scan_speed_mm_per_s:
        measures.append(aspects.measure(TIMING, "scan_speed_cm_per_min", scan_speed_mm_per_s * 6, "cm/min"))
    measures += [*timing, *aspects.header(completeness)]
    figure = {"kind": PROCEDURE, "views": dict(views), "masks": masks, "pixel_mm": pixel_mm}
    waited = next((m.value for m in timing if m.name == "uptake_min"), EARLIEST_MIN)
    reason = None if bones else because(NO_BONES)
    if waited < EARLIEST_MIN:
        reason = because("bone.too_early", minutes=waited, least=EARLIEST_MIN)
    state = INDICATIVE if reason else MEASURED
    return Result(PROCEDURE, state, reason, None, METHOD, VERSION, tuple(measures), (), figure)


def shows_bones(counts: NDArray[np.float64], mask: NDArray[np.bool_], pixel_mm: float) -> bool:
    """Return whether the spine stands out against both sides of it, or the shafts of the legs' bones against the legs.

    Heart, vessels, kidneys and bladder of a blood-pool image are brighter than tissue, too, but they leave the legs even. Of a trunk
    that the image cuts nothing is known: what is cut is judged by itself.
    """
    rows, middle = _axis(mask)
    centre = np.interp(np.arange(mask.shape[0]), rows, middle)
    first, length = float(rows[0]), float(np.ptp(rows))
    fine, smooth = (aspects.binomial(counts, max(1, round(2 * (mm / pixel_mm) ** 2))) for mm in (5.0, 8.0))
    across = np.arange(mask.shape[1])
    spine, shafts = [], []
    trunk = range(int(first + TRUNK[0] * length), int(first + TRUNK[1] * length))
    if np.mean([mask[row, 0] or mask[row, -1] for row in trunk]) > 0.5:
        return True
    for row in trunk:
        away = np.abs(across - centre[row]) * pixel_mm
        inside, beside = (fine[row][mask[row] & band] for band in (away < 25, (away > 35) & (away < 80)))
        if len(inside) and len(beside) and beside.mean() > 0:
            spine.append(float(inside.mean() / beside.mean()))
    for row in range(int(first + LEGS[0] * length), int(first + LEGS[1] * length)):
        for side in (across < centre[row], across > centre[row]):
            leg = np.sort(smooth[row][mask[row] & side])
            if len(leg) * pixel_mm >= 40 and leg[len(leg) // 2] > 0:
                shafts.append(float(leg[-max(1, len(leg) // 5) :].mean() / leg[len(leg) // 2]))
    return bool(spine and median(spine) >= SPINE) or bool(shafts and median(shafts) >= SHAFTS)


def _aspects(counts: NDArray[np.float64], mask: NDArray[np.bool_], pixel_mm: float) -> list[tuple[str, str, float, str]]:
    lines = np.flatnonzero(mask.any(1))
    length_cm = len(lines) * pixel_mm / 10
    inside = counts[mask]
    noise = aspects.noise(counts, mask)
    smooth = aspects.binomial(counts)
    level = median(smooth[mask])
    border = np.concatenate([mask[:, 0], mask[:, -1], mask[0], mask[-1]])
    rows, middle = _axis(mask)
    slope, start = np.polyfit(rows, middle, 1)
    across = slope * rows.mean() + start - (mask.shape[1] - 1) / 2
    return [
        (COUNTS, "view_kcts", float(counts.sum()) / 1000, "kcts"),
        (COUNTS, "counts_per_cm", float(inside.sum()) / length_cm, "counts/cm"),
        (COUNTS, "noise_percent", 100 * noise / float(inside.mean()), "%"),
        (CONTRAST, "sharpness_ratio", aspects.sharpness(counts, mask), "1"),
        (CONTRAST, "bone_tissue_ratio", percentile(smooth[mask], 95) / level if level > 0 else 0.0, "1"),
        (MOTION, "axis_bend_mm", percentile(np.abs(middle - slope * rows - start), 90) * pixel_mm, "mm"),
        (POSITIONING, "truncation_percent", 100 * float(border.sum()) / len(lines), "%"),
        (POSITIONING, "asymmetry_percent", _asymmetry(smooth, mask), "%"),
        (POSITIONING, "axis_tilt_deg", float(np.rad2deg(np.arctan(slope))), "deg"),
        (POSITIONING, "axis_offset_mm", float(across) * pixel_mm, "mm"),
        (UNIFORMITY, "banding_percent", aspects.banding_percent(counts, mask), "%"),
        (UNIFORMITY, "line_step_percent", 100 * line_step(counts, mask), "%"),
        (ARTEFACT, "dead_lines_count", aspects.dead_lines(counts, mask), "1"),
        (ARTEFACT, "outside_percent", aspects.outside_percent(counts, mask), "%"),
    ]


def line_step(counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the largest step of counts from one line of the scan to the next, as a part of their level; 0 where none exceeds noise.

    A table that stalls or jerks scales whole lines at once, and sharply. At each boundary of lines a straight line through the three
    lines above, and one through the three below, are carried to it; their difference, in columns of blocks, has a median that organs,
    which end in some columns only and blurred, hardly move. A step counts from six standard deviations of counting noise.
    """
    columns = counts.shape[1]
    edges = np.unique(np.linspace(0, columns, BLOCKS + 1).astype(int))
    sums = np.add.reduceat(counts, edges[:-1], axis=1)
    lit = np.add.reduceat(mask.astype(np.int64), edges[:-1], axis=1) == np.diff(edges)
    lines = np.lib.stride_tricks.sliding_window_view(sums, 6, axis=0)
    inside = np.lib.stride_tricks.sliding_window_view(lit, 6, axis=0).all(2)
    level = lines.mean(2)
    jump = lines[..., 3:] @ CARRIED[::-1] - lines[..., :3] @ CARRIED
    step = np.where(inside, jump / np.maximum(level, 1.0), np.inf)
    weight = np.where(inside, level, 0.0)
    order = np.argsort(step, axis=1)
    shares = np.cumsum(np.take_along_axis(weight, order, 1), axis=1)
    total = shares[:, -1]
    half = np.minimum((shares < total[:, None] / 2).sum(1), step.shape[1] - 1)
    middle = np.take_along_axis(np.take_along_axis(step, order, 1), half[:, None], 1)[:, 0]
    wide = (inside.sum(1) >= FEWEST_BLOCKS) & (total > 0)
    noise = MEDIAN_NOISE * np.sqrt(2 * (CARRIED**2).sum() / np.maximum(total, 1.0))
    sure = wide & (np.abs(np.where(wide, middle, 0.0)) > SURE * noise)
    return float(np.abs(middle[sure]).max()) if sure.any() else 0.0


def _injection(counts: NDArray[np.float64], mask: NDArray[np.bool_], pixel_mm: float, region: str) -> Measure:
    """Return the share of the view's counts that lies in one hot spot far beside the axis: where the tracer went beside the vein.

    Arms are looked for at more than 130 mm from the axis. A spot is what exceeds ten times the tissue; it is counted within 45 mm of
    its peak above what surrounds it. A hot lesion of a shoulder or of a hip that far out reads the same.
    """
    rows, middle = _axis(mask)
    line = np.polyval(np.polyfit(rows, middle, 1), np.arange(mask.shape[0]))
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    smooth = aspects.binomial(counts, 2)
    tissue = median(smooth[mask])
    arms = np.where(np.abs(x - line[:, None]) * pixel_mm > 130, smooth, 0.0)
    row, column = np.unravel_index(int(arms.argmax()), arms.shape)
    if arms[row, column] <= 10 * max(tissue, 0.1):
        return aspects.measure(ARTEFACT, "extravasation_percent", 0.0, "%", region)
    away = np.hypot(y - row, x - column) * pixel_mm
    level = float(counts[(away >= 45) & (away < 65)].mean())
    share = 100 * float((counts[away < 45] - level).sum()) / float(counts.sum())
    return aspects.measure(ARTEFACT, "extravasation_percent", share, "%", region, at={"row": int(row), "column": int(column)})


def _axis(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and the middle of the body's outline in each, in pixels."""
    rows = np.flatnonzero(mask.any(1))
    part = mask[rows]
    left, right = part.argmax(1), mask.shape[1] - 1 - part[:, ::-1].argmax(1)
    return rows.astype(np.float64), (left + right) / 2


def _asymmetry(smooth: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return 100·|left − right| / (left + right) of the counts at both sides of the body's axis."""
    rows, middle = _axis(mask)
    line = np.polyval(np.polyfit(rows, middle, 1), np.arange(mask.shape[0]))
    side = np.arange(mask.shape[1])[None, :] - line[:, None]
    left, right = smooth[(side < 0) & mask].sum(), smooth[(side > 0) & mask].sum()
    return 100 * abs(float(left - right)) / float(left + right) if left + right > 0 else 100.0
