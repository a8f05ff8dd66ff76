"""The table of procedures. A new procedure is one file in its family in `qc/` and one row in its family here."""

from collections.abc import Sequence
from types import ModuleType

from messages import because
from spark_jobs.procedures import clinical
from spark_jobs.procedures.combined import artefacts, registration
from spark_jobs.procedures.ct import phantoms as ct_phantoms
from spark_jobs.procedures.gamma_camera import counting, planar
from spark_jobs.procedures.pet import phantoms as pet_phantoms
from spark_jobs.procedures.pet import reports as pet_reports
from spark_jobs.procedures.radiopharmacy import activimeter
from spark_jobs.procedures.row import Procedure, Sheet
from spark_jobs.procedures.spect import rotation, tomographic
from spark_jobs.qc.looks import Look
from spark_jobs.reading import Instance

__all__ = ["CODES", "LOOK_OF_WINDOWS", "MODULES", "PROCEDURES", "SHEETS", "TOLD_BY", "Procedure", "Sheet", "header_votes", "look"]

FAMILIES = (
    planar, artefacts, rotation, counting, tomographic, ct_phantoms, pet_phantoms, pet_reports, registration, activimeter, clinical,
)  # fmt: skip
PROCEDURES: dict[str, Procedure] = {row.module.PROCEDURE: row for family in FAMILIES for row in family.ROWS}
# code values of scheme 99PHOTOPEAK on the order, the worklist item or the performed protocol
CODES: dict[str, str] = {row.code: name for name, row in PROCEDURES.items()}
# documents that are no images, by kind
SHEETS: dict[str, Sheet] = {sheet.kind: sheet for family in FAMILIES for sheet in getattr(family, "SHEETS", ())}
# sheets that tell of images, by kind, with the procedure of those
TOLD_BY: dict[str, Procedure] = {kind: row for row in PROCEDURES.values() for kind in row.sheet_kinds}
# every procedure that can come out, with the module that says its method and version
MODULES: dict[str, ModuleType] = {
    module.PROCEDURE: module
    for modules in (
        *((p.module, *p.further) for p in PROCEDURES.values()),
        *(s.modules for s in SHEETS.values()),
        registration.PAIRED,
    )
    for module in modules
}
# phantoms first: what is one of them is no patient; tests that compare energy windows before all, for they are given all windows
LOOK_OF_WINDOWS = counting.look_of_windows
LOOKS = (ct_phantoms.look, pet_phantoms.look, rotation.look, counting.look, tomographic.look, planar.look, clinical.look)


def header_votes(series: Sequence[Instance]) -> set[str]:
    """Return the procedures that the class of the header admits; mixed classes admit none."""
    first = series[0]
    if any(i.modality != first.modality or i.kind != first.kind for i in series):
        return set()
    return {name for name, row in PROCEDURES.items() if row.header(first)}


def look(series: Sequence[Instance]) -> Look | str:
    """Return what the pixels look like: the first look in the table that a family sees, else the first other look, or why they have none."""
    known: set[str] = {row.look for row in PROCEDURES.values()}
    words: list[Look | str] = []
    for family in LOOKS:
        word = family(series)
        if word in known:
            return word
        words += [word] if word is not None else []
    return words[0] if words else because("series.no_known_kind")
