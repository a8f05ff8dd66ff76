"""Activimeter (dose calibrator): accuracy, constancy, linearity and repeatability from readings (GB/T 10256; IAEA-TECDOC-602).

All readings are net of background and brought to one time by the half-life of their nuclide. Accuracy and constancy are
100·(M/(A₀·e^{−λt}) − 1); linearity is the largest residual of ln M about a line whose slope is the nuclide's λ, in percent (a free
slope would take up part of what is looked for); repeatability is the standard deviation (K − 1) over the mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.decay import decayed
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.slips import slip
from spark_jobs.qc.result import Measure

__all__ = [
    "FEWEST_REPEATED",
    "METHOD",
    "PROCEDURE",
    "VERSION",
    "Readings",
    "agreement",
    "linearity",
    "no_device",
    "repeatability",
    "scatter",
]

PROCEDURE = "activimeter"
METHOD = "GB/T 10256"
VERSION = "1.1.0"
FORMULAE = (
    "error = 100 · (M / (A₀ · e^(−λt)) − 1), in percent, mean over the readings; M net reading, A₀ reference activity, both in MBq",
    "linearity residual = 100 · (e^r − 1), in percent, r = ln M + λt − mean(ln M + λt); the largest absolute value counts",
    "repeatability = 100 · SD / mean, in percent, with K − 1 degrees of freedom, readings decay-corrected to one time",
)
FEWEST_LINEAR, FEWEST_REPEATED = 4, 5
WIDEST_PERCENT = 2.0  # standard deviation of fewer readings than show repeatability; GB/T 10256 asks for at most that of class II
APART = 0.05  # half-lives: readings that lie nearer to each other are repeats of one moment
# times what it should be: a chamber that lost its gas reads a small part, one set to another nuclide some times too much
POSSIBLE = 0.05, 5.0
LEAST_DECAY = 2.0  # between the first and the last reading of a linearity test: less is no test of linearity


@dataclass(frozen=True)
class Readings:
    """Net readings in MBq and their times in seconds after a common moment, of one nuclide."""

    mbq: NDArray[np.float64]
    seconds: NDArray[np.float64]
    half_life_s: float
    nuclide: str


def agreement(name: str, readings: Readings, reference_mbq: float) -> Measure | str:
    """Return the mean error in percent against a reference activity at second 0, or why there is none."""
    if reference_mbq <= 0:
        return because("activimeter.reference_not_positive")
    if (readings.mbq <= 0).any():
        return because("activimeter.reading_below_background")
    errors = _errors(readings, reference_mbq)
    se = float(errors.std(ddof=1) / np.sqrt(errors.size)) if errors.size > 1 else None
    return Measure(name, round(float(errors.mean()), 4), "%", None if se is None else round(se, 4), None, None, readings.nuclide)


def scatter(readings: Readings, reference_mbq: float) -> str | None:
    """Return why the mean error of two readings or more gets no verdict: they scatter so widely that it says nothing. None: they do not."""
    errors = _errors(readings, reference_mbq)
    if errors.size < 2 or (spread := float(errors.std(ddof=1))) <= WIDEST_PERCENT:
        return None
    return because("activimeter.readings_scatter", readings=errors.size, percent=spread, least=FEWEST_REPEATED)


def no_device(readings: Readings, reference_mbq: float | None = None) -> str | None:
    """Return why a reading is none that an activimeter can give, however broken, None where all may be.

    Parameters
    ----------
    reference_mbq
        The reference activity at second 0; None: readings of one source are held against their middle one.
    """
    level = readings.mbq * np.exp2(readings.seconds / readings.half_life_s)
    expected = median(level) if reference_mbq is None else reference_mbq
    if expected <= 0 or (level <= 0).any():
        return None
    ratios = level / expected
    worst = float(ratios[np.argmax(np.abs(np.log(ratios)))])
    if POSSIBLE[0] <= worst <= POSSIBLE[1]:
        return None
    return because("activimeter.no_device", times=worst, cause=slip(worst))


def _errors(readings: Readings, reference_mbq: float) -> NDArray[np.float64]:
    return 100 * (readings.mbq / np.array([decayed(reference_mbq, t, readings.half_life_s) for t in readings.seconds]) - 1)


def linearity(readings: Readings) -> tuple[Measure, NDArray[np.float64]] | str:
    """Return the largest residual in percent and all residuals in the order of time, or why there are none."""
    if readings.mbq.size < FEWEST_LINEAR:
        return because("activimeter.readings_few", readings=readings.mbq.size, least=FEWEST_LINEAR)
    if (readings.mbq <= 0).any():
        return because("activimeter.reading_below_background")
    moments = _moments(readings.seconds / readings.half_life_s)
    if 1 < moments < FEWEST_LINEAR:
        return because("activimeter.moments_few", moments=moments, least=FEWEST_LINEAR)
    if readings.mbq.max() < LEAST_DECAY * readings.mbq.min():
        return because("activimeter.decay_too_short")
    logs = np.log(readings.mbq) + np.log(2) * readings.seconds / readings.half_life_s
    residuals = 100 * np.expm1(logs - logs.mean())
    worst = int(np.argmax(np.abs(residuals)))
    at = {"reading_mbq": round(float(readings.mbq[worst]), 4), "seconds": round(float(readings.seconds[worst]), 1)}
    value = round(float(abs(residuals[worst])), 4)
    return Measure("linearity_residual_percent", value, "%", None, at, None, readings.nuclide), residuals


def _moments(half_lives: NDArray[np.float64]) -> int:
    """Return how many different moments of the decay the readings are of."""
    count, last = 0, -np.inf
    for moment in np.sort(half_lives):
        if moment - last >= APART:
            count, last = count + 1, moment
    return count


def repeatability(readings: Readings) -> Measure | str:
    """Return the relative standard deviation of repeated readings in percent, or why there is none."""
    if readings.mbq.size < FEWEST_REPEATED:
        return because("activimeter.repeated_few", readings=readings.mbq.size, least=FEWEST_REPEATED)
    if (readings.mbq <= 0).any():
        return because("activimeter.reading_below_background")
    level = np.array([decayed(m, -t, readings.half_life_s) for m, t in zip(readings.mbq, readings.seconds, strict=True)])
    value = 100 * float(level.std(ddof=1) / level.mean())
    se = value / float(np.sqrt(2 * (level.size - 1)))
    return Measure("repeatability_percent", round(value, 4), "%", round(se, 4), None, None, readings.nuclide)
