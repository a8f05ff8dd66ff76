"""Prove that the lake says what the journals say, up to the offsets that are committed."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from connectors.events import Event
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.consumers import load
from connectors.stores.lake.files import FileLake
from connectors.stores.lake.ingest import CONSUMERS
from connectors.stores.object_store.files import FileObjectStore
from messages import because

__all__ = ["verify"]

PAGE = 2000


def verify(settings: Settings) -> list[str]:
    """Return what differs, a sentence each; empty when the lake equals the journals.

    Every committed event must be in the lake once with the digest that its content has now, nothing else may be in it, every
    reading of a batch must be a row, and both copies of every DICOM object must be there.
    """
    lake = FileLake(settings.lake)
    in_lake: Counter[tuple[str, int, str]] = Counter()
    for table in lake.scan("events"):
        for row in table.to_pylist():
            in_lake[row["journal"], row["journal_offset"], _digest(row)] += 1
    rows_of = Counter(i for table in lake.scan("readings") for i in table["event_id"].to_pylist())
    differences: list[str] = [
        because("verify.doubled", journal=j, offset=n, times=k) for (j, n, _), k in in_lake.items() if k > 1
    ]
    expected: set[tuple[str, int, str]] = set()
    readings: Counter[str] = Counter()
    stores = {
        "sealed_key": FileObjectStore(settings.objects / "sealed"),
        "object_key": FileObjectStore(settings.objects / "clear"),
    }
    for consumer in CONSUMERS.values():
        for name, last in load(settings.consumers, consumer.name).committed.items():
            journal = SqliteJournal(settings.journals / f"{name}.db", read_only=True)
            for offset, event in _until(journal, last):
                if not consumer.takes(name, event.type):
                    continue
                expected.add((name, offset, event.sha256()))
                if event.type == "sensor.readings":
                    readings[event.id] += len(event.data["readings"])
                if event.type == "dicom.instance":
                    missing = [kind for kind, store in stores.items() if not store.exists(event.data[kind])]
                    differences += [
                        because("verify.object_missing", journal=name, offset=offset, object=event.data[kind], kind=kind)
                        for kind in missing
                    ]
    differences += [because("verify.not_in_lake", journal=j, offset=n) for j, n, _ in sorted(expected - in_lake.keys())]
    differences += [because("verify.not_in_journal", journal=j, offset=n) for j, n, _ in sorted(in_lake.keys() - expected)]
    for id_ in sorted(readings.keys() | rows_of.keys()):
        if readings[id_] != rows_of[id_]:
            differences.append(because("verify.readings_differ", batch=id_, readings=readings[id_], rows=rows_of[id_]))
    return differences


def _digest(row: dict[str, Any]) -> str:
    """Return the digest of what a lake row says now, whatever its own column of digests says."""
    times = row["occurred_at_utc"], row["recorded_at_utc"]
    event = Event(row["type"], row["source"], row["event_id"], row["site_id"], row["subject"], *times, json.loads(row["data"]))
    return event.sha256()


def _until(journal: Journal, last: int) -> Iterator[tuple[int, Event]]:
    after = 0
    while after < last and (page := journal.read(after, min(PAGE, last - after))):
        yield from page
        after = page[-1][0]
