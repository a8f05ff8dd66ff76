"""The sheet of a phantom's filling for PET calibration: activity, volume and moments as the activimeter and the balance gave them."""

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from messages import because
from spark_jobs.documents import Document
from spark_jobs.procedures.administration import Administration, half_life_of_sheet, moment_of_sheet, reference_moment
from spark_jobs.procedures.sheets import sheet_of
from spark_jobs.qc.numerics.decay import decayed
from spark_jobs.reading import Instance, Unreadable

__all__ = ["carried", "phantom_filling"]

MOST_HALF_LIVES = 10.0  # what is left after them no activimeter tells
LARGEST_MBQ, LARGEST_ML = 10_000.0, 50_000.0


def phantom_filling(series: Sequence[Instance], sheets: Sequence[Document]) -> Administration | None:
    """Return activity (Bq) and mass (kg, 1 g/ml) of the filling at the moment that voxels are corrected to, None without a sheet.

    The sheet: `{"procedure": "pet_cross_calibration" or "suv_calibration", "study_uid": …, "nuclide": "F-18", "activity_mbq": …,
    "measured_at": …, "residual_mbq": …, "residual_measured_at": …, "volume_ml": …}`; the residual of the syringe may be left out.
    Moments are of the site's clock, as the header's are, or have an offset that the header has too. Sheets that contradict each other,
    or lack something, are `Unreadable`.
    """
    sheet, unnamed = sheet_of(series, sheets)
    if sheet is None:
        return None
    half_life = half_life_of_sheet(series, sheet.get("nuclide"))
    reference = reference_moment(series, half_life)
    activity = 1e6 * carried(series, sheet, "activity_mbq", "measured_at", reference.moment, half_life)
    if sheet.get("residual_mbq") is not None:
        activity -= 1e6 * carried(series, sheet, "residual_mbq", "residual_measured_at", reference.moment, half_life)
    volume = _number(sheet, "volume_ml", LARGEST_ML)
    if activity <= 0 or volume <= 0:
        raise Unreadable(because("filling.nothing_left"))
    notes = (because("filling.from_sheet"), *unnamed, *reference.notes)
    return Administration(activity, volume / 1000, notes)


def carried(
    series: Sequence[Instance],
    sheet: dict[str, Any],
    name: str,
    when: str,
    reference: datetime,
    half_life: float,
    largest: float = LARGEST_MBQ,
) -> float:
    """Return a value of a sheet, from 0 to `largest`, decayed from its moment to the reference."""
    value = _number(sheet, name, largest)
    seconds = (reference - moment_of_sheet(series, sheet, when)).total_seconds()
    if abs(seconds) > MOST_HALF_LIVES * half_life:
        raise Unreadable(because("filling.too_far", key=when, half_lives=MOST_HALF_LIVES))
    return decayed(value, seconds, half_life)


def _number(sheet: dict[str, Any], name: str, largest: float) -> float:
    value = sheet.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not 0 <= value <= largest:
        raise Unreadable(because("filling.missing", key=name, largest=largest))
    return float(value)
