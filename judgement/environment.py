"""What is normal in a room: the state of each sensor, reading by reading. The stream (`spark_jobs/jobs/supervise.py`) keeps it running.

Limits are the rows of `environment_limits.csv` that the marts judge hours by, chosen and applied by `limits.py`: one rule for both. A state
changes by a reading that is newer than all before, or by a silence longer than `sensors.csv` declares, which begins at a moment of its own
and not when somebody noticed: whoever replays the readings gets the same changes. Moments are whole microseconds UTC since 1970.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from judgement.days import local_day, site_zone
from judgement.limits import MEASURED, limit_of, verdict
from judgement.physical import unphysical
from judgement.rows import Device, EnvironmentLimit, Limit, PhysicalRange, Room, Sensor, Site
from messages import because, columns

__all__ = ["ABNORMAL", "METHOD", "TICK", "VERSION", "WORST_FIRST", "Kept", "Rules", "advance", "us"]

METHOD, VERSION = "environment_state", "1.0.1"
TICK = "tick"  # `quality` of a row that is no reading: so late is it now
NO_ANSWER = "no_answer"  # the gateway's word, not the sensor's: it ends no silence
AHEAD_US = 60_000_000  # a reading may be dated so far behind its arrival, clocks being what they are
NORMAL, ABNORMAL, OVERLOAD, BAD_QUALITY, SILENT, NO_LIMIT, UNKNOWN = (
    "normal", "abnormal", "overload", "bad_quality", "silent", "no_limit", "unknown",
)  # fmt: skip
WORST_FIRST = (OVERLOAD, ABNORMAL, SILENT, BAD_QUALITY, NO_LIMIT, UNKNOWN, NORMAL)
Row = Mapping[str, Any]
Change = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of a sensor: its state, and the newest reading that counted; zero moments: none yet."""

    state: str = ""
    since: int = 0
    read_at: int = 0
    recorded_at: int = 0
    heard: int = 0  # the sensor's own last word, or when it was first waited for
    event_id: str | None = None
    journal: str | None = None
    journal_offset: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The reference data: limits, sensors by id, each room's site and devices, each site's offset from UTC in minutes."""

    TABLES: ClassVar[tuple[type, ...]] = (EnvironmentLimit, Sensor, Room, Device, Site, PhysicalRange)
    limits: tuple[Limit, ...]
    sensors: Mapping[str, Sensor]
    rooms: Mapping[str, str]
    devices: Mapping[str, str]
    zones: Mapping[str, tzinfo]
    ranges: tuple[PhysicalRange, ...]

    @classmethod
    def of(
        cls,
        limits: Iterable[EnvironmentLimit],
        sensors: Iterable[Sensor],
        rooms: Iterable[Room],
        devices: Iterable[Device],
        sites: Iterable[Site],
        ranges: Iterable[PhysicalRange],
    ) -> "Rules":
        """Return the rules by the rows of the tables."""
        by_room: dict[str, list[str]] = {}
        for d in devices:
            by_room.setdefault(d.room_id or "", []).append(d.device_id)
        return cls(
            tuple(_limit(r) for r in limits),
            {s.sensor_id: s for s in sensors},
            {r.room_id: r.site_id for r in rooms},
            {room: " ".join(sorted(ids)) for room, ids in by_room.items()},
            {s.site_id: site_zone(s.time_zone) for s in sites},
            tuple(ranges),
        )

    def of_site(self, site_id: str) -> list[Sensor]:
        """Return the sensors that a site has registered."""
        return [s for s in self.sensors.values() if self.rooms.get(s.room_id) == site_id]


def _limit(row: EnvironmentLimit) -> Limit:
    """Return a limit of rooms as one that `limit_of` chooses from: the room stands where a device does."""
    return Limit(
        limit_id=row.limit_id, version=row.version, procedure="environment", measure=row.quantity, device_id=row.room_id, detector=None, region=None,
        warn_low=None, warn_high=None, fail_low=row.low, fail_high=row.high, valid_from=row.valid_from, valid_until=row.valid_until,
        standard=row.standard, clause=row.clause, requirement=None, approver=None,
    )  # fmt: skip


def advance(kept: Kept, rows: Iterable[Row], rules: Rules) -> tuple[Kept, list[Change]]:
    """Return what is kept of one sensor after these rows, in the order of their arrival, and each change of its state.

    Parameters
    ----------
    rows
        Of one `site_id`, `room_id`, `quantity` and `sensor_id`, with `value` (None or NaN: none), `unit`, `quality`, `read_at`, `recorded_at`,
        `event_id`, `journal`, `journal_offset`, `place` (in its event). Of a tick `read_at` is the present moment.
    """
    changes: list[Change] = []
    for row in sorted(rows, key=_arrival):
        kept, found = _step(kept, row, rules)
        changes += found
    return kept, changes


def _arrival(row: Row) -> tuple[Any, ...]:
    return row["quality"] == TICK, row["recorded_at"], row["journal"], row["journal_offset"], row["read_at"], row["place"]


def _step(kept: Kept, row: Row, rules: Rules) -> tuple[Kept, list[Change]]:
    if row["quality"] == TICK:
        kept = kept if kept.heard else replace(kept, heard=row["read_at"])
        return _unless_silent(kept, row, row["read_at"], rules)
    stranger = _stranger(row, rules)
    if stranger:
        return _entered(kept, row, UNKNOWN, stranger, None, row["read_at"], rules)
    ahead = row["read_at"] > row["recorded_at"] + AHEAD_US
    moment = row["recorded_at"] if ahead else row["read_at"]
    if (moment, row["recorded_at"]) <= (kept.read_at, kept.recorded_at) or (kept.state == SILENT and moment < kept.since):
        return kept, []  # late: the marts judge it in its hour; what is now is newer
    changes: list[Change] = []
    if kept.heard:
        kept, changes = _unless_silent(kept, row, moment, rules)
    answered = row["quality"] != NO_ANSWER
    counted = replace(
        kept, read_at=moment, recorded_at=row["recorded_at"], heard=moment if answered else kept.heard or moment,
        event_id=row["event_id"], journal=row["journal"], journal_offset=row["journal_offset"],
    )  # fmt: skip
    if not answered and kept.state == SILENT:
        return replace(kept, read_at=moment, recorded_at=row["recorded_at"]), changes
    state, reason, limit = _judged(row, moment, ahead, rules)
    entered, more = _entered(counted, row, state, reason, limit, moment, rules)
    return entered, changes + more


def _unless_silent(kept: Kept, row: Row, now: int, rules: Rules) -> tuple[Kept, list[Change]]:
    """Enter silence where the sensor was last heard longer ago than is declared for it."""
    patience = rules.sensors[row["sensor_id"]].silent_after_min
    since = kept.heard + patience * 60_000_000
    if now <= since or kept.state == SILENT:
        return kept, []
    last = _minute(kept.heard)
    reason = (
        because("sensor.silent", last=last, minutes=patience)
        if kept.event_id
        else because("sensor.never_heard", since=last, minutes=patience)
    )
    nothing = {**row, "value": None, "event_id": kept.event_id, "journal": kept.journal, "journal_offset": kept.journal_offset}
    return _entered(kept, {**nothing, "recorded_at": since}, SILENT, reason, None, since, rules)


def _stranger(row: Row, rules: Rules) -> str | None:
    """Return why a reading is of no sensor that this site knows, None when it is."""
    known = rules.sensors.get(row["sensor_id"])
    if known is None:
        return because("sensor.not_registered")
    if (known.room_id, known.quantity) != (row["room_id"], row["quantity"]):
        return because("sensor.registered_elsewhere", quantity=known.quantity, room=known.room_id)
    site = rules.rooms.get(known.room_id)
    return None if site == row["site_id"] else because("sensor.other_site", site=site, reading_site=row["site_id"])


def _judged(row: Row, moment: int, ahead: bool, rules: Rules) -> tuple[str, str | None, Limit | None]:
    registered = rules.sensors[row["sensor_id"]].unit
    if row["quality"] == OVERLOAD:
        return OVERLOAD, because("sensor.overloaded"), None
    if row["quality"] != "good" or not _is_number(row["value"]):
        return BAD_QUALITY, because("sensor.no_usable_value", quality=row["quality"]), None
    if ahead:
        return BAD_QUALITY, because("sensor.dated_after_arrival"), None
    if row["unit"] != registered:
        return BAD_QUALITY, because("sensor.unit_differs", unit=row["unit"], registered=registered), None
    impossible = unphysical(row["value"], row["quantity"], row["sensor_id"], rules.ranges)
    if impossible is not None:
        return BAD_QUALITY, impossible, None
    day = local_day(_moment(moment), rules.zones[row["site_id"]])
    limit = limit_of(rules.limits, "environment", row["quantity"], row["room_id"], None, day)
    judged = verdict(row["value"], MEASURED, limit)
    if limit is None or judged == "none":
        return NO_LIMIT, because("verdict.no_limit") if limit is None else because("verdict.limit_unknown"), limit
    if judged == "pass":
        return NORMAL, None, limit
    return ABNORMAL, because("sensor.outside", value=row["value"], unit=row["unit"], limit=_band(limit, row["unit"])), limit


def _entered(
    kept: Kept, row: Row, state: str, reason: str | None, limit: Limit | None, since: int, rules: Rules
) -> tuple[Kept, list[Change]]:
    """Return the new state with its change, or what is kept when the state is the old one."""
    if state == kept.state:
        return kept, []
    change = {
        **{k: row[k] for k in ("site_id", "room_id", "quantity", "sensor_id", "unit", "event_id", "journal", "journal_offset")},
        "devices": rules.devices.get(row["room_id"], ""), "state": state, "before": kept.state or None, "since": since, **columns(reason),
        "value": row["value"] if state in (NORMAL, ABNORMAL, NO_LIMIT, UNKNOWN) and _is_number(row["value"]) else None,
        "limit_id": limit and limit.limit_id, "limit_version": limit and limit.version,
        "limit_low": limit and limit.fail_low, "limit_high": limit and limit.fail_high,
        "recorded_at": row["recorded_at"], "method": METHOD, "method_version": VERSION,
    }  # fmt: skip
    return replace(kept, state=state, since=since), [change]


def us(moment: datetime) -> int:
    """Return whole microseconds since 1970, exactly."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moment(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def _minute(at: int) -> str:
    return f"{_moment(at):%Y-%m-%d %H:%M} UTC"


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _band(limit: Limit, unit: str) -> str:
    low, high = limit.fail_low, limit.fail_high
    bounds = (
        f"{low:g} … {high:g}" if low is not None and high is not None else f"≤ {high:g}" if high is not None else f"≥ {low:g}"
    )
    return f"{bounds} {unit}"
