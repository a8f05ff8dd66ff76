"""How far two volumes of the same fiducials lie apart: offset, rotation, and what a rigid motion leaves.

1. Pair the fiducials of both volumes by the order that a rigid motion fits best.
2. Take the mean offset and the largest one.
3. Fit the rigid motion, and report rotation and residual.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "registration"
METHOD = "centroids of fiducials, Kabsch rigid fit"
VERSION = "1.0.0"
FORMULAE = (
    "Δᵢ = moved − fixed of the same fiducial, in mm; the offset is the mean of Δᵢ",
    "largest offset = max |Δᵢ|, in mm",
    "rigid fit (Kabsch): R that minimises Σ |R · (fixed − mean) − (moved − mean)|², R = Rz · Ry · Rx, angles in degrees",
    "residual = √(mean |what R leaves of each fiducial|²), in mm",
)
FEWEST = 3
LINE_MM = 8.0  # three places nearer to a line than this tell no rotation about it
FURTHEST_MM = 40.0  # beyond it two lists of places are not of one phantom in one position
LARGEST_RESIDUAL_MM = 4.0
MOST_TRIED = 7  # fiducials of which all orders are tried


def measure(fixed_mm: NDArray, moved_mm: NDArray, *, names: tuple[str, str] = ("first", "second")) -> Result:
    """Return the motion that carries the first volume's fiducials into the second's.

    Parameters
    ----------
    fixed_mm, moved_mm
        Centroids in patient mm, n × 3, in any order. Δᵢ = moved − fixed of the same fiducial; the offset is their mean.
    names
        What the volumes are called in reasons.

    Notes
    -----
    Rotations are about the patient's x, y and z axes, R = Rz·Ry·Rx, right-handed. Fiducials are paired by the order that a rigid
    motion fits best; when several fit as well (symmetric arrangement), the smallest motion is taken.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, None, METHOD, VERSION)

    p, q = np.asarray(fixed_mm, np.float64), np.asarray(moved_mm, np.float64)
    for name, points in zip(names, (p, q), strict=True):
        if len(points) < FEWEST:
            return refuse(because("registration.fiducials_few", count=len(points), volume=name))
    if len(p) != len(q):
        return refuse(
            because("registration.fiducials_differ", first=names[0], first_count=len(p), second=names[1], second_count=len(q))
        )
    for name, points in zip(names, (p, q), strict=True):
        if _off_line(points) < LINE_MM:
            return refuse(because("registration.on_one_line", volume=name))
    order = _paired(p, q)
    if order is None:
        return refuse(because("registration.no_fit"))
    q = q[order]
    delta = q - p
    distance = np.linalg.norm(delta, axis=1)
    if distance.max() > FURTHEST_MM:
        return refuse(because("registration.apart", distance_mm=distance.max()))
    rotation, left = _kabsch(p, q)
    residual = float(np.sqrt((left**2).sum(1).mean()))
    angles = _angles(rotation)
    worst = int(np.argmax(distance))
    offset = delta.mean(0)
    error = residual / np.sqrt(len(p))
    out = [Measure(f"offset_{axis}_mm", round(float(v), 4), "mm", round(error, 4)) for axis, v in zip("xyz", offset, strict=True)]
    place = {f"{axis}_mm": round(float(v), 2) for axis, v in zip("xyz", p[worst], strict=True)}
    out.append(Measure("max_offset_mm", round(float(distance[worst]), 4), "mm", None, {"fiducial": worst + 1, **place}))
    out += [Measure(f"rotation_{axis}_deg", round(float(v), 4), "deg") for axis, v in zip("xyz", angles, strict=True)]
    out.append(Measure("residual_rms_mm", round(residual, 4), "mm"))
    out.append(Measure("fiducials_count", float(len(p)), "1"))
    figure = {"kind": PROCEDURE, "fixed": p, "moved": q, "worst": worst, "names": names}
    return Result(PROCEDURE, MEASURED, None, None, METHOD, VERSION, tuple(out), (), figure)


def _off_line(points: NDArray) -> float:
    """Return how far the points spread beside their best line (root mean square times √n: the second singular value)."""
    return float(np.linalg.svd(points - points.mean(0), compute_uv=False)[1])


def _paired(p: NDArray, q: NDArray) -> NDArray[np.int64] | None:
    """Return the order of `q` that a rigid motion fits best; None when none leaves a small residual."""
    tried = [np.array(o) for o in permutations(range(len(q)))] if len(q) <= MOST_TRIED else [_nearest(p, q)]
    dp = np.linalg.norm(p[:, None] - p, axis=2)
    dq = np.linalg.norm(q[:, None] - q, axis=2)
    # distances within a volume do not know of motions: orders that change them are no candidates
    errors = np.array([np.abs(dq[np.ix_(o, o)] - dp).max() for o in tried])
    limit = max(float(errors.min()) + 1.0, 1.0)
    best = None
    for o in (o for o, e in zip(tried, errors, strict=True) if e <= limit):
        _, left = _kabsch(p, q[o])
        residual = float(np.sqrt((left**2).sum(1).mean()))
        if residual <= LARGEST_RESIDUAL_MM:
            motion = float(np.linalg.norm(q[o] - p, axis=1).max())
            if best is None or motion < best[0]:
                best = (motion, o)
    return None if best is None else best[1]


def _nearest(p: NDArray, q: NDArray) -> NDArray[np.int64]:
    """Return the pairing with the smallest sum of squared distances, turned and shifted once."""
    from scipy.optimize import linear_sum_assignment

    order = linear_sum_assignment(((p[:, None] - q) ** 2).sum(2))[1]
    rotation, _ = _kabsch(p, q[order])
    carried = (p - p.mean(0)) @ rotation.T + q[order].mean(0)
    return linear_sum_assignment(((carried[:, None] - q) ** 2).sum(2))[1]


def _kabsch(p: NDArray, q: NDArray) -> tuple[NDArray, NDArray]:
    """Return the rotation that carries p onto q about their means, and what it leaves of each point."""
    a, b = p - p.mean(0), q - q.mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    sign = np.sign(np.linalg.det(vt.T @ u.T)) or 1.0
    rotation = vt.T @ np.diag([1.0, 1.0, sign]) @ u.T
    return rotation, b - a @ rotation.T


def _angles(r: NDArray) -> tuple[float, float, float]:
    """Return degrees about x, y and z of R = Rz·Ry·Rx."""
    y = np.arcsin(np.clip(-r[2, 0], -1, 1))
    return float(np.degrees(np.arctan2(r[2, 1], r[2, 2]))), float(np.degrees(y)), float(np.degrees(np.arctan2(r[1, 0], r[0, 0])))
