"""Control charts for small persistent shifts: CUSUM and EWMA, and the run lengths that their limits were designed for.

A series is charted as z = (value - baseline mean) / spread. The baseline is estimated from the first values, and its error, not the noise of the
later values, is what a long chart trips over: 25 values put the mean off by 0.2 sigma on average. So every design figure here is averaged
over what the estimates may turn out to be. The marts compute the same statistics in SQL (`int_drift__point`), from the same table
`drift_charts.csv`; a test holds the two together.

ISO 7870-4 (CUSUM), ISO 7870-6 (EWMA); Siegmund 1985; Brook and Evans 1972 for the Markov chain. Clauses were not seen: to be confirmed.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Chart",
    "Drift",
    "average_run_length",
    "cusum",
    "ewma",
    "extremes",
    "false_rate",
    "find_drift",
    "flag_rate",
    "siegmund",
]

Floats = NDArray[np.float64]
STATES = 80  # of the Markov chain between 0 and its limit; twice as many move a false rate by less than 2 % of itself
NODES = 15  # of the quadrature over the error of the baseline's mean, and over that of its spread


@dataclass(frozen=True)
class Chart:
    """One design, as a row of `drift_charts.csv` holds it.

    `k`, `h`: CUSUM's allowance and limit. `weight`, `limit`: EWMA's weight of the newest value, and its limit in units of its own standard
    deviation. `clip`: a z beyond it counts as this much, so that one stray value is no drift. `baseline`: values that the mean and spread
    are estimated from. `floor`: the smallest spread that means anything, in the unit of the measure.
    """

    k: float
    h: float
    weight: float
    limit: float
    clip: float
    baseline: int
    floor: float = 0.0


@dataclass(frozen=True)
class Drift:
    """What a chart says of one series; indices are 0-based places in the series, None when nothing was flagged.

    `flagged` is the first value beyond a limit, `start` the value with which the run that led there began (CUSUM's estimate of the change).
    """

    mean: float
    spread: float
    flagged: int | None
    start: int | None
    direction: str | None


def cusum(z: Floats, k: float) -> tuple[Floats, Floats]:
    """Return the upper and the lower CUSUM after each value (the last axis), both counted positive."""
    upper, lower = np.cumsum(z - k, axis=-1), np.cumsum(-z - k, axis=-1)
    rise, fall = (np.minimum.accumulate(x, axis=-1) for x in (upper, lower))
    return upper - np.minimum(0, rise), lower - np.minimum(0, fall)


def ewma(z: Floats, weight: float) -> Floats:
    """Return the EWMA after each value (the last axis) in units of its own standard deviation at that place, begun at 0."""
    out = np.empty(z.shape)
    state = np.zeros(z.shape[:-1])
    for i in range(z.shape[-1]):
        state = (1 - weight) * state + weight * z[..., i]
        out[..., i] = state
    n = np.arange(1, z.shape[-1] + 1)
    return out / np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * n)))


def find_drift(values: Floats, chart: Chart) -> Drift | None:
    """Return what the chart says of a series in the order of time; None while the baseline is not complete."""
    if values.size < chart.baseline:
        return None
    base = values[: chart.baseline]
    mean, spread = float(base.mean()), max(float(base.std(ddof=1)), chart.floor)
    if spread == 0:
        return Drift(mean, spread, None, None, None)
    z = np.clip((values[chart.baseline :] - mean) / spread, -chart.clip, chart.clip)
    upper, lower = cusum(z, chart.k)
    smooth = ewma(z, chart.weight)
    beyond = np.maximum(np.maximum(upper, lower) / chart.h, np.abs(smooth) / chart.limit) > 1
    if not beyond.any():
        return Drift(mean, spread, None, None, None)
    at = int(np.argmax(beyond))
    high = bool(upper[at] > lower[at])
    zero = np.flatnonzero((upper if high else lower)[: at + 1] <= 0)
    start = int(zero[-1]) + 1 if zero.size else 0
    return Drift(mean, spread, at + chart.baseline, start + chart.baseline, "up" if high else "down")


def extremes(values: Floats, chart: Chart) -> tuple[Floats, Floats]:
    """Return how far CUSUM and EWMA went in each series (a row of values): a chart flags it when either is beyond its limit.

    So limits can be searched for without charting anything again; those of `chart` are not used.
    """
    base = values[:, : chart.baseline]
    mean, spread = base.mean(axis=1, keepdims=True), np.maximum(base.std(axis=1, ddof=1, keepdims=True), chart.floor)
    z = np.clip((values[:, chart.baseline :] - mean) / spread, -chart.clip, chart.clip)
    upper, lower = cusum(z, chart.k)
    return np.maximum(upper.max(axis=1), lower.max(axis=1)), np.abs(ewma(z, chart.weight)).max(axis=1)


def siegmund(k: float, h: float, shift: float = 0.0) -> float:
    """Return Siegmund's approximation of the average run length of a two-sided CUSUM with a known baseline."""

    def one_sided(delta: float) -> float:
        d, b = delta - k, h + 1.166
        return float(b * b) if abs(d) < 1e-12 else float((np.exp(-2 * d * b) + 2 * d * b - 1) / (2 * d * d))

    return 1 / (1 / one_sided(shift) + 1 / one_sided(-shift))


def average_run_length(chart: Chart, shift: float = 0.0) -> tuple[float, float]:
    """Return the average run lengths of CUSUM (both sides) and of EWMA (constant limit) with a known baseline, by Markov chain."""
    sides = []
    for sign in (1, -1):
        chain = _cusum_chain(chart, sign * shift, 1.0)
        sides.append(float(np.linalg.solve(np.eye(len(chain)) - chain, np.ones(len(chain)))[0]))
    chain = _ewma_chain(chart, shift, 1.0)
    smooth = np.linalg.solve(np.eye(len(chain)) - chain, np.ones(len(chain)))
    return 1 / (1 / sides[0] + 1 / sides[1]), float(smooth[len(chain) // 2])


def false_rate(chart: Chart, values: int) -> float:
    """Return the share of in-control series that the chart flags within so many values after the baseline.

    Averaged over the baseline's errors. The rates of both sides of CUSUM and of EWMA are added, which is an upper bound: they mostly flag
    the same series.
    """
    return flag_rate(chart, values, 0.0, bound=True)


def flag_rate(chart: Chart, values: int, shift: float, bound: bool = False) -> float:
    """Return the share of series that are flagged within so many values after a shift (in sigma) that came right after the baseline.

    The larger of CUSUM's and EWMA's rate, a lower bound of either flagging; their sum with `bound`.
    """
    total = 0.0
    for bias, spread, weight in _baselines(chart.baseline):
        mean, scale = (shift - bias) / spread, 1 / spread
        up = _reach(_cusum_chain(chart, mean, scale), values, 0)
        down = _reach(_cusum_chain(chart, -mean, scale), values, 0)
        chain = _ewma_chain(chart, mean, scale)
        smooth = _reach(chain, values, len(chain) // 2)
        total += weight * (min(1.0, up + down + smooth) if bound else max(up, down, smooth))
    return total


@lru_cache(maxsize=8)
def _baselines(n: int) -> tuple[tuple[float, float, float], ...]:
    """Return errors of mean and spread (true sigma = 1) that n values may make, with their weights."""
    from scipy.stats import chi2

    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    mid = (np.arange(NODES) + 0.5) / NODES
    spreads = np.sqrt(chi2.ppf(mid, n - 1) / (n - 1))
    share = weights / weights.sum() / NODES
    return tuple((float(b / np.sqrt(n)), float(s), float(w)) for b, w in zip(nodes, share, strict=True) for s in spreads)


def _reach(chain: Floats, steps: int, start: int) -> float:
    state = np.zeros(len(chain))
    state[start] = 1.0
    for _ in range(steps):
        state = state @ chain
    return float(1 - state.sum())


def _clipped_cdf(x: Floats, mean: float, scale: float, clip: float) -> Floats:
    """Return P(z <= x) of a z that is normal with this mean and scale and clipped."""
    from scipy.special import ndtr

    return np.where(x >= clip, 1.0, np.where(x < -clip, 0.0, ndtr((x - mean) / scale)))


def _cusum_chain(chart: Chart, mean: float, scale: float) -> Floats:
    """Return the transition matrix of the upper CUSUM between its states below the limit (state 0 is zero itself)."""
    width = chart.h / (STATES - 0.5)
    centre = np.arange(STATES) * width
    edges = np.concatenate([[-np.inf], centre + width / 2])
    return np.asarray(
        np.diff(_clipped_cdf(edges[None, :] - centre[:, None] + chart.k, mean, scale, chart.clip), axis=1), dtype=np.float64
    )


def _ewma_chain(chart: Chart, mean: float, scale: float) -> Floats:
    """Return the transition matrix of the EWMA between its limits; the middle state is zero."""
    w = chart.weight
    limit = chart.limit * np.sqrt(w / (2 - w))
    edges = np.linspace(-limit, limit, 2 * (STATES // 2) + 2)
    centre = (edges[:-1] + edges[1:]) / 2
    return np.asarray(
        np.diff(_clipped_cdf((edges[None, :] - (1 - w) * centre[:, None]) / w, mean, scale, chart.clip), axis=1), dtype=np.float64
    )
