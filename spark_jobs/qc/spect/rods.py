"""Rods of a Jaszczak phantom: how strongly each of the six sectors is modulated at the spatial frequency of its lattice.

Rods stand in a triangular lattice, twice their diameter apart, with rows along the sides of their sector; the lattice has its first
harmonics at 1/(√3·d) along the sector's middle and 60° to either side, and, as sectors are 60° wide, these directions are common to
all. What the same frequency holds between these directions is noise. A sector counts as resolved when its modulation is above
three times that noise and above the least contrast that an eye would see; published lists were read by eye.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.spect.tomogram import Phantom, radial_median

__all__ = ["Rod", "rod_modulations", "smallest_resolved"]

SETS = ((12.7, 11.1, 9.5, 7.9, 6.4, 4.8), (15.9, 12.7, 11.1, 9.5, 7.9, 6.4))
INNER_MM, OUTER_PART = 20.0, 0.92
LEAST_MODULATION, NOISE_FACTOR = 0.03, 3.0
ORIENTATIONS = 20
COARSE_MM = 4.2  # finer pixels are averaged up to this: half a period of the smallest rods


@dataclass(frozen=True)
class Rod:
    """One sector: diameter of its rods, direction of its middle, relative amplitude of its lattice, and what noise alone gives."""

    diameter_mm: float
    angle_deg: float
    modulation: float
    noise: float


def rod_modulations(slices: NDArray, phantom: Phantom, pixel_mm: float) -> list[Rod]:
    """Return the six sectors, largest rods first, from the mean of the slices of the rods (slices × rows × columns)."""
    image = slices.mean(0, dtype=np.float64)
    n = max(1, int(COARSE_MM / pixel_mm))
    rows, columns = image.shape[0] // n, image.shape[1] // n
    image = image[: rows * n, : columns * n].reshape(rows, n, columns, n).mean((1, 3))
    row, column = phantom.axis(float(np.mean(phantom.rods)))
    y, x = ((np.arange(m) * n + (n - 1) / 2 - at) * pixel_mm for m, at in ((rows, row), (columns, column)))
    r = np.hypot(x, y[:, None])
    inside = (r > INNER_MM) & (r < OUTER_PART * phantom.diameter_mm / 2)
    flat = image[inside] / radial_median(image, r, max(pixel_mm, 6.0))[inside] - 1
    angle = np.arctan2(*(a[inside] for a in np.broadcast_arrays(y[:, None], x)))
    diameters = sorted({d for s in SETS for d in s}, reverse=True)
    turns = np.arange(ORIENTATIONS) * np.pi / 3 / ORIENTATIONS
    sectors = [np.floor((angle - turn) / (np.pi / 3) + 0.5).astype(int) % 6 for turn in turns]
    amplitudes = _amplitudes(flat, x, y, inside, sectors, diameters)
    orders = np.array([[(first + sign * k) % 6 for k in range(6)] for first in range(6) for sign in (1, -1)])
    best = []
    for names in SETS:
        index = [diameters.index(d) for d in names]
        mine, between = (amplitudes[:, which][:, orders, index] for which in (0, 1))  # turns × orders × rods
        score = (mine**2).sum(2) - (between**2).sum(2)
        k, order = np.unravel_index(int(np.argmax(score)), score.shape)
        angles = np.degrees(turns[k] + orders[order] * np.pi / 3) % 360
        rods = zip(names, angles.tolist(), mine[k, order].tolist(), between[k, order].tolist(), strict=True)
        best.append([Rod(*rod) for rod in rods])
    # the sets overlap: the one with the larger rods is meant only where its largest rods are seen
    return best[1] if _resolved(best[1][0]) else best[0]


def _resolved(rod: Rod) -> bool:
    return rod.modulation > max(LEAST_MODULATION, NOISE_FACTOR * rod.noise)


def _amplitudes(
    flat: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    inside: NDArray[np.bool_],
    sectors: list[NDArray],
    diameters: list[float],
) -> NDArray[np.float64]:
    """Return the relative amplitude of the three waves of a lattice (root mean square): turns × (along, between) × sectors × diameters.

    A wave and the one that runs the other way have one amplitude, so all turns together need the directions of half a circle; each
    is along the lattice of one turn and between the directions of another. On a grid a wave is the product of one in x and one in y.
    """
    wavenumber = 2 * np.pi / (np.sqrt(3) * np.array(diameters))
    weights = []
    for sector in sectors:
        weight = np.zeros((len(flat), 6), np.complex128)
        weight[np.arange(len(flat)), sector] = flat / np.maximum(np.bincount(sector, minlength=6), 1)[sector]
        weights.append(weight)
    rows, columns = np.nonzero(inside)
    y, x, rows, columns = y[rows[0] : rows[-1] + 1], x[columns.min() :], rows - rows[0], columns - columns.min()
    power = np.zeros((ORIENTATIONS, 2, 6, len(diameters)))
    for k in range(3 * ORIENTATIONS):
        direction = k * np.pi / 3 / ORIENTATIONS
        in_x, in_y = (np.exp(1j * np.outer(wavenumber, p)) for p in (x * np.cos(direction), y * np.sin(direction)))
        waves = in_y[:, rows] * in_x[:, columns]
        for which, turn in enumerate((k % ORIENTATIONS, (k - ORIENTATIONS // 2) % ORIENTATIONS)):
            power[turn, which] += 4 / 3 * np.abs(waves @ weights[turn]).T ** 2
    return np.sqrt(power)


def smallest_resolved(rods: list[Rod]) -> Rod | None:
    """Return the last sector, from the largest rods on, before the first that is not resolved; None when none is."""
    last = None
    for rod in rods:
        if not _resolved(rod):
            break
        last = rod
    return last
