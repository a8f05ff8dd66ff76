"""Low contrast: contrast-to-noise ratio of the discs of a low-contrast module, |S − B|/σ_B."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.qc.ct.noise_power import alike
from spark_jobs.qc.ct.sensitometry import Pose
from spark_jobs.qc.numerics.outline import disc

__all__ = ["Disc", "contrast_to_noise"]

HALF_MM = 6.0  # slices so far from the middle of the module are measured together
SEEN = 3.0  # the largest disc must stand out of the noise by so many standard errors
INNER_PART = 0.75  # of a disc's radius: its rim is blurred
BACKGROUND_MM = 4.0
EVEN_HU = 60.0


@dataclass(frozen=True)
class Disc:
    """One disc: diameter (mm), CNR and its standard error, contrast (HU) and place (row, column)."""

    diameter_mm: float
    cnr: float
    error: float
    contrast_hu: float
    row: float
    column: float


def contrast_to_noise(stack: Stack, pose: Pose, middle_mm: float) -> tuple[list[Disc], list[int]] | None:
    """Return the discs of a low-contrast module and the slices used, or None when the largest disc is not there.

    Signal and background are means over the slices, σ_B is the noise within a slice (mean variance of the background regions). The background
    lies inside and outside of a disc at the same angle. Errors count how many pixels vary as one, and slices as independent.
    """
    slices = stack.within(middle_mm, HALF_MM)
    images = [(stack.hu(k), float(stack.positions[k])) for k in slices]
    found: list[_Regions] = []
    for angle, distance, diameter in pose.kind.low_contrast:
        signal, background, variance = [], [], []
        size, beside = 0, 0
        gap = diameter / 2 + BACKGROUND_MM + 2.5
        for hu, z in images:
            shape = (hu.shape[0], hu.shape[1])
            row, column = pose.place(angle, distance, z)
            inside = hu[disc(shape, row, column, INNER_PART * diameter / 2 / pose.pixel_mm)]
            size += inside.size
            signal.append(float(inside.mean()))
            for d in (distance - gap, distance + gap):
                beyond = hu[disc(shape, *pose.place(angle, d, z), BACKGROUND_MM / pose.pixel_mm)]
                background.append(float(beyond.mean()))
                variance.append(float(beyond.var(ddof=1)))
                beside += beyond.size
        if size == 0 or np.ptp(background) > EVEN_HU or np.mean(variance) <= 0:
            return None
        place = pose.place(angle, distance, images[len(images) // 2][1])
        found.append(_Regions(diameter, np.array(signal), np.array(background), float(np.mean(variance)), size, beside, place))
    together = _alike(found)
    out = [_disc(f, together) for f in found]
    if abs(out[0].contrast_hu) < SEEN * together**0.5 * found[0].mean_error:
        return None
    return out, slices


@dataclass(frozen=True)
class _Regions:
    """Means of a disc in each slice and of what lies beside it, the variance of pixels there, and how many pixels there are of each."""

    diameter_mm: float
    signal: NDArray[np.float64]
    background: NDArray[np.float64]
    variance: float
    size: int
    beside: int
    place: tuple[float, float]

    @property
    def mean_error(self) -> float:
        """Return the standard error of the contrast (HU) if each pixel varied for itself."""
        return float(np.sqrt(self.variance * (1 / self.size + 1 / self.beside)))


def _alike(found: Sequence[_Regions]) -> float:
    """Return how many pixels vary as one (1: each for itself): the variance of means over background regions against that of pixels."""
    spread = np.mean([alike(f.background, f.beside / f.background.size, f.variance) for f in found])
    return max(1.0, float(spread))


def _disc(regions: _Regions, together: float) -> Disc:
    """Return what one disc gives; its error is that of the contrast and that of the noise by which it is divided."""
    noise, contrast = float(np.sqrt(regions.variance)), float(regions.signal.mean() - regions.background.mean())
    cnr = abs(contrast) / noise
    error = float(np.hypot(regions.mean_error / noise, cnr / np.sqrt(2 * regions.beside)) * np.sqrt(together))
    return Disc(regions.diameter_mm, cnr, error, contrast, *regions.place)
