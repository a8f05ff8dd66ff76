"""Artefacts beside the measurement of a uniform phantom: found in the image that was measured, at no reading of its own.

A result of its own joins the main one only where an artefact was found, so that a clean phantom keeps its one result; an order with
the code of this procedure always gets the result, a clean image one with no artefacts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.combined import artefacts
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.field import covered, hull_shape
from spark_jobs.qc.numerics.outline import disc
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "beside"]

CT_AIR_HU = 1000.0
WATER_PART = 0.9  # of the radius of the water: its rim is the wall's blur
FLOOD_PART = 0.92  # of the useful field: edge packing of the crystal is no artefact
LOOKS = {
    Look.PLATEAU: "planar_uniformity",
    Look.UNIFORM_CYLINDER: "tomographic_uniformity",
    Look.SYSTEM_PHANTOM: "tomographic_uniformity",
    Look.CT_CYLINDER: "ct_water",
    Look.PET_CYLINDER: "suv_calibration",
}


def beside(results: Sequence[Result], always: bool = False) -> list[Result]:
    """Return the artefacts of the images that these results were measured on; only where some were found, unless always."""
    out = []
    for main in results:
        if main.status == NOT_MEASURED or not main.figure:
            continue
        kept: list[Result] = []
        for image, field, pixel_mm, centre in _taken(main):
            found = artefacts.measure(
                image,
                field,
                pixel_mm,
                centre=centre,
                detector=main.detector,
                status=main.status,
                reason=main.reason,
                block=main.figure.get("block", 1),
                first=main.figure.get("first", (0, 0)),
                least=artefacts.CT_CONTRAST if main.procedure == "ct_water" else artefacts.LEAST_CONTRAST,
            )
            if found.measures and found.value("artefact_count") > 0:
                kept = [found]
                break
            kept = kept or ([found] if always else [])
        out += kept
    return out


def _taken(main: Result) -> list[tuple[NDArray, NDArray[np.bool_], float, tuple[float, float] | None]]:
    """Return images, fields, pixel sizes and axes of what a result was measured on, none for other procedures.

    A PET cylinder is looked at in the mean of its slices first, then in the slice that is least even.
    """
    f: dict[str, Any] = main.figure or {}
    if main.procedure == "planar_uniformity":
        field = covered(hull_shape(f["ufov"]).scaled(FLOOD_PART), *f["ufov"].shape) & f["ufov"]
        return [(f["image"], field, f["pixel_mm"], None)]
    if main.procedure == "tomographic_uniformity":
        image, (row, column) = f["image"], f["axis"]
        return [(image, disc(image.shape, row, column, f["radius"]), f["pixel_mm"], (row, column))]
    if main.procedure == "ct_water":
        image = np.asarray(f["image"], np.float64) + CT_AIR_HU
        row, column, radius = f["circles"][-1]
        field = disc(image.shape, row, column, WATER_PART * radius / f["centre_part"])
        return [(image, field, f["pixel_mm"], (row, column))]
    if main.procedure == "pet_uniformity":
        row, column, radius = f["circle"]
        field = disc(f["image"].shape, row, column, radius)
        return [(image, field, f["pixel_mm"], (row, column)) for image in (f["mean_image"], f["image"])]
    return []


def _ordered(series: Sequence[Instance]) -> list[Result]:
    from spark_jobs.procedures import PROCEDURES, look

    main = PROCEDURES[LOOKS[Look(look(series))]]
    if not main.reconstructed and any(i.modality == "NM" and i.image_type[:1] == ("DERIVED",) for i in series):
        return [refusal(artefacts, because("image.derived"))]
    results = main.run(series)
    found = beside(results, always=True)
    return found or [refusal(artefacts, results[0].reason or because("artefact.not_measurable"), results[0].detector)]


ROWS = (
    Procedure(
        artefacts,
        "PP-ARTEFACT",
        "phantom",
        lambda i: False,  # a class alone never asks for it
        Look.FOR_ARTEFACTS,
        _ordered,
        reconstructed=True,
        also=tuple(LOOKS),
    ),
)
