"""Standardised uptake values: the activity that was really given, and voxels over it, for each unit."""

from messages import because
from spark_jobs.qc.numerics.decay import decayed
from spark_jobs.qc.terms import shown

__all__ = ["given_activity", "suv_factor"]


def given_activity(
    assayed_bq: float,
    assay_to_injection_s: float,
    half_life_s: float,
    residual_bq: float = 0.0,
    residual_to_injection_s: float = 0.0,
) -> float:
    """Return the activity (Bq) that went in, at the moment of injection: A_pre·e^{−λΔt₁} − A_res·e^{−λΔt₂}.

    Parameters
    ----------
    assayed_bq, assay_to_injection_s
        The full syringe, and the seconds from its assay to the injection.
    residual_bq, residual_to_injection_s
        The syringe afterwards, and the seconds from *that* assay to the injection: negative, because it is measured later.
    """
    return decayed(assayed_bq, assay_to_injection_s, half_life_s) - decayed(residual_bq, residual_to_injection_s, half_life_s)


def suv_factor(unit: str, activity_bq: float | None, weight_kg: float | None, philips_factor: float | None = None) -> float:
    """Return what a voxel is multiplied with to be an SUV by body weight (g/ml).

    Parameters
    ----------
    unit
        Units of the header: BQML needs activity and weight, GML is an SUV already, CNTS needs the vendor's factor (7053,xx00).
        Any other unit raises ValueError.
    activity_bq, weight_kg
        Activity at the reference moment, weight of the body (for a phantom: its filling, 1 g/ml).
    """
    if unit == "GML":
        return 1.0
    if unit == "CNTS":
        if not philips_factor or philips_factor <= 0:
            raise ValueError(because("suv.factor_missing"))
        return philips_factor
    if unit != "BQML":
        raise ValueError(because("suv.units_other", units=shown("Units", unit)))
    if not activity_bq or activity_bq <= 0:
        raise ValueError(because("suv.activity_missing"))
    if not weight_kg or weight_kg <= 0:
        raise ValueError(because("suv.weight_missing"))
    return 1000 * weight_kg / activity_bq
