"""Arrays that a scanner would have made: known truth, point spread, Poisson counts; pure functions of their arguments."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from simulator.skeleton import body

__all__ = ["FIELD_MM", "cor", "ct_water", "flood", "whole_body"]

FIELD_MM = (533, 387)  # useful field of view, width and height; the sheet source lights a rim of 12 mm more
PMT_PITCH_MM = 60.0
FLOOD_COUNTS = 80e6


def flood(
    rng: np.random.Generator, device_seed: int, *, matrix: int = 256, pixel_mm: float = 2.4, dead_pmt: float | None = None
) -> NDArray[np.uint16]:
    """Return a flood of 80 Mcts, rows × columns.

    Parameters
    ----------
    device_seed
        Chooses the fixed sensitivity pattern of the detector.
    dead_pmt
        Sensitivity that is left over the middle of one photomultiplier inside the central field; None: all work.
    """
    x = (np.arange(matrix) - (matrix - 1) / 2) * pixel_mm
    image = np.outer(_box(x, FIELD_MM[1] + 24, 4.0), _box(x, FIELD_MM[0] + 24, 4.0))
    pattern = 1 + _pmts(device_seed, x, 0.0035) + _pmts(int(rng.integers(1 << 30)), x, 0.0005)
    image = image * pattern
    if dead_pmt is not None:
        image *= 1 - (1 - dead_pmt) * np.outer(np.exp(-(((x + 75) / 30) ** 2) / 1.4), np.exp(-(((x - 105) / 30) ** 2) / 1.4))
    return _counts(rng, image * (FLOOD_COUNTS / image.sum()))


def cor(
    rng: np.random.Generator,
    *,
    offset_mm: float,
    frames: int = 60,
    matrix: int = 128,
    pixel_mm: float = 4.8,
    radius_mm: float = 55.0,
) -> NDArray[np.uint16]:
    """Return projections of a point source over 360°, frames × rows × columns, whose centre of rotation lies `offset_mm` off."""
    angle = np.arange(frames) * 2 * np.pi / frames
    phase, axial = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-20, 20))
    along = _point(matrix, pixel_mm, offset_mm + radius_mm * np.sin(angle + phase))
    across = _point(matrix, pixel_mm, np.full(frames, axial))
    return _counts(rng, 30_000 * across[:, :, None] * along[:, None, :] + 0.2)


def ct_water(
    rng: np.random.Generator, *, hu: float, noise_hu: float = 5.0, matrix: int = 512, pixel_mm: float = 500 / 512
) -> NDArray[np.int16]:
    """Return one slice of a 20 cm water cylinder in air as stored values (HU + 1024), rows × columns."""
    x = (np.arange(matrix) - (matrix - 1) / 2) * pixel_mm
    centre = rng.uniform(-4, 4, 2)
    r = np.hypot(x[:, None] - centre[0], x[None, :] - centre[1])
    image = -1000 + (1000 + hu) * ndtr((100 - r) / 0.8) + rng.standard_normal((matrix, matrix)) * noise_hu
    return np.clip(np.rint(image) + 1024, 0, 4095).astype(np.int16)


def whole_body(rng: np.random.Generator, *, counts: float = 1.0) -> NDArray[np.uint16]:
    """Return the anterior and the posterior view of a bone scan, 2 × 1024 × 256, about 2 Mcts each times `counts`."""
    shift = rng.integers(-4, 5, 2)
    level = float(rng.uniform(1.9e6, 2.2e6)) * counts
    views = [np.roll(_view(name), shift, (0, 1)) * level for name in ("anterior", "posterior")]
    return _counts(rng, np.stack(views))


@cache
def _view(name: str) -> NDArray[np.floating]:
    image = gaussian_filter(body(name), 1.5)  # 8.5 mm FWHM at 2.4 mm pixels
    return image / image.sum()


def _box(x: NDArray[np.floating], width: float, sigma: float) -> NDArray[np.floating]:
    return ndtr((width / 2 - np.abs(x)) / sigma)


def _point(matrix: int, pixel_mm: float, position_mm: NDArray[np.floating], fwhm_mm: float = 10.0) -> NDArray[np.floating]:
    """Return what each pixel collects of a Gaussian line response at each position, positions × pixels."""
    edges = (np.arange(matrix + 1) - matrix / 2) * pixel_mm
    return np.diff(ndtr((edges[None, :] - position_mm[:, None]) / (fwhm_mm / 2.3548)), axis=1)


def _pmts(seed: int, x: NDArray[np.floating], spread: float) -> NDArray[np.floating]:
    """Return a smooth gain pattern: photomultipliers on a hexagonal lattice, each a little off."""
    rng = np.random.default_rng(seed)
    out = np.zeros((x.size, x.size))
    for j in range(-4, 5):
        columns = (np.arange(-5, 6) + 0.5 * (j % 2)) * PMT_PITCH_MM
        gains = np.clip(rng.normal(0, spread, columns.size), -2 * spread, 2 * spread)
        bells = np.exp(-(((x[None, :] - columns[:, None]) / 32) ** 2))
        out += np.outer(np.exp(-(((x - j * PMT_PITCH_MM * 0.866) / 32) ** 2)), gains @ bells)
    return out


def _counts(rng: np.random.Generator, mean: NDArray[np.floating]) -> NDArray[np.uint16]:
    return np.minimum(rng.poisson(mean), 65_000).astype(np.uint16)
