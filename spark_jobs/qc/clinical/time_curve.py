"""Models of curves over time: a bolus, a washout, an uptake that is washed out; each with the quality of its fit.

A fit is linear in its amplitudes and searched in its shapes, on grids that are refined: it needs no start values and cannot run away.
Weights are those of counting (variance = counts). A bad fit says so; whoever asks must not use its numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median

__all__ = ["Fit", "fit_bolus", "fit_uptake", "fit_washout"]

Curve = NDArray[np.float64]
SIGMAS = 2.3548  # full width at half maximum of a Gaussian, over its σ
R2_NEEDED = 0.9  # of the variance that must be explained before a fit may be used


@dataclass(frozen=True)
class Fit:
    """Parameters of a model by name, and how good it is: R² (weighted), reduced χ² (1 = counting noise alone)."""

    parameters: dict[str, float]
    r2: float
    reduced_chi2: float
    curve: Curve
    good: bool


def fit_bolus(time_s: Curve, counts: Curve) -> Fit | None:
    """Return a gamma variate A·uᵅ·e^{α(1−u)}, u = (t − t0)/(peak − t0), over the first passage; None below 6 points.

    Parameters come back as `start_s` (t0), `peak_s`, `fwhm_s`, `amplitude`. The curve is fitted up to 40 % of its maximum behind the
    peak, where the second passage begins; a constant in front of the bolus is subtracted.

    Parameters
    ----------
    time_s, counts
        Middle of each frame, and counts in it (frames of equal length).
    """
    if len(counts) < 6 or counts.max() <= 0:
        return None
    top = int(np.argmax(counts))
    base = median(counts[: max(1, top // 2)]) if top >= 4 else 0.0
    base = min(base, 0.2 * float(counts[top]))
    net = counts - base
    end = top + 1
    while end < len(net) and net[end] > 0.4 * net[top]:
        end += 1
    end = min(end + 1, len(net))
    t, y = time_s[:end], net[:end]
    if len(t) < 6:
        return None
    frame = median(np.diff(time_s))
    variance = np.maximum(counts[:end], 1.0)

    def model(shape: Curve) -> Curve:
        peak, width, alpha = shape
        rise = width * np.sqrt(alpha) / SIGMAS  # so that the three hardly depend on each other
        u = np.maximum((t - peak + rise) / max(rise, 1e-3), 1e-12)
        return np.exp(alpha * (np.log(u) + 1 - u))[:, None]

    seen = float(time_s[top])
    grids = [
        np.linspace(-3, 3, 7) * frame + seen,
        np.geomspace(1.5 * frame, max(4 * frame, float(t[-1] - t[0])), 12),
        np.geomspace(0.7, 30, 8),
    ]
    shape, amplitude = _search(model, grids, y, variance, (frame, 0.0, 0.0))
    peak, width, alpha = shape
    rise = width * np.sqrt(alpha) / SIGMAS
    start = peak - rise
    u = np.linspace(1e-3, 12, 6001)
    level = np.exp(alpha * (np.log(u) + 1 - u)) >= 0.5
    fwhm = float(u[level][-1] - u[level][0]) * rise
    found = {"start_s": start, "peak_s": peak, "fwhm_s": fwhm, "amplitude": float(amplitude[0])}
    return _judged(found, model(shape) @ amplitude, y, variance, 4, amplitude[0] > 0)


def fit_washout(time_s: Curve, counts: Curve) -> Fit | None:
    """Return A·e^{−ln2·t/T} + C with `half_life_s` (T), `amplitude`, `rest` (C ≥ 0); None below 5 points."""
    if len(counts) < 5:
        return None
    t = time_s - time_s[0]
    variance = np.maximum(counts, 1.0)

    def model(shape: Curve) -> Curve:
        return np.stack([np.exp(-np.log(2) * t / shape[0]), np.ones_like(t)], axis=1)

    span = float(t[-1])
    shape, amplitude = _search(model, [np.geomspace(span / 50, span * 10, 60)], counts, variance)
    found = {"half_life_s": float(shape[0]), "amplitude": float(amplitude[0]), "rest": float(amplitude[1])}
    sane = amplitude[0] > 0 and span / 45 < shape[0] < span * 5
    return _judged(found, model(shape) @ amplitude, counts, variance, 3, sane)


def fit_uptake(time_s: Curve, counts: Curve) -> Fit | None:
    """Return A·(e^{−k₂t} − e^{−k₁t}) + C with `uptake_half_s`, `washout_half_s`, `peak_s`, `amplitude`, `rest`; None below 8 points.

    The two rates are ordered: uptake is the faster. Equal rates cannot be told apart and give a bad fit.
    """
    if len(counts) < 8:
        return None
    t = np.asarray(time_s, np.float64)
    variance = np.maximum(counts, 1.0)

    def model(shape: Curve) -> Curve:
        fast, slow = np.log(2) / min(shape), np.log(2) / max(shape)
        return np.stack([np.exp(-slow * t) - np.exp(-fast * t), np.ones_like(t)], axis=1)

    span = float(t[-1])
    grid = np.geomspace(span / 100, span * 8, 24)
    shape, amplitude = _search(model, [grid, grid], counts, variance)
    up, down = float(min(shape)), float(max(shape))
    k1, k2 = np.log(2) / up, np.log(2) / down
    peak = float(np.log(k1 / k2) / (k1 - k2)) if k1 > 1.01 * k2 else up
    found = {
        "uptake_half_s": up,
        "washout_half_s": down,
        "peak_s": peak,
        "amplitude": float(amplitude[0]),
        "rest": float(amplitude[1]),
    }
    return _judged(found, model(shape) @ amplitude, counts, variance, 4, amplitude[0] > 0 and k1 > 1.1 * k2)


Model = Callable[[Curve], NDArray[np.float64]]


def _search(
    model: Model, grids: list[Curve], y: Curve, variance: Curve, linear: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> tuple[Curve, Curve]:
    """Return the shape and amplitudes of least weighted squares: the best node of the grid, then ever smaller steps about it.

    Axes step by the ratio of their grid, those with a step in `linear` by that.
    """
    weight = 1 / np.sqrt(variance)
    best: tuple[float, Curve, Curve] | None = None

    def tried(shape: Curve) -> tuple[float, Curve, Curve]:
        design = model(shape) * weight[:, None]
        amplitude = _amplitudes(design, y * weight)
        return float(((design @ amplitude - y * weight) ** 2).sum()), shape, amplitude

    for node in np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, len(grids)):
        now = tried(node)
        if best is None or now[0] < best[0]:
            best = now
    assert best is not None
    ratios = [float(g[1]) / float(g[0]) for g in grids]
    size = 1.0
    while size > 1e-3:
        better = False
        for axis in range(len(grids)):
            for sign in (1, -1):
                shape = best[1].copy()
                if linear[axis]:
                    shape[axis] += sign * size * linear[axis]
                else:
                    shape[axis] = np.clip(shape[axis] * ratios[axis] ** (sign * size), grids[axis][0] / 2, grids[axis][-1] * 2)
                now = tried(shape)
                if now[0] < best[0] * (1 - 1e-12):
                    best, better = now, True
        size = size if better else size / 2
    return best[1], best[2]


def _amplitudes(design: NDArray[np.float64], y: Curve) -> Curve:
    """Return least-squares amplitudes; a second one (a constant) below zero is left out."""
    if design.shape[1] == 1:
        return np.array([float(design[:, 0] @ y) / max(float(design[:, 0] @ design[:, 0]), 1e-300)])
    a, b = design[:, 0], design[:, 1]
    aa, ab, bb, ay, by = (float(p @ q) for p, q in ((a, a), (a, b), (b, b), (a, y), (b, y)))
    det = aa * bb - ab * ab
    if det > 1e-12 * aa * bb:
        first, second = (bb * ay - ab * by) / det, (aa * by - ab * ay) / det
        if second >= 0:
            return np.array([first, second])
    return np.array([ay / max(aa, 1e-300), 0.0])


def _judged(found: dict[str, float], curve: Curve, y: Curve, variance: Curve, free: int, sane: bool) -> Fit:
    weight = 1 / variance
    middle = float((y * weight).sum() / weight.sum())
    total = float((weight * (y - middle) ** 2).sum())
    left = float((weight * (y - curve) ** 2).sum())
    r2 = 1 - left / total if total > 0 else 0.0
    chi2 = left / max(len(y) - free, 1)
    return Fit({k: float(v) for k, v in found.items()}, r2, chi2, curve, bool(sane and r2 >= R2_NEEDED))
