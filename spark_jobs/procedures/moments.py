"""When a source was measured or injected, when a scan began: the one reader of these moments, for all procedures.

All are returned on the clock of the header, without a zone. DT values may have an offset from UTC (PS3.5 6.2); DA and TM are of the
zone of TimezoneOffsetFromUTC (0008,0201; PS3.3 C.12.1.1.8). What cannot be known is `Unreadable`: an offset that nothing compares
with the header's clock, a time of day whose day matters and is not given, elements that contradict each other. So is an element that
is there and holds no moment, or the hour alone: it is not absent, and no other takes its place.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from messages import because
from spark_jobs.reading import Unreadable

__all__ = [
    "DATES",
    "acquired",
    "assumed",
    "clock_offset",
    "days_of",
    "first_day",
    "injected",
    "iso",
    "moment_of_sheet",
    "on_clock",
    "parsed",
    "series_begun",
    "time_of",
]

SAME_S = 60.0  # two elements that tell one moment may differ by a rounded minute
OLDEST = 10.0  # half-lives: what is left after them no activimeter tells
LEAST_HALF_LIVES_A_DAY = 3.0  # a wrong day then changes the activity eightfold or more, which is seen
LONGEST_BARE_HALF_LIVES = 6.0  # from a time of day without a day to the scan
LONGEST_OVER_MIDNIGHT_S = 43_200.0
MOST_DAYS = 60  # that a time of day may be of: a source of months is not dated by one
OFFSETS = timedelta(hours=-12), timedelta(hours=14)
QUARTER_S = 900  # offsets from UTC are whole quarters of an hour
DAY_S, HOUR_S = 86_400, 3_600
DT = re.compile(r"(\d{4}(?:\d\d){0,5})(?:\.(\d*))?([+-]\d{4})?")
HOUR = re.compile(r"\d\d")
TM = re.compile(r"(\d\d):?(\d\d)(?::?(\d\d)(?:\.(\d*))?)?")
WITH_MINUTES = len("202603021100")
A_DAY = "20000101"  # fills a DT of a year or a month
START, BARE = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"
DATES = ("AcquisitionDate", "SeriesDate", "StudyDate", "ContentDate")


def parsed(value: Any) -> datetime | None:
    """Return a DICOM DT as date and time, aware where it has an offset; None where it is none, or is less precise than a minute."""
    found = DT.fullmatch(_text(value))
    if found is None or len(found[1]) < WITH_MINUTES:
        return None
    moment = _moment(found[1][:8], found[1][8:], found[2])
    if moment is None or found[3] is None:
        return moment
    offset = _offset(found[3])
    return None if offset is None else moment.replace(tzinfo=timezone(offset))


def clock_offset(ds: Any) -> timedelta | None:
    """Return how far the clock of a header is from UTC; None where the header does not tell it.

    TimezoneOffsetFromUTC says it. Without it, an element with an offset says it beside the same moment without one: AcquisitionDateTime
    beside AcquisitionDate and AcquisitionTime, RadiopharmaceuticalStartDateTime beside RadiopharmaceuticalStartTime.
    """
    text = _text(ds.get("TimezoneOffsetFromUTC"))
    if text:
        offset = _offset(text)
        if offset is None:
            raise Unreadable(because("header.timezone_unusable"))
        return offset
    whole = _whole_of(ds, "AcquisitionDateTime")
    if whole is not None and whole.tzinfo is not None:
        beside = _dated(ds, "AcquisitionDate", "AcquisitionTime")
        return whole.utcoffset() if beside is None else _between(whole, (beside - _utc(whole)).total_seconds())
    for item in ds.get("RadiopharmaceuticalInformationSequence") or []:
        whole = parsed(item.get(START))
        time = _clock(item.get(BARE))
        if whole is None or whole.tzinfo is None or time is None:
            continue
        apart = (datetime.combine(_utc(whole).date(), time) - _utc(whole)).total_seconds()
        found = [_between(whole, s) for s in (apart - DAY_S, apart, apart + DAY_S)]
        fits = [f for f in found if f is not None]
        if len(fits) == 1:
            return fits[0]
        if whole.utcoffset() in fits:
            return whole.utcoffset()
    return None


def on_clock(ds: Any, moment: datetime, name: str) -> datetime:
    """Return a moment on the clock of a header. One in UTC beside a clock that nobody knows is `Unreadable`.

    Another offset than 0 beside an unknown clock is that of the clock: who writes it means the place of the scanner.
    """
    if moment.tzinfo is None:
        return moment
    offset = clock_offset(ds)
    if offset is None and not moment.utcoffset():
        raise Unreadable(because("header.clock_unknown", what=name))
    return moment.replace(tzinfo=None) if offset is None else _utc(moment) + offset


def series_begun(ds: Any) -> datetime | None:
    """Return SeriesDate and SeriesTime, None where one of them is missing."""
    return _dated(ds, "SeriesDate", "SeriesTime")


def first_day(ds: Any) -> date | None:
    """Return the day of the first of `DATES` that a header has."""
    return next((d for d in (_day_of(ds, k) for k in DATES) if d is not None), None)


def time_of(ds: Any, keyword: str) -> time | None:
    """Return a time of day (TM) of a header, None where it is absent or empty."""
    text = _text(_value(ds, keyword))
    if not text:
        return None
    clock = _clock(text)
    if clock is None:
        raise Unreadable(
            because("header.hour_alone", keyword=keyword) if HOUR.fullmatch(text) else because("header.no_time", keyword=keyword)
        )
    return clock


def acquired(ds: Any) -> datetime | None:
    """Return when the acquisition began; None where AcquisitionTime or every day is missing.

    Without AcquisitionDate it is of the day that brings it nearest to SeriesDate and SeriesTime, or to the study's: a scan may cross
    midnight.
    """
    clock, day = time_of(ds, "AcquisitionTime"), _day_of(ds, "AcquisitionDate")
    whole = _whole_of(ds, "AcquisitionDateTime", needed=clock is None)
    here = None if whole is None else on_clock(ds, whole, "AcquisitionDateTime")
    if clock is None:
        return here
    if day is not None:
        beside = datetime.combine(day, clock)
        if here is not None and abs((here - beside).total_seconds()) > SAME_S:
            raise Unreadable(because("header.acquisition_times_contradict"))
        return here or beside
    if here is not None:
        return here
    series = series_begun(ds) or _dated(ds, "StudyDate", "StudyTime")
    if series is not None:
        days = [datetime.combine(series.date(), clock) + timedelta(days=n) for n in (-1, 0, 1)]
        return min(days, key=lambda d: abs((d - series).total_seconds()))
    day = first_day(ds)
    return None if day is None else datetime.combine(day, clock)


def injected(ds: Any, item: Any, scan: datetime, half_life_s: float | None) -> datetime:
    """Return when an activity was measured or injected: `item` of RadiopharmaceuticalInformationSequence.

    Parameters
    ----------
    ds, item
        The header, and the item of it.
    scan
        When the scan began, on the header's clock.
    half_life_s
        Of the nuclide; None: not known. A time of day is then one of the day of the scan, which the caller must say.

    Raises
    ------
    Unreadable
        The moment is missing, unreadable, after the scan, too old to be true, or of a day that is not given and matters.
    """
    text = _text(item.get(START))
    moment = parsed(text)
    bare = _text(item.get(BARE))
    hour = HOUR.fullmatch(bare) is not None and moment is not None  # held against the whole moment, which tells the minute
    time = _clock(f"{bare}00" if hour else bare)
    if time is None and bare:
        alone = HOUR.fullmatch(bare) is not None
        raise Unreadable(because("header.hour_alone", keyword=BARE) if alone else because("header.start_time_unreadable"))
    if text and moment is None:
        day = _day(text)
        if day is None or time is None:
            raise Unreadable(because("header.start_date_time_unreadable"))
        moment = datetime.combine(day, time)
    if moment is None and time is None:
        raise Unreadable(because("header.activity_moment_missing"))
    if moment is None and time is not None:
        return _bare(datetime.combine(scan.date(), time), scan, half_life_s)
    assert moment is not None
    here = on_clock(ds, moment, START)
    if time is not None:
        apart = (here - datetime.combine(here.date(), time)).total_seconds() % DAY_S
        if min(apart, DAY_S - apart) > SAME_S and not (hour and apart < HOUR_S):
            raise Unreadable(because("header.start_times_contradict"))
    seconds = (scan - here).total_seconds()
    if seconds < -SAME_S:
        raise Unreadable(
            because("header.activity_not_before_scan", moment=f"{here:%Y-%m-%d %H:%M}", scan=f"{scan:%Y-%m-%d %H:%M}")
        )
    if half_life_s and seconds > OLDEST * half_life_s:
        raise Unreadable(because("source.activity_too_old", half_lives=seconds / half_life_s))
    return here


def assumed(ds: Any, item: Any) -> tuple[str, ...]:
    """Return what `injected` had to assume: the day of a time of day, or an offset from UTC beside a clock that the header does not tell.

    Such an offset is taken as that of the place.
    """
    if _bare_time(item) is not None:
        return (because("header.start_day_taken"),)
    moment = parsed(item.get(START))
    if moment is None or not moment.utcoffset() or clock_offset(ds) is not None:
        return ()
    return (because("header.offset_taken", what=START, offset=f"{moment:%z}"),)


def days_of(item: Any, scan: datetime, half_life_s: float) -> list[datetime]:
    """Return the moments that a time of day without a day may mean, the latest first; none where the day is told.

    They lie before the scan, and no longer than the activity is one.
    """
    time = _bare_time(item)
    if time is None:
        return []
    last = datetime.combine(scan.date(), time)
    last -= timedelta(days=(last - scan).total_seconds() > SAME_S)
    count = 1 + int((OLDEST * half_life_s - (scan - last).total_seconds()) // DAY_S)
    return [last - timedelta(days=k) for k in range(min(count, MOST_DAYS))]


def _bare_time(item: Any) -> time | None:
    """Return RadiopharmaceuticalStartTime where nothing tells its day, None where something does or there is no such time."""
    text = _text(item.get(START))
    return None if parsed(text) is not None or _day(text) is not None else _clock(item.get(BARE))


def _bare(clock: datetime, scan: datetime, half_life_s: float | None) -> datetime:
    """Return the moment of a time of day: of the day of the scan, or of the evening before where midnight lies between."""
    after = (clock - scan).total_seconds() > SAME_S
    moment = clock - timedelta(days=1) if after else clock
    seconds = (scan - moment).total_seconds()
    longest = LONGEST_BARE_HALF_LIVES * (half_life_s or DAY_S)
    short = half_life_s is not None and half_life_s * LEAST_HALF_LIVES_A_DAY <= DAY_S
    if after and not (short and seconds <= min(longest, LONGEST_OVER_MIDNIGHT_S)):
        raise Unreadable(because("header.start_after_scan", moment=f"{clock:%H:%M}", scan=f"{scan:%H:%M}"))
    if half_life_s is None:
        return moment
    if not short:
        raise Unreadable(because("header.start_day_needed"))
    if seconds > longest:
        raise Unreadable(
            because("header.start_too_early", moment=f"{clock:%H:%M}", half_lives=seconds / half_life_s, scan=f"{scan:%H:%M}")
        )
    return moment


def moment_of_sheet(ds: Any, sheet: Mapping[str, Any], when: str) -> datetime:
    """Return a moment of a sheet on the clock of the header; offsets from UTC that cannot be compared with it are `Unreadable`.

    Moments without an offset, and those of a header that tells none, are of the site's clock. A day alone is no moment.
    """
    told = {k: iso(v) for k, v in sheet.items() if k.endswith("_at")}
    moment = told.get(when)
    if moment is None:
        raise Unreadable(because("sheet.key_no_moment", key=when))
    if len({m.utcoffset() for m in told.values() if m is not None}) > 1 and clock_offset(ds) is None:
        raise Unreadable(because("sheet.offsets_differ"))
    return on_clock(ds, moment, because("sheet.key", key=when))


def iso(value: Any) -> datetime | None:
    """Return a date and time of ISO 8601, None for everything else and for a day or an hour alone."""
    text = str(value or "").strip()
    if ":" not in text and len(re.sub(r"[+-]\d{2,4}$|Z$", "", text.partition("T")[2])) < 4:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _between(whole: datetime, seconds: float) -> timedelta | None:
    """Return the offset that `seconds` from UTC mean, None where they are none."""
    quarters = round(seconds / QUARTER_S)
    offset = timedelta(seconds=QUARTER_S * quarters)
    fits = abs(seconds - QUARTER_S * quarters) <= SAME_S and OFFSETS[0] <= offset <= OFFSETS[1]
    return offset if fits else None


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _offset(text: str) -> timedelta | None:
    if not re.fullmatch(r"[+-]\d{4}", text) or int(text[3:]) > 59:
        return None
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:])) * (-1 if text[0] == "-" else 1)
    return offset if OFFSETS[0] <= offset <= OFFSETS[1] else None


def _day(value: Any) -> Any:
    """Return a DICOM DA (also of the old form with dots, or the day at the head of a DT) as a date."""
    digits = _text(value).replace(".", "")[:8]
    found = _moment(digits, "0000", None) if digits.isdigit() and len(digits) == 8 else None
    return None if found is None else found.date()


def _clock(value: Any) -> Any:
    """Return a DICOM TM, given to the minute or finer, as a time of day."""
    found = TM.fullmatch(_text(value))
    moment = _moment("20000101", "".join(p or "" for p in found.groups()[:3]), found[4]) if found else None
    return None if moment is None else moment.time()


def _moment(date: str, time: str, fraction: str | None) -> datetime | None:
    time = time.ljust(6, "0")
    if time.endswith("60"):  # a leap second, which TM may have
        time = time[:4] + "59"
    try:
        moment = datetime.strptime(date + time, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return moment + timedelta(seconds=float(f"0.{fraction}")) if fraction else moment


def _whole_of(ds: Any, keyword: str, *, needed: bool = False) -> datetime | None:
    """Return a DT of a header, None where it is absent; so is one of a day or an hour alone, where something else tells the time."""
    text = _text(_value(ds, keyword))
    found = parsed(text)
    if found is not None or not text:
        return found
    rough = DT.fullmatch(text)
    digits = rough[1] if rough else ""
    if not rough or len(digits) >= WITH_MINUTES or _moment(digits[:8] + A_DAY[len(digits[:8]) :], digits[8:], None) is None:
        raise Unreadable(because("header.no_date", keyword=keyword))
    if needed and len(digits) > len(A_DAY):
        raise Unreadable(because("header.hour_alone", keyword=keyword))
    return None


def _dated(ds: Any, day: str, clock: str) -> datetime | None:
    """Return a DA and a TM of a header as one moment, None where one of them is absent."""
    on, at = _day_of(ds, day), time_of(ds, clock)
    return None if on is None or at is None else datetime.combine(on, at)


def _day_of(ds: Any, keyword: str) -> date | None:
    text = _text(_value(ds, keyword))
    day = _day(text)
    if text and day is None:
        raise Unreadable(because("header.no_date", keyword=keyword))
    return day


def _value(ds: Any, keyword: str) -> Any:
    try:  # pydicom decodes when it is asked
        return ds.get(keyword)
    except (TypeError, ValueError):
        raise Unreadable(because("header.unreadable", keyword=keyword)) from None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value if value is not None else "")
    return text.strip(" \0")
