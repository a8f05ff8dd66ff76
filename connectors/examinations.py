"""What the journals hold about one examination, found through an index in memory that a restart builds anew.

The index keeps, of each accession number, where its events stand in the journals of orders and of events; each question reads only what
came since the last one. Another process (a worklist) makes its own `Examinations(settings)`: journals are only read.
"""

import json
import sqlite3
import threading
from collections import defaultdict
from contextlib import closing
from datetime import datetime
from pathlib import Path

from connectors.events import Event
from connectors.settings import Settings
from judgement import reference
from judgement.readiness import Readiness, readiness

__all__ = ["Examinations"]

TYPES = {
    "hl7": ("his.order", "his.observation", "his.patient"),
    "events": ("form.signed", "examination.preparation", "examination.step", "examination.dose"),
}
# the plus keeps SQLite on the offsets: what is new is little, what is of a type is much
NEW = """SELECT offset, json_extract(data, '$.accession_number'), json_extract(data, '$.patient_pseudonym'), type FROM event
WHERE offset > ? AND offset <= ? AND +type IN ({marks}) ORDER BY offset"""
EVENT = "SELECT type, source, id, site, subject, occurred_at, recorded_at, data FROM event WHERE offset = ?"
Place = tuple[str, int]  # journal, offset


class Examinations:
    """Questions about examinations, safe from several threads."""

    def __init__(self, settings: Settings, seeds: Path | None = None) -> None:
        self._settings, self._seeds = settings, seeds
        self._lock = threading.Lock()
        self._seen = dict.fromkeys(TYPES, 0)
        self._of: dict[str, list[Place]] = defaultdict(list)  # by accession number
        self._visits: dict[str, list[Place]] = defaultdict(list)  # his.patient by pseudonym
        self._patient: dict[str, str] = {}  # pseudonym by accession number

    def events(self, accession: str) -> list[Event]:
        """Return the events of an accession number and of its patient's visits, as they were recorded; none: nobody spoke of it."""
        with self._lock:
            for journal, kinds in TYPES.items():
                self._catch_up(journal, kinds)
            places = list(self._of.get(accession, ()))
            if places:
                places += self._visits.get(self._patient.get(accession, ""), ())
        return sorted((e for journal in TYPES for e in self._read(journal, places)), key=lambda e: e.recorded_at)

    def readiness(self, accession: str, at: datetime, step: str = "injection") -> Readiness | None:
        """Return whether a step may begin at a moment, None for an examination that nobody spoke of.

        Raises OSError or sqlite3.Error when journals or reference rows cannot be read.
        """
        events = self.events(accession)
        if not events:
            return None
        return readiness(accession, events, reference.requirements(self._seeds), at, self._settings.utc_offset_minutes, step)

    def _catch_up(self, journal: str, kinds: tuple[str, ...]) -> None:
        path = self._path(journal)
        if not path.exists():
            return
        with closing(_reader(path)) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone() is None:
                return  # its owner is just making it
            (head,) = db.execute("SELECT coalesce(max(offset), 0) FROM event").fetchone()
            if head == self._seen[journal]:
                return
            if head < self._seen[journal]:
                raise OSError(f"the journal {journal} is shorter than it was: start this service anew")
            marks = ", ".join("?" * len(kinds))
            for offset, accession, pseudonym, kind in db.execute(NEW.format(marks=marks), (self._seen[journal], head, *kinds)):
                if kind == "his.patient":
                    self._visits[pseudonym].append((journal, offset))
                elif accession:
                    self._of[accession].append((journal, offset))
                    if kind == "his.order":
                        self._patient[accession] = pseudonym
        self._seen[journal] = head

    def _read(self, journal: str, places: list[Place]) -> list[Event]:
        offsets = [offset for name, offset in places if name == journal]
        if not offsets:
            return []
        with closing(_reader(self._path(journal))) as db:
            rows = [db.execute(EVENT, (offset,)).fetchone() for offset in offsets]
        return [_event(row) for row in rows]

    def _path(self, journal: str) -> Path:
        return self._settings.journals / f"{journal}.db"


def _event(row: tuple[str, ...]) -> Event:
    kind, source, id_, site, subject, occurred, recorded, data = row
    return Event(
        kind, source, id_, site, subject, datetime.fromisoformat(occurred), datetime.fromisoformat(recorded), json.loads(data)
    )


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
