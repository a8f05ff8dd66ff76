"""Centre of rotation of one head from a rotation about a point source (NEMA NU 1, 4.1; IAEA-TECDOC-602).

The centroid of the source in each view, inside a background-subtracted region around it, follows x(θ) = a + p·sinθ + q·cosθ.
The offset is (a − (N − 1)/2)·pixel, whatever arc, direction and start angle; p and q take up where the source lies.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.point import around, settled
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "axial_bands", "centroids", "measure"]

PROCEDURE = "centre_of_rotation"
METHOD = "NEMA NU 1 4.1"
VERSION = "1.2.0"
FORMULAE = (
    "x(θ) = a + p · sin θ + q · cos θ, in pixels: fit to the centroid across the axis in each view",
    "offset = (a − (N − 1) / 2) · pixel size, in mm, N the number of columns",
    "radius = √(p² + q²) · pixel size, in mm",
    "head tilt = arcsin(amplitude of the centroid along the axis / radius), in degrees",
    "offset by conjugate views = (mean of (x(θ) + x(θ + 180°)) / 2 − (N − 1) / 2) · pixel size, in mm",
)
LARGEST_SE_MM = 0.1  # above it the offset is not believed
SMALLEST_ARC_DEG = 85.0
FEWEST_VIEWS = 8
LARGEST_RESIDUAL_MM = 15.0  # beyond any camera: the angles or the source are not what the header says
LEAST_NET_COUNTS = 50.0
SEEN_TURNING = 5.0  # standard errors of the radius: below it the source may as well have stood still
WIDEST_MM = 40.0  # of a point source's image at half maximum
COARSE = 4  # pixels of a side of the squares in which the source is looked for first


def measure(
    views: NDArray,
    angles_deg: NDArray,
    pixel_mm: float,
    *,
    detector: str | None = None,
) -> Result:
    """Return the centre of rotation of one head.

    Parameters
    ----------
    views
        Counts, views × rows × columns; columns run across the axis of rotation.
    angles_deg
        Angle of each view. Only differences count; a repeated angle is one more observation.
    pixel_mm
        Length of a square pixel's side.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    angles = np.asarray(angles_deg, float)
    arc = _arc(angles)
    if len(np.unique(np.round(np.mod(angles, 360), 3))) < FEWEST_VIEWS:
        return refuse(because("rotation.views_few", least=FEWEST_VIEWS))
    if arc < SMALLEST_ARC_DEG:
        return refuse(because("rotation.arc_short", arc_deg=arc))
    bands = axial_bands(views)
    if not 1 <= len(bands) <= 3:
        return refuse(because("rotation.sources_other", sources=len(bands)))
    middle = (views.shape[1] - 1) / 2
    band = min(bands, key=lambda b: abs((b[0] + b[1] - 1) / 2 - middle))
    widest = min(max(14.0, WIDEST_MM / pixel_mm), float(max(views.shape[1:])))
    x, y, net, problem = centroids(views, band, widest)
    if problem:
        return refuse(problem)
    if median(net) < LEAST_NET_COUNTS:
        return refuse(because("rotation.too_few_counts", counts=median(net)))

    theta = np.deg2rad(angles)
    design = np.column_stack([np.ones_like(theta), np.sin(theta), np.cos(theta)])
    inverse = np.linalg.inv(design.T @ design)
    (a, p, q), (_, c, d) = (inverse @ design.T @ v for v in (x, y))
    residual = x - design @ np.array([a, p, q])
    variance = float(residual @ residual) / max(len(x) - 3, 1)
    se_mm = float(np.sqrt(variance * inverse[0, 0])) * pixel_mm
    offset = (a - (views.shape[2] - 1) / 2) * pixel_mm
    radius = float(np.hypot(p, q)) * pixel_mm
    worst = int(np.argmax(np.abs(residual)))
    largest = float(abs(residual[worst])) * pixel_mm
    if largest > LARGEST_RESIDUAL_MM:
        return refuse(because("rotation.off_sinusoid", largest_mm=largest))
    if se_mm > LARGEST_SE_MM:
        return refuse(because("rotation.unsure", se_mm=se_mm, largest_mm=LARGEST_SE_MM))
    axial = float(np.ptp(y)) * pixel_mm
    radius_se = float(np.sqrt(variance * (inverse[1, 1] + inverse[2, 2]))) * pixel_mm
    measures = [
        Measure("cor_offset_mm", round(float(offset), 4), "mm", round(se_mm, 4)),
        Measure("cor_offset_se_mm", round(se_mm, 4), "mm"),
        Measure(
            "cor_max_residual_mm", round(largest, 4), "mm", None, {"view": worst, "angle_deg": round(float(angles[worst]), 3)}
        ),
        Measure("axial_range_mm", round(axial, 4), "mm"),
        Measure("radius_mm", round(radius, 3), "mm", round(radius_se, 4)),
        Measure("arc_deg", round(arc, 3), "deg"),
    ]
    warnings = []
    if radius >= 2 * pixel_mm:
        tilt = float(np.rad2deg(np.arcsin(min(float(np.hypot(c, d)) * pixel_mm / radius, 1.0))))
        measures.insert(4, Measure("head_tilt_deg", round(tilt, 4), "deg"))
    else:
        warnings.append(because("rotation.on_axis"))
    second = _conjugate(angles, x)
    if second is not None:
        axis, pairs = second
        conjugate = (axis - (views.shape[2] - 1) / 2) * pixel_mm
        spread = float(np.sqrt(variance / 2 / pairs)) * pixel_mm
        measures.append(Measure("cor_conjugate_offset_mm", round(conjugate, 4), "mm", round(spread, 4), {"pairs": pairs}))
        if abs(conjugate - offset) > max(0.2, 4 * se_mm):
            warnings.append(because("rotation.conjugate_views", offset_mm=conjugate))
    if len(bands) > 1:
        others = [_offset_of(views, b, design, inverse, widest) * pixel_mm for b in bands if b != band]
        words = ", ".join("none" if np.isnan(v) else f"{v:.2f} mm" for v in others)
        warnings.append(because("rotation.sources_many", sources=len(bands), others=words))
    still = None
    if radius <= SEEN_TURNING * radius_se:
        still = because("rotation.not_turning", radius_mm=radius, radius_se_mm=radius_se)
    fit = {"angles": angles, "x": x, "offset": offset, "pixel_mm": pixel_mm, "coefficients": (float(a), float(p), float(q))}
    figure = {"kind": PROCEDURE, "image": views[0], "columns": views.shape[2], "worst": worst, **fit}
    return Result(
        PROCEDURE, INDICATIVE if still else MEASURED, still, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure
    )


def _arc(angles: NDArray[np.float64]) -> float:
    """Return the arc that the views cover, in degrees: views × step, at most 360."""
    unique = np.unique(np.round(np.mod(angles, 360), 3))
    if unique.size < 2:
        return 0.0
    gaps = np.diff(np.append(unique, unique[0] + 360))
    return float(min(360.0, 360 - gaps.max() + median(gaps)))


def _conjugate(angles: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, int] | None:
    """Return the axis in pixels as the mean of opposite views and the number of pairs, or None with fewer than four pairs."""
    turned = np.mod(angles, 360)
    first = np.flatnonzero(turned < 180)
    distance = np.abs(np.mod(turned[None, :] - turned[first, None], 360) - 180)
    partner = distance.argmin(1)
    good = distance[np.arange(first.size), partner] < 0.01
    pairs = (x[first[good]] + x[partner[good]]) / 2
    return (float(pairs.mean()), int(pairs.size)) if pairs.size >= 4 else None


def _offset_of(
    views: NDArray, band: tuple[int, int], design: NDArray[np.float64], inverse: NDArray[np.float64], widest: float
) -> float:
    """Return the offset in pixels that another source gives, NaN where it cannot be followed."""
    x, _, _, problem = centroids(views, band, widest)
    return float("nan") if problem else float((inverse @ design.T @ x)[0]) - (views.shape[2] - 1) / 2


def axial_bands(views: NDArray) -> list[tuple[int, int]]:
    """Return the row ranges (first, last + 1) of the sources along the axis, from the profile of all views' brightest pixels."""
    profile = views.max(axis=2).mean(axis=0).astype(float)
    low, high = median(profile), float(profile.max())
    if high <= low:
        return []
    above = profile > low + 0.25 * (high - low)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(int), [0]])))
    runs = [(int(s), int(e)) for s, e in zip(edges[::2], edges[1::2], strict=True)]
    centres = [(s + e - 1) / 2 for s, e in runs]
    cuts = [0, *[round((p + q) / 2) for p, q in pairwise(centres)], views.shape[1]]
    return list(pairwise(cuts))


def centroids(
    views: NDArray, band: tuple[int, int], widest: float = 14.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str | None]:
    """Return x, y (pixels), net counts of the source in each view, and the reason when a view has no such source.

    A round region of 1.75 widths follows the centroid until it rests; the background is the mean of a ring around it. `widest` is
    the width in pixels above which a spot is no point source.
    """
    part = views[:, band[0] : band[1]]
    count = len(views)
    coarse = _coarse(part)
    floors = np.median(coarse, axis=(1, 2)) / COARSE**2
    rows, columns = (COARSE * v + COARSE // 2 for v in np.divmod(coarse.reshape(count, -1).argmax(1), coarse.shape[2]))
    near, _, y, x = around(part, columns, rows, int(widest) + COARSE)
    sums = near[:, :, :-2] + near[:, :, 1:-1] + near[:, :, 2:]
    smooth = (sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]) / 9 - floors[:, None, None]
    best = smooth.reshape(count, -1).argmax(1)
    peak = smooth.reshape(count, -1)[np.arange(count), best]
    width = 2 * np.sqrt((smooth > 0.5 * peak[:, None, None]).sum((1, 2)) / np.pi)
    row, column = np.divmod(best, smooth.shape[2])
    radius = np.maximum(1.75 * width, 4.0)
    start_x, start_y = x[np.arange(count), column + 1], y[np.arange(count), row + 1]
    radius = np.where((peak > 0) & (width <= widest), radius, 4.0)
    net, cx, cy = settled(part, start_x.astype(float), start_y.astype(float), radius)
    cy = cy + band[0]
    none = (peak <= 0) | (width > widest) | (net <= 0)
    if none.any():
        return cx, cy, net, because("rotation.view_empty", view=int(none.argmax()) + 1)
    half = radius / 2
    out = (cx < half) | (cx + half > views.shape[2] - 1) | (cy < half - 0.5) | (cy + half > views.shape[1] - 0.5)
    return cx, cy, net, because("rotation.leaves_field", view=int(out.argmax()) + 1) if out.any() else None


def _coarse(part: NDArray) -> NDArray[np.integer]:
    """Return sums over squares of pixels; the few last rows and columns that fill none are left out."""
    rows, columns = max(part.shape[1] // COARSE, 1), max(part.shape[2] // COARSE, 1)
    out = np.zeros(
        (len(part), rows, columns), np.int32 if part.dtype.itemsize <= 2 else np.int64
    )  # 16 pixels of 16 bits fit into 32
    for view, sums in zip(part, out, strict=True):  # a view at a time stays in the processor's cache
        down = np.zeros((rows, part.shape[2]), out.dtype)
        for k in range(min(COARSE, part.shape[1])):
            down += view[k : rows * COARSE : COARSE]
        for k in range(min(COARSE, part.shape[2])):
            sums += down[:, k : columns * COARSE : COARSE]
    return out
