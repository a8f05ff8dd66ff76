"""Counts of a thyroid and its lobes in regions of interest, and the uptake against the syringe counted by the same camera.

Source: the EANM guideline on thyroid scintigraphy describes the uptake of Tc-99m pertechnetate as net counts of the gland over those
of the full minus those of the emptied syringe, all brought to one moment.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.numerics.decay import decayed, mean_factor
from spark_jobs.qc.numerics.order import percentile
from spark_jobs.qc.result import Measure

__all__ = ["EDGE", "UPTAKE", "Gland", "Syringe", "gland_of", "percent", "values"]

UPTAKE = "uptake"
EDGE = 0.2  # of the gland's level above its surroundings: where the gland ends
BLUR_MM = 6.0  # how far beyond that the camera's blur carries its counts
REACH_MM = 16.0  # how far beyond the lobes the region of interest may go
RING_MM = 18.0, 28.0  # the surroundings, away from the edge of the lobes
SMOOTH_MM = 3.0
PARTS = "", ", left of the image", ", right of the image"  # added to the name of the view


@dataclass(frozen=True)
class Syringe:
    """Count rates of the syringe before and after the injection, on the camera and collimator of the view.

    `full_cps`, `empty_cps`: counts per second; `full_s`, `empty_s`: seconds from those countings to the start of the view; of
    `half_life_s` is the nuclide. What was injected is their difference.
    """

    full_cps: float
    full_s: float
    empty_cps: float
    empty_s: float
    half_life_s: float

    def injected_cps(self) -> float:
        """Return the count rate of what was injected, at the start of the view."""
        rate = decayed(self.full_cps, self.full_s, self.half_life_s) - decayed(self.empty_cps, self.empty_s, self.half_life_s)
        if not (self.empty_cps >= 0 and 0 < rate < math.inf):
            raise ValueError(because("uptake.syringe_empty_higher"))
        return rate


@dataclass(frozen=True)
class Gland:
    """Region of interest, its halves (left of the image first), counts a pixel around it, and how many pixels told that."""

    mask: NDArray[np.bool_]
    halves: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    around: float
    around_pixels: int

    def net(self, counts: NDArray[np.float64], mask: NDArray[np.bool_]) -> tuple[float, float]:
        """Return the counts of a mask above the surroundings, and their standard deviation by counting alone."""
        gross, pixels = float(counts[mask].sum()), int(mask.sum())
        return gross - self.around * pixels, math.sqrt(gross + pixels**2 * self.around / self.around_pixels)


def gland_of(counts: NDArray[np.float64], lobes: tuple[NDArray[np.bool_], NDArray[np.bool_]], pixel_mm: float) -> Gland | None:
    """Return the region of interest about two lobes (left of the image first), or None where nothing lies around them."""
    core = lobes[0] | lobes[1]
    inner, outer = (max(1, round(mm / pixel_mm)) for mm in RING_MM)
    ring = aspects.grown(core, outer) & ~aspects.grown(core, inner)
    if not ring.any():
        return None
    smooth = aspects.binomial(counts, int(np.clip(round(2 * (SMOOTH_MM / pixel_mm) ** 2), 1, 12)))
    level = float(counts[ring].mean())
    top = percentile(smooth[core], 90)
    bright = (smooth > level + EDGE * (top - level)) | core
    mask = aspects.grown(bright, max(1, round(BLUR_MM / pixel_mm))) & aspects.grown(core, max(1, round(REACH_MM / pixel_mm)))
    a, b = (np.array(np.nonzero(lobe)).mean(1) for lobe in lobes)
    rows, columns = np.indices(counts.shape)
    nearer = (rows - a[0]) ** 2 + (columns - a[1]) ** 2 <= (rows - b[0]) ** 2 + (columns - b[1]) ** 2
    return Gland(mask, (mask & nearer, mask & ~nearer), level, int(ring.sum()))


def values(counts: NDArray[np.float64], gland: Gland, seconds: float | None, region: str) -> list[Measure]:
    """Return net counts (and, where the time of the view is known, count rates) of the gland and its lobes."""
    out = [aspects.measure(UPTAKE, "around_counts_per_pixel", gland.around, "counts", region)]
    for mask, part in zip((gland.mask, *gland.halves), PARTS, strict=True):
        net, spread = gland.net(counts, mask)
        out.append(aspects.measure(UPTAKE, "roi_net_kcts", net / 1000, "kcts", region + part, uncertainty=spread / 1000))
        if seconds:
            out.append(aspects.measure(UPTAKE, "roi_net_cps", net / seconds, "1/s", region + part, uncertainty=spread / seconds))
    return out


def percent(counts: NDArray[np.float64], gland: Gland, seconds: float, syringe: Syringe, region: str) -> Measure:
    """Return the uptake in % of what was injected; the attenuation in the neck is not corrected, as the guideline's is not.

    The uncertainty is that of counting the gland alone. Raise ValueError where nothing was injected.
    """
    net, spread = gland.net(counts, gland.mask)
    scale = 100 / (seconds * mean_factor(seconds, syringe.half_life_s) * syringe.injected_cps())
    return aspects.measure(UPTAKE, "uptake_percent", net * scale, "%", region, uncertainty=spread * scale)
