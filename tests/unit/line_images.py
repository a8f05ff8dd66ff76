"""Lines, slits and bars with known truth, integrated over each pixel. Nothing here is taken from the image engine."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

SUB = 8  # sub-rows a pixel: a tilted line is integrated along it too
TENTH = 4.2919 / 2.3548


def down(
    fwhm_mm: float,
    *,
    pixel_mm: float = 1.0,
    shape: tuple[int, int] = (256, 256),
    at_mm: float = 0.0,
    tilt_deg: float = 0.0,
    peak: float = 1000.0,
    length_mm: float | None = None,
    bend: Callable[[NDArray], NDArray] | None = None,
) -> NDArray:
    """One line down an image; `at_mm` from the middle, width across the line, `bend` its displacement in mm at y mm."""
    rows, columns = shape
    y = ((np.arange(rows * SUB) + 0.5) / SUB - rows / 2) * pixel_mm
    centre = at_mm + y * np.tan(np.deg2rad(tilt_deg)) + (bend(y) if bend else 0.0)
    sigma = fwhm_mm / 2.354820 / np.cos(np.deg2rad(tilt_deg))
    edges = (np.arange(columns + 1) - columns / 2) * pixel_mm
    image = np.diff(ndtr((edges - centre[:, None]) / sigma), axis=1) * sigma * np.sqrt(2 * np.pi) / pixel_mm * peak
    if length_mm is not None:
        image *= (np.abs(y) <= length_mm / 2)[:, None]
    return image.reshape(rows, SUB, columns).mean(1)


def noisy(image: NDArray, seed: int = 0) -> NDArray:
    return np.random.default_rng(seed).poisson(image)


def square(fwhm_mm: float, *, apart_mm: float = 100.0, crossing: bool = False, tilt_deg: float = 0.0, **facts) -> NDArray:
    """Four lines of a square: bars that end before they meet, or lines that cross."""
    length = None if crossing else 0.8 * apart_mm
    pair = sum(down(fwhm_mm, at_mm=x, tilt_deg=tilt_deg, length_mm=length, **facts) for x in (-apart_mm / 2, apart_mm / 2))
    other = sum(down(fwhm_mm, at_mm=x, tilt_deg=-tilt_deg, length_mm=length, **facts) for x in (-apart_mm / 2, apart_mm / 2))
    return pair + other.T


def slits(
    bend: Callable[[NDArray], NDArray] | None,
    *,
    pitch_mm: float = 30.0,
    count: int = 13,
    pixel_mm: float = 0.8,
    n: int = 512,
    length_mm: float = 380.0,
    tilt_deg: float = 0.0,
    peak: float = 1000.0,
) -> NDArray:
    """Equally spaced slits down an image."""
    places = (np.arange(count) - (count - 1) / 2) * pitch_mm
    facts = {"pixel_mm": pixel_mm, "shape": (n, n), "tilt_deg": tilt_deg, "peak": peak, "length_mm": length_mm, "bend": bend}
    return sum(down(3.5, at_mm=x, **facts) for x in places)


def wave(u_mm: NDArray, bar_mm: float, fwhm_mm: float) -> NDArray:
    """Bars as wide as their gaps (0 and 1), blurred by a Gaussian: the sum of its harmonics."""
    out = np.full(u_mm.shape, 0.5)
    for k in (1, 3, 5, 7):
        f = k / (2 * bar_mm)
        mtf = np.exp(-((np.pi * fwhm_mm * f) ** 2) / (4 * np.log(2)))
        out += 2 / (np.pi * k) * mtf * np.sin(2 * np.pi * f * u_mm)
    return out


def quadrants(
    bars_mm: tuple[float, ...],
    fwhm_mm: float,
    *,
    pixel_mm: float = 1.0,
    n: int = 400,
    turn_deg: float = 0.0,
    counts: float = 400.0,
    cross_mm: float = 12.0,
    field_mm: float | None = None,
    sub: int = 4,
) -> NDArray:
    """Four patterns about the middle, bars across and down by turns, integrated over pixels; lower right is the first."""
    axis = ((np.arange(n * sub) + 0.5) / sub - n / 2) * pixel_mm
    x, y = np.meshgrid(axis, axis)
    a = np.deg2rad(turn_deg)
    u, v = x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)
    out = np.ones_like(u)
    half = (field_mm or 0.9 * n * pixel_mm) / 2
    for k, (bar, right, low) in enumerate(zip(bars_mm, (1, 0, 0, 1), (1, 1, 0, 0), strict=True)):
        mine = ((u > 0) == bool(right)) & ((v > 0) == bool(low)) & (np.abs(u) > cross_mm / 2) & (np.abs(v) > cross_mm / 2)
        out[mine] = wave(u[mine] if k % 2 == 0 else v[mine], bar, fwhm_mm)
    out[(np.abs(u) > half) | (np.abs(v) > half)] = 0
    return out.reshape(n, sub, n, sub).mean((1, 3)) * counts
