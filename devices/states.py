"""Today's working state of each device, minutes before a release holds it: facts from the lake, judged by `judgement.devices`.

`<home>/worklist/states.json` is for the DICOM node, which holds worklists by it; why a file: ADR 12.
"""

import fcntl
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from connectors.account import Account
from connectors.events import utc_text
from connectors.settings import Settings
from connectors.stores.lake.lock import locked
from connectors.stores.lake.write import place
from judgement import reference
from judgement.days import INSTANT, local, local_day, present_day
from judgement.devices import DeviceTest, device_of, due_tests, has_opened, named, newest_failures, span_days, state_of
from judgement.phantoms import Declarations, Word
from judgement.rows import Device, Limit, OpeningHours, Phantom, Scheduled
from judgement.verdicts import judged, reason_of, summary
from messages import fields, from_fields, from_text

__all__ = ["confirm", "states"]

MEASURES = """
SELECT *, acquired_at_utc AT TIME ZONE 'UTC' AS acquired_at_utc FROM read_parquet($files, hive_partitioning = false, filename = true)
WHERE analysis = 'phantom' AND site_id = $site AND acquired_at_utc IS NOT NULL"""
SERIES = """
SELECT DISTINCT subject FROM read_parquet($files, hive_partitioning = false)
WHERE site_id = $site AND json_extract_string(data, '$.is_phantom') = 'true'"""
ORDERED = """
SELECT DISTINCT json_extract_string(data, '$.accession_number') AS number
FROM read_parquet($files, hive_partitioning = false) WHERE site_id = $site AND number IN (SELECT unnest($numbers))"""
CHECKS = """
SELECT event_id AS id, recorded_at_utc AT TIME ZONE 'UTC' AS recorded,
  json_extract_string(data, '$.device_id') AS device_id, json_extract_string(data, '$.check') AS name,
  json_extract_string(data, '$.performed_at_utc') AS at, json_extract_string(data, '$.result') AS result,
  trim(coalesce(json_extract_string(data, '$.note'), '')) AS note
FROM read_parquet($files, hive_partitioning = false) WHERE site_id = $site ORDER BY journal_offset"""
UNTIL = "SELECT as_of_utc FROM marts.mart_release"
VERDICTS = """
SELECT device_id, procedure, tested_day, tested_at_utc, result, coalesce(reason, '') FROM intermediate.int_phantom__test
WHERE site_id = $site AND procedure IS NOT NULL AND result IN ('pass', 'warn', 'fail') AND tested_day <= $today
QUALIFY row_number() OVER (PARTITION BY device_id, procedure ORDER BY tested_at_utc DESC, run_key) = 1"""
FIRST = "SELECT device_id, min(day) AS first FROM marts.mart_device_day WHERE site_id = $site GROUP BY device_id"
Row = dict[str, Any]


def confirm(settings: Settings) -> Account:
    """Write the states as of now and return the account of the job: nothing new (0 read) when no state or reason has changed.

    Raise Locked while a rebuild fills the lake again: what is held stays held.
    """
    began = time.monotonic()
    path = settings.worklist / "states.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "states.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits: who comes last has seen the most
        with locked(settings.consumers, "rebuild"):
            now = settings.now()
            found = states(settings, now)
        day = str(present_day(now, settings.zone))
        told = {"version": 1, "site_id": settings.site_id, "day": day, "devices": found}
        changed = _before(path) != told
        text = json.dumps({**told, "as_of_utc": utc_text(now)}, ensure_ascii=False, indent=1)
        place(path, partial(Path.write_text, data=text, encoding="utf-8"))
    seconds = round(time.monotonic() - began, 1)
    return Account("confirm_devices", end=utc_text(now), read=len(found) * changed, written=int(changed), seconds=seconds)


def states(settings: Settings, now: datetime, seeds: Path | None = None) -> dict[str, Row]:
    """Return state, reason and the due tests without a pass of each registered device of the site on the local day (`judgement.devices`)."""
    from spark_jobs.procedures import PROCEDURES

    now = now.astimezone(UTC)
    today = present_day(now, settings.zone)
    due = due_tests(reference.read(Scheduled, seeds), today)
    known = _released(settings, today)
    tests = [*known.verdicts, *_tests(settings, seeds, sorted(_days(settings, span_days(due), today, known.until)))]
    registered = reference.read(Device, seeds)
    failed = newest_failures((named(d, registered) or d, name, at, result) for d, name, at, result in _checks_of(settings, today))
    hours, clock = reference.read(OpeningHours, seeds), local(now - INSTANT, settings.zone)
    out = {}
    codes = {name: p.code for name, p in PROCEDURES.items()}
    for one in (d for d in registered if d.site_id == settings.site_id):
        device = one.device_id
        opened = has_opened(device, hours, settings.site_id, clock)
        first = date.fromisoformat(one.commissioned_on) if one.commissioned_on else known.first_days.get(device)
        found = state_of(device, today, due, tests, failed.get(device, []), opened, first)
        tests_open = [{**t, **fields(t["reason"]), "code": codes.get(t["procedure"], "")} for t in found["tests"]]
        out[device] = {**found, **fields(found["reason"]), "tests": tests_open}
    return out


def _tests(settings: Settings, seeds: Path | None, days: list[date]) -> list[DeviceTest]:
    """Return the phantom tests of these local days, one a series and procedure: the newest run of each series, judged."""
    files = _files(settings, "measures", days)
    if not files:
        return []
    limits, devices, phantoms = reference.read(Limit, seeds), reference.read(Device, seeds), reference.read(Phantom, seeds)
    zone = settings.zone
    declared = Declarations(settings.site_id, zone)
    declared.add(
        Word(c["id"], c["recorded"], named(c["device_id"], devices) or c["device_id"], c["name"], c["at"], c["note"])
        for c in _checks(settings, days)
    )
    runs: dict[str, tuple[tuple, list[Row]]] = {}
    grouped = defaultdict(list)
    for row in _ask(MEASURES, files=files, site=settings.site_id):
        grouped[row["series_uid"], row["filename"]].append(row)
    for (series, file), rows in grouped.items():
        rank = (rows[0]["series_recorded_at_utc"], Path(file).stat().st_mtime_ns)
        if series not in runs or rank > runs[series][0]:
            runs[series] = (rank, rows)
    patients = _patients(settings, days, [rows[0] for _, rows in runs.values()])
    out = []
    for series, (_, rows) in runs.items():
        acquired = rows[0]["acquired_at_utc"]
        day = local_day(acquired, zone)
        device = device_of(rows[0]["device_serial"], rows[0]["station_name"], devices)
        if series in patients or day not in days:
            continue
        by_procedure = defaultdict(list)
        for row in judged(rows, limits, device, zone):
            doubt = declared.doubt(device, acquired, row["procedure"], phantoms)
            if doubt:
                row |= {"verdict": "none", "status": "not_measured", "reason": doubt[1]}
            by_procedure[row["procedure"]].append(row)
        for procedure, mine in by_procedure.items():
            said = summary(mine)
            out.append(DeviceTest(device, procedure, day, acquired, said["state"], reason_of(said)))
    return out


def _patients(settings: Settings, days: list[date], series: list[Row]) -> set[str]:
    """Return the series that belong to an examination which the hospital has ordered: whatever was measured on them is no test."""
    numbers = {s["series_uid"]: (s["accession_number"] or "").strip() for s in series}
    doubtful = {u: n for u, n in numbers.items() if n and not u.startswith("report/")}
    if not doubtful:
        return set()
    files = _files(settings, "events/type=dicom.series", days)
    phantoms = {r["subject"] for r in _ask(SERIES, files=files, site=settings.site_id)} if files else set()
    doubtful = {u: n for u, n in doubtful.items() if u not in phantoms}
    orders = [str(f) for f in (settings.lake / "events" / "type=his.order").rglob("*.parquet")] if doubtful else []
    if not orders:
        return set()
    known = {r["number"] for r in _ask(ORDERED, files=orders, site=settings.site_id, numbers=sorted(set(doubtful.values())))}
    return {u for u, n in doubtful.items() if n in known}


def _checks(settings: Settings, days: list[date]) -> list[Row]:
    return _read_checks(settings, _files(settings, "events/type=device.check", days))


def _read_checks(settings: Settings, files: list[str]) -> list[Row]:
    rows = _ask(CHECKS, files=files, site=settings.site_id) if files else []
    for row in rows:
        # a sender's clock that is fast tells nothing of the future: `stg_door__check` says the same
        told = datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None)
        row["at"] = min(told, row["recorded"].replace(tzinfo=None))
        row["day"], row["recorded"] = (
            local_day(row["at"], settings.zone),
            utc_text(row["recorded"].replace(tzinfo=UTC)),
        )
    return sorted(rows, key=lambda r: r["at"])


def _checks_of(settings: Settings, today: date) -> list[tuple[str, str, datetime, str]]:
    """Return the results of all checks until today: a failure stands until the same check passes, however long ago it was."""
    folder = settings.lake / "events" / "type=device.check" / f"site_id={settings.site_id}"
    checks = _read_checks(settings, sorted(str(f) for f in folder.rglob("*.parquet")))
    return [(c["device_id"], c["name"], c["at"], c["result"]) for c in checks if c["day"] <= today]


@dataclass(frozen=True, slots=True)
class _Released:
    """What the published release knows of former days: the beginning of each device's history, and the newest verdict of each of its tests."""

    until: date | None = None  # the last day that it speaks of
    first_days: dict[str, date] = field(default_factory=dict)
    verdicts: tuple[DeviceTest, ...] = ()


def _released(settings: Settings, today: date) -> _Released:
    path = settings.warehouse / "current" / "qc.duckdb"
    if not path.exists():
        return _Released()
    with duckdb.connect(str(path.resolve()), read_only=True) as db:
        first = dict(db.execute(FIRST, {"site": settings.site_id}).fetchall())
        ((until,),) = db.execute(UNTIL).fetchall()
        rows = db.execute(VERDICTS, {"site": settings.site_id, "today": today}).fetchall()
    verdicts = tuple(
        DeviceTest(device, procedure, day, at, state, from_text(why) or "") for device, procedure, day, at, state, why in rows
    )
    return _Released(present_day(until, settings.zone), first, verdicts)


def _days(settings: Settings, span: int, today: date, until: date | None) -> set[date]:
    """Return the local days whose tests are read from the lake: those that can cover today, and all that no release speaks of."""
    days = {today - timedelta(days=n) for n in range(span)}
    for folder in (settings.lake / "measures" / f"site_id={settings.site_id}").glob("day=*"):
        day = date.fromisoformat(folder.name.removeprefix("day="))  # UTC: a local day reaches into two
        days |= {d for d in (day, day + timedelta(days=1)) if (until is None or d >= until) and d <= today}
    return days


def _files(settings: Settings, table: str, days: list[date]) -> list[str]:
    """Return the files of the folders that can hold events of these local days (folders are UTC days)."""
    folder = settings.lake / table / f"site_id={settings.site_id}"
    wanted = {day + timedelta(days=n) for day in days for n in (-1, 0, 1)}
    return [str(f) for day in sorted(wanted) for f in sorted((folder / f"day={day}").glob("*.parquet"))]


def _ask(sql: str, **given: Any) -> Iterable[Row]:
    with duckdb.connect(":memory:", config={"threads": 1}) as db:
        cursor = db.execute(sql, given)
        names = [d[0] for d in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [row | {"reason": from_fields(row)} if "reason" in row else row for row in rows]


def _before(path: Path) -> Row | None:
    try:
        return {k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if k != "as_of_utc"}
    except (OSError, ValueError, AttributeError):
        return None
