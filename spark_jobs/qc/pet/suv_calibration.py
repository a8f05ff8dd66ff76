"""SUV of an evenly filled cylinder, which is 1 when scanner, activimeter and header agree.

1. Find the evenly filled cylinder.
2. Convert voxels to SUV by weight, activity and moments of the header.
3. Take mean and scatter within 80 % of its radius; a ratio below 0.2 or above 2.5 gets no verdict.
"""

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.slips import slip
from spark_jobs.qc.pet.pet_cylinder import find_pet_cylinder
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "suv_calibration"
METHOD = "SUV by weight in 80 % of an even cylinder's radius"
VERSION = "1.2.0"
FORMULAE = (
    "SUV = concentration in Bq/ml · weight in g / decay-corrected injected activity in Bq, in g/ml",
    "bias = 100 · (mean SUV − 1), in percent",
    "coefficient of variation = 100 · SD / mean, in percent",
)
PART = 0.8
# A missing attenuation correction leaves a fifth; nothing that a scanner does wrong makes more than two and a half times too much
POSSIBLE = 0.2, 2.5


def measure(values: NDArray, voxel_mm: tuple[float, float, float], factor: float, *, detector: str | None = None) -> Result:
    """Return the cylinder's SUV and its deviation from 1.

    Parameters
    ----------
    factor
        What a voxel is multiplied with to be an SUV (`suv.suv_factor`); the weight is that of the filling, 1 g/ml.
    """
    cylinder = find_pet_cylinder(values, voxel_mm)
    if isinstance(cylinder, str):
        return Result(PROCEDURE, NOT_MEASURED, cylinder, detector, METHOD, VERSION)
    inside = values[cylinder.inside(values.shape, voxel_mm, PART)].astype(np.float64) * factor
    suv = float(inside.mean())
    out = (
        Measure("suv_mean", round(suv, 6), "g/ml"),
        Measure("suv_bias_percent", round(100 * (suv - 1), 4), "%"),
        Measure("suv_cov_percent", round(100 * float(inside.std(ddof=1)) / suv, 4), "%"),
        Measure("cylinder_diameter_mm", round(2 * cylinder.radius_mm, 2), "mm"),
    )
    middle = (cylinder.first + cylinder.last) // 2
    circle = (cylinder.rows[middle], cylinder.columns[middle], PART * cylinder.radius_mm / voxel_mm[1])
    figure = {"kind": PROCEDURE, "image": values[middle] * factor, "mean": suv, "circle": circle}
    state, reason = MEASURED, None
    if not POSSIBLE[0] <= suv <= POSSIBLE[1]:
        state = INDICATIVE
        reason = because("calibration.suv_absurd", suv=suv, cause=slip(suv))
    return Result(PROCEDURE, state, reason, detector, METHOD, VERSION, out, (), figure)
