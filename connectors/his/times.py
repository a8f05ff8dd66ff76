"""Time stamps of messages: absent, read, or present and not readable; each with the precision that it was written to."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from judgement.days import from_wall, is_doubtful
from judgement.newest import PRECISION_S

__all__ = ["Told", "Unreadable", "read_time", "zone_of"]

# HL7 v2 TS and DTM (chapter 2A): YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]. Senders write ISO 8601 too: with separators, T or a blank
PLAIN = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:[T ]?(\d\d)(?:(\d\d)(?:(\d\d)([.,]\d+)?)?)?)?)?)?", re.ASCII)
PARTED = re.compile(r"(\d{4})([-/.])(\d\d?)\2(\d\d?)(?:(?:T| +)(\d\d?):(\d\d)(?::(\d\d)([.,]\d+)?)?)?", re.ASCII)
ZONE = re.compile(r"(?<=\d) ?(?:([+-])(\d\d):?(\d\d)?|([Zz]))$", re.ASCII)
PARTS = ("year", "month", "day", "hour", "minute", "second", "fraction")
DEGREES = {"Y": "year", "L": "month", "D": "day", "H": "hour", "M": "minute", "S": "second"}  # component 2 of TS, until v2.5
LARGEST_OFFSET = timedelta(hours=14)  # of any place on earth


class Unreadable(ValueError):
    """A field that holds something which is no time stamp; its text is not repeated, for it may name somebody."""


@dataclass(frozen=True, slots=True)
class Told:
    """A moment as a message says it: the first instant that it can mean, in UTC, and what it was written to.

    `place` names the field of a time without an offset that comes twice on the site's wall clock, or does not exist on it. `span_s`: how
    many seconds it stands for, on the wall clock that it is told by: a local day has 23, 24 or 25 hours. `again_s`: how much later it may
    be, because the clock is put back.
    """

    at: datetime
    precision: str  # one of PARTS
    place: str = ""
    span_s: int = field(default=0, compare=False)
    again_s: int = field(default=0, compare=False)


def read_time(text: str, zone: tzinfo, degree: str = "", place: str = "") -> Told | None:
    """Return what a time stamp says, None when the field is empty.

    Parameters
    ----------
    zone
        Of a text that names none: that of MSH-7 where MSH-7 names one (HL7 v2 chapter 2A, DTM), else the site's.
    degree
        Degree of precision (component 2 of TS), where there is one.
    place
        What the field is called.

    Raises
    ------
    Unreadable
        For everything else, so that it is never taken for absent.
    """
    text = text.strip()
    if not text:
        return None
    own = zone_of(text)
    bare = ZONE.sub("", text) if own else text
    match = PLAIN.fullmatch(bare)
    parts = list(match.groups()) if match else []
    if not match:
        parted = PARTED.fullmatch(bare)
        if parted is None:
            raise Unreadable
        year, _, *rest = parted.groups()
        parts = [year, *rest]
    fraction = parts.pop()
    numbers = [int(p) for p in parts if p is not None]
    precision = "fraction" if fraction else PARTS[len(numbers) - 1]
    if degree.strip().upper() in DEGREES:
        coarse = PARTS.index(DEGREES[degree.strip().upper()])
        if coarse < PARTS.index(precision):
            numbers, fraction, precision = numbers[: coarse + 1], None, PARTS[coarse]
    micro = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    year, month, day, hour, minute, second = [*numbers, *(1, 1, 0, 0, 0)[len(numbers) - 1 :]] if len(numbers) < 6 else numbers
    try:
        wall = datetime(year, month, day, hour, minute, second, micro)
        unsure = own is None and precision not in PARTS[:3] and is_doubtful(wall, zone)
        at = from_wall(wall, own or zone)
        end = _next(wall, precision)
        span = PRECISION_S[precision] if end is None else int((from_wall(end, own or zone) - at).total_seconds())
        again = int((wall.replace(tzinfo=zone, fold=1).astimezone(UTC) - at).total_seconds()) if unsure else 0
        return Told(at, precision, place if unsure else "", span, max(again, 0))
    except (ValueError, OverflowError):
        raise Unreadable from None


def _next(wall: datetime, precision: str) -> datetime | None:
    """Return the local midnight at which a year, a month or a day ends, None for what is told finer."""
    if precision == "day":
        return wall + timedelta(days=1)
    if precision == "month":
        return (wall + timedelta(days=31)).replace(day=1)
    return wall.replace(year=wall.year + 1) if precision == "year" else None


def zone_of(text: str) -> timezone | None:
    """Return the offset that a time stamp names, None when it names none; raise Unreadable for one that no place on earth has."""
    match = ZONE.search(text.strip())
    # `2026-12-03` and `2026-12` end as an offset would: one follows a whole day at least
    if match is None or PARTED.fullmatch(text.strip()) or sum(c.isdigit() for c in text[: match.start()]) < 8:
        return None
    sign, hours, minutes, zulu = match.groups()
    offset = timedelta(0) if zulu else timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    if abs(offset) > LARGEST_OFFSET or int(minutes or 0) > 59:
        raise Unreadable
    return timezone(offset)
