"""Multiple-window registration (NEMA NU 1, 2.5): the largest displacement of a point source's image between energy windows.

1. Find the points (at most 25) in the image of each energy window; all windows must show the same ones.
2. Find the centroid of each point in a round region, background subtracted.
3. Take the largest distance between the places of one point in two windows.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.point import find_points, settled
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "MOST_POINTS", "PROCEDURE", "VERSION", "WIDEST_MM", "measure"]

PROCEDURE = "multiple_window_registration"
METHOD = "NEMA NU 1 2.5"
VERSION = "1.0.1"
FORMULAE = (
    "displacement = max √(Δx² + Δy²), in mm, over all points and all pairs of energy windows",
    "uncertainty of a centroid = (FWHM / 2.3548) / √(net counts), in mm",
)
MOST_POINTS = 25
STANDARD_POINTS = 9
WIDEST_MM = 40.0
LARGEST_SE_MM = 0.2  # of a displacement; above it there are too few counts for a verdict


def measure(windows: Mapping[str, NDArray], pixel_mm: float, *, detector: str | None = None) -> Result:
    """Return how far apart the energy windows place the same points.

    Parameters
    ----------
    windows
        One image of the same points for each energy window, by the window's name.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    widest = WIDEST_MM / pixel_mm
    found = {name: find_points(image, MOST_POINTS, widest) for name, image in windows.items()}
    counts = {name: len(points) for name, points in found.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        return refuse(because("windows.points_differ", counts=[f"{k}: {v}" for k, v in counts.items()]))
    names = list(windows)
    first = found[names[0]]
    apart = min((np.hypot(p[0] - q[0], p[1] - q[1]) for p, q in combinations(first, 2)), default=np.inf)
    width = max(p[2] for points in found.values() for p in points)
    radius = max(min(1.75 * width, 0.45 * apart), 3.0)
    places, errors = {}, {}
    for name in names:
        order = [min(found[name], key=lambda q: np.hypot(q[0] - p[0], q[1] - p[1])) for p in first]
        stack = np.broadcast_to(windows[name], (len(first), *windows[name].shape))
        x, y = (np.array([p[i] for p in order]) for i in (0, 1))
        net, x, y = settled(stack, x, y, np.full(len(first), radius))
        if (net <= 0).any():
            return refuse(because("windows.point_without_counts", window=name))
        places[name], errors[name] = np.column_stack([x, y]), (width / 2.3548) / np.sqrt(net)
    worst = (-1.0, 0, names[0], names[0], np.zeros(2))
    for a, b in combinations(names, 2):
        moved = places[b] - places[a]
        point = int(np.argmax(np.hypot(*moved.T)))
        if (size := float(np.hypot(*moved[point]))) > worst[0]:
            worst = (size, point, a, b, moved[point])
    size, point, a, b, moved = worst
    if size > 0.5 * apart or size * pixel_mm > WIDEST_MM:
        return refuse(because("windows.points_apart", first=a, second=b, distance_mm=size * pixel_mm))
    se = float(np.hypot(errors[a][point], errors[b][point])) * pixel_mm
    at = {"row": round(float(places[a][point][1]), 2), "column": round(float(places[a][point][0]), 2), "windows": [a, b]}
    measures = (
        Measure("max_displacement_mm", round(size * pixel_mm, 4), "mm", round(se, 4), at),
        Measure("max_displacement_x_mm", round(float(moved[0]) * pixel_mm, 4), "mm", None, at),
        Measure("max_displacement_y_mm", round(float(moved[1]) * pixel_mm, 4), "mm", None, at),
        Measure("points_count", float(len(first)), "1"),
    )
    warnings = (
        () if len(first) >= STANDARD_POINTS else (because("windows.points_few", points=len(first), standard=STANDARD_POINTS),)
    )
    few = se > LARGEST_SE_MM
    reason = because("windows.too_few_counts", se_mm=se) if few else None
    figure = {"kind": PROCEDURE, "image": sum(np.asarray(i, float) for i in windows.values()), "places": places, "worst": point}
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, reason, detector, METHOD, VERSION, measures, warnings, figure)
