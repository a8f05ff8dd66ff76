"""The table of procedures. A new procedure is one file in `qc/` and one row in the file of its family here."""

from collections.abc import Sequence
from types import ModuleType

from spark_jobs.procedures import (
    activimeter,
    artefacts,
    clinical,
    counting,
    ct,
    pet,
    pet_reports,
    planar,
    registration,
    rotation,
    tomographic,
)
from spark_jobs.procedures.row import Procedure, Sheet
from spark_jobs.reading import Instance

__all__ = ["CODES", "MODULES", "PROCEDURES", "SHEETS", "TOLD_BY", "Procedure", "Sheet", "header_votes", "look"]

FAMILIES = (planar, artefacts, rotation, counting, tomographic, ct, pet, pet_reports, registration, activimeter, clinical)
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
# phantoms first: what is one of them is no patient
LOOKS = (ct.look, pet.look, rotation.look, counting.look, tomographic.look, planar.look, clinical.look)


def header_votes(series: Sequence[Instance]) -> set[str]:
    """Return the procedures that the class of the header admits; mixed classes admit none."""
    first = series[0]
    if any(i.modality != first.modality or i.kind != first.kind for i in series):
        return set()
    return {name for name, row in PROCEDURES.items() if row.header(first)}


def look(series: Sequence[Instance]) -> str:
    """Return what the pixels look like: the first look in the table that a family sees, or the first word for what else they are."""
    known = {row.look for row in PROCEDURES.values()}
    words = []
    for family in LOOKS:
        word = family(series)
        if word in known:
            return word
        words += [word] if word is not None else []
    return words[0] if words else "no kind of image that is known here"
