"""The newest phantom tests, minutes before any release holds them: what arrived (journals), what was measured (lake), what is attested.

Tests are series of images, and reports that came by the HTTP door.
Nothing is read twice: the day's end of the journal by offset, folders of the lake that have changed, files that are new.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from connectors.events import utc_text
from connectors.settings import Settings
from devices.declared import Declared
from judgement import reference
from judgement.devices import UNREGISTERED, device_of
from judgement.rows import Device, Limit
from judgement.verdicts import INVALID, judged, summary

__all__ = ["Arrival", "Phantoms", "arrivals", "reports"]

SPAN = timedelta(hours=24)
EACH, WAITING = 4, 12  # how many tests of a device (beside those that failed), and how many that wait, are shown
HASTE = timedelta(minutes=3)  # somebody stands before the page for what has arrived since
SERIES = """
SELECT subject, max(offset), site, occurred_at, recorded_at,
  json_extract(data, '$.is_phantom', '$.accession_number', '$.device_serial', '$.station_name', '$.modality'),
  json_array_length(data, '$.instances')
FROM event WHERE offset >= ? AND +type = 'dicom.series' GROUP BY subject"""
IMAGES = """
SELECT subject, max(offset), recorded_at, json_extract(data, '$.calling_ae', '$.modality') FROM event
WHERE offset >= ? AND +type = 'dicom.instance' GROUP BY subject"""
MEASURED = """
SELECT DISTINCT filename, series_uid, analysis, instance_count
FROM read_parquet($files, hive_partitioning = false, filename = true)"""
ROWS = """
SELECT procedure, detector, region, measure, value, unit, status, reason, picture, run_key, acquired_at_utc AT TIME ZONE 'UTC' AS acquired_at_utc
FROM read_parquet($file, hive_partitioning = false)"""
RELEASED = """
SELECT run_key, procedure, detector, region, measure, value, unit, status, reason, picture_href AS picture, verdict, phantom_state,
  warn_low, warn_high, limit_low AS fail_low, limit_high AS fail_high
FROM marts.fct_phantom_test WHERE run_key IN (SELECT unnest($keys))"""
REPORTS = """
SELECT json_extract(data, '$.sha256'), max(offset), site, occurred_at, recorded_at,
  json_extract(data, '$.device_id', '$.device_serial', '$.station_name', '$.kind')
FROM event WHERE offset >= ? AND +type = 'device.report' GROUP BY 1"""
FACTS = ("is_phantom", "accession_number", "device_serial", "station_name", "modality")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The newest state of one series at intake."""

    series_uid: str
    recorded_at: datetime  # of the event that closed it, of its last image while it is open
    last_image_at: datetime | None
    is_open: bool  # images are still coming
    images: int = 0  # of a closed series: a late one makes another state of it
    folder: str = ""  # of its measures, below the lake
    facts: Row = field(default_factory=dict)  # of a series that is not closed yet: its sender's name for the station
    is_report: bool = False  # a document; it comes as a whole


class Phantoms:
    """Answers what is newest; keeps what it has read until it changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock, self._declared = settings, threading.Lock(), Declared(settings)
        self._folders: dict[str, tuple[int, dict[str, int]]] = {}  # folder → its time of change, {file: its own}
        self._index: dict[str, tuple[int, str, str, int]] = {}  # file → its time, series, analysis, how many images
        self._judged: dict[str, tuple[tuple[object, ...], list[Row]]] = {}  # file → its and the limits' times, judged rows
        self._attested: tuple[Path | None, dict[str, list[Row]]] = (None, {})  # the release that was asked, its rows by run key

    def newest(self, now: datetime) -> Row:
        """Return `waiting` and `done` (rows, newest first), how many `more` wait, and whether to look again soon (`haste`)."""
        with self._lock:
            return self._newest(now.astimezone(UTC))

    def _newest(self, now: datetime) -> Row:
        since = now - SPAN
        came = arrivals(self._settings.journals / "dicom.db", since) + reports(self._settings.journals / "events.db", since)
        arrived = sorted(came, key=lambda a: a.recorded_at, reverse=True)
        measured = self._measured({a.folder for a in arrived if a.folder}, since)
        waiting: list[Row] = []
        done: dict[str, list[Row]] = {}
        for one in arrived:
            facts = one.facts
            at = one.last_image_at or one.recorded_at
            row = {"series_uid": one.series_uid, "is_report": one.is_report, "at": at, **_device(facts)}
            file, analysis = measured.get((one.series_uid, one.images), ("", ""))
            may_be = facts.get("is_phantom") or not (facts.get("accession_number") or "").strip()
            if one.is_open or (not file and may_be):
                waiting.append({**row, "state": "arriving" if one.is_open else "waiting", "modality": facts.get("modality")})
            elif analysis == "phantom":
                rows, shown_of_it = self._rows(file, row["device_id"]), done.setdefault(row["group"], [])
                # newer tests that pass push none out that failed
                is_enough = len(shown_of_it) >= EACH and not any(r["verdict"] == "fail" for r in rows)
                if is_enough or _told_elsewhere(one, rows):
                    continue
                if may_be or any(r["status"] != "not_measured" for r in rows):
                    took = self._index[file][0] / 1e9 - one.last_image_at.timestamp() if one.last_image_at else None
                    about = {"run_key": rows[0]["run_key"], "acquired_at": rows[0]["acquired_at_utc"], "seconds": took}
                    shown_of_it.append({**row, "rows": rows, **about})
        shown = sorted((r for rows in done.values() for r in rows), key=lambda r: r["at"], reverse=True)
        released = self._released([r["run_key"] for r in shown])
        self._declared.read()
        for row in shown:
            attested = released.get(row["run_key"]) or []
            rows = self._doubted(row.pop("rows"), row["device_id"])
            if attested and not _newly_doubted(rows, attested):
                rows = attested
            row |= {"attested": rows is attested, "picture": any(r["picture"] for r in rows), **summary(rows)}
        self._judged = {f: kept for f, kept in self._judged.items() if f in self._index}
        return {
            "waiting": waiting[:WAITING], "more": max(0, len(waiting) - WAITING), "done": shown,
            "haste": any(now - w["at"] < HASTE for w in waiting),
        }  # fmt: skip

    def _doubted(self, rows: list[Row], device_id: str) -> list[Row]:
        """Return the lake's rows; those that were measured with a phantom that cannot be believed have no verdict, and the reason."""
        out = []
        for row in rows:
            doubt = self._declared.doubt(device_id, row["acquired_at_utc"], row["procedure"])
            out.append({**row, "verdict": "none", "phantom_state": doubt[0], "reason": doubt[1]} if doubt else row)
        return out

    def _measured(self, folders: Iterable[str], since: datetime) -> dict[tuple[str, int], tuple[str, str]]:
        """Return {(series, how many images): (newest file, analysis)} of the files that the last day has brought."""
        oldest, files = int(since.timestamp() * 1e9), {}
        for name in folders:
            files.update({f: at for f, at in self._listed(name).items() if at >= oldest})
        new = [f for f, at in files.items() if f not in self._index or self._index[f][0] != at]
        for start in range(0, len(new), 500):
            for row in _ask(MEASURED, {"files": new[start : start + 500]}):
                self._index[row["filename"]] = (files[row["filename"]], row["series_uid"], row["analysis"], row["instance_count"])
        self._index = {f: kept for f, kept in self._index.items() if f in files}
        newest = sorted(self._index.items(), key=lambda item: item[1][0])
        return {(series, images): (file, analysis) for file, (_, series, analysis, images) in newest}

    def _listed(self, name: str) -> dict[str, int]:
        """Return the files of a folder with their times; it is listed again when it has changed."""
        folder = self._settings.lake / name
        try:
            changed = folder.stat().st_mtime_ns
            if self._folders.get(name, (0,))[0] != changed:
                with os.scandir(folder) as entries:
                    files = {e.path: e.stat().st_mtime_ns for e in entries if e.name.endswith(".parquet")}
                self._folders[name] = (changed, files)
        except FileNotFoundError:
            return {}
        return self._folders[name][1]

    def _rows(self, file: str, device_id: str) -> list[Row]:
        """Return the judged rows of one file of the lake."""
        times = (self._index[file][0], reference.stamp([Limit]))
        if self._judged.get(file, ((),))[0] != times:
            rows = _ask(ROWS, {"file": file})
            self._judged[file] = (times, judged(rows, reference.read(Limit), device_id, self._settings.utc_offset_minutes))
        return self._judged[file][1]

    def _released(self, keys: list[str]) -> dict[str, list[Row]]:
        """Return the rows of those of these runs that the published release holds."""
        path = self._settings.warehouse / "current" / "qc.duckdb"
        if not path.exists():
            return {}
        release = path.resolve()
        if self._attested[0] != release:
            self._attested = (release, {})
        known = self._attested[1]
        missing = [k for k in keys if k not in known]
        if missing:
            try:
                rows = _ask(RELEASED, {"keys": missing}, release)
            except duckdb.Error:  # the page says elsewhere that the release cannot be read
                return {}
            known.update({k: [r for r in rows if r["run_key"] == k] for k in missing})
        return known


def arrivals(journal: Path, since: datetime) -> list[Arrival]:
    """Return the newest state of each series of which the journal has recorded something since then."""
    if not journal.exists():
        return []
    with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as db:
        first = _first(db, utc_text(since))
        closed = {row[0]: row[1:] for row in db.execute(SERIES, (first,))}
        images = {row[0]: row[1:] for row in db.execute(IMAGES, (first,))}
    out = []
    for series in {*closed, *images}:
        offset, site, occurred, recorded, text, count = closed.get(series, (0, "", "", "", "", 0))
        last, at, sender = images.get(series, (0, None, "[null, null]"))
        last_image_at = datetime.fromisoformat(at) if at else None
        facts = dict(zip(FACTS, json.loads(text), strict=True)) if text else dict(zip(FACTS[3:], json.loads(sender), strict=True))
        if last > offset and last_image_at:
            out.append(Arrival(series, last_image_at, last_image_at, True, facts=facts))
        else:
            out.append(
                Arrival(series, datetime.fromisoformat(recorded), last_image_at, False, count, _folder(site, occurred), facts)
            )
    return out


def reports(journal: Path, since: datetime) -> list[Arrival]:
    """Return the newest state of each report that the HTTP door has taken since then."""
    if not journal.exists():
        return []
    with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as db:
        rows = db.execute(REPORTS, (_first(db, utc_text(since)),)).fetchall()
    out = []
    for digest, _, site, occurred, recorded, text in rows:
        declared, serial, station, kind = json.loads(text)
        named = device_of(None, declared, reference.read(Device)) if declared else UNREGISTERED
        own = {"device_serial": serial, "station_name": station or declared}
        facts = {"is_phantom": True, "kind": kind, **(own if named == UNREGISTERED else {"station_name": declared})}
        at = datetime.fromisoformat(recorded)
        out.append(Arrival(f"report/{digest}", at, at, False, 1, _folder(site, occurred), facts, True))
    return out


def _folder(site: str, occurred: str) -> str:
    return f"measures/site_id={quote(site, safe='')}/day={datetime.fromisoformat(occurred).astimezone(UTC):%Y-%m-%d}"


def _told_elsewhere(one: Arrival, rows: list[Row]) -> bool:
    """Tell whether a report's values stand with the series that it tells of: that one is shown."""
    return one.is_report and all(r["measure"] is None and r["status"] == "measured" for r in rows)


def _newly_doubted(rows: list[Row], attested: list[Row]) -> bool:
    """Tell whether a phantom was declared that the release did not know of, and that cannot be believed."""
    return any(r.get("phantom_state") for r in rows) and not any(r["phantom_state"] in INVALID for r in attested)


def _first(db: sqlite3.Connection, since: str) -> int:
    """Return the first offset that was recorded since then, by halving: offsets have no gaps, and nobody waits for a whole journal."""
    low, high = 1, int(db.execute("SELECT coalesce(max(offset), 0) FROM event").fetchone()[0]) + 1
    while low < high:
        middle = (low + high) // 2
        if db.execute("SELECT recorded_at FROM event WHERE offset = ?", (middle,)).fetchone()[0] < since:
            low = middle + 1
        else:
            high = middle
    return low


def _device(facts: Row) -> Row:
    """Return the registered device, or UNREGISTERED with the name that the image gives; `group` tells such strangers apart."""
    device = device_of(facts.get("device_serial"), facts.get("station_name"), reference.read(Device))
    station = facts.get("station_name") or facts.get("device_serial") or ""
    return {"device_id": device, "station": station, "group": device if device != UNREGISTERED else f"? {station}"}


def _ask(sql: str, given: Row, database: Path | None = None) -> list[Row]:
    with duckdb.connect(str(database or ":memory:"), read_only=database is not None, config={"threads": 1}) as db:
        cursor = db.execute(sql, given)
        names = [d[0] for d in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
