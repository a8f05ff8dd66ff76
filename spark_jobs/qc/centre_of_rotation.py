"""Centre of rotation of one head from a rotation about a point source (NEMA NU 1, 4.1; IAEA-TECDOC-602).

The centroid of the source in each view, inside a background-subtracted region around it, follows x(θ) = a + p·sinθ + q·cosθ.
The offset is (a − (N − 1)/2)·pixel, whatever arc, direction and start angle; p and q take up where the source lies.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "axial_bands", "centroids", "measure"]

PROCEDURE = "centre_of_rotation"
METHOD = "NEMA NU 1 4.1"
VERSION = "1.0.0"
LARGEST_SE_MM = 0.1  # above it the offset is not believed
SMALLEST_ARC_DEG = 85.0
FEWEST_VIEWS = 8
LARGEST_RESIDUAL_MM = 15.0  # beyond any camera: the angles or the source are not what the header says
LEAST_NET_COUNTS = 50.0


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
        return refuse(f"fewer than {FEWEST_VIEWS} different angles")
    if arc < SMALLEST_ARC_DEG:
        return refuse(f"an arc of {arc:.0f}° is too short for a centre of rotation: acquire at least 90°")
    bands = axial_bands(views)
    if not 1 <= len(bands) <= 3:
        return refuse(f"{len(bands)} sources were found along the axis; one to three point sources are expected")
    middle = (views.shape[1] - 1) / 2
    band = min(bands, key=lambda b: abs((b[0] + b[1] - 1) / 2 - middle))
    x, y, net, problem = centroids(views, band)
    if problem:
        return refuse(problem)
    if float(np.median(net)) < LEAST_NET_COUNTS:
        return refuse(f"too few counts: {np.median(net):.0f} net counts a view")

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
        return refuse(f"the source leaves its sinusoid by {largest:.1f} mm: angles in the header or the source are wrong")
    if se_mm > LARGEST_SE_MM:
        return refuse(
            f"the standard error of the offset is {se_mm:.2f} mm, above {LARGEST_SE_MM} mm: more counts or views are needed"
        )
    axial = float(np.ptp(y)) * pixel_mm
    measures = [
        Measure("cor_offset_mm", round(float(offset), 4), "mm", round(se_mm, 4)),
        Measure("cor_offset_se_mm", round(se_mm, 4), "mm"),
        Measure(
            "cor_max_residual_mm", round(largest, 4), "mm", None, {"view": worst, "angle_deg": round(float(angles[worst]), 3)}
        ),
        Measure("axial_range_mm", round(axial, 4), "mm"),
        Measure(
            "radius_mm", round(radius, 3), "mm", round(float(np.sqrt(variance * (inverse[1, 1] + inverse[2, 2]))) * pixel_mm, 4)
        ),
        Measure("arc_deg", round(arc, 3), "deg"),
    ]
    warnings = []
    if radius >= 2 * pixel_mm:
        tilt = float(np.rad2deg(np.arcsin(min(float(np.hypot(c, d)) * pixel_mm / radius, 1.0))))
        measures.insert(4, Measure("head_tilt_deg", round(tilt, 4), "deg"))
    else:
        warnings.append("head tilt not measured: the source is on the axis")
    second = _conjugate(angles, x)
    if second is not None and abs((second - a) * pixel_mm) > max(0.2, 4 * se_mm):
        warnings.append(f"conjugate views give {(second - (views.shape[2] - 1) / 2) * pixel_mm:.2f} mm")
    if len(bands) > 1:
        warnings.append(f"{len(bands)} sources; the one nearest the middle of the field was measured")
    fit = {"angles": angles, "x": x, "offset": offset, "pixel_mm": pixel_mm, "coefficients": (float(a), float(p), float(q))}
    figure = {"kind": PROCEDURE, "image": views[0], "columns": views.shape[2], "worst": worst, **fit}
    return Result(PROCEDURE, MEASURED, None, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure)


def _arc(angles: NDArray[np.float64]) -> float:
    """Return the arc that the views cover, in degrees: views × step, at most 360."""
    unique = np.unique(np.round(np.mod(angles, 360), 3))
    if unique.size < 2:
        return 0.0
    gaps = np.diff(np.append(unique, unique[0] + 360))
    return float(min(360.0, 360 - gaps.max() + np.median(gaps)))


def _conjugate(angles: NDArray[np.float64], x: NDArray[np.float64]) -> float | None:
    """Return the axis in pixels as the mean of opposite views, or None where there are fewer than four pairs."""
    turned = np.mod(angles, 360)
    pairs = []
    for i, angle in enumerate(turned):
        distance = np.abs(np.mod(turned - angle - 180 + 180, 360) - 180)
        j = int(np.argmin(distance))
        if distance[j] < 0.01 and angle < 180:
            pairs.append((x[i] + x[j]) / 2)
    return float(np.mean(pairs)) if len(pairs) >= 4 else None


def axial_bands(views: NDArray) -> list[tuple[int, int]]:
    """Return the row ranges (first, last + 1) of the sources along the axis, from the profile of all views' brightest pixels."""
    profile = views.max(axis=2).mean(axis=0).astype(float)
    low, high = float(np.median(profile)), float(profile.max())
    if high <= low:
        return []
    above = profile > low + 0.25 * (high - low)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(int), [0]])))
    runs = [(int(s), int(e)) for s, e in zip(edges[::2], edges[1::2], strict=True)]
    centres = [(s + e - 1) / 2 for s, e in runs]
    cuts = [0, *[round((p + q) / 2) for p, q in pairwise(centres)], views.shape[1]]
    return list(pairwise(cuts))


def centroids(
    views: NDArray, band: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], str | None]:
    """Return x, y (pixels), net counts of the source in each view, and the reason when a view has no such source.

    A round region of 1.75 widths follows the centroid until it rests; the background is the mean of a ring around it. A region
    centred on the source cuts its flanks evenly, and so does not pull the centroid towards the middle of the image.
    """
    part = views[:, band[0] : band[1]]
    count = len(views)
    x, y, net = np.zeros(count), np.zeros(count), np.zeros(count)
    for i in range(count):
        image = part[i].astype(np.float64)
        smooth = _three(image)
        row, column = divmod(int(np.argmax(smooth)), image.shape[1])
        floor = float(np.median(image))
        peak = float(smooth[row, column]) - floor
        box = 12
        near = smooth[max(row - box, 0) : row + box + 1, max(column - box, 0) : column + box + 1]
        width = 2 * np.sqrt(max(int((near - floor > 0.5 * peak).sum()), 1) / np.pi)
        if peak <= 0 or width > 14:
            return x, y, net, f"view {i + 1} shows no point source"
        radius = max(1.75 * width, 4.0)
        cx, cy = float(column), float(row)
        for _ in range(30):
            total, nx, ny = _moment(image, cx, cy, radius)
            if total <= 0:
                return x, y, net, f"view {i + 1} shows no point source"
            moved = max(abs(nx - cx), abs(ny - cy))
            cx, cy = nx, ny
            if moved < 1e-4:
                break
        if cx - radius / 2 < 0 or cx + radius / 2 > image.shape[1] - 1 or cy + band[0] < radius / 2 - 0.5:
            return x, y, net, f"the source leaves the field in view {i + 1}"
        if cy + band[0] + radius / 2 > views.shape[1] - 0.5:
            return x, y, net, f"the source leaves the field in view {i + 1}"
        x[i], y[i], net[i] = cx, cy + band[0], total
    return x, y, net, None


def _moment(image: NDArray[np.float64], cx: float, cy: float, radius: float) -> tuple[float, float, float]:
    """Return net counts and centroid inside a round region whose rim pixels count in part."""
    outer = radius + 3
    top, left = max(int(cy - outer) - 1, 0), max(int(cx - outer) - 1, 0)
    cut = image[top : int(cy + outer) + 2, left : int(cx + outer) + 2]
    ys, xs = np.ogrid[top : top + cut.shape[0], left : left + cut.shape[1]]
    distance = np.hypot(xs - cx, ys - cy)
    weight = np.clip(radius + 0.5 - distance, 0, 1)
    ring = (distance > radius + 0.5) & (distance <= outer)
    net = weight * (cut - (float(cut[ring].mean()) if ring.any() else 0.0))
    total = float(net.sum())
    if total <= 0:
        return 0.0, cx, cy
    return total, float((net * xs).sum()) / total, float((net * ys).sum()) / total


def _three(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means over 3 × 3 pixels, so that a single noisy pixel is not taken for the source."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:-2] + rows[1:-1] + rows[2:]) / 9
