"""The uniform slices of a cylinder phantom: field, radial profile and noise, which all tomographic methods read alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.spect.tomogram import Phantom, find_phantom

__all__ = ["UniformSlices", "ring_profile", "uniform_slices"]

LEAST_SLICES = 3
NOISIEST_PERCENT = 20.0  # of a pixel: beyond it values are those of the noise


@dataclass(frozen=True)
class UniformSlices:
    """The slices (slices × rows × columns), each pixel's distance from the axis, the field, and the noise of a pixel in a slice."""

    phantom: Phantom
    values: NDArray[np.float64]
    distance_mm: NDArray[np.float64]
    field: NDArray[np.bool_]
    noise_percent: float

    @property
    def at_slice(self) -> float:
        """Return the middle of the slices."""
        return float(np.mean(self.phantom.uniform))

    @property
    def few_counts(self) -> str | None:
        """Return why the counts are too few for a verdict, or None."""
        if self.noise_percent <= NOISIEST_PERCENT:
            return None
        return because("tomogram.too_few_counts", noise_percent=self.noise_percent, most_percent=NOISIEST_PERCENT)


def uniform_slices(volume: NDArray, pixel_mm: float, slice_mm: float, phantom: Phantom | None = None) -> UniformSlices | str:
    """Return the uniform slices of a volume (slices × rows × columns), or the reason why it has none.

    Parameters
    ----------
    pixel_mm, slice_mm
        Side of a square pixel, distance of slices.
    phantom
        Where the cylinder lies, when that is known already.
    """
    found = find_phantom(volume, pixel_mm, slice_mm) if phantom is None else phantom
    if isinstance(found, str):
        return found
    if len(found.uniform) < LEAST_SLICES:
        return because("tomogram.uniform_few", slices=len(found.uniform), least=LEAST_SLICES)
    values = volume[list(found.uniform)].astype(np.float64)
    distance = found.distance_mm(values.shape[1:], pixel_mm, float(np.mean(found.uniform)))
    field = distance <= found.field_radius_mm
    return UniformSlices(found, values, distance, field, _noise_percent(values, distance, field, pixel_mm))


def _noise_percent(
    values: NDArray[np.float64], distance: NDArray[np.float64], field: NDArray[np.bool_], pixel_mm: float
) -> float:
    """Return the standard deviation of a pixel in a slice, percent of the mean; the common radial profile does not count as noise."""
    mean = values.mean(0)
    radii, profile, _ = ring_profile(mean, distance, field, pixel_mm)
    rest = values[:, field] - np.interp(distance[field], radii, profile)
    return 100 * float(np.sqrt(rest.var(axis=1, ddof=1).mean())) / float(mean[field].mean())


def ring_profile(
    image: NDArray[np.float64], distance: NDArray[np.float64], field: NDArray[np.bool_], pixel_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return radii (mm), means and numbers of pixels of annuli one pixel wide in a field; the first is a disc of 1.5 pixels."""
    ring = np.maximum(np.floor(distance[field] / pixel_mm - 0.5), 0).astype(np.int64)
    pixels = np.bincount(ring)
    profile = np.bincount(ring, image[field]) / np.maximum(pixels, 1)
    radii = np.bincount(ring, distance[field]) / np.maximum(pixels, 1)
    return radii, profile, pixels
