"""Reports of PET scanners that are no images: how a vendor's daily XML and a sheet of efficiencies are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.documents import Document
from spark_jobs.procedures.row import Procedure, Sheet, refusal
from spark_jobs.qc.pet import pet_daily_qc, pet_normalisation
from spark_jobs.qc.pet.pet_daily_qc import Reading
from spark_jobs.qc.result import Result
from spark_jobs.reading import Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["ROWS", "SHEETS"]

# element of Siemens' SystemQualityReport → measure, and the units that are read as what its name says
DETAILS = {
    "cMeasureRandoms": ("randoms_percent", ("%",)),
    "dScannerEfficiency": ("scanner_efficiency_cps_per_bq_ml", ("cps/Bq/cc", "cps/Bq/ml")),
    "eScatterRatio": ("scatter_ratio_percent", ("%",)),
    "fECF": ("calibration_factor", ("Bq*s/ECAT counts",)),
    "jTAFitX": ("time_fit_x_mm", ("mm",)),
    "kTAFitY": ("time_fit_y_mm", ("mm",)),
    "lTAResidual": ("time_residual_mm", ("mm",)),
}
ITEMS, OUTSIDE = "fDetailedSystemQualityReport/aItem", "_Outside_Range"  # "Block_Outside_Range": how many blocks were
UNITS = {"scanner_efficiency_cps_per_bq_ml": "cps/(Bq/ml)"}
ARRAYS = {
    "BlockEfficiency": ("block_efficiency", "aBlockNumber", "bValues/bValue"),
    "BlockNoise": ("block_noise", "aBlockNumber", "bValues/bValue"),
    "PlaneEfficiencyProfile": ("plane_efficiency", "aPlanes", "bProfile/bValue"),
    "TimeOffset": ("time_offset", "aBlockNumber", "bValues/bValue"),
    "TimeWidth": ("time_width", "aBlockNumber", "bValues/bValue"),
}


def _daily(document: Document, same: Sequence[Document]) -> list[Result]:
    root = _root(document)
    if not (root.findtext("bScandate") or "").strip():
        return [refusal(pet_daily_qc, because("report.no_date"))]
    readings, arrays = _readings(root), _arrays(root)
    first = _earlier(document, same)
    factor = None if first is None else _readings(_root(first)).get("calibration_factor")
    before = None if first is None else _arrays(_root(first)).get("block_efficiency")
    daily = pet_daily_qc.measure(
        readings,
        arrays,
        baseline_factor=factor.value if factor else None,
        scanner_verdict=(root.findtext("eResults/aSystemQualityResults") or "").strip() or None,
        not_passed=_not_passed(root),
    )
    location = (root.findtext("dInputforComputation/aDailySinoLocation") or "").strip()
    normalisation = pet_normalisation.measure(
        arrays.get("block_efficiency", np.empty(0)),
        before,
        file_id=location.replace("\\", "/").rsplit("/", 1)[-1] or None,
        age_days=_age(root),
    )
    if first is not None:
        note = because("report.baseline", date=first.acquired_on)
        daily, normalisation = (replace(r, warnings=(*r.warnings, note)) for r in (daily, normalisation))
    return [daily, normalisation]


def _root(document: Document) -> Element:
    assert document.root is not None  # kinds of XML have one
    return document.root


def _earlier(document: Document, same: Sequence[Document]) -> Document | None:
    """Return the earliest report of the scanner, or None when it is this one (or its own double)."""
    moment, first = min(((_order(d), d) for d in same), key=lambda pair: pair[0])
    return first if moment < _order(document) else None


def _order(document: Document) -> str:
    """Return the moment of a report's scan as text that sorts by time: in UTC where it has an offset."""
    text = (_root(document).findtext("bScandate") or "").strip()
    moment = _moment(text)
    return text if moment is None or moment.tzinfo is None else moment.astimezone(UTC).isoformat()


def _readings(root: Element) -> dict[str, Reading]:
    out = {}
    for item in root.iterfind(f"{ITEMS}/*"):
        if item.tag not in DETAILS or item.find("cBlkValue/aValue") is None:
            continue
        name, units = DETAILS[item.tag]
        unit = (item.findtext("cBlkValue/bMeasure") or "").strip()
        if unit not in units:
            raise Unreadable(because("report.unit_other", tag=item.tag, expected=list(units)))
        low, high = (_number(item, f"{bound}/aValue") for bound in ("bLowerBound", "aUpperBound"))
        value = _number(item, "cBlkValue/aValue")
        if value is None:
            continue
        out[name] = Reading(value, UNITS.get(name, unit), low, high, (item.findtext("dDecision") or "").strip() or None)
    return out


def _not_passed(root: Element) -> list[str]:
    """Return the items without a reading here (blocks, planes, timing) that the vendor did not pass, or found something outside in."""
    out = []
    for item in root.iterfind(f"{ITEMS}/*"):
        decision = (item.findtext("dDecision") or "").strip()
        outside = (item.findtext("cBlkValue/bMeasure") or "").strip().endswith(OUTSIDE) and _number(item, "cBlkValue/aValue")
        if item.tag not in DETAILS and (decision not in ("", "Passed") or outside):
            out.append(item.tag)
    age = (root.findtext("eResults/aPhantomAgeResult") or "").strip()
    return [*out, *(["aPhantomAgeResult"] if age not in ("", "Passed") else [])]


def _arrays(root: Element) -> dict[str, NDArray]:
    out = {}
    for tag, (name, count, path) in ARRAYS.items():
        group = root.find(tag)
        if group is None:
            continue
        values = [_parsed(e.text, tag) for e in group.iterfind(path)]
        stated = _number(group, count)
        if stated is not None and stated != len(values):
            raise Unreadable(because("report.values_missing", tag=tag, announced=stated, there=len(values)))
        if values:
            out[name] = np.array(values)
    return out


def _number(element: Element, path: str) -> float | None:
    text = element.findtext(path)
    return None if text is None or not text.strip() else _parsed(text, path)


def _parsed(text: str | None, what: str) -> float:
    try:
        value = float((text or "").strip())
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise Unreadable(because("report.no_number", what=what))
    return value


def _age(root: Element) -> float | None:
    """Return the days from the last set-up before the scan to the scan; None when the report dates none."""
    texts = {"bScandate": [root.findtext("bScandate")]}
    texts["LastSetupDateTime"] = [e.text for e in root.iterfind("dInputforComputation//LastSetupDateTime")]
    for what, given in texts.items():
        if any((t or "").strip() and _moment(t) is None for t in given):
            raise Unreadable(because("sheet.no_moment", what=what))
    scan = _moment(root.findtext("bScandate"))
    moments = [_moment(t) for t in texts["LastSetupDateTime"]]
    before = [m for m in moments if scan and m and (m.tzinfo is None) == (scan.tzinfo is None) and m <= scan]
    return (scan - max(before)).total_seconds() / 86_400 if scan and before else None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None


def _efficiencies(document: Document, same: Sequence[Document]) -> list[Result]:
    """Return the test of a JSON sheet `{"procedure": "pet_normalisation", "block_efficiency": […], "baseline": […], "file_id": …}`."""
    values = document.sheet.get("block_efficiency")
    if not isinstance(values, list) or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return [refusal(pet_normalisation, because("normalisation.sheet_incomplete"))]
    earlier = [d for d in same if d.acquired_on and document.acquired_on and d.acquired_on < document.acquired_on]
    baseline = document.sheet.get("baseline") or (earlier[0].sheet.get("block_efficiency") if earlier else None)
    file_id = document.sheet.get("file_id")
    return [pet_normalisation.measure(values, baseline, file_id=str(file_id) if file_id else None)]


ROWS: tuple[Procedure, ...] = ()  # nothing here is measured from images
SHEETS = (
    Sheet("xml SystemQualityReport", (pet_daily_qc, pet_normalisation), _daily),
    Sheet("json pet_normalisation", (pet_normalisation,), _efficiencies, ("block_efficiency", "baseline", "file_id")),
)
