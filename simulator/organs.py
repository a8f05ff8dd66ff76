"""Organs that fill, empty and beat: arrays of a thyroid, kidneys, a liver and a heart with known truth; pure functions of their arguments."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["GATES", "HEPATIC_PHASES", "RENAL_PHASES", "VIEWS", "heart", "liver", "renal", "thyroid"]

RENAL_PHASES = ((40, 1.5), (57, 20.0))  # frames and seconds: the bolus, then twenty minutes
HEPATIC_PHASES = ((60, 60.0),)
VIEWS, GATES = 60, 8
MATRIX = 64
HEART_PIXEL_MM = 6.4


def thyroid(rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return one image of two lobes in a neck, 1 × 128 × 128, 200 kcts."""
    pixel_mm, n = 2.2, 128
    image = 0.005 + 0.03 * _oval(n, 64, 64, 91, 27)
    for side, height in ((-1, 1.0), (1, 1.1)):
        image = image + height * _oval(n, 64, 64 + side * 16 / pixel_mm, 23 / pixel_mm, 9 / pixel_mm, 8.0 * side)
    image = gaussian_filter(image, 2.5 / pixel_mm)
    return _counts(rng, image * (200_000 / image.sum()))[None]


def renal(rng: np.random.Generator, *, dropped: int | None = None) -> NDArray[np.uint16]:
    """Return frames of two kidneys, bladder and vessels, frames × 64 × 64; `dropped` (from 0) is the frame that the camera lost."""
    t, seconds = _times(RENAL_PHASES)
    bolus = np.exp(3 * (np.log(np.maximum((t - 6) / 8, 1e-12)) + 1 - np.maximum((t - 6) / 8, 1e-12)))
    parts = (
        (_oval(MATRIX, 32, 31.5, 60, 24), 0.25 * (1 - np.exp(-t / 20)) * np.exp(-t / 1500) + 0.1),
        (_oval(MATRIX, 18, 32, 12, 3), 3.0 * bolus + 0.4 * (1 - np.exp(-t / 25)) * np.exp(-t / 900)),
        (_oval(MATRIX, 28, 22, 8, 4.5, 10), 4.0 * (1 - np.exp(-t / 90)) * np.exp(-np.maximum(t - 180, 0) / 500)),
        (_oval(MATRIX, 30, 42, 8, 4.5, -10), 3.6 * (1 - np.exp(-t / 100)) * np.exp(-np.maximum(t - 200, 0) / 600)),
        (_oval(MATRIX, 55, 32, 4, 5), 6.0 * np.clip((t - 240) / 900, 0, 1)),
    )
    frames = _counts(rng, 2.5 * sum(c[:, None, None] * image for image, c in parts) * seconds[:, None, None])
    return frames if dropped is None else np.delete(frames, dropped, 0)


def liver(rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return frames of a liver that fills in ten minutes and empties into the gut, 60 × 64 × 64."""
    t, seconds = _times(HEPATIC_PHASES)
    organ = np.maximum(_oval(MATRIX, 22, 24, 9, 12, 15), _oval(MATRIX, 20, 34, 5, 8))
    parts = (
        (organ, 5.0 * (np.exp(-t / 2500) - np.exp(-t / 240))),
        (_oval(MATRIX, 42, 36, 6, 8), 4.0 * np.clip((t - 900) / 2700, 0, 1)),
        (_oval(MATRIX, 9, 36, 4, 5), 1.5 * np.exp(-t / 400)),
        (_oval(MATRIX, 32, 31.5, 60, 24), 0.15 + 0.25 * np.exp(-t / 900)),
    )
    return _counts(rng, 1.2 * sum(c[:, None, None] * image for image, c in parts) * seconds[:, None, None])


def heart(rng: np.random.Generator, *, shifted_from: int | None = None, shift_px: int = 2) -> NDArray[np.uint16]:
    """Return projections over 180°, gates × views × 64 × 64; from view `shifted_from` (0 is the first) on the patient lies `shift_px` lower."""
    views = _heart_views() * (VIEWS * 40_000 / _heart_views().sum())
    if shifted_from is not None:
        views = views.copy()
        views[shifted_from:] = np.roll(views[shifted_from:], shift_px, axis=1)
    # the muscle is brighter when it is short and thick
    beat = 1 + 0.03 * np.cos(2 * np.pi * np.arange(GATES) / GATES)
    return _counts(rng, views[None] * (beat / GATES)[:, None, None, None])


@cache
def _heart_views() -> NDArray[np.floating]:
    """Return what each view sees of a cup of muscle, a liver and a chest: sums of attenuated round blobs."""
    spots = [
        (45 + 24 * np.cos(a), 45 + 24 * np.sin(a), z, 10.0, 1.0)
        for a in np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for z in (-22.0, -8.0, 6.0, 20.0)
    ]
    place = np.random.default_rng(0)
    for _ in range(60):
        x, y, z = place.uniform((-100, -30, 55), (-20, 50, 100))
        spots.append((x, y, z, 16.0, 0.55))
    x, y, z, radius, activity = np.array(spots).T
    line = (np.arange(MATRIX) - (MATRIX - 1) / 2) * HEART_PIXEL_MM
    out = np.empty((VIEWS, MATRIX, MATRIX))
    for k, angle in enumerate(np.deg2rad(-45 + np.arange(VIEWS) * 180 / VIEWS)):
        across, depth = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        columns = np.exp(-(((line[:, None] - across) / radius) ** 2) / 2)
        rows = np.exp(-(((line[:, None] - z) / radius) ** 2) / 2)
        half = 150 + 25 * abs(np.cos(angle))
        chest = 0.9 * np.sqrt(np.clip(1 - (line / half) ** 2, 0, 1))[None] * np.clip(1.2 - 0.0005 * np.abs(line), 0, 1)[:, None]
        out[k] = chest + (rows * (1.6 * activity * np.exp(-0.012 * (150 - depth)))) @ columns.T
    return out


def _oval(n: int, row: float, column: float, half_rows: float, half_columns: float, deg: float = 0.0) -> NDArray[np.floating]:
    """Return an ellipse of height 1 with an edge one pixel wide."""
    y, x = np.mgrid[:n, :n].astype(float)
    y, x, a = y - row, x - column, np.deg2rad(deg)
    r = np.hypot((y * np.cos(a) + x * np.sin(a)) / half_rows, (x * np.cos(a) - y * np.sin(a)) / half_columns)
    return np.clip((1 - r) * min(half_rows, half_columns) + 0.5, 0, 1)


def _times(phases: tuple[tuple[int, float], ...]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the middle and the length of each frame, seconds."""
    seconds = np.concatenate([np.full(n, s) for n, s in phases])
    return np.cumsum(seconds) - seconds / 2, seconds


def _counts(rng: np.random.Generator, mean: NDArray[np.floating]) -> NDArray[np.uint16]:
    return np.minimum(rng.poisson(mean), 65_000).astype(np.uint16)
