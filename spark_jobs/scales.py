"""What scales the stored values of an image: rescale, real world value mapping, Modality LUT, and a vendor's own factor.

Whatever is there is applied or refused; stored values that something scales are never taken for what they stand for.
"""

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from messages import because
from spark_jobs.decoding import Unreadable
from spark_jobs.private_elements import private_value
from spark_jobs.qc.terms import shown

__all__ = ["Scale", "scale_of"]

COUNTS = {"{counts}", "{count}", "{cnts}", "counts", "cnts"}
OWN_UNIT = {"PT": {"bq/ml", "bqml"}, "CT": {"hu", "[hnsf'u]", "hnsf'u"}}  # what RescaleSlope already gives
SAME = 0.001
SIEMENS = "SIEMENS MED NM"


@dataclass(frozen=True)
class Scale:
    """Value = slope × stored value + intercept, and the stored values that this is said of (None: all)."""

    slope: float = 1.0
    intercept: float = 0.0
    valid: tuple[float, float] | None = None


def scale_of(ds: Any, modality: str, *, counting: bool) -> Scale:
    """Return what scales the stored values; raise `Unreadable` where it cannot be applied or contradicts itself.

    Parameters
    ----------
    counting
        Whether the values are counts of an acquisition: then only a scale to counts will do.
    """
    if ds.get("ModalityLUTSequence"):
        raise Unreadable(because("scale.modality_lut"))
    slope, intercept = ds.get("RescaleSlope"), ds.get("RescaleIntercept")
    rescale = Scale(1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    if modality == "NM":
        rescale = _of_vendor(ds, rescale, counting)
    if rescale.slope <= 0 and modality != "CT":  # more of what is measured is a larger stored value everywhere else
        raise Unreadable(because("scale.slope_negative", slope=rescale.slope))
    mapped = _mapped(ds, modality, counting)
    if mapped is None or _same(mapped, rescale):
        return rescale
    if modality != "NM" or not _same(rescale, Scale()):
        raise Unreadable(because("scale.real_world_contradicts"))
    return mapped


def _mapped(ds: Any, modality: str, counting: bool) -> Scale | None:
    """Return the real world value mapping of the values that the modality stores, None where it has none (PS3.3 C.7.6.16.2.11)."""
    found = []
    for item in ds.get("RealWorldValueMappingSequence") or []:
        unit = next((str(c.get("CodeValue") or "").strip() for c in item.get("MeasurementUnitsCodeSequence") or []), "")
        if modality in OWN_UNIT and unit.lower() not in OWN_UNIT[modality]:
            continue  # SUV and other further quantities
        if item.get("RealWorldValueSlope") is None:
            raise Unreadable(because("scale.real_world_table"))
        scale = Scale(float(item.RealWorldValueSlope), float(item.get("RealWorldValueIntercept") or 0), _range(item))
        if counting and unit.lower() not in COUNTS and not _same(scale, Scale()):
            raise Unreadable(because("scale.no_counts", unit=shown("MeasurementUnits", unit)))
        found.append(scale)
    if any(not _same(f, found[0]) or f.valid != found[0].valid for f in found):
        raise Unreadable(because("scale.real_world_many"))
    return found[0] if found else None


def _range(item: Any) -> tuple[float, float] | None:
    for first, last in (
        ("RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"),
        ("DoubleFloatRealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueLastValueMapped"),
    ):
        if item.get(first) is not None and item.get(last) is not None:
            return float(item.get(first)), float(item.get(last))
    return None


def _of_vendor(ds: Any, rescale: Scale, counting: bool) -> Scale:
    """Return the rescale with that of Siemens' private elements, found by their creator; where they disagree, nothing is known."""
    own = Scale(_private(ds, 0x0057, 0x07, 1.0), _private(ds, 0x0057, 0x06, 0.0))
    if not _same(own, Scale()) and not _same(own, rescale):
        if not _same(rescale, Scale()):
            raise Unreadable(because("scale.vendor_contradicts"))
        rescale = own
    factor = _private(ds, 0x0033, 0x38, 1.0)
    if counting and abs(factor - 1) > SAME:
        raise Unreadable(because("scale.vendor_factor", factor=factor))
    return rescale


def _private(ds: Any, group: int, element: int, absent: float) -> float:
    """Return a number of the vendor's, `absent` where it is not there, empty or 0; one that cannot be read is `Unreadable`."""
    value = private_value(ds, group, SIEMENS, element)
    try:
        number = 0.0 if value is None else float(value)
    except (TypeError, ValueError):
        number = nan
    if not isfinite(number):
        raise Unreadable(
            because(
                "header.vendor_unreadable", what=because("scale.vendor_element", group=f"{group:04X}", element=f"{element:02X}")
            )
        )
    return number or absent


def _same(a: Scale, b: Scale) -> bool:
    return abs(a.slope - b.slope) <= SAME * abs(b.slope) and abs(a.intercept - b.intercept) <= SAME * abs(b.intercept)
