"""One row of the table of procedures, and what the rows share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from spark_jobs.documents import Document
from spark_jobs.qc.looks import Look
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.reading import Instance

__all__ = ["Procedure", "Sheet", "middle", "refusal"]


@dataclass(frozen=True)
class Procedure:
    """One procedure: its module (PROCEDURE, METHOD, VERSION, measure), who may ask for it, and how a series is fed to it.

    `code` is the code value of scheme 99PHOTOPEAK that an order or a protocol names it with; `header` says whether the class of
    the header (modality and value 3 of ImageType, nothing else) admits the procedure; `look` is the look of the pixels that does,
    and `also` are looks of images that hold its phantom beside others: they count only for an order that names the procedure.
    """

    module: ModuleType
    code: str
    analysis: str  # phantom | clinical
    header: Callable[[Instance], bool]
    look: Look
    run: Callable[[Sequence[Instance]], list[Result]]
    any_window: bool = False  # True: counts of whatever energy will do; others are never measured in scatter
    reconstructed: bool = False  # True: derived pixels (a tomogram) are what the method is for
    also: tuple[Look, ...] = ()
    further: tuple[ModuleType, ...] = ()  # procedures whose results come along with this one's
    # takes JSON sheets of the procedure's name, or of one in `further`, that came along with the series, too; None: there is nothing to tell it
    with_sheets: Callable[[Sequence[Instance], Sequence[Document]], list[Result]] | None = None

    sheet_keys: tuple[str, ...] = ()  # what is read of those sheets, beside what all sheets may say

    @property
    def sheet_kinds(self) -> tuple[str, ...]:
        """Return the kinds of documents that tell of its series: JSON sheets of its own name, and of what comes along with it."""
        return tuple(f"json {m.PROCEDURE}" for m in (self.module, *self.further)) if self.with_sheets else ()


@dataclass(frozen=True)
class Sheet:
    """One kind of document that is no image (`Document.kind`), the procedures measured from it, and how.

    `run` gets the document and all documents of its kind and device that came along, itself among them, oldest first.
    """

    kind: str
    modules: tuple[ModuleType, ...]
    run: Callable[[Document, Sequence[Document]], list[Result]]
    keys: tuple[str, ...] = ()  # what is read of a JSON sheet, at any depth, beside what all sheets may say


def refusal(module: ModuleType, reason: str, detector: str | None = None) -> Result:
    """Return a result of this procedure without numbers."""
    return Result(module.PROCEDURE, NOT_MEASURED, reason, detector, module.METHOD, module.VERSION)


def middle(series: Sequence[Instance], count: int) -> list[Instance]:
    """Return at most `count` slices spread over the middle three fifths of the slices along the axis."""
    ordered = sorted(series, key=lambda i: i.position_mm)
    cut = len(ordered) // 5
    inner = ordered[cut : len(ordered) - cut]
    return [inner[k] for k in sorted({round(k) for k in np.linspace(0, len(inner) - 1, min(count, len(inner)))})]
