"""Days and hours on the wall clock of a site: the only place where moments and local times are turned into each other.

A site's zone is an IANA name (`Europe/Berlin`), so that its offset follows daylight saving: a local day has 23, 24 or 25 hours. The macros
`local_day`, `wall_utc` and `day_start_utc` of the warehouse follow the same rules.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from messages import because

__all__ = [
    "INSTANT", "day_start", "from_wall", "is_doubtful", "local", "local_day", "local_text", "present_day", "site_zone", "utc_text",
    "with_local_times", "zone_text",
]  # fmt: skip

INSTANT = timedelta(microseconds=1)
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z")
YEAR_OF_RULES = 2037  # far enough ahead that only rules which go on apply


def site_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name; raise ValueError for a name that the time-zone database does not hold."""
    try:
        if name != name.strip() or name.split("/")[0] in (
            "posix",
            "right",
            "localtime",
            "Factory",
        ):  # of the machine, or with leap seconds
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):  # a folder of the database (`Europe`) is an OSError
        raise ValueError(because("site.zone_unknown", zone=name)) from None


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Return a moment on the site's wall clock, aware; a naive moment is UTC."""
    return _aware(moment).astimezone(zone)


def local_day(moment: datetime, zone: tzinfo) -> date:
    """Return the day of a moment on the site's wall clock."""
    return local(moment, zone).date()


def present_day(now: datetime, zone: tzinfo) -> date:
    """Return the local day that a present moment, or that of a release, belongs to; midnight is the end of the day before, as in the marts."""
    return local_day(_aware(now) - INSTANT, zone)


def from_wall(wall: datetime, zone: tzinfo) -> datetime:
    """Return the moment in UTC of a time on the wall clock that names no offset.

    Where the clock is put back, an hour comes twice: the first of the two is taken. Where it is put forward, an hour does not exist: the
    time is read with the offset before the change (02:30 is 03:30 of summer time). Both are fold=0 of PEP 495; see `is_doubtful`.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def is_doubtful(wall: datetime, zone: tzinfo) -> bool:
    """Return whether a time on the wall clock comes twice or does not exist, so that no one can know which moment is meant."""
    return wall.replace(tzinfo=zone, fold=0).utcoffset() != wall.replace(tzinfo=zone, fold=1).utcoffset()


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a local day in UTC, also where the clock is changed at midnight."""
    return from_wall(datetime(day.year, day.month, day.day), zone)


def local_text(moment: datetime, zone: tzinfo) -> str:
    """Return a moment on the site's wall clock to the minute, with its offset where that time comes twice."""
    at = local(moment, zone)
    text = f"{at:%Y-%m-%d %H:%M}"
    return f"{text} {_offset(at)}" if is_doubtful(at, zone) else text


def with_local_times(text: str, zone: tzinfo, *, named: bool = False) -> str:
    """Return a sentence with its moments in UTC (`2026-10-08T06:00Z`) as the site's wall clock shows them; `named`: with the name of its zone."""
    after = f" {zone_text(zone)}" if named else ""
    return MOMENT.sub(lambda found: local_text(datetime.fromisoformat(found[0]), zone) + after, text)


def zone_text(zone: tzinfo) -> str:
    """Return what a reader knows a clock by: `UTC+08:00` where the rules in force change it no more, else the name of the zone."""
    months = [datetime(YEAR_OF_RULES, month, 1, tzinfo=zone) for month in range(1, 13)]
    return _offset(months[0]) if len({at.utcoffset() for at in months}) == 1 else str(zone)


def utc_text(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _offset(at: datetime) -> str:
    text = f"{at:%z}"
    return "UTC" if text in ("+0000", "-0000") else f"UTC{text[:3]}:{text[3:5]}"
