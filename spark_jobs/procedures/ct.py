"""CT series: which phantom lies in the middle slices, and how each procedure takes its slices."""

from collections.abc import Sequence

import numpy as np

from spark_jobs.procedures.row import Procedure, middle
from spark_jobs.qc import ct_water
from spark_jobs.qc.cylinder import find_cylinder
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

SLICES = 9  # slices of the middle that are looked at
MEASURED_SLICES = 5


def look(series: Sequence[Instance]) -> str | None:
    """Return what lies in the middle slices, or None when the series is no CT."""
    first = series[0]
    if first.modality != "CT":
        return None
    found = [find_cylinder(i.hu, first.pixel_mm or 1.0) for i in middle(series, SLICES)]
    strange = next((c for c in found if isinstance(c, str)), None)
    if strange:
        return strange
    medians = [c.median_hu for c in found if not isinstance(c, str)]
    if any(not isinstance(c, str) and not c.homogeneous for c in found) or np.ptp(medians) > 20:
        return "a phantom with inserts"
    return "homogeneous cylinder"


def _water(series: Sequence[Instance]) -> list[Result]:
    chosen = middle(series, MEASURED_SLICES)
    return [ct_water.measure([i.hu for i in chosen], series[0].pixel_mm or 0.0)]


ROWS = (Procedure(ct_water, "PP-CTWATER", "phantom", lambda i: i.modality == "CT", "homogeneous cylinder", _water),)
