"""PET series of phantoms: which phantom the volume shows, and how each procedure takes its volume, unit and activity."""

from collections.abc import Sequence
from dataclasses import replace

from messages import because
from spark_jobs.documents import Document
from spark_jobs.procedures.administration import (
    Administration,
    administration_of,
    factor_of,
    half_life_of_sheet,
    reference_moment,
    unit_of,
)
from spark_jobs.procedures.agent import agents, half_life_of
from spark_jobs.procedures.pet.filling import carried, phantom_filling
from spark_jobs.procedures.reference_moment import decay_correction, is_dated, scan_start
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.procedures.sheets import sheet_of
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.cut_off import CUT_OFF
from spark_jobs.qc.numerics.fiducials import find_fiducials
from spark_jobs.qc.pet import pet_cross_calibration, pet_nema_iq, pet_uniformity, suv_calibration
from spark_jobs.qc.pet.iq_phantom import find_iq_phantom
from spark_jobs.qc.pet.pet_cylinder import NOT_COLD, find_pet_cylinder
from spark_jobs.qc.pet.pet_nema_iq import Filling
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.reading import Instance, Unreadable
from spark_jobs.volumes import Volume, slices_of, volume_of

__all__ = ["ROWS", "look"]

LARGEST_BQ_PER_ML = 1e9
NO_CONCENTRATION = ("GML", "CNTS")  # Units whose voxels no activimeter can be compared with


def look(series: Sequence[Instance]) -> Look | str | None:
    """Return which phantom the volume shows, or None when the series is no PET."""
    if series[0].modality != "PT":
        return None
    values, volume = slices_of(series)
    strange = find_iq_phantom(values, volume.voxel_mm)
    if not isinstance(strange, str):
        return Look.PET_SPHERES
    cylinder = find_pet_cylinder(values, volume.voxel_mm)
    if not isinstance(cylinder, str):
        return Look.PET_CYLINDER
    if cylinder in (because(CUT_OFF), because(NOT_COLD)):
        return cylinder
    if not isinstance(find_fiducials(values, volume.voxel_mm, emission=True), str):
        return because("pet.compared_with_second", phantom=Look.FIDUCIALS)
    return because("pet.no_phantom", why=strange)


def _spheres(series: Sequence[Instance], sheets: Sequence[Document] = ()) -> list[Result]:
    volume = volume_of(series)
    try:
        filling, notes = _filling(series, sheets)
    except Unreadable as exc:
        return [refusal(pet_nema_iq, str(exc))]
    result = _noted(pet_nema_iq.measure(volume.values, volume.voxel_mm, filling=filling), series)
    return [replace(result, warnings=(*result.warnings, *notes))]


def _filling(series: Sequence[Instance], sheets: Sequence[Document]) -> tuple[Filling | None, tuple[str, ...]]:
    """Return what a sheet gives at the moment that voxels are decay-corrected to, and notes; None without a sheet.

    The sheet: `{"procedure": "pet_nema_iq", "study_uid": …, "spheres_bq_per_ml": …, "background_bq_per_ml": …, "measured_at": …,
    "nuclide": "F-18"}`; which series it is of, `sheets` says; without `measured_at` the values are of the
    start of the scan. A sheet that cannot be used is `Unreadable`.
    """
    sheet, unnamed = sheet_of(series, sheets)
    if sheet is None:
        return None, ()
    try:
        spheres, background = float(sheet["spheres_bq_per_ml"]), float(sheet["background_bq_per_ml"])
    except (KeyError, TypeError, ValueError):
        raise Unreadable(because("iq.sheet_incomplete")) from None
    if not spheres > background > 0:
        raise Unreadable(because("iq.sheet_no_hot_spheres"))
    if unit_of(series) != "BQML":
        raise Unreadable(because("iq.units_not_bqml"))
    dated, named = sheet.get("measured_at") is not None, sheet.get("nuclide") is not None
    half_life = half_life_of_sheet(series, sheet.get("nuclide")) if dated or named else half_life_of(agents(series[0].dataset))
    if not dated and decay_correction(series) == "START" and (half_life is None or not is_dated(series)):
        return Filling(spheres, background), unnamed  # both are of the start, whenever that was
    half_life = half_life or half_life_of_sheet(series, None)
    if not dated:
        sheet = {**sheet, "measured_at": scan_start(series).isoformat()}
    reference = reference_moment(series, half_life)
    names = ("spheres_bq_per_ml", "background_bq_per_ml")
    values = (carried(series, sheet, n, "measured_at", reference.moment, half_life, LARGEST_BQ_PER_ML) for n in names)
    return Filling(*values), (*unnamed, *reference.notes)


def _cylinder(series: Sequence[Instance], sheets: Sequence[Document] = ()) -> list[Result]:
    """Return SUV, cross-calibration and uniformity, those that were measured first; a sheet's activity and volume count, not the header's.

    Voxels that are SUV already, or counts with the vendor's factor, can be compared with no activimeter: that test does not apply to
    them, and is no refusal.
    """
    volume = volume_of(series)
    out = []
    unit = str(series[0].dataset.get("Units") or "").strip().upper()
    given: Administration | None = None
    if unit not in NO_CONCENTRATION:
        try:
            given = phantom_filling(series, sheets)
        except Unreadable as exc:
            refusals = [refusal(m, str(exc)) for m in (suv_calibration, pet_cross_calibration)]
            return [_noted(pet_uniformity.measure(volume.values, volume.voxel_mm), series), *refusals]
    try:
        factor, notes = factor_of(series, given)
        suv = suv_calibration.measure(volume.values, volume.voxel_mm, factor)
        out.append(replace(suv, warnings=(*suv.warnings, *notes)))
    except Unreadable as exc:
        out.append(refusal(suv_calibration, str(exc)))
    if unit not in NO_CONCENTRATION:
        out.append(_cross_calibration(series, volume, given))
    out.append(pet_uniformity.measure(volume.values, volume.voxel_mm))
    out.sort(key=lambda r: r.status == NOT_MEASURED)  # what could be measured comes first
    return [_noted(r, series) for r in out]


def _cross_calibration(series: Sequence[Instance], volume: Volume, told: Administration | None) -> Result:
    try:
        given = told or administration_of(series)
        if unit_of(series) != "BQML":
            raise Unreadable(because("calibration.units_not_bqml"))
        if not given.weight_kg:
            raise Unreadable(because("calibration.weight_missing"))
        ratio = pet_cross_calibration.measure(volume.values, volume.voxel_mm, given.reference_bq, 1000 * given.weight_kg)
        notes = () if told else (because("calibration.volume_from_weight"),)
        return replace(ratio, warnings=(*ratio.warnings, *given.notes, *notes))
    except Unreadable as exc:
        return refusal(pet_cross_calibration, str(exc))


def _noted(result: Result, series: Sequence[Instance]) -> Result:
    """Return the result with what the header says against trusting the voxels."""
    corrections = series[0].dataset.get("CorrectedImage")
    if not result.measures or corrections is None:
        return result
    done = [str(c) for c in ([corrections] if isinstance(corrections, str) else corrections)]
    missing = [c for c in ("ATTN", "SCAT") if not any(c in d for d in done)]
    note = because("calibration.corrections_missing", corrections=list(missing))
    return replace(result, warnings=(*result.warnings, note)) if missing else result


def _pet(instance: Instance) -> bool:
    return instance.modality == "PT"


ROWS = (
    Procedure(
        pet_nema_iq,
        "PP-PETIQ",
        "phantom",
        _pet,
        Look.PET_SPHERES,
        _spheres,
        with_sheets=_spheres,
        sheet_keys=("spheres_bq_per_ml", "background_bq_per_ml", "nuclide"),
    ),
    Procedure(
        suv_calibration,
        "PP-PETCAL",
        "phantom",
        _pet,
        Look.PET_CYLINDER,
        _cylinder,
        with_sheets=_cylinder,
        sheet_keys=("nuclide", "activity_mbq", "residual_mbq", "residual_measured_at", "volume_ml"),
        further=(pet_cross_calibration, pet_uniformity),
    ),
)
