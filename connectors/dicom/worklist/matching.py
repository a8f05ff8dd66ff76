"""Attribute matching of a worklist query (PS3.4 C.2.2.2, applied by K.2.2.1 and table K.6-1), and the answer that it asks for."""

import re
from datetime import datetime, time, timedelta
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from messages import because

__all__ = ["BadKey", "answer", "check_keys", "matches", "starts_within"]

START = ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime")
TEXTS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
NO_KEYS = frozenset(("SpecificCharacterSet", "TimezoneOffsetFromUTC"))  # they say how the others are to be read
DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?")
Span = tuple[datetime | None, datetime | None]  # both included; None is open


class BadKey(ValueError):
    """A key that no query may hold (status A900); the text says which and never its value, which may be somebody's name."""


def check_keys(keys: Dataset) -> None:
    """Raise BadKey unless every key can be matched."""
    for element in keys:
        name = _name(element)
        if element.VR == "SQ":
            if len(element.value) > 1:
                raise BadKey(because("worklist.items_many", keyword=name))
            for item in element.value:
                check_keys(item)
        elif element.VR in ("DA", "TM") and name not in NO_KEYS:
            for text in _values(element):
                _span(element.VR, text, name)


def matches(keys: Dataset, entry: Dataset) -> bool:
    """Return whether an entry matches every key that has a value; what the entry does not know at all is not matched by (K.2.2.1.1.2).

    Start date and time of a procedure step, both given as ranges, are one range of moments (table K.6-1).
    """
    together = all(_is_range(keys, n) for n in START)
    if together and not _within(_moments(keys), _start(entry)):
        return False
    for element in keys:
        name = _name(element)
        if name in NO_KEYS or element.is_private or element.tag.element == 0 or (together and name in START):
            continue
        if element.VR == "SQ":
            wanted = element.value[0] if element.value else Dataset()
            if name in entry and len(wanted) and not any(matches(wanted, item) for item in entry[name].value or [Dataset()]):
                return False
        elif name in entry and not _matches(element, entry[name]):
            return False
    return True


def starts_within(keys: Dataset, local: datetime) -> bool:
    """Return whether the key of the start date, where there is one, admits a moment: what it does not need not be looked at further."""
    items = keys.ScheduledProcedureStepSequence if "ScheduledProcedureStepSequence" in keys else []
    wanted = _values(items[0][START[0]]) if items and START[0] in items[0] else []
    day = datetime(local.year, local.month, local.day)
    return not wanted or any(_within(_span("DA", text, START[0]), day) for text in wanted)


def answer(keys: Dataset, entry: Dataset) -> tuple[Dataset, bool]:
    """Return what of an entry was asked for, and whether all of it is supported; a sequence without keys asks for all its items hold."""
    out, whole = Dataset(), True
    for element in keys:
        name = _name(element)
        if name in NO_KEYS or element.tag.element == 0:
            continue
        if element.is_private or name not in entry:
            whole = False
        elif element.VR == "SQ" and element.value and len(element.value[0]):
            items = [answer(element.value[0], item) for item in entry[name].value]
            setattr(out, name, [item for item, _ in items])
            whole = whole and all(w for _, w in items)
        else:
            out[name] = entry[name]
    return out, whole


def _name(element: DataElement) -> str:
    return element.keyword or str(element.tag)


def _values(element: DataElement) -> list[str]:
    value: Any = element.value
    if value is None:
        return []
    found = list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]
    return [text for text in (str(v).strip(" \0") for v in found) if text]


def _matches(key: DataElement, known: DataElement) -> bool:
    wanted, there = _values(key), _values(known)
    if not wanted or wanted == ["*"]:
        return True
    if key.VR == "UI":
        return bool(set(wanted) & set(there))
    if key.VR in ("DA", "TM"):
        name = _name(key)
        return any(_within(_span(key.VR, w, name), _moment(key.VR, t, name)) for w in wanted for t in there)
    if key.VR == "PN":
        return any(_named(w, t) for w in wanted for t in there)
    if key.VR in TEXTS:
        return any(_like(w, t) for w in wanted for t in there)
    return bool(set(wanted) & set(there))


def _like(wanted: str, text: str, flags: int = 0) -> bool:
    pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in wanted)
    return re.fullmatch(pattern, text, flags | re.DOTALL) is not None


def _named(wanted: str, name: str) -> bool:
    """Return whether a name matches, whatever the case; a key of one component group is looked for in each of the name's."""
    groups = [g.rstrip("^ ") for g in name.split("=")]
    if "=" not in wanted:
        return any(_like(wanted.rstrip("^ "), g, re.IGNORECASE) for g in groups if g)
    pairs = zip(wanted.split("="), [*groups, "", ""], strict=False)
    return all(_like(w.rstrip("^ "), g, re.IGNORECASE) for w, g in pairs if w.strip("^ "))


def _is_range(keys: Dataset, name: str) -> bool:
    return name in keys and any("-" in v for v in _values(keys[name]))


def _moments(keys: Dataset) -> Span:
    (day_from, day_to), (time_from, time_to) = (_span(keys[n].VR, _values(keys[n])[0], n) for n in START)
    begin = datetime.combine(day_from, time_from.time() if time_from else time.min) if day_from else None
    end = datetime.combine(day_to, time_to.time() if time_to else time.max) if day_to else None
    return begin, end


def _start(entry: Dataset) -> datetime | None:
    day, clock = (_moment(vr, _values(entry[n])[0], n) for vr, n in zip(("DA", "TM"), START, strict=True))
    return datetime.combine(day, clock.time())


def _within(span: Span, moment: datetime | None) -> bool:
    return moment is not None and (span[0] is None or span[0] <= moment) and (span[1] is None or moment <= span[1])


def _span(vr: str, text: str, name: str) -> Span:
    """Return the first and the last moment that a key of a date or time stands for; what it leaves out is open."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        return _first(vr, first, name), _last(vr, first, name)
    if not (first or last) or "-" in last:
        raise BadKey(because("worklist.no_range", keyword=name))
    return (_first(vr, first, name) if first else None), (_last(vr, last, name) if last else None)


def _moment(vr: str, text: str, name: str) -> datetime:
    return _first(vr, text, name)


def _first(vr: str, text: str, name: str) -> datetime:
    match = (DATE if vr == "DA" else TIME).fullmatch(text)
    try:
        if match is None:
            raise ValueError
        if vr == "DA":
            return datetime(int(match[1]), int(match[2]), int(match[3]))
        hour, minute, second, fraction = match.groups()
        return datetime(1, 1, 1, int(hour), int(minute or 0), min(int(second or 0), 59), int((fraction or "0").ljust(6, "0")))
    except ValueError:
        raise BadKey(because("worklist.no_date_or_range", keyword=name, kind="date" if vr == "DA" else "time")) from None


def _last(vr: str, text: str, name: str) -> datetime:
    """Return the last moment of the day, or of the hour, minute or second that a time names."""
    first = _first(vr, text, name)
    if vr == "DA":
        return first + timedelta(days=1, microseconds=-1)
    digits = text.replace(":", "").partition(".")
    if digits[2]:
        return first + timedelta(microseconds=10 ** (6 - len(digits[2])) - 1)
    return first + timedelta(seconds={2: 3600, 4: 60}.get(len(digits[0]), 1)) - timedelta(microseconds=1)
