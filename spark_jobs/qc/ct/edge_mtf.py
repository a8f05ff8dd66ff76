"""True MTF from the round edges of rods: edge spread over the radius, its derivative, its Fourier transform."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["mtf_at", "mtf_of_edges", "radial_edge"]

BIN_MM = 0.1
REACH_MM = 5.0  # on both sides of the edge
STEP_PER_MM = 0.005
HIGHEST_PER_MM = 2.0


def radial_edge(
    image: NDArray, row: float, column: float, radius_mm: float, pixel_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return radius − nominal radius (mm) and value of every pixel about the edge of a round rod."""
    reach = (radius_mm + REACH_MM) / pixel_mm
    top, left = max(0, int(row - reach)), max(0, int(column - reach))
    part = image[top : int(row + reach) + 2, left : int(column + reach) + 2]
    ys, xs = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    r = np.hypot(ys - row, xs - column) * pixel_mm
    keep = np.abs(r - radius_mm) <= REACH_MM
    return (r[keep] - radius_mm), part[keep].astype(np.float64)


def mtf_of_edges(
    edges: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], radius_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return frequencies (1/mm) and MTF = |FT(LSF)| normalised at 0, of edges normalised to their contrast and laid on each other.

    Around a rod of radius R the flux through a circle grows with r: dividing the derivative by r/R (the Jacobian) takes most of the
    curvature out. Bins and the finite difference are divided out; a window keeps noise far from the edge away.
    """
    lsf_total: NDArray[np.float64] | None = None
    grid = np.arange(-REACH_MM, REACH_MM + BIN_MM / 2, BIN_MM)
    for away, values in edges:
        index = np.rint((away + REACH_MM) / BIN_MM).astype(int)
        count = np.bincount(index, minlength=len(grid))[: len(grid)]
        total = np.bincount(index, values, minlength=len(grid))[: len(grid)]
        filled = count > 0
        if filled.sum() < 0.5 * len(grid):
            return None
        esf = np.interp(grid, grid[filled], total[filled] / count[filled])
        inner, outer = median(esf[grid < -3]), median(esf[grid > 3])
        if inner == outer:
            return None
        lsf = np.gradient((esf - outer) / (inner - outer), BIN_MM)
        lsf_total = lsf if lsf_total is None else lsf_total + lsf
    if lsf_total is None:
        return None
    lsf = -lsf_total
    smooth = np.convolve(lsf, np.ones(9) / 9, "same")
    core = np.abs(grid) < 3
    middle = float(grid[core][int(smooth[core].argmax())])
    near = np.abs(grid - middle) < 1.5
    middle = float((grid[near] * lsf[near]).sum() / lsf[near].sum())
    above = np.abs(grid - middle)[smooth > 0.5 * smooth.max()]
    half = max(0.5, median(above) * 2)  # half of the FWHM
    flat = min(2.6 * half, REACH_MM - 0.8)
    taper = np.clip((np.abs(grid - middle) - flat) / min(1.4 * half, REACH_MM - flat), 0, 1)
    window = 0.5 * (1 + np.cos(np.pi * taper))
    lsf = lsf * window
    frequency = np.arange(0, HIGHEST_PER_MM, STEP_PER_MM)
    phase = np.exp(-2j * np.pi * np.outer(frequency, grid))
    spectrum = np.abs(phase @ lsf)
    # a bin's width and the central difference over two bins
    spectrum /= np.sinc(frequency * BIN_MM) * np.sinc(2 * frequency * BIN_MM)
    return frequency, spectrum / spectrum[0]


def mtf_at(frequency: NDArray[np.float64], mtf: NDArray[np.float64], level: float) -> float | None:
    """Return the first frequency at which the MTF falls to a level, None when it never does."""
    below = np.flatnonzero(mtf < level)
    if not below.size or below[0] == 0:
        return None
    k = int(below[0])
    share = (mtf[k - 1] - level) / (mtf[k - 1] - mtf[k])
    return float(frequency[k - 1] + share * (frequency[k] - frequency[k - 1]))
