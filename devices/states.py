"""Today's working state of each device, minutes before a release holds it: judged from the lake by the marts' limits and schedule.

`<home>/worklist/states.json` is for the DICOM node, which holds worklists by it; why a file: ADR 12.
"""

import csv
import fcntl
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from connectors.events import utc_text
from connectors.settings import Settings
from connectors.stores.lake.lock import locked
from connectors.stores.lake.write import place
from spark_jobs.judge import SEEDS, device_of, read_limits
from terminals.declared import USED, doubt
from terminals.verdicts import judged, summary

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
SELECT json_extract_string(data, '$.device_id') AS device_id, json_extract_string(data, '$.check') AS name,
  json_extract_string(data, '$.performed_at_utc') AS at, json_extract_string(data, '$.result') AS result,
  trim(coalesce(json_extract_string(data, '$.note'), '')) AS note
FROM read_parquet($files, hive_partitioning = false) WHERE site_id = $site ORDER BY journal_offset"""
FIRST = "SELECT device_id, min(day) AS first FROM marts.mart_device_day WHERE site_id = $site GROUP BY device_id"
ORDER = ("fit", "conditional", "not_confirmed", "not_fit")
Row = dict[str, Any]


def confirm(settings: Settings) -> Row:
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
        day = str(_day(now - timedelta(microseconds=1), settings))
        told = {"version": 1, "site_id": settings.site_id, "day": day, "devices": found}
        changed = _before(path) != told
        text = json.dumps({**told, "as_of_utc": utc_text(now)}, ensure_ascii=False, indent=1)
        place(path, partial(Path.write_text, data=text, encoding="utf-8"))
    return {
        "job": "confirm_devices", "run_key": "", "from": None, "to": utc_text(now), "read": len(found) * changed, "written": int(changed),
        "quarantined": 0, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def states(settings: Settings, now: datetime, seeds: Path = SEEDS) -> dict[str, Row]:
    """Return state, reason and the due tests without a pass of each registered device of the site on the local day.

    The rules are those of `mart_device_day`, of now instead of the whole day: the newest verdict on a due test counts, also when it
    came after the first patient, and so does the newest result of each check.
    """
    now = now.astimezone(UTC)
    today = _day(now - timedelta(microseconds=1), settings)
    schedule = [r for r in _seed(seeds, "phantom_schedule") if r["valid_from"] <= str(today)]
    newest = {(r["device_id"], r["procedure"]): r for r in sorted(schedule, key=lambda r: r["valid_from"])}
    span = max((int(r["every_days"]) for r in newest.values()), default=1)
    tests = _tests(settings, seeds, [today - timedelta(days=n) for n in range(span)])
    failed, first = _failed_checks(settings, today), _first_days(settings)
    opened = _opened(settings, seeds, now, today)
    out = {}
    for device in (d["device_id"] for d in _seed(seeds, "devices") if d["site_id"] == settings.site_id):
        due = []
        for (of, procedure), row in sorted(newest.items()):
            days = int(row["every_days"])
            mine = (
                [t for t in tests if t["device_id"] == device and today - t["day"] < timedelta(days=days)] if of == device else []
            )
            told = [t for t in mine if t["procedure"] == procedure and t["state"] in ("pass", "warn", "fail")]
            since = max(first.get(device, today), date.fromisoformat(row["valid_from"]))
            if of == device and (told or today >= since + timedelta(days=days - 1)):
                due.append(_of_test(procedure, told, [t for t in mine if t["procedure"] in (procedure, None)], opened[device]))
        out[device] = _of_device(due, failed[device])
    return out


def _of_test(procedure: str, told: list[Row], tries: list[Row], opened: bool) -> Row:
    """Return the state of one due test and why; `told` are those with a verdict, `tries` all."""
    last = max(told, key=lambda t: t["at"], default=None)
    if last is not None:
        state = {"pass": "fit", "warn": "conditional", "fail": "not_fit"}[last["state"]]
        reason = {
            "pass": "", "warn": f"{procedure} is in the warning band ({last['reason']})", "fail": f"{procedure} failed ({last['reason']})",
        }[last["state"]]  # fmt: skip
        return {"procedure": procedure, "state": state, "reason": reason}
    if tries:
        why = max(tries, key=lambda t: t["at"])["reason"] or "no verdict"
        return {"procedure": procedure, "state": "not_confirmed", "reason": f"{procedure} was not measured ({why})"}
    missing = f"{procedure} was not tested by the opening time" if opened else f"{procedure} is missing"
    return {"procedure": procedure, "state": "not_confirmed", "reason": missing}


def _of_device(due: list[Row], failed: list[str]) -> Row:
    from spark_jobs.procedures import PROCEDURES

    reasons = [f"check failed: {', '.join(failed)}"] if failed else []
    reasons += [t["reason"] for t in due if t["reason"]]
    worst = max((t["state"] for t in due), key=ORDER.index, default="not_confirmed")
    if not due and not failed:
        reasons = ["no test is scheduled"]
    codes = {name: p.code for name, p in PROCEDURES.items()}
    tests = [{**t, "code": codes.get(t["procedure"], "")} for t in due if t["state"] in ("not_fit", "not_confirmed")]
    return {"state": "not_fit" if failed else worst, "reason": "; ".join(reasons) or None, "tests": tests}


def _tests(settings: Settings, seeds: Path, days: list[date]) -> list[Row]:
    """Return the phantom tests of these local days, one row a series and procedure: the newest run of each series, judged."""
    files = _files(settings, "measures", days)
    if not files:
        return []
    limits, declared, offset = read_limits(seeds / "limits.csv"), _declared(settings, seeds, days), settings.utc_offset_minutes
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
        day = _day(rows[0]["acquired_at_utc"], settings)
        device = device_of(rows[0]["device_serial"], rows[0]["station_name"], seeds / "devices.csv")
        if series in patients or day not in days:
            continue
        by_procedure = defaultdict(list)
        for row in judged(rows, limits, device, offset):
            why = declared.get((device, day, row["procedure"] or "?"), declared.get((device, day, "")))
            if why:
                row |= {"verdict": "none", "status": "not_measured", "reason": why}
            by_procedure[row["procedure"]].append(row)
        for procedure, mine in by_procedure.items():
            said = summary(mine)
            about = {"device_id": device, "procedure": procedure, "day": day, "at": rows[0]["acquired_at_utc"]}
            out.append({**about, "state": said["state"], "reason": _reason(said)})
    return out


def _reason(said: Row) -> str:
    worst = said["worst"]
    if worst is None or said["state"] == "pass":
        return said["reason"] or ""
    unit = "" if worst["unit"] in (None, "1") else f" {worst['unit']}"
    low, high = (None if v is None else str(round(v, 3)) for v in (worst["low"], worst["high"]))
    limit = (f"{low} … {high}" if low and high else f"≤ {high}" if high else f"≥ {low}") + unit
    value = f"{round(worst['value'], 3)}{unit}"
    how = f"{value} is outside {limit}" if said["state"] == "fail" else f"{value} is outside the warning band {limit}"
    return f"{worst['measure']}: {how}"


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
    files = _files(settings, "events/type=device.check", days)
    rows = _ask(CHECKS, files=files, site=settings.site_id) if files else []
    for row in rows:
        row["at"] = datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None)
        row["day"] = _day(row["at"], settings)
    return sorted(rows, key=lambda r: r["at"])


def _failed_checks(settings: Settings, today: date) -> dict[str, list[str]]:
    """Return by device the checks of today whose newest result is a failure."""
    newest = {(c["device_id"], c["name"]): c["result"] for c in _checks(settings, [today]) if c["day"] == today}
    out = defaultdict(list)
    for (device, name), result in sorted(newest.items()):
        if result == "fail":
            out[device].append(name)
    return out


def _declared(settings: Settings, seeds: Path, days: list[date]) -> dict[tuple[str, date, str], str]:
    """Return by device, day and procedure ("" all) why the phantom that a technologist declared makes a test invalid; "" if it does not."""
    out = {}
    for check in _checks(settings, days):
        name, _, procedure = check["name"].partition("/")
        if name == USED and check["note"]:
            against = doubt(check["note"], settings.site_id, str(check["day"]), seeds)
            out[check["device_id"], check["day"], procedure] = against[1] if against else ""
    return out


def _opened(settings: Settings, seeds: Path, now: datetime, today: date) -> dict[str, bool]:
    """Return whether each device's opening time of today has passed."""
    local = now + timedelta(minutes=settings.utc_offset_minutes) - timedelta(microseconds=1)
    out: dict[str, bool] = defaultdict(bool)
    hours = [h for h in _seed(seeds, "opening_hours") if h["site_id"] == settings.site_id and h["valid_from"] <= str(today)]
    for device in (d["device_id"] for d in _seed(seeds, "devices")):
        mine = [h for h in hours if h["device_id"] in ("", device)]
        best = max(mine, key=lambda h: (h["device_id"] != "", h["valid_from"]), default=None)
        out[device] = best is not None and f"{local:%H:%M}" >= best["opens_at"]
    return out


def _first_days(settings: Settings) -> dict[str, date]:
    """Return the first day of each device that the published release knows: before a weekly test could be made once it is not due."""
    path = settings.warehouse / "current" / "qc.duckdb"
    if not path.exists():
        return {}
    with duckdb.connect(str(path.resolve()), read_only=True) as db:
        return dict(db.execute(FIRST, {"site": settings.site_id}).fetchall())


def _files(settings: Settings, table: str, days: list[date]) -> list[str]:
    """Return the files of the folders that can hold events of these local days (folders are UTC days)."""
    folder = settings.lake / table / f"site_id={settings.site_id}"
    wanted = {day + timedelta(days=n) for day in days for n in (-1, 0, 1)}
    return [str(f) for day in sorted(wanted) for f in sorted((folder / f"day={day}").glob("*.parquet"))]


def _ask(sql: str, **given: Any) -> Iterable[Row]:
    with duckdb.connect(":memory:", config={"threads": 1}) as db:
        cursor = db.execute(sql, given)
        names = [d[0] for d in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _seed(seeds: Path, name: str) -> list[dict[str, str]]:
    with (seeds / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def _day(moment: datetime, settings: Settings) -> date:
    return (moment + timedelta(minutes=settings.utc_offset_minutes)).date()


def _before(path: Path) -> Row | None:
    try:
        return {k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if k != "as_of_utc"}
    except (OSError, ValueError, AttributeError):
        return None
