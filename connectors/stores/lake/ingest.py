"""Bring journals into the lake: every event once, whatever is killed when.

The protocol: lock the consumer, record the range before writing it, write files whose names say the range, commit the offset.
A run that finds a pending range writes that same range again, so that a file is replaced by an equal one and never doubled.
"""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from connectors.account import Account
from connectors.events import Event, canonical
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.consumers import Consumer, Position, Range, load, save
from connectors.stores.lake.files import FileLake
from connectors.stores.lake.lock import locked
from connectors.stores.lake.port import Lake
from connectors.stores.lake.tables import EVENTS, READINGS, ensure_tables
from messages import because

__all__ = ["CONSUMERS", "ingest", "ingest_his", "ingest_pacs", "ingest_sensors", "readings", "replay"]

BATCHES = "sensor.readings"
CONSUMERS = {
    c.name: c
    for c in (
        Consumer("ingest_pacs", ("dicom",), 5000),
        Consumer("ingest_his", ("hl7", "events"), 5000, but={"events": BATCHES}),
        Consumer("ingest_sensors", ("modbus", "events"), 1000, only={"events": BATCHES}),  # an event holds up to 10,000 readings
    )
}
Files = dict[tuple[str, tuple[tuple[str, str], ...]], list[dict[str, Any]]]


def ingest_pacs(settings: Settings) -> Account:
    """Bring the DICOM journal into the lake."""
    return ingest(settings, CONSUMERS["ingest_pacs"])


def ingest_his(settings: Settings) -> Account:
    """Bring the HL7 journal and the HTTP door's events, readings excepted, into the lake."""
    return ingest(settings, CONSUMERS["ingest_his"])


def ingest_sensors(settings: Settings) -> Account:
    """Bring the Modbus journal and the HTTP door's readings into the lake, each reading a row."""
    return ingest(settings, CONSUMERS["ingest_sensors"])


def ingest(
    settings: Settings, consumer: Consumer, journals: Mapping[str, Journal] | None = None, lake: Lake | None = None
) -> Account:
    """Bring what is new into the lake and return the account; raise Locked while another run of this consumer is at work.

    Parameters
    ----------
    journals, lake
        Default: the installation's own, opened for reading.
    """
    began = time.monotonic()
    lake = lake or FileLake(settings.lake)
    journals = journals or {n: SqliteJournal(settings.journals / f"{n}.db", read_only=True) for n in consumer.journals}
    counts = Counter[str]()
    with locked(settings.consumers, consumer.name):
        ensure_tables(lake)
        heads = {name: journals[name].head() for name in consumer.journals}
        position = load(settings.consumers, consumer.name)
        start = {name: position.committed.get(name, 0) for name in consumer.journals}
        _refuse_lost_journals(consumer, position, heads)
        while True:
            ranges = position.pending or _next(consumer, position.committed, heads)
            if not ranges:
                break
            save(settings.consumers, consumer.name, Position(position.committed, ranges))
            _write(lake, consumer, journals, ranges, counts)
            position = Position(position.committed | {name: last for name, (_, last) in ranges.items()})
            save(settings.consumers, consumer.name, position)
    end = {name: position.committed.get(name, 0) for name in consumer.journals}
    return _account(consumer, start, end, counts, began)


def replay(settings: Settings, consumer: Consumer, first: int, last: int | None = None) -> Account:
    """Write again the files that hold these offsets, each whole and under its name, so that nothing doubles; return the account.

    Offsets that were never committed are left to `ingest`.
    """
    began, lake = time.monotonic(), FileLake(settings.lake)
    journals = {n: SqliteJournal(settings.journals / f"{n}.db", read_only=True) for n in consumer.journals}
    counts = Counter[str]()
    start: dict[str, int] = {}
    end: dict[str, int] = {}
    with locked(settings.consumers, consumer.name):
        position = load(settings.consumers, consumer.name)
        _refuse_lost_journals(consumer, position, {name: journals[name].head() for name in consumer.journals})
        for name in consumer.journals:
            for a, b in sorted(r for r in _ranges(settings, consumer, name) if r[1] >= first and (last is None or r[0] <= last)):
                _write(lake, consumer, journals, {name: (a, b)}, counts)
                start[name], end[name] = min(a, start.get(name, a)), max(b, end.get(name, b))
    return _account(consumer, start, end, counts, began)


def _account(consumer: Consumer, start: dict[str, int], end: dict[str, int], counts: Counter[str], began: float) -> Account:
    run_key = hashlib.sha256(canonical([consumer.name, start, end])).hexdigest()
    more = {"reports": counts["reports"]}  # of device tests: they wait to be measured
    numbers = {name: counts[name] for name in ("read", "written", "quarantined")}
    return Account(consumer.name, run_key, start, end, **numbers, seconds=round(time.monotonic() - began, 3), more=more)


def _ranges(settings: Settings, consumer: Consumer, journal: str) -> set[Range]:
    """Return the offset ranges that this consumer's files were written from; a journal's other consumer has cut it otherwise."""
    folders = [f for f in (settings.lake / "events").glob("type=*") if consumer.takes(journal, f.name.removeprefix("type="))]
    stems = (p.stem.split("-") for f in folders for p in f.rglob(f"{journal}-*-*.parquet"))
    return {(int(a), int(b)) for _, a, b in stems}


def _refuse_lost_journals(consumer: Consumer, position: Position, heads: Mapping[str, int]) -> None:
    for name, last in {**position.committed, **{n: b for n, (_, b) in (position.pending or {}).items()}}.items():
        if heads.get(name, 0) < last:
            raise OSError(
                because("store.journal_replaced", journal=name, end=heads.get(name, 0), consumer=consumer.name, read=last)
            )


def _next(consumer: Consumer, committed: Mapping[str, int], heads: Mapping[str, int]) -> dict[str, Range]:
    """Return the next range of each journal that has something new."""
    after = {name: committed.get(name, 0) for name in consumer.journals}
    return {n: (after[n] + 1, min(heads[n], after[n] + consumer.batch)) for n in consumer.journals if heads[n] > after[n]}


def _write(
    lake: Lake, consumer: Consumer, journals: Mapping[str, Journal], ranges: Mapping[str, Range], counts: Counter[str]
) -> None:
    for journal, (first, last) in ranges.items():
        taken = [(n, e) for n, e in journals[journal].read(first - 1, last - first + 1) if consumer.takes(journal, e.type)]
        files: Files = defaultdict(list)
        for offset, event in taken:
            _event_row(files, journal, offset, event)
            counts["reports"] += event.type == "device.report"
            counts["quarantined"] += event.type == "intake.outcome" and event.data["outcome"] == "quarantined"
        for (table, partition), rows in sorted(files.items()):
            schema = READINGS if table == "readings" else EVENTS
            lake.put(table, dict(partition), f"{journal}-{first}-{last}", pa.Table.from_pylist(rows, schema=schema))
            counts["written"] += len(rows)
        counts["read"] += len(taken)


def _event_row(files: Files, journal: str, offset: int, event: Event) -> None:
    """Add the rows of one event to the files that they belong to."""
    common = {"event_id": event.id, "site_id": event.site, "recorded_at_utc": event.recorded_at, "journal_offset": offset}
    place = (("site_id", event.site), ("day", f"{event.occurred_at.astimezone(UTC):%Y-%m-%d}"))
    files["events", (("type", event.type), *place)].append(
        {
            **common,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "occurred_at_utc": event.occurred_at,
            "sha256": event.sha256(),
            "journal": journal,
            "data": json.dumps(event.data, ensure_ascii=False, sort_keys=True),
        }
    )
    for row in readings(event):
        day = f"{row['read_at_utc']:%Y-%m-%d}"
        files["readings", (("site_id", event.site), ("day", day))].append({**common, **row})


def readings(event: Event) -> Iterable[dict[str, Any]]:
    """Return the rows of a batch of readings, nothing for any other event."""
    if event.type != BATCHES:
        return
    for reading in event.data["readings"]:
        about = {k: reading[k] for k in ("sensor_id", "quantity", "value", "unit", "quality")}
        read_at = datetime.fromisoformat(reading["time"]).astimezone(UTC)
        yield {**about, "room_id": event.data["room_id"], "read_at_utc": read_at}
