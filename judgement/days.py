"""Days and hours on the wall clock of a site."""

from datetime import UTC, date, datetime, timedelta

__all__ = ["INSTANT", "local", "local_day", "present_day", "utc_text"]

INSTANT = timedelta(microseconds=1)


def local(moment: datetime, utc_offset_minutes: int) -> datetime:
    """Return a moment on the site's wall clock, without a zone; a naive moment is UTC."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (utc + timedelta(minutes=utc_offset_minutes)).replace(tzinfo=None)


def local_day(moment: datetime, utc_offset_minutes: int) -> date:
    """Return the day of a moment on the site's wall clock."""
    return local(moment, utc_offset_minutes).date()


def present_day(now: datetime, utc_offset_minutes: int) -> date:
    """Return the local day that a present moment, or that of a release, belongs to; midnight is the end of the day before, as in the marts."""
    return local_day(now - INSTANT, utc_offset_minutes)


def utc_text(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
