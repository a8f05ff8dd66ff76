"""What the journals hold about one examination, found through an index in memory that a restart builds anew.

The index knows orders and who is who (`judgement.linkage`, as the marts do), and where the events stand in the journals of orders and of
events; each question reads only what came since the last one. Another process (a worklist) makes its own: journals are only read.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from connectors.events import Event
from connectors.settings import Settings
from connectors.stores.journal.port import Excerpt, Journal
from connectors.stores.journal.sqlite import SqliteJournal
from judgement import reference
from judgement.linkage.events import order_of, record_of, words_of
from judgement.linkage.examinations import Linkage
from judgement.linkage.facts import Record, person_of
from judgement.linkage.numbers import loose, plain
from judgement.linkage.persons import PersonNumber
from judgement.readiness import Readiness, readiness, undecided, worst
from messages import because

__all__ = ["Examinations"]

TYPES = {
    "hl7": ("his.order", "his.observation", "his.patient"),
    "events": ("form.signed", "examination.preparation", "examination.step", "examination.dose"),
}
FIELDS = (
    "accession_number", "patient_pseudonym", "patient_number", "patient_issuer", "merges", "placer", "placer_issuer", "filler",
    "filler_issuer", "procedure_id", "exam_code", "study_uid", "scheduled_at_utc", "order_control", "order_status", "message_sha256",
    "started_at_utc", "administered_at_utc", "asked_at_utc", "signed_at_utc", "observed_at_utc",
)  # fmt: skip
Place = tuple[str, int]  # journal, offset


class Examinations:
    """Questions about examinations, safe from several threads."""

    def __init__(self, settings: Settings, seeds: Path | None = None) -> None:
        self._settings, self._seeds = settings, seeds
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {n: SqliteJournal(settings.journals / f"{n}.db", read_only=True) for n in TYPES}
        self._seen = dict.fromkeys(TYPES, 0)
        self._linkage = Linkage(settings.site_id)
        self._orders: dict[str, list[Place]] = defaultdict(list)  # by examination
        self._records: dict[str, list[tuple[Place, Record]]] = defaultdict(list)  # by a number of theirs, loosely written
        self._visits: dict[PersonNumber, list[Place]] = defaultdict(list)

    def of(self, examination: str) -> list[Event]:
        """Return the events of an examination (by the id that linkage gives it) and of its patient's visits, as they were recorded."""
        with self._lock:
            self._look()
            places = self._places(examination)
        return self._read(places)

    def events(self, number: str) -> list[Event]:
        """Return the events under an accession number and of its patients' visits, as they were recorded; none: nobody spoke of it."""
        with self._lock:
            self._look()
            found = self._linkage.named(number)
            places = [p for e in found for p in self._places(e.id)] if found else self._unordered(number)
        return self._read(places)

    def readiness(self, number: str, at: datetime, step: str = "injection") -> Readiness | None:
        """Return whether a step may begin at a moment, None for an examination that nobody spoke of.

        Of several procedures of one patient under a number the worst answer holds; where they are of several patients nobody can tell.

        Raises OSError when journals or reference rows cannot be read.
        """
        required, zone = reference.requirements(self._seeds), self._settings.zone
        with self._lock:
            self._look()
            found = self._linkage.at(number, at)
            if not self._linkage.are_of_one(found):
                why = because("link.ambiguous", examinations=[self._linkage.label(e.id) for e in found])
                return undecided(number, required, at, zone, step, why)
            places = [self._places(e.id) for e in found] or [self._unordered(number)]
        told = [events for events in map(self._read, places) if events]
        return worst([readiness(number, events, required, at, zone, step) for events in told]) if told else None

    def _places(self, examination: str) -> list[Place]:
        """Return where the events of an examination stand; what its numbers name and another patient owns is not among them."""
        known = self._linkage.of.get(examination)
        if known is None:
            return []
        numbers = {*map(loose, known.numbers), *(n for n, _ in (*known.placers, *known.fillers))}
        told = dict.fromkeys(r for n in sorted(numbers) for r in self._records.get(n, ()))
        found = [place for place, record in told if examination in self._linkage.link(record).examinations]
        people = {g for p in known.persons for g in self._linkage.persons.group(p)}
        return [*self._orders[examination], *found, *(v for p in sorted(people) for v in self._visits.get(p, ()))]

    def _unordered(self, number: str) -> list[Place]:
        """Return where the events under a number stand that nobody ordered."""
        return [place for place, record in self._records.get(loose(number), ()) if plain(record.accession) == plain(number)]

    def _look(self) -> None:
        for journal, kinds in TYPES.items():
            self._catch_up(journal, kinds)

    def _catch_up(self, name: str, kinds: tuple[str, ...]) -> None:
        journal, seen = self._journals[name], self._seen[name]
        head = journal.head()
        if head < seen:
            raise OSError(because("store.journal_shorter", journal=name))
        for one in journal.excerpts(seen, *kinds, fields=FIELDS) if head > seen else ():
            self._learn((name, one.offset), one)
            head = max(head, one.offset)  # more may have come since the head was asked
        self._seen[name] = head

    def _learn(self, place: Place, one: Excerpt) -> None:
        record = "/".join(map(str, place))
        if one.type == "his.patient":
            for who, other, joined in words_of(one.data):
                self._linkage.persons.say(who, other, one.occurred_at, joined, record)
            if (met := person_of(one.data)) is not None:
                self._linkage.persons.meet(met)
                self._visits[met].append(place)
        elif one.type == "his.order":
            examination = self._linkage.say(order_of(record, one.data, one.occurred_at, one.recorded_at))
            self._orders[examination].append(place)
        elif (said := record_of(record, one.type, one.data, one.occurred_at)) is not None:
            self._linkage.persons.meet(said.person)
            for number in dict.fromkeys((loose(said.accession), said.placer[0], said.filler[0])):
                if number:
                    self._records[number].append((place, said))

    def _read(self, places: list[Place]) -> list[Event]:
        def events() -> Iterator[Event]:
            for name, journal in self._journals.items():
                yield from journal.at([offset for n, offset in dict.fromkeys(places) if n == name])

        return sorted(events(), key=lambda e: e.recorded_at)
