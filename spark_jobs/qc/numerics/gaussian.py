"""A Gaussian integrated over bins (pixels, energy windows), fitted by least squares with Poisson weights."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FWHM", "BinnedGaussian", "fit_bins"]

FWHM = 2.3548  # standard deviations


@dataclass(frozen=True)
class BinnedGaussian:
    """Fitted area, mean and standard deviation with the standard errors of the last two, and the constant per unit of bin width."""

    area: float
    mean: float
    sigma: float
    mean_se: float
    sigma_se: float
    constant: float

    def of(self, lower: NDArray, upper: NDArray) -> NDArray[np.float64]:
        """Return the counts that it gives to bins, without the constant."""
        return self.area * (_cumulative((upper - self.mean) / self.sigma) - _cumulative((lower - self.mean) / self.sigma))


def fit_bins(
    lower: NDArray, upper: NDArray, counts: NDArray, mean: float, sigma: float, *, constant: bool
) -> BinnedGaussian | None:
    """Return the Gaussian that fits counts in bins best, from a first guess of mean and sigma, or None where none does."""
    low, high, seen = (np.asarray(v, float) for v in (lower, upper, counts))
    weight = 1 / np.sqrt(np.maximum(seen, 1.0))
    p = np.array([max(float(seen.sum()), 1.0), mean, sigma, 0.0])
    free = 4 if constant else 3
    if seen.size < free:
        return None
    jacobian = np.zeros((seen.size, 4))
    for _ in range(60):
        a, u = (low - p[1]) / p[2], (high - p[1]) / p[2]
        part, pl, pu = _cumulative(u) - _cumulative(a), _density(a), _density(u)
        jacobian = np.column_stack([part, -p[0] * (pu - pl) / p[2], -p[0] * (u * pu - a * pl) / p[2], high - low])[:, :free]
        model = p[0] * part + (p[3] * (high - low) if constant else 0.0)
        step = np.zeros(4)
        step[:free] = np.linalg.lstsq(jacobian * weight[:, None], (seen - model) * weight, rcond=None)[0]
        step[1:3] = np.clip(step[1:3], -0.5 * p[2], 0.5 * p[2])
        p = p + step
        if p[2] <= 0 or not np.isfinite(p).all() or abs(p[1] - mean) > 5 * max(sigma, p[2]):
            return None
        if np.abs(step[1:3]).max() < 1e-7 * p[2]:
            break
    covariance = np.linalg.pinv((jacobian * weight[:, None]).T @ (jacobian * weight[:, None]))
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return BinnedGaussian(*(float(v) for v in (p[0], p[1], p[2], errors[1], errors[2], p[3])))


def _cumulative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])


def _density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
