"""Noise power spectrum of an even region: its integral is the variance, its peak tells the grain of the noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoisePower", "alike", "errors_of_disc", "noise_power", "patches"]

ACROSS, FEWEST_BLOCKS = 8, 8  # blocks across a disc: some times as wide as the grain of the noise, and enough to scatter
SMALLEST, LARGEST = 16, 64  # pixels of a patch's side


@dataclass(frozen=True)
class NoisePower:
    """Integral (HU², equal to σ²), frequency of the radial maximum and mean frequency (both in 1/mm), and the radial curve."""

    integral_hu2: float
    peak_per_mm: float
    mean_per_mm: float
    frequency: NDArray[np.float64]
    power: NDArray[np.float64]


def patches(image: NDArray, row: float, column: float, radius: float) -> list[NDArray[np.float64]]:
    """Return square patches, overlapping by half, that lie wholly within a disc (pixels)."""
    side = LARGEST
    while side > SMALLEST and side > 0.8 * radius:
        side //= 2
    out = []
    reach = int(radius // (side // 2)) + 1
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            top, left = round(row + j * side / 2 - side / 2), round(column + i * side / 2 - side / 2)
            corners = [(top, left), (top + side - 1, left), (top, left + side - 1), (top + side - 1, left + side - 1)]
            if top < 0 or left < 0 or top + side > image.shape[0] or left + side > image.shape[1]:
                continue
            if all(np.hypot(y - row, x - column) <= radius for y, x in corners):
                out.append(image[top : top + side, left : left + side].astype(np.float64))
    return out


def noise_power(regions: Sequence[NDArray[np.float64]], pixel_mm: float) -> NoisePower:
    """Return NPS = ΔxΔy/(NxNy)·⟨|FFT|²⟩ of patches of one size.

    A plane is taken off every patch (cupping, gradients); the three degrees of freedom that go with it are given back, so that the
    integral of white noise is its variance.
    """
    side = regions[0].shape[0]
    x = (np.arange(side) - (side - 1) / 2) / side
    total = np.zeros((side, side))
    for patch in regions:
        flat = patch - patch.mean()
        scale = (x**2).sum() * side
        flat = flat - ((flat * x[:, None]).sum() / scale) * x[:, None] - ((flat * x[None, :]).sum() / scale) * x[None, :]
        total += np.abs(np.fft.fft2(flat)) ** 2
    n = side * side
    spectrum = total / len(regions) * pixel_mm**2 / n * n / (n - 3)
    step = 1 / (side * pixel_mm)
    f = np.fft.fftfreq(side, pixel_mm)
    radial = np.hypot(f[:, None], f[None, :])
    ring = np.rint(radial / step).astype(int).ravel()
    mean = np.bincount(ring, spectrum.ravel()) / np.bincount(ring)
    mean = mean[: side // 2 + 1]
    frequency = np.arange(len(mean)) * step
    smooth = np.convolve(np.concatenate([mean[1:2], mean[1:], mean[-1:]]), [0.25, 0.5, 0.25], "valid")
    peak = frequency[1:][int(smooth.argmax())]
    return NoisePower(
        float(spectrum.sum() * step**2),
        float(peak),
        float((mean[1:] * frequency[1:]).sum() / mean[1:].sum()),
        frequency,
        mean,
    )


def alike(means: NDArray[np.float64], pixels: float, variance: float) -> float:
    """Return how many pixels vary as one (1: each for itself): the variance of the means of like regions against that of their pixels.

    Parameters
    ----------
    means
        Of regions of the same material (HU); `pixels` is how many pixels one holds, `variance` that of a pixel (HU²).
    """
    return float(np.var(means, ddof=1) * pixels / variance)


def errors_of_disc(
    slices: Sequence[NDArray], centres: Sequence[tuple[float, float]], radius: float, noise: float
) -> tuple[float, float]:
    """Return the standard errors of the mean, and of the noise, of discs about the same axis in several slices. Lengths in pixels.

    Pixels of CT vary together, within a slice by the kernel and from slice to slice where slices overlap: the errors are those by which
    columns of blocks through all slices scatter about a smooth shade, and never less than those of independent pixels.
    """
    side = max(2, int(2 * radius / ACROSS))
    half = ACROSS * side // 2
    at = (np.arange(ACROSS) - (ACROSS - 1) / 2) * side / radius
    y, x = np.broadcast_arrays(at[:, None], at[None, :])
    whole = np.hypot(np.abs(y) + side / 2 / radius, np.abs(x) + side / 2 / radius) <= 1
    area = float(np.pi) * radius**2
    pixels = area * len(slices)
    least = noise / float(np.sqrt(pixels)), noise / float(np.sqrt(2 * pixels))
    if int(whole.sum()) < FEWEST_BLOCKS or noise <= 0:
        return least
    terms = np.stack([np.ones_like(x), x, y, x * x + y * y], -1)
    kept = terms[whole]
    means, squares = np.zeros_like(x), np.zeros_like(x)
    for image, (row, column) in zip(slices, centres, strict=True):
        top, left = round(row + 0.5) - half, round(column + 0.5) - half
        cut = image[top : top + 2 * half, left : left + 2 * half].astype(np.float64)
        if min(top, left) < 0 or cut.shape != (2 * half, 2 * half):
            return least
        blocks = cut.reshape(ACROSS, side, ACROSS, side)
        mean = blocks.mean((1, 3))
        shade = terms @ np.linalg.solve(kept.T @ kept, kept.T @ mean[whole])
        means += mean / len(slices)
        squares += ((blocks - shade[:, None, :, None]) ** 2).mean((1, 3)) / len(slices)
    rest = means[whole] - kept @ np.linalg.solve(kept.T @ kept, kept.T @ means[whole])
    count = area / side**2
    free = int(whole.sum()) - kept.shape[1]
    of_mean = float(np.sqrt((rest**2).sum() / free / count))
    of_noise = float(squares[whole].std(ddof=1) / np.sqrt(count)) / (2 * noise)
    return max(least[0], of_mean), max(least[1], of_noise)
