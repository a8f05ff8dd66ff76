"""The newest phantom tests, minutes before any release holds them: what arrived (journals), what was measured (lake), what is attested.

Tests are series of images, and reports that came by the HTTP door.
Nothing is read twice: the day's end of the journal by offset, folders of the lake that have changed, files that are new.
"""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.journal.sqlite import SqliteJournal
from devices.declared import Declared
from judgement import reference
from judgement.devices import UNREGISTERED, device_of
from judgement.rows import Device, Limit
from judgement.verdicts import INVALID, judged, summary
from messages import from_fields

__all__ = ["Arrival", "Phantoms", "arrivals", "reports"]

SPAN = timedelta(hours=24)
EACH, WAITING = 4, 12  # how many tests of a device (beside those that failed), and how many that wait, are shown
HASTE = timedelta(minutes=3)  # somebody stands before the page for what has arrived since
MEASURED = """
SELECT DISTINCT filename, series_uid, analysis, instance_count
FROM read_parquet($files, hive_partitioning = false, filename = true)"""
ROWS = """
SELECT * REPLACE (acquired_at_utc AT TIME ZONE 'UTC' AS acquired_at_utc) FROM read_parquet($file, hive_partitioning = false)"""
RELEASED = """
SELECT *, picture_href AS picture, limit_low AS fail_low, limit_high AS fail_high
FROM marts.fct_phantom_test WHERE run_key IN (SELECT unnest($keys))"""
FACTS = ("is_phantom", "accession_number", "device_serial", "station_name", "modality")
NAMES = ("device_id", "device_serial", "station_name", "kind")  # what a report says of itself
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
        dicom, door = (SqliteJournal(self._settings.journals / f"{name}.db", read_only=True) for name in ("dicom", "events"))
        came = arrivals(dicom, since) + reports(door, since)
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
            self._judged[file] = (times, judged(rows, reference.read(Limit), device_id, self._settings.zone))
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


def arrivals(journal: Journal, since: datetime) -> list[Arrival]:
    """Return the newest state of each series of which the journal has recorded something since then."""
    behind = journal.first_since(since) - 1
    closed = {e.subject: e for e in journal.excerpts(behind, "dicom.series", fields=FACTS, counted=("instances",), newest=True)}
    names = ("calling_ae", "modality")
    images = {e.subject: e for e in journal.excerpts(behind, "dicom.instance", fields=names, newest=True)}
    out = []
    for series in {*closed, *images}:
        whole, image = closed.get(series), images.get(series)
        last_image_at = image.recorded_at if image else None
        facts = {f: whole.data[f] for f in FACTS} if whole else {}
        if image and (whole is None or image.offset > whole.offset):
            sender = {"station_name": image.data["calling_ae"], "modality": image.data["modality"]}
            out.append(Arrival(series, image.recorded_at, last_image_at, True, facts=facts or sender))
        elif whole:
            folder = _folder(whole.site, whole.occurred_at)
            out.append(Arrival(series, whole.recorded_at, last_image_at, False, whole.data["instances"] or 0, folder, facts))
    return out


def reports(journal: Journal, since: datetime) -> list[Arrival]:
    """Return the newest state of each report that the HTTP door has taken since then."""
    came = journal.excerpts(journal.first_since(since) - 1, "device.report", fields=("sha256", *NAMES))
    out = []
    for digest, one in {e.data["sha256"]: e for e in came}.items():
        declared, serial, station, kind = (one.data[name] for name in NAMES)
        named = device_of(None, declared, reference.read(Device)) if declared else UNREGISTERED
        own = {"device_serial": serial, "station_name": station or declared}
        facts = {"is_phantom": True, "kind": kind, **(own if named == UNREGISTERED else {"station_name": declared})}
        folder = _folder(one.site, one.occurred_at)
        out.append(Arrival(f"report/{digest}", one.recorded_at, one.recorded_at, False, 1, folder, facts, True))
    return out


def _folder(site: str, occurred: datetime) -> str:
    return f"measures/site_id={quote(site, safe='')}/day={occurred.astimezone(UTC):%Y-%m-%d}"


def _told_elsewhere(one: Arrival, rows: list[Row]) -> bool:
    """Tell whether a report's values stand with the series that it tells of: that one is shown."""
    return one.is_report and all(r["measure"] is None and r["status"] == "measured" for r in rows)


def _newly_doubted(rows: list[Row], attested: list[Row]) -> bool:
    """Tell whether a phantom was declared that the release did not know of, and that cannot be believed."""
    return any(r.get("phantom_state") for r in rows) and not any(r["phantom_state"] in INVALID for r in attested)


def _device(facts: Row) -> Row:
    """Return the registered device, or UNREGISTERED with the name that the image gives; `group` tells such strangers apart."""
    device = device_of(facts.get("device_serial"), facts.get("station_name"), reference.read(Device))
    station = facts.get("station_name") or facts.get("device_serial") or ""
    return {"device_id": device, "station": station, "group": device if device != UNREGISTERED else f"? {station}"}


def _ask(sql: str, given: Row, database: Path | None = None) -> list[Row]:
    with duckdb.connect(str(database or ":memory:"), read_only=database is not None, config={"threads": 1}) as db:
        cursor = db.execute(sql, given)
        names = [d[0] for d in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [row | {"reason": from_fields(row)} if "reason" in row else row for row in rows]
