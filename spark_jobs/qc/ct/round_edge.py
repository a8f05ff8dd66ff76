"""The edge that tells a wide, faint insert from the shading of a scanner: an insert ends at a step, shading fades smoothly.

Around every centre and for every radius the values inside and outside of a circle are compared after a cubic in the distance from it
was taken off: cupping, capping and slopes give nothing, a step gives its height. What noise gives is taken from the same map, so that
grainy noise counts as what it is.
"""

from dataclasses import dataclass
from functools import cache
from math import erf

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["Edge", "Edges", "find_edges", "soft_step"]

LARGEST_PART = 0.85  # of the water's radius
WINDOW_CELLS, NARROWEST_CELLS = 6.0, 4.0  # on both sides of the circle
BLUR_CELLS = 0.6  # how soft a step is: the image's blur, the cell itself, a centre between two cells
SECTORS, LEAST_CELLS = 16, 12
LEAST_GRAIN, MOST_GRAIN = 1.0, 4.0  # reconstruction makes neighbouring cells alike: noise counts at most so many times
SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the radius, when a step is looked at again
SOFT_CELLS = (2.5, 4.0)  # scale of a rise that is no edge
BUMP_CELLS = (0.7, 1.2)  # σ of a ring: it goes up and down again, an edge does not
ROUND_PART = 0.5  # of the height: what most sectors must show, or the circle lies over a streak
TOLD_APART = 12.0  # squared residuals, in units of their variance, by which a step fits better than a ring or a ring than a step
RINGS = 2  # taken off before the next step is looked for


@dataclass(frozen=True)
class Edge:
    """A circle: centre (row, column) and radius in cells, height of the step (inside minus outside, HU), its standard error, its kind.

    `error_hu` is that of the noise in the whole map, `spread_hu` what the sectors of the circle say. `kind` is "step", "ring" (another
    value along the circle alone), "soft" (it rises over more than an edge does), "neither" where these fit alike, or "other" where only a
    few of its sectors show anything.
    """

    row: float
    column: float
    radius: float
    height_hu: float
    error_hu: float
    spread_hu: float
    kind: str


@dataclass(frozen=True)
class Edges:
    """The circle that stands out most (None where none fits into the water), and the error of a step's height by radius (cells).

    `grain` is how many times as much as that of independent cells the noise counts.
    """

    best: Edge | None
    radii: NDArray[np.float64]
    errors_hu: NDArray[np.float64]
    grain: float = 1.0


def find_edges(rest: NDArray[np.float64], middle: tuple[float, float], reach: float, noise: float, smallest: float) -> Edges:
    """Return the round steps in a slice of water.

    Parameters
    ----------
    rest
        Cells of the slice less a smooth shade, 0 outside of the water.
    middle, reach, noise
        Middle of the water (row, column), its radius in cells, the noise of a cell (HU).
    smallest
        The least radius that is tried, in cells.
    """
    side = 1 << int(np.ceil(np.log2(2 * reach + 2 * WINDOW_CELLS + 4)))
    top, left = int(middle[0]) - side // 2, int(middle[1]) - side // 2
    field = _window(rest, top, left, side)
    found = Edges(None, np.zeros(0), np.zeros(0))
    for _ in range(RINGS + 1):
        found = _one(field, (middle[0] - top, middle[1] - left), reach, noise, smallest)
        if found.best is None or found.best.kind != "ring":
            break
        field = field - _ring(field, found.best)
    if found.best is None:
        return found
    b = found.best
    moved = Edge(b.row + top, b.column + left, b.radius, b.height_hu, b.error_hu, b.spread_hu, b.kind)
    return Edges(moved, found.radii, found.errors_hu, found.grain)


def _one(field: NDArray[np.float64], at: tuple[float, float], reach: float, noise: float, smallest: float) -> Edges:
    side = len(field)
    spectrum = np.fft.rfft2(field)
    rows, columns = np.ogrid[:side, :side]
    away = np.hypot(rows - at[0], columns - at[1])
    radii = np.arange(max(smallest, NARROWEST_CELLS + 1), LARGEST_PART * reach)
    norms, grains, tops = [], [], []
    for radius in radii:
        kernel, norm = _kernel(side, float(radius))
        heights = np.fft.irfft2(spectrum * kernel, s=(side, side))
        usable = away <= max(reach - radius - 1.5, 1.0)
        norms.append(norm)
        height = np.where(usable, np.abs(heights), 0.0)
        tops.append((float(height.max()), int(height.argmax())))
        if usable.sum() > 60:
            grains.append(1.4826 * median(height[usable]) / norm / max(noise, 1e-9))
    if not tops:
        return Edges(None, radii, np.zeros(0))
    grain = min(max(median(grains) if grains else LEAST_GRAIN, LEAST_GRAIN), MOST_GRAIN)
    errors = np.array(norms) * noise * grain + 1e-6
    k = int(np.argmax([t[0] for t in tops] / errors))
    row, column = divmod(tops[k][1], side)
    return Edges(_looked_at(field, row, column, float(radii[k]), float(errors[k])), radii, errors, grain)


def _window(values: NDArray[np.float64], top: int, left: int, side: int) -> NDArray[np.float64]:
    out = np.zeros((side, side))
    rows, columns = slice(max(top, 0), min(top + side, values.shape[0])), slice(max(left, 0), min(left + side, values.shape[1]))
    out[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[rows, columns]
    return out


@cache
def soft_step() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances from a circle (cells) and the values of a step of 1 there, 1 inside and 0 outside."""
    away = np.linspace(-4, 4, 321)
    return away, np.array([0.5 - 0.5 * erf(v / BLUR_CELLS / 2**0.5) for v in away])


def _basis(away: NDArray[np.float64], window: float) -> NDArray[np.float64]:
    """Return a cubic and a soft step (1 inside) at distances from a circle: points × 5."""
    t = away / window
    return np.column_stack([np.ones(t.size), t, t**2, t**3, np.interp(away, *soft_step())])


def _kernel(side: int, radius: float) -> tuple[NDArray[np.float64], float]:
    """Return the spectrum of the weights that give the height of a step at a circle and are blind to a cubic, and their norm."""
    window = min(WINDOW_CELLS, radius - 1)
    index = np.fft.fftfreq(side, 1 / side)
    distance = np.hypot(index[:, None], index[None, :])
    used = np.abs(distance - radius) <= window
    basis = _basis(distance[used] - radius, window)
    weighted = basis / distance[used][:, None]
    factors = np.linalg.solve(basis.T @ weighted, np.array([0.0, 0, 0, 0, 1]))
    kernel = np.zeros((side, side))
    kernel[used] = weighted @ factors
    # even in both directions: the spectrum is real
    return np.fft.rfft2(kernel).real, float(np.sqrt((kernel**2).sum()))


def _around(
    field: NDArray[np.float64], row: float, column: float, radius: float
) -> tuple[NDArray[np.bool_], NDArray, NDArray, NDArray]:
    """Return the cells about a circle (mask), their distances from its centre, their angles and their values."""
    window = min(WINDOW_CELLS, radius - 1)
    y, x = np.broadcast_arrays(np.arange(len(field))[:, None] - row, np.arange(len(field))[None, :] - column)
    distance = np.hypot(y, x)
    used = np.abs(distance - radius) <= window
    return used, distance[used], np.arctan2(y[used], x[used]), field[used]


def _looked_at(field: NDArray[np.float64], row: int, column: int, radius: float, error: float) -> Edge:
    """Return the step at a circle, found again between the cells, and whether a ring or a soft rise fits the profile across it better."""
    steps = []
    for dy, dx in (
        (0.0, 0.0),
        (-0.5, 0.0),
        (0.5, 0.0),
        (0.0, -0.5),
        (0.0, 0.5),
        (-0.5, -0.5),
        (-0.5, 0.5),
        (0.5, -0.5),
        (0.5, 0.5),
    ):
        _, distance, _, values = _around(field, row + dy, column + dx, radius)
        steps += [(_step(distance, values, radius, shift), row + dy, column + dx, shift) for shift in SHIFTS]
    (left, height), y, x, shift = min(steps, key=lambda s: s[0][0])
    _, distance, angle, values = _around(field, y, x, radius)
    window, weight, away = min(WINDOW_CELLS, radius - 1), 1 / np.sqrt(distance), distance - radius
    cubic = _basis(away, window)[:, :4]
    ring = min(
        _fit(np.column_stack([cubic, np.exp(-0.5 * ((away - at) / sigma) ** 2)]), values, weight)[1]
        for sigma in BUMP_CELLS
        for at in np.arange(-3.0, 3.1, 0.5)
    )
    soft = min(
        _fit(np.column_stack([cubic, np.tanh((away - at) / sigma)]), values, weight)[1]
        for sigma in SOFT_CELLS
        for at in np.arange(-3.0, 3.1, 1.0)
    )
    other = min(ring, soft)
    basis = _basis(away - shift, window)
    sector = (angle / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    parts = [sector == s for s in range(SECTORS)]
    heights = [_fit(basis[p], values[p], weight[p])[0][4] for p in parts if p.sum() >= LEAST_CELLS]
    spread = float(np.std(heights, ddof=1) / np.sqrt(len(heights))) if len(heights) > 3 else error
    better = (other - left) / (min(other, left) / max(len(values) - 5, 1) + 1e-12)
    kind = "step" if better > TOLD_APART else "neither" if better > -TOLD_APART else "ring" if ring < soft else "soft"
    if len(heights) > 3 and abs(median(heights)) < ROUND_PART * abs(height):
        kind = "other"
    return Edge(y, x, radius + shift, height, error, spread, kind)


def _step(distance: NDArray[np.float64], values: NDArray[np.float64], radius: float, shift: float) -> tuple[float, float]:
    """Return the squared residuals, and the height, of a cubic and a step at a radius."""
    factors, left = _fit(_basis(distance - radius - shift, min(WINDOW_CELLS, radius - 1)), values, 1 / np.sqrt(distance))
    return left, float(factors[4])


def _ring(field: NDArray[np.float64], edge: Edge) -> NDArray[np.float64]:
    """Return what a ring adds: the mean at each distance from its circle, less the cubic across it."""
    used, distance, _, values = _around(field, edge.row, edge.column, edge.radius)
    away = distance - edge.radius
    smooth = _basis(away, min(WINDOW_CELLS, edge.radius - 1))[:, :4]
    near = np.abs(away) <= 3.0
    factors, _ = _fit(smooth[~near], values[~near], 1 / np.sqrt(distance[~near]))
    over = np.where(near, values - smooth @ factors, 0.0)
    bins = np.rint((away + WINDOW_CELLS + 1) * 2).astype(int)
    mean = np.bincount(bins, over) / np.maximum(np.bincount(bins), 1)
    out = np.zeros_like(field)
    out[used] = mean[bins]
    return out


def _fit(
    basis: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the factors of a fit with weights, and the squared residuals."""
    weighted = basis * (weight**2)[:, None]
    factors = np.linalg.lstsq(weighted.T @ basis, weighted.T @ values, rcond=None)[0]
    return np.asarray(factors, np.float64), float((((values - basis @ factors) * weight) ** 2).sum() / (weight**2).mean())
