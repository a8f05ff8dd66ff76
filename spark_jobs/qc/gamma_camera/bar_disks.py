"""Disks of a bar image: mean and variance of their counts, and what bars alone do not explain in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Disks", "cut", "left_over"]

HARMONICS = 3  # of bars that a camera blurs: where MTF is 0.9, the fifth holds a thousandth
LINE, PIXEL = 0.15, 0.6  # of the mean, beyond noise: what bars of all widths and pitches leave in one row, in one pixel
SIGMAS = 6.0
RIDGE = 1e-6  # of the pixels: harmonics that fold onto each other share their part
TOGETHER = 4  # disks whose harmonics are in memory at once
SHORTEST = 0.4  # of the disk's diameter: shorter rows and columns of a disk are its rim


@dataclass(frozen=True)
class Disks:
    """Disks of one radius: counts (disks × rows × columns, 0 outside), which pixels are inside, and places from the middle (pixels)."""

    counts: NDArray[np.float64]
    inside: NDArray[np.bool_]
    y: NDArray[np.float64]  # disks × rows
    x: NDArray[np.float64]  # disks × columns
    radius: float
    pixels: NDArray[np.int64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]


def cut(image: NDArray, centres: Sequence[tuple[float, float]], radius: float) -> Disks:
    """Return the disks about these centres (row, column), which must lie wholly in the image."""
    middles = np.array(centres)
    size = min(int(np.ceil(2 * radius)) + 2, *image.shape)
    corners = np.minimum(np.floor(middles - radius).astype(int).clip(0), np.array(image.shape) - size)
    rows, columns = corners[:, :1] + np.arange(size), corners[:, 1:] + np.arange(size)
    y, x = rows - middles[:, :1], columns - middles[:, 1:]
    inside = (y**2)[:, :, None] + (x**2)[:, None, :] <= radius**2
    counts = np.where(inside, image[rows[:, :, None], columns[:, None, :]], 0).astype(np.float64)
    pixels = inside.sum((1, 2))
    means = counts.sum((1, 2)) / pixels
    flat = counts.reshape(len(counts), -1)
    variances = (np.einsum("ij,ij->i", flat, flat) - pixels * means**2) / (pixels - 1)
    return Disks(counts, inside, y, x, radius, pixels, means, variances)


def left_over(disks: Disks, chosen: NDArray[np.int64], fx: float, fy: float) -> tuple[NDArray[np.float64], list[str | None]]:
    """Return what the harmonics of a pattern (cycles a pixel along columns and rows, least squares) do not explain of some disks.

    That is the variance ÷ mean (1: counting noise) of each, and what stands out in it: a 'row', a 'column', a 'pixel', or None.
    """
    parts = [_left_over(disks, chosen[k : k + TOGETHER], fx, fy) for k in range(0, len(chosen), TOGETHER)]
    return np.concatenate([rest for rest, _ in parts]), [name for _, odd in parts for name in odd]


def _left_over(disks: Disks, chosen: NDArray[np.int64], fx: float, fy: float) -> tuple[NDArray[np.float64], list[str | None]]:
    lit, means, pixels = disks.inside[chosen].astype(np.float32), disks.means[chosen], disks.pixels[chosen]
    # in float32 all this costs half, and no residual needs more; a harmonic beyond half a cycle a pixel folds back, as the image's do
    waves = (np.exp(2j * np.pi * f * v[chosen]).astype(np.complex64) for f, v in ((fy, disks.y), (fx, disks.x)))
    down, along = waves
    base = np.empty((len(lit), 1 + 2 * HARMONICS, *lit.shape[1:]), np.float32)
    base[:, 0] = lit
    for k in range(1, HARMONICS + 1):
        wave = (down**k)[:, :, None] * (along**k)[:, None, :]
        np.multiply(wave.real, lit, out=base[:, 2 * k - 1])
        np.multiply(wave.imag, lit, out=base[:, 2 * k])
    base = base.reshape(*base.shape[:2], -1)
    relative = (disks.counts[chosen].astype(np.float32) / means.astype(np.float32)[:, None, None] - lit).reshape(len(lit), -1, 1)
    gram = base @ base.swapaxes(1, 2) + RIDGE * pixels[:, None, None] * np.eye(base.shape[1])
    fit = _solved(np.concatenate([gram, base @ relative], 2)).astype(np.float32)
    rest = (relative - base.swapaxes(1, 2) @ fit).reshape(lit.shape)
    flat = np.abs(rest).reshape(len(lit), -1)
    # half of the pixels inside leave less: no row or pixel that stands out moves it
    half = np.partition(flat, kth := round(flat.shape[1] - 0.5 * float(pixels.min())), axis=1)[:, kth] / 0.6745
    sigma = np.maximum(half, 1 / np.sqrt(means))
    odd: list[str | None] = [None] * len(lit)
    found = [("pixel", np.abs(rest).max((1, 2)) > PIXEL + SIGMAS * sigma)]
    for name, axis in (("column", 1), ("row", 2)):
        number = lit.sum(axis)
        noise = SIGMAS * sigma[:, None] * np.sqrt(number)
        stands = (np.abs(rest.sum(axis)) > LINE * number + noise) & (number >= SHORTEST * 2 * disks.radius)
        found.append((name, stands.any(1)))
    for name, where in found:
        odd = [name if here else before for here, before in zip(where.tolist(), odd, strict=True)]
    return (rest**2).sum((1, 2), dtype=np.float64) / pixels * means, odd


def _solved(systems: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solutions of systems (each positive definite, its right side as last column) by elimination: LAPACK alone is 1 MB."""
    left = systems.astype(np.float64)
    for k in range(left.shape[1]):
        left[:, k] /= left[:, k, k, None]
        others = np.arange(left.shape[1]) != k
        left[:, others] -= left[:, others, k, None] * left[:, None, k]
    return left[..., -1:]
