"""Numbers and units as people and systems write them: decimal commas, a unit in the value, pounds. What may mean two things is none."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["KG", "MBQ", "decimal", "plain", "quantity"]

MBQ = MappingProxyType(
    {
        "": 1.0,
        "mbq": 1.0,
        "gbq": 1000.0,
        "kbq": 0.001,
        "bq": 1e-6,
        "mci": 37.0,
        "uci": 0.037,
        "\u03bcci": 0.037,
        "ci": 37000.0,
        "兆贝可": 1.0,
        "兆贝可勒尔": 1.0,
        "兆贝": 1.0,
        "吉贝可": 1000.0,
        "千贝可": 0.001,
        "贝可": 1e-6,
        "毫居里": 37.0,
        "微居里": 0.037,
        "居里": 37000.0,
    }
)
MILLI = "mBq"  # nobody is given a billionth of an activity: it is not known whether this was meant
POUND = 0.45359237  # kg, international yard and pound agreement of 1959
KG = MappingProxyType(
    {
        "": 1.0,
        "kg": 1.0,
        "g": 0.001,
        "lb": POUND,
        "lbs": POUND,
        "[lb_av]": POUND,
        "千克": 1.0,
        "公斤": 1.0,
        "斤": 0.5,
        "磅": POUND,
    }
)
NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:[.,]\d{1,12})?|\d{1,3}(?:,\d{3})+\.\d{1,9}|\d{1,3}(?:\.\d{3})+,\d{1,9})", re.ASCII)
VALUE = re.compile(rf"({NUMBER.pattern})\s*([^\d\s.,+-]\S{{0,15}})?")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234 may be a thousand or one
# one way of writing each unit, as the rows of the reference data write it
UNITS = {
    u.casefold(): u
    for u in (
        "mmol/L", "umol/L", "pmol/L", "mg/dL", "mg/L", "ng/mL", "ug/L", "g/L", "kg", "MBq", "mL/min", "IU/L", "mIU/L", "mIU/mL", "uIU/mL",
    )
} | {"毫摩尔/升": "mmol/L", "毫摩/升": "mmol/L", "微摩尔/升": "umol/L", "毫克/分升": "mg/dL", "克/升": "g/L"}  # fmt: skip


def decimal(text: str) -> float | None:
    """Return a number, None for a text that is none or that may be two: `1,234`."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not NUMBER.fullmatch(text) or THOUSANDS.fullmatch(text):
        return None
    comma, point = text.rfind(","), text.rfind(".")
    if comma >= 0 and point >= 0:
        text = text.replace("," if comma < point else ".", "")
    return float(text.replace(",", "."))


def quantity(text: str, unit: str, units: Mapping[str, float]) -> float | None:
    """Return a value in the unit whose factor is 1; the unit may stand behind the number. None: no such number, or no such unit."""
    match = VALUE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    value = decimal(match[1]) if match else None
    if match is None or value is None or value < 0:
        return None
    if MILLI in (unit.strip(), match[2]):
        return None
    said = {u.strip().casefold() for u in (unit, match[2] or "") if u.strip()}
    factors = {units.get(u) for u in said or {""}}
    factor = factors.pop()
    return None if factors or factor is None else round(value * factor, 6)


def plain(text: str, unit: str) -> tuple[str, str] | None:
    """Return number and unit of an observation as programs write them, None when the text is no number.

    A unit that stands behind the number counts when it is known and no other is told.
    """
    match = VALUE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    value = decimal(match[1]) if match else None
    if match is None or value is None:
        return None
    behind = (match[2] or "").strip()
    if behind and (_unit(behind) not in UNITS.values() or (unit.strip() and _unit(behind) != _unit(unit))):
        return None
    number = unicodedata.normalize("NFKC", match[1]).strip()
    return number if re.fullmatch(r"[+-]?\d+(\.\d+)?", number) else f"{value:g}", _unit(unit or behind)


def _unit(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("μ", "u").replace("µ", "u").strip()
    return UNITS.get(text.casefold(), text)
