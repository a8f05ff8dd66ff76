"""What the journals hold about one examination, found through an index in memory that a restart builds anew.

The index keeps, of each accession number, where its events stand in the journals of orders and of events; each question reads only what
came since the last one. Another process (a worklist) makes its own `Examinations(settings)`: journals are only read.
"""

import threading
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from connectors.events import Event
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.journal.sqlite import SqliteJournal
from judgement import reference
from judgement.readiness import Readiness, readiness
from messages import because

__all__ = ["Examinations"]

TYPES = {
    "hl7": ("his.order", "his.observation", "his.patient"),
    "events": ("form.signed", "examination.preparation", "examination.step", "examination.dose"),
}
Place = tuple[str, int]  # journal, offset


class Examinations:
    """Questions about examinations, safe from several threads."""

    def __init__(self, settings: Settings, seeds: Path | None = None) -> None:
        self._settings, self._seeds = settings, seeds
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {n: SqliteJournal(settings.journals / f"{n}.db", read_only=True) for n in TYPES}
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

        Raises OSError when journals or reference rows cannot be read.
        """
        events = self.events(accession)
        if not events:
            return None
        return readiness(accession, events, reference.requirements(self._seeds), at, self._settings.zone, step)

    def _catch_up(self, name: str, kinds: tuple[str, ...]) -> None:
        journal, seen = self._journals[name], self._seen[name]
        head = journal.head()
        if head < seen:
            raise OSError(because("store.journal_shorter", journal=name))
        for one in journal.excerpts(seen, *kinds, fields=("accession_number", "patient_pseudonym")) if head > seen else ():
            accession, pseudonym = one.data["accession_number"], one.data["patient_pseudonym"]
            if one.type == "his.patient":
                self._visits[pseudonym].append((name, one.offset))
            elif accession:
                self._of[accession].append((name, one.offset))
                if one.type == "his.order":
                    self._patient[accession] = pseudonym
            head = max(head, one.offset)  # more may have come since the head was asked
        self._seen[name] = head

    def _read(self, journal: str, places: list[Place]) -> list[Event]:
        return self._journals[journal].at([offset for name, offset in places if name == journal])
