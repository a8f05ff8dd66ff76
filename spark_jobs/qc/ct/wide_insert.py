"""Whether a wide change of a few HU in water is an insert (it ends at an edge), the shading of the scanner (it does not), or cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.radial_step import radial_step
from spark_jobs.qc.ct.round_edge import Edges, find_edges
from spark_jobs.qc.numerics.cylinder import Cylinder
from spark_jobs.qc.numerics.foreign_object import MOST_CELLS, ForeignObject, Water, pixel_noise, water_of
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import disc

__all__ = ["WIDE_MM", "Suspicion", "insert_or_shade"]

WIDE_MM = (
    18.0  # what a search for objects takes for smaller is refused without asking for an edge: no scanner shades so small a place
)
SMALLEST_MM = 10.0  # radius of the circles that are tried
SEEN = 5.5  # a step in standard errors: noise alone reaches 4.6
NEEDED = 5.5  # a step that an insert would have must be so many standard errors high, or its absence proves nothing
LEAST_HU = 1.2  # a step of less is no insert
FAINTEST_HU = 2.0  # and an insert that the noise could hide is thought of only from here on
QUIET_HU, WHOLE_HU = 0.6, 2.0  # without noise a shade in whole numbers has steps of its own, and only one of more is an insert's
SHADE_HU, SHADE_ERRORS = 1.0, 3.5  # a middle that differs less from the rim hides nothing that matters
INNER_PART, OUTER_PART, RIM_PART = 0.4, 0.7, 0.92  # of the radius: the middle, and the ring that it is compared with
ALONE_HU, ALONE_ERRORS = 1.0, 5.0  # a slice whose middle reads so much other than that of its neighbours is looked at by itself
RADIAL_Z, HIDDEN_HU = 4.2, 0.4  # a step of the radial profile: standard errors, and by how much it moves the middle


@dataclass(frozen=True)
class Suspicion:
    """Why nothing may be measured, or why the values get no verdict; both None: the water is plain water."""

    refused: str | None = None
    reserved: str | None = None


def insert_or_shade(
    slices: Sequence[NDArray], found: Sequence[Cylinder], pixel_mm: float, wide: Sequence[ForeignObject]
) -> Suspicion:
    """Return what to think of slices of water in which `wide` faint objects were seen."""
    mean, cylinder = _mean(slices, found)
    first, c = slices[0], found[0]
    region = disc((first.shape[0], first.shape[1]), c.row, c.column, INNER_PART * c.diameter_mm / 2 / pixel_mm)
    noisy = pixel_noise(first, region) > QUIET_HU
    sight = [(mean, cylinder)]
    middles = np.array(
        [_shade(w)[2] if (w := _water(hu, c, pixel_mm)) is not None else 0.0 for hu, c in zip(slices, found, strict=True)]
    )
    for k in np.flatnonzero(np.abs(middles - median(middles)) > ALONE_HU) if len(slices) > 1 else []:
        sight.append((slices[int(k)], found[int(k)]))
    reserved: str | None = None
    for hu, c in sight:
        water = _water(hu, c, pixel_mm)
        if water is None:
            continue
        radial = radial_step(water.cells, water.inside, water.middle, water.reach, water.noise) if hu is mean and noisy else None
        size = water.step * pixel_mm
        edges = find_edges(water.rest, water.middle, water.reach, water.noise, SMALLEST_MM / size)
        best = edges.best
        if best is None:
            continue
        seen = abs(best.height_hu) > max(LEAST_HU if noisy else WHOLE_HU, SEEN * best.error_hu)
        row, column = ((p + 0.5) * water.step - 0.5 for p in (best.row, best.column))
        filled = any(np.hypot(o.row - row, o.column - column) < 0.6 * best.radius * water.step for o in wide)
        if seen and (best.kind == "step" or (best.kind == "neither" and filled)):
            return Suspicion(
                because("ct_water.insert", size_mm=2 * best.radius * size, edge_hu=best.height_hu, row=row, column=column)
            )
        if seen and best.kind == "neither":
            reserved = because(
                "ct_water.insert_or_ring", row=row, column=column, hu=best.height_hu, distance_mm=best.radius * size
            )
        reserved = reserved or _hidden(water, edges, size, wide if hu is mean else ())
        if reserved is None and radial is not None and radial.z > RADIAL_Z * edges.grain and radial.hidden_hu > HIDDEN_HU:
            reserved = because("ct_water.cancelled", size_mm=2 * radial.radius * size, hu=radial.height_hu)
    return Suspicion(None, reserved)


def _hidden(water: Water, edges: Edges, size: float, wide: Sequence[ForeignObject]) -> str | None:
    """Return why the noise could hide the edge of an insert that would explain what is seen, or None."""
    shade, error, _ = _shade(water)
    radii, errors = edges.radii, edges.errors_hu
    # an insert smaller than the middle that is compared must be higher by the part of it that it fills
    heights = np.abs(shade) * np.maximum(1.0, (INNER_PART * water.reach / radii) ** 2)
    possible = heights >= FAINTEST_HU
    hidden = bool(possible.any()) and float((heights / errors)[possible].min()) < NEEDED
    if abs(shade) > max(SHADE_HU, SHADE_ERRORS * edges.grain * error) and hidden:
        return because("ct_water.cupping", hu=shade)
    for o in wide:
        radius = o.size_mm / 2 / size
        height = max(abs(o.contrast_hu), FAINTEST_HU)
        if height < NEEDED * float(np.interp(radius, radii, errors)):
            return because("ct_water.shading_or_insert", size_mm=o.size_mm, row=o.row, column=o.column, hu=o.contrast_hu)
    return None


def _water(hu: NDArray, c: Cylinder, pixel_mm: float) -> Water | None:
    return water_of(hu, c.row, c.column, c.diameter_mm / 2 / pixel_mm, pixel_mm, MOST_CELLS)


def _shade(water: Water) -> tuple[float, float, float]:
    """Return how much the middle reads above the ring about it, the standard error of that were cells independent, and what the middle reads."""
    rows, columns = np.ogrid[: water.cells.shape[0], : water.cells.shape[1]]
    r = np.hypot(rows - water.middle[0], columns - water.middle[1]) / water.reach
    inner, outer = water.cells[r < INNER_PART], water.cells[(r > OUTER_PART) & (r < RIM_PART)]
    error = water.noise * float(np.sqrt(1 / inner.size + 1 / outer.size))
    return float(inner.mean() - outer.mean()), error, float(inner.mean())


def _mean(slices: Sequence[NDArray], found: Sequence[Cylinder]) -> tuple[NDArray, Cylinder]:
    """Return the mean of the slices, each moved by whole pixels until its water lies as that of the middle one."""
    first = found[len(found) // 2]
    if len(slices) == 1:
        return slices[0], first
    total = np.zeros(slices[0].shape, np.float32)
    for hu, c in zip(slices, found, strict=True):
        total += np.roll(hu, (round(first.row - c.row), round(first.column - c.column)), (0, 1))
    return total / np.float32(len(slices)), first
