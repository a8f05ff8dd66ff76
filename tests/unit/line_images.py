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
