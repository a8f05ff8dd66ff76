"""Clinical series of patients: one look for all kinds, and the rows of their families."""

from collections.abc import Sequence

from spark_jobs.procedures.clinical import dynamic, pet, planar, tomo
from spark_jobs.procedures.row import Procedure
from spark_jobs.qc.looks import Look
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]

FAMILIES = (planar, dynamic, tomo, pet)
ROWS: tuple[Procedure, ...] = tuple(row for family in FAMILIES for row in family.ROWS)
LOOKS = (planar.look, tomo.look, dynamic.look, pet.look)


def look(series: Sequence[Instance]) -> Look | None:
    """Return which examination the pixels look like, or None. Asked last: a known phantom is never a patient."""
    return next((word for family in LOOKS if (word := family(series)) is not None), None)
