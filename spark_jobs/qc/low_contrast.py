"""Low contrast: contrast-to-noise ratio of the discs of a low-contrast module, |S − B|/σ_B."""

from dataclasses import dataclass

import numpy as np

from spark_jobs.qc.ct_stack import Stack
from spark_jobs.qc.outline import disc
from spark_jobs.qc.sensitometry import Pose

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

    Signal and background are means over the slices, σ_B is the noise within a slice (mean variance of the background regions). The
    background lies inside and outside of a disc at the same angle.
    """
    slices = stack.within(middle_mm, HALF_MM)
    images = [(stack.hu(k), float(stack.positions[k])) for k in slices]
    out: list[Disc] = []
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
        noise = float(np.sqrt(np.mean(variance)))
        contrast = float(np.mean(signal) - np.mean(background))
        if noise <= 0 or size == 0 or np.ptp(background) > EVEN_HU:
            return None
        error = noise * float(np.sqrt(1 / size + 1 / beside))
        if not out and abs(contrast) < SEEN * error:
            return None
        row, column = pose.place(angle, distance, images[len(images) // 2][1])
        out.append(Disc(diameter, abs(contrast) / noise, error / noise, contrast, row, column))
    return out, slices
