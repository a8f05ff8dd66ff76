"""The scanner against the activimeter: concentration in the image over concentration from the assayed activity and the volume.

1. Find the evenly filled cylinder.
2. Take the mean concentration within 80 % of its radius.
3. Divide it by the assayed activity over the volume, at the moment to which the voxels are decay-corrected.
"""

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.slips import slip
from spark_jobs.qc.pet.pet_cylinder import find_pet_cylinder
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "pet_cross_calibration"
METHOD = "C image ÷ C activimeter in 80 % of an even cylinder's radius"
VERSION = "1.2.0"
FORMULAE = (
    "calibration ratio = mean concentration in the image / (activity / volume), both in Bq/ml at the moment of decay correction",
    "bias = 100 · (ratio − 1), in percent",
)
PART = 0.8
# A missing attenuation correction leaves a fifth; nothing that a scanner does wrong makes more than two and a half times too much
POSSIBLE = 0.2, 2.5


def measure(
    values: NDArray, voxel_mm: tuple[float, float, float], activity_bq: float, volume_ml: float, *, detector: str | None = None
) -> Result:
    """Return the ratio of the two concentrations and the scanner's bias.

    Parameters
    ----------
    values
        Bq/ml.
    activity_bq
        Activity in the phantom at the moment that the voxels are decay-corrected to.
    volume_ml
        Of the filling.
    """
    cylinder = find_pet_cylinder(values, voxel_mm)
    if isinstance(cylinder, str):
        return Result(PROCEDURE, NOT_MEASURED, cylinder, detector, METHOD, VERSION)
    seen = float(values[cylinder.inside(values.shape, voxel_mm, PART)].mean(dtype=np.float64))
    true = activity_bq / volume_ml
    out = (
        Measure("calibration_ratio", round(seen / true, 6), "1"),
        Measure("calibration_bias_percent", round(100 * (seen / true - 1), 4), "%"),
        Measure("image_concentration_bq_per_ml", round(seen, 3), "Bq/ml"),
        Measure("activimeter_concentration_bq_per_ml", round(true, 3), "Bq/ml"),
    )
    middle = (cylinder.first + cylinder.last) // 2
    circle = (cylinder.rows[middle], cylinder.columns[middle], PART * cylinder.radius_mm / voxel_mm[1])
    figure = {"kind": PROCEDURE, "image": values[middle], "mean": seen, "circle": circle}
    state, reason = MEASURED, None
    if not POSSIBLE[0] <= seen / true <= POSSIBLE[1]:
        state = INDICATIVE
        reason = because("calibration.ratio_absurd", ratio=seen / true, cause=slip(seen / true))
    return Result(PROCEDURE, state, reason, detector, METHOD, VERSION, out, (), figure)
