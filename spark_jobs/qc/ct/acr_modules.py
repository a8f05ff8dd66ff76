"""What the ACR 464 phantom has beside rods: steel beads that tell alignment, table travel and distance, and blocks of bars.

Beads lie at 3, 6, 9 and 12 o'clock near the rim of modules 1 and 4, 120 mm apart; two small ones lie 100 mm apart in module 3; bars of
0.4 to 1.2 line pairs per mm lie 70 mm from the axis of module 4 (instructions of the ACR CT accreditation programme). The wires that
tell the slice width are not read: their places are not public.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.qc.ct.sensitometry import Pose
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import disc, sampled
from spark_jobs.qc.result import Measure

__all__ = ["acr_measures"]

TRAVEL_MM, APART_MM, MODULE_3_MM = 120.0, 100.0, 80.0
CLOCK = (-90.0, 0.0, 90.0, 180.0)
RIM_FROM_MM, RIM_TO_MM, RIM_DEG = 86.0, 98.0, 6.0
SEARCH_MM = 12.0  # along the axis, to both sides
SEEN_HU, SEEN_NOISE = 60.0, 8.0  # a bead stands out by so much, and by so many times the noise
PAIR = ((-45.0, 20.0), (135.0, 80.0))  # angle, distance from the axis
PAIR_REACH_MM, CENTROID_MM = 6.0, 1.5
GROUPS = ((-135.0, 0.4), (180.0, 0.5), (135.0, 0.6), (90.0, 0.7), (45.0, 0.8), (0.0, 0.9), (-45.0, 1.0), (-90.0, 1.2))
BARS_MM, BAR_RADIUS_MM, BARS_HALF_MM = 70.0, 6.0, 7.0
DIRECTIONS = 72
OTHER_DEG = 35.0  # directions so far from the bars hold noise alone
FREQUENCY_PART = 0.04
RESOLVED_NOISE, RESOLVED_PART = 3.0, 0.05


@dataclass(frozen=True)
class _Group:
    lp_per_mm: float
    amplitude: float  # HU
    noise: float


def acr_measures(stack: Stack, pose: Pose, middle_mm: float, way: int, warnings: list[str]) -> list[Measure]:
    """Return alignment, table travel, distance and bars; a warning for each that cannot be told."""
    out = []
    room = (stack.spacing_mm or 0.0) / 12**0.5
    first = _plane(stack, pose, middle_mm)
    fourth = _plane(stack, pose, middle_mm + way * TRAVEL_MM)
    if len(first) < 3:
        warnings.append(because("ct.beads_of_alignment_missing"))
    else:
        at = {"beads": len(first), "slice_mm": round(float(np.mean(first)), 3)}
        out.append(Measure("alignment_max_mm", round(float(np.ptp(first)), 3), "mm", round(room * 2**0.5, 3), at))
    if len(first) < 3 or len(fourth) < 3:
        warnings.append(because("ct.beads_of_travel_missing"))
    else:
        travel = abs(float(np.mean(fourth) - np.mean(first)))
        out.append(Measure("table_travel_mm", round(travel, 3), "mm", round(room, 3), {"nominal_mm": TRAVEL_MM}))
    distance = _distance(stack, pose, middle_mm + way * MODULE_3_MM)
    if distance is None:
        warnings.append(because("ct.beads_of_distance_missing"))
    else:
        out.append(Measure("bead_distance_mm", round(distance, 3), "mm", None, {"nominal_mm": APART_MM}))
    groups = _bars(stack, pose, middle_mm + way * TRAVEL_MM)
    if groups is None:
        warnings.append(because("ct.bars_missing"))
        return out
    relative = [g.amplitude / groups[0].amplitude for g in groups]
    half = next((k for k, r in enumerate(relative) if r < 0.5), None)
    at = {"relative_to_lp_per_mm": GROUPS[0][1]}
    if half is None:
        warnings.append(because("ct.bars_too_clear"))
    else:
        share = (relative[half - 1] - 0.5) / (relative[half - 1] - relative[half])
        f = groups[half - 1].lp_per_mm + share * (groups[half].lp_per_mm - groups[half - 1].lp_per_mm)
        out.append(Measure("mtf50_bar_lp_per_mm", round(f, 4), "1/mm", None, at))
    resolved = groups[0].lp_per_mm
    for group, part in zip(groups, relative, strict=True):
        if group.amplitude < RESOLVED_NOISE * group.noise or part < RESOLVED_PART:
            break
        resolved = group.lp_per_mm
    out.append(Measure("bars_resolved_lp_per_mm", resolved, "1/mm", None, at))
    return out


def _near(stack: Stack, position_mm: float, half_mm: float) -> list[int]:
    return [int(k) for k in np.flatnonzero(np.abs(stack.positions - position_mm) <= half_mm)]


def _plane(stack: Stack, pose: Pose, position_mm: float) -> list[float]:
    """Return where along the axis the beads at the rim lie (mm), those that are seen."""
    slices = _near(stack, position_mm, SEARCH_MM)
    if len(slices) < 3:
        return []
    radii = np.arange(RIM_FROM_MM, RIM_TO_MM, 0.4)
    angles = np.arange(-RIM_DEG, RIM_DEG + 0.1, 0.4)
    tops: dict[float, list[float]] = {a: [] for a in CLOCK}
    noise: dict[float, list[float]] = {a: [] for a in CLOCK}
    for k in slices:
        hu, z = stack.hu(k), float(stack.positions[k])
        for clock in CLOCK:
            values = _polar(hu, pose, z, radii, clock + angles)
            middle = median(values)
            tops[clock].append(float(values.max()) - middle)
            noise[clock].append(1.4826 * median(np.abs(values - middle)))
    out = []
    for clock in CLOCK:
        height = np.array(tops[clock])
        floor = median(height)
        height = height - floor
        top = int(height.argmax())
        if height[top] < max(SEEN_HU, SEEN_NOISE * median(noise[clock])) or top in (0, len(height) - 1):
            continue
        around = slice(max(top - 2, 0), top + 3)
        weight = np.where(height[around] > 0.15 * height[top], height[around], 0.0)
        out.append(float((weight * stack.positions[slices[0] :][around]).sum() / weight.sum()))
    return out


def _polar(hu: NDArray, pose: Pose, z: float, radii: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    row, column = pose.axis.at(z)
    turned = np.deg2rad((-angles if pose.mirrored else angles) + pose.roll)
    r = radii[:, None] / pose.pixel_mm
    return sampled(hu, row + r * np.sin(turned), column + r * np.cos(turned))


def _distance(stack: Stack, pose: Pose, position_mm: float) -> float | None:
    """Return how far the two small beads lie apart in the plane, None when one is not seen."""
    slices = _near(stack, position_mm, SEARCH_MM)
    places = []
    for angle, far in PAIR:
        best: tuple[float, complex] | None = None
        for k in slices:
            hu, z = stack.hu(k), float(stack.positions[k])
            row, column = pose.place(angle, far, z)
            reach = PAIR_REACH_MM / pose.pixel_mm
            top, left = max(0, int(row - reach)), max(0, int(column - reach))
            part = hu[top : int(row + reach) + 2, left : int(column + reach) + 2].astype(np.float64)
            if not part.size:
                continue
            part = part - median(part)
            noise = 1.4826 * median(np.abs(part))
            y, x = divmod(int(part.argmax()), part.shape[1])
            height = float(part[y, x])
            if height < max(SEEN_HU, SEEN_NOISE * noise) or (best is not None and height <= best[0]):
                continue
            ys, xs = np.mgrid[: part.shape[0], : part.shape[1]]
            weight = np.where(np.hypot(ys - y, xs - x) <= CENTROID_MM / pose.pixel_mm + 0.5, np.maximum(part, 0.0), 0.0)
            at = complex((weight * xs).sum(), (weight * ys).sum()) / float(weight.sum()) + complex(left, top)
            best = (height, at - complex(column, row))
        if best is None:
            return None
        row, column = pose.place(angle, far, position_mm)
        places.append(best[1] + complex(column, row))
    return abs(places[0] - places[1]) * pose.pixel_mm


def _bars(stack: Stack, pose: Pose, position_mm: float) -> list[_Group] | None:
    """Return the amplitude of each group at its own frequency, None when the widest are not there."""
    slices = _near(stack, position_mm, BARS_HALF_MM)
    if not slices:
        return None
    image, z = stack.mean(slices), float(np.mean(stack.positions[slices]))
    directions = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    groups = []
    for angle, frequency in GROUPS:
        if frequency > 0.5 / pose.pixel_mm:
            break  # pixels show bars finer than two of them at a wrong frequency
        row, column = pose.place(angle, BARS_MM, z)
        # the pixels themselves: samples between them would have lost some of the modulation
        rows, columns = np.nonzero(disc((image.shape[0], image.shape[1]), row, column, BAR_RADIUS_MM / pose.pixel_mm))
        y, x = (rows - row) * pose.pixel_mm, (columns - column) * pose.pixel_mm
        window = np.cos(np.pi / 2 * np.hypot(x, y) / BAR_RADIUS_MM) ** 2
        along = np.outer(np.cos(directions), x) + np.outer(np.sin(directions), y)
        values = image[rows, columns].astype(np.float64)
        values = (values - (values * window).sum() / window.sum()) * window
        found = np.max(
            [
                np.abs(np.exp(-2j * np.pi * frequency * scale * along) @ values)
                for scale in (1 - FREQUENCY_PART, 1.0, 1 + FREQUENCY_PART)
            ],
            axis=0,
        )
        found = 2 * found / window.sum()
        best = int(found.argmax())
        off = np.abs((np.arange(DIRECTIONS) - best + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2) * 180 / DIRECTIONS
        noise = median(found[off > OTHER_DEG])
        groups.append(_Group(frequency, float(np.sqrt(max(found[best] ** 2 - noise**2, 0.0))), noise))
    if not groups:
        return None
    widest = groups[0]
    return groups if widest.amplitude > max(SEEN_HU, 2 * RESOLVED_NOISE * widest.noise) else None
