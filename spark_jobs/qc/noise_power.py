"""Noise power spectrum of an even region: its integral is the variance, its peak tells the grain of the noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoisePower", "noise_power", "patches"]

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
