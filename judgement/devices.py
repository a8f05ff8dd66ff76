"""What is fit: the state of a device on a local day by its phantom tests and checks, as `mart_device_day` has it, but of now.

Of now means: the newest verdict on a due test counts, also when it came after the first patient, and so does the newest result of each
check. The mart judges the whole day and remembers a failure before the first patient.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from judgement.linkage.numbers import is_placeholder, loose, plain
from judgement.rows import Component, Device, OpeningHours, Scheduled
from judgement.validity import in_force, newest
from messages import Message, because, joined

__all__ = [
    "UNREGISTERED",
    "DeviceTest",
    "device_of",
    "due_tests",
    "has_opened",
    "identified",
    "named",
    "newest_failures",
    "span_days",
    "state_of",
]

UNREGISTERED = "UNREGISTERED"
WORST_LAST = ("fit", "conditional", "not_confirmed", "not_fit")
STATE_OF = {"pass": "fit", "warn": "conditional", "fail": "not_fit"}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceTest:
    """A phantom test: a series, what one procedure made of it (`verdicts.summary`), and why; `procedure` None: none could measure it."""

    device_id: str
    procedure: str | None
    day: date  # local
    at: datetime
    state: str  # pass | warn | fail | not_measured | indicative | none
    reason: str


def device_of(serial: str | None, station: str | None, devices: Iterable[Device]) -> str:
    """Return the registered device of an image by its serial number, by its station name when it has none, or UNREGISTERED."""
    return identified(serial, station, devices)[0]


def identified(serial: str | None, station: str | None, devices: Iterable[Device]) -> tuple[str, Message | None]:
    """Return the registered device of an image, or UNREGISTERED, and what makes that doubtful.

    The serial number decides, in whatever writing; one that only fills the field (0000) is none, and then the station name decides, if it is
    of one device alone. One that is not registered under the name of a registered device is a replaced or an upgraded scanner that
    nobody has registered: it is told, and never silently the old one.
    """
    known = list(devices)
    named = [d for d in known if station and plain(d.station_name) == plain(station)]
    if not is_placeholder(serial):
        for writing in (plain, loose):
            found = [d for d in known if d.device_serial and writing(d.device_serial) == writing(serial)]
            if len(found) == 1:
                return found[0].device_id, None
        names = {"serial": serial, "station": station}
        return UNREGISTERED, because("device.other_serial", device=named[0].device_id, **names) if named else None
    if len(named) == 1:
        return named[0].device_id, None
    several = [d.device_id for d in named]
    return UNREGISTERED, because("device.station_shared", station=station, devices=several) if several else None


def named(device: str | None, devices: Iterable[Device]) -> str | None:
    """Return the id of the registered device that somebody wrote, whatever the case and the blanks; None: nobody registered it."""
    return next((d.device_id for d in devices if plain(device) and plain(d.device_id) == plain(device)), None)


def due_tests(schedule: Iterable[Scheduled], day: date) -> list[Scheduled]:
    """Return the newest row of each device and procedure that is scheduled by a day."""
    now = newest(in_force(schedule, day), lambda s: (s.device_id, s.procedure))
    return [now[key] for key in sorted(now)]


def span_days(due: Iterable[Scheduled]) -> int:
    """Return how many days back, that day included, tests can still cover a day."""
    return max((s.every_days for s in due), default=1)


def impossible(
    schedule: Iterable[Scheduled], devices: Iterable[Device], components: Iterable[Component]
) -> list[tuple[int, str]]:
    """Return the rows of a schedule (from 0) that no test could ever meet, and why: such a test would be due for ever and never made."""
    known = {d.device_id for d in devices}
    procedures = [c.component for c in components if c.kind == "procedure" and c.started_by == "job analyse_phantoms"]
    wrong: list[tuple[int, str]] = []
    for n, row in enumerate(schedule):
        if row.device_id not in known:
            wrong.append((n, because("schedule.no_device", device=row.device_id)))
        if row.procedure not in procedures:
            near = get_close_matches(row.procedure, procedures, 3, 0.0)
            wrong.append((n, because("schedule.no_procedure", procedure=row.procedure, near=near)))
        if row.every_days < 1:
            wrong.append((n, because("schedule.every_days", days=row.every_days)))
    return wrong


def has_opened(device_id: str, hours: Iterable[OpeningHours], site_id: str, local: datetime) -> bool:
    """Tell whether a device's opening time of the day has passed, at a moment of the site's wall clock; without hours it has not."""
    mine = [h for h in hours if h.site_id == site_id and h.device_id in (None, device_id)]
    best = max(in_force(mine, local.date()), key=lambda h: (h.device_id is not None, h.valid_from), default=None)
    return best is not None and f"{local:%H:%M}" >= best.opens_at


def state_of(
    device_id: str,
    today: date,
    due: Iterable[Scheduled],
    tests: Iterable[DeviceTest],
    failed_checks: list[str],
    opened: bool,
    first_day: date | None,
) -> Row:
    """Return `state`, `reason` and the open `tests` (procedure, state, reason: due or failing, without a pass) of a device.

    A failure makes the device unfit, whether or not somebody has scheduled that test, and stands until the same test has another verdict: time
    heals no device.

    Parameters
    ----------
    due
        By `due_tests`, of any devices; a test covers its day and the next `every_days` - 1 days.
    tests
        Of any devices; of those before the longest period the newest verdict of each procedure is enough. Of two of one moment the later in the
        list counts.
    failed_checks
        The checks whose newest result is a failure, of today or of any day before.
    first_day
        The first day of the device's history, None: today; before a weekly test could have been made once it is not due.
    """
    mine = sorted((t for t in tests if t.device_id == device_id), key=lambda t: t.at)
    scheduled = {s.procedure: s for s in due if s.device_id == device_id}
    judged = []
    for procedure in sorted({*scheduled, *(t.procedure for t in mine if t.state == "fail" and t.procedure)}):
        row = scheduled.get(procedure)
        told = [t for t in mine if t.procedure == procedure and t.state in STATE_OF]
        last = told[-1] if told else None
        days = timedelta(days=row.every_days if row else 1)
        covers = last is not None and today - last.day < days
        since = max(first_day or today, date.fromisoformat(row.valid_from)) if row else None
        must = since is not None and today >= since + days - timedelta(days=1)
        if last is not None and (last.state == "fail" or (covers and row)):
            tries = [t for t in mine if t.procedure in (procedure, None) and today - t.day < days]
            judged.append(_told(procedure, last, covers, must and not tries))
        elif must:
            judged.append(
                _untold(procedure, [t for t in mine if t.procedure in (procedure, None) and today - t.day < days], opened)
            )
    return _of_device(judged, failed_checks)


def _told(procedure: str, last: DeviceTest, covers: bool, is_missing: bool) -> Row:
    """Return the state of a test by its newest verdict, and why; one that does not cover today is a failure that stands."""
    if last.state == "fail" and not covers:
        why = [because("test.failed_before", procedure=procedure, day=str(last.day), reason=last.reason)]
        why += [because("test.missing", procedure=procedure)] if is_missing else []
        return {"procedure": procedure, "state": "not_fit", "reason": joined(why)}
    code = {"warn": "test.warning", "fail": "test.failed"}.get(last.state)
    reason = because(code, procedure=procedure, reason=last.reason) if code else ""
    return {"procedure": procedure, "state": STATE_OF[last.state], "reason": reason}


def _untold(procedure: str, tries: list[DeviceTest], opened: bool) -> Row:
    """Return the state of a due test without a verdict, and why."""
    if tries:
        why = because("test.not_measured", procedure=procedure, reason=tries[-1].reason or because("verdict.none"))
    else:
        why = because("test.not_by_opening" if opened else "test.missing", procedure=procedure)
    return {"procedure": procedure, "state": "not_confirmed", "reason": why}


def _of_device(judged: list[Row], failed_checks: list[str]) -> Row:
    reasons = [because("check.failed", checks=failed_checks)] if failed_checks else []
    reasons += [t["reason"] for t in judged if t["reason"]]
    worst = max((t["state"] for t in judged), key=WORST_LAST.index, default="not_confirmed")
    if not judged and not failed_checks:
        reasons = [because("test.none_scheduled")]
    open_tests = [t for t in judged if t["state"] in ("not_fit", "not_confirmed")]
    return {"state": "not_fit" if failed_checks else worst, "reason": joined(reasons), "tests": open_tests}


def newest_failures(checks: Iterable[tuple[str, str, datetime, str]]) -> Mapping[str, list[str]]:
    """Return by device the checks whose newest result is a failure; a check is device, name, moment and result."""
    last = {(device, name): result for device, name, _, result in sorted(checks, key=lambda c: c[2])}
    out: dict[str, list[str]] = {}
    for (device, name), result in sorted(last.items()):
        if result == "fail":
            out.setdefault(device, []).append(name)
    return out
