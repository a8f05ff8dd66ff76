"""Energy resolution and peaking of one head from a scan of narrow energy windows (NEMA NU 1, 2.3).

The counts of adjacent windows are a spectrum; a Gaussian integrated over each window is fitted to the part of the photopeak above
0.4 of its height, so that the width of the windows does not widen the peak. No scatter is taken away: NU 1 measures the peak as it
is. The value is 100·FWHM over the nominal energy of the nuclide.
"""

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.gaussian import FWHM, fit_bins
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["FEWEST_WINDOWS", "METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "energy_resolution"
METHOD = "NEMA NU 1 2.3"
VERSION = "1.0.2"
FORMULAE = (
    "energy resolution = 100 · FWHM / nominal energy, in percent, FWHM = 2.3548 σ in keV",
    "peak shift = fitted photopeak − nominal energy, in keV",
)
FEWEST_WINDOWS = 8
FLANK = 0.4
SAME = 0.1  # of a window's width: larger gaps or overlaps are no spectrum
LEAST_KEV = 80.0  # below it photopeaks are groups of X-rays, wider than one line
FARTHEST_KEV = 15.0  # from the nominal energy: beyond it the peak is another one
UNLIKE = 0.05  # of the peak: a window that departs so far moves FWHM by more than its tolerance of 2 %
LEAST_PEAK = 10_000  # counts in the highest window


def measure(
    counts: NDArray,
    lower_kev: NDArray,
    upper_kev: NDArray,
    nuclide: str | None,
    nominal_kev: float | None,
    *,
    detector: str | None = None,
) -> Result:
    """Return width and place of the photopeak.

    Parameters
    ----------
    counts, lower_kev, upper_kev
        Counts and limits of each window, taken in equal times.
    nuclide, nominal_kev
        Whose photopeak it is ("Tc-99m"), and its energy; None: not known.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    order = np.argsort(lower_kev)
    seen, low, high = (np.asarray(v, float)[order] for v in (counts, lower_kev, upper_kev))
    widths = high - low
    if seen.size < FEWEST_WINDOWS or (widths <= 0).any() or (np.abs(low[1:] - high[:-1]) > SAME * widths.min()).any():
        return refuse(because("energy.no_spectrum", least=FEWEST_WINDOWS))
    nominal = nominal_kev
    if nominal is None:
        return refuse(because("energy.photopeak_unknown", nuclide=nuclide or because("energy.unknown_nuclide")))
    if nominal < LEAST_KEV:
        return refuse(because("energy.x_rays", nuclide=nuclide, kev=nominal))
    density = seen / widths
    top = int(np.argmax(density))
    above = density > FLANK * density[top]
    first, last = top, top
    while first > 0 and above[first - 1]:
        first -= 1
    while last < seen.size - 1 and above[last + 1]:
        last += 1
    if first == 0 or last == seen.size - 1:
        return refuse(because("energy.photopeak_cut"))
    if last - first < 3:
        return refuse(because("energy.windows_wide"))
    part = slice(first, last + 1)
    guess = float((high[last] - low[first]) / 2.7)
    peak = fit_bins(low[part], high[part], seen[part], float(low[top] + high[top]) / 2, guess, constant=False)
    if peak is None or not low[first] < peak.mean < high[last]:
        return refuse(because("energy.no_fit"))
    shape = peak.of(low[part], high[part])
    away = seen[part] - shape
    worst = int(np.argmax(np.abs(away)))
    if abs(away[worst]) > UNLIKE * shape.max() + 5 * float(np.sqrt(shape[worst])):
        return refuse(
            because(
                "energy.not_gaussian",
                window_kev=float(low[part][worst] + high[part][worst]) / 2,
                percent=100 * away[worst] / shape.max(),
            )
        )
    shift = peak.mean - nominal
    if abs(shift) > FARTHEST_KEV:
        return refuse(because("energy.peak_elsewhere", peak_kev=peak.mean, nuclide=nuclide, nominal_kev=nominal))
    width, se = FWHM * peak.sigma, FWHM * peak.sigma_se
    measures = (
        Measure("energy_resolution_percent", round(100 * width / nominal, 4), "%", round(100 * se / nominal, 4)),
        Measure("fwhm_kev", round(width, 4), "keV", round(se, 4)),
        Measure("photopeak_kev", round(peak.mean, 4), "keV", round(peak.mean_se, 4)),
        Measure("peak_shift_kev", round(shift, 4), "keV", round(peak.mean_se, 4)),
    )
    few = seen[top] < LEAST_PEAK
    reason = because("energy.too_few_counts", counts=seen[top], least=LEAST_PEAK) if few else None
    figure = {
        "kind": PROCEDURE,
        "low": low,
        "high": high,
        "counts": seen,
        "peak": peak.mean,
        "sigma": peak.sigma,
        "area": peak.area,
    }
    return Result(PROCEDURE, INDICATIVE if few else MEASURED, reason, detector, METHOD, VERSION, measures, (), figure)
