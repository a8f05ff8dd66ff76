"""Match of the sensitivities of the heads of one camera over the same source (NEMA NU 1, 4.6): 100·(max − min)/max.

1. Sum the counts of each head over the same source, in the same time and energy window, or take each head's sensitivity (NU 1, 3.3).
2. Compare the least sensitive head with the most sensitive one.
"""

from collections.abc import Mapping

import numpy as np

from spark_jobs.qc.result import INDICATIVE, MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure", "measure_sensitivities"]

PROCEDURE = "head_sensitivity_match"
METHOD = "NEMA NU 1 4.6"
VERSION = "1.1.0"
FORMULAE = (
    "difference = 100 · (max − min) / max, in percent, of the counts of the heads, or of their sensitivities in cps/MBq",
    "uncertainty = 100 · (min / max) · √(1 / min + 1 / max), in percent",
)


def measure(counts: Mapping[str, int]) -> Result:
    """Return by how much the least sensitive head stays behind the most sensitive one.

    Parameters
    ----------
    counts
        Counts of two or more heads (by name) over the same source in the same time and energy window.
    """
    high, low = max(counts, key=lambda h: counts[h]), min(counts, key=lambda h: counts[h])
    ratio = counts[low] / counts[high]
    se = 100 * ratio * float(np.sqrt(1 / max(counts[low], 1) + 1 / counts[high]))
    at = {"highest_detector": high, "lowest_detector": low, "counts": {k: counts[k] for k in sorted(counts)}}
    value = Measure("head_sensitivity_difference_percent", round(100 * (1 - ratio), 4), "%", round(se, 4), at)
    return Result(PROCEDURE, MEASURED, None, None, METHOD, VERSION, (value,))


def measure_sensitivities(values: Mapping[str, tuple[float, float]], doubt: str | None = None) -> Result:
    """Return the same of the sensitivities of two or more heads, whenever each was measured: decay is taken off them.

    Parameters
    ----------
    values
        Sensitivity (cps/MBq) and its uncertainty of each head (by name).
    doubt
        Why one of them has no verdict; None: all have.
    """
    high, low = max(values, key=lambda h: values[h][0]), min(values, key=lambda h: values[h][0])
    ratio = values[low][0] / values[high][0]
    se = 100 * ratio * float(np.hypot(values[low][1] / values[low][0], values[high][1] / values[high][0]))
    at = {"highest_detector": high, "lowest_detector": low, "cps_per_mbq": {k: values[k][0] for k in sorted(values)}}
    value = Measure("head_sensitivity_difference_percent", round(100 * (1 - ratio), 4), "%", round(se, 4), at)
    return Result(PROCEDURE, INDICATIVE if doubt else MEASURED, doubt, None, METHOD, VERSION, (value,))
