"""Clinical series of patients: one look for all kinds, and the rows of their families."""

from collections.abc import Sequence

from spark_jobs.procedures import clinical_dynamic, clinical_pet, clinical_planar, clinical_tomo
from spark_jobs.procedures.row import Procedure
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

FAMILIES = (clinical_planar, clinical_dynamic, clinical_tomo, clinical_pet)
ROWS: tuple[Procedure, ...] = tuple(row for family in FAMILIES for row in family.ROWS)
LOOKS = (clinical_planar.look, clinical_tomo.look, clinical_dynamic.look, clinical_pet.look)


def look(series: Sequence[Instance]) -> str | None:
    """Return which examination the pixels look like, or None. Asked last: a known phantom is never a patient."""
    return next((word for family in LOOKS if (word := family(series)) is not None), None)
