"""Moments as events carry them: RFC 3339 (5.6) with date, time to the second and offset, of a year that can be meant."""

import re
from datetime import datetime, timedelta

__all__ = ["is_moment"]

FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
YEARS = range(2000, 2101)  # before and after stand clocks without battery, and fields that were filled with nines
WIDEST = timedelta(hours=14)  # no place on Earth is further from UTC


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
