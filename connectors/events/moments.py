"""Moments as events carry them: RFC 3339 (5.6) with date, time to the second and offset, of a year that can be meant."""

import re
from datetime import datetime, timedelta
from typing import Any

__all__ = ["capital", "is_far", "is_moment"]

FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
SMALL = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
YEARS = range(2000, 2101)  # before and after stand clocks without battery, and fields that were filled with nines
WIDEST = timedelta(hours=14)  # no place on Earth is further from UTC


def capital(value: Any) -> Any:
    """Return a value of JSON with the moments in it in capitals: RFC 3339 (5.6) lets `t` and `z` be small, readers of events do not."""
    if isinstance(value, str):
        return value.upper() if SMALL.fullmatch(value) else value
    if isinstance(value, dict):
        return {k: capital(v) for k, v in value.items()}
    return [capital(v) for v in value] if isinstance(value, list) else value


def is_far(text: str) -> bool:
    """Return whether a text is a moment but for its year."""
    return FORM.fullmatch(text) is not None and int(text[:4]) not in YEARS and is_moment(f"2000{text[4:]}")


def is_moment(text: str) -> bool:
    """Return whether a text says one moment: ISO 8601 knows more (weeks, days without hours, local time), which readers take differently."""
    if FORM.fullmatch(text) is None:
        return False
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # 30 February, 25 o'clock
        return False
    offset = moment.utcoffset()
    return moment.year in YEARS and offset is not None and abs(offset) <= WIDEST
