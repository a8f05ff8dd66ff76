"""The table of procedures. A new procedure is one file in `qc/` and one row in the file of its family here."""

from collections.abc import Sequence

from spark_jobs.procedures import clinical, counting, ct, planar, rotation, tomographic
from spark_jobs.procedures.row import Procedure
from spark_jobs.reading import Instance

__all__ = ["CODES", "PROCEDURES", "Procedure", "header_votes", "look"]

FAMILIES = (planar, rotation, counting, tomographic, ct, clinical)
PROCEDURES: dict[str, Procedure] = {row.module.PROCEDURE: row for family in FAMILIES for row in family.ROWS}
# code values of scheme 99PHOTOPEAK on the order, the worklist item or the performed protocol
CODES: dict[str, str] = {row.code: name for name, row in PROCEDURES.items()}
LOOKS = (ct.look, rotation.look, tomographic.look, planar.look)


def header_votes(series: Sequence[Instance]) -> set[str]:
    """Return the procedures that the class of the header admits; mixed classes admit none."""
    first = series[0]
    if any(i.modality != first.modality or i.kind != first.kind for i in series):
        return set()
    return {name for name, row in PROCEDURES.items() if row.header(first)}


def look(series: Sequence[Instance]) -> str:
    """Return what the pixels look like: the name of a look in the table, or a word for what else they are."""
    seen = (family(series) for family in LOOKS)
    return next((word for word in seen if word is not None), "no kind of image that is known here")
