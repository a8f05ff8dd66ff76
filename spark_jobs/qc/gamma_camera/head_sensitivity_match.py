"""Match of the sensitivities of the heads of one camera over the same source (NEMA NU 1, 4.6): 100·(max − min)/max.

1. Sum the counts of each head over the same source, in the same time and energy window.
2. Compare the least sensitive head with the most sensitive one.
"""

from collections.abc import Mapping

import numpy as np

from spark_jobs.qc.result import MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "head_sensitivity_match"
METHOD = "NEMA NU 1 4.6"
VERSION = "1.0.1"
FORMULAE = (
    "difference = 100 · (max − min) / max, in percent, of the counts of the heads",
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
