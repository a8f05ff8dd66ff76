"""What the hospital still wants done: the orders of the HL7 journal that nobody has cancelled, stopped or finished."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.events import Event
from connectors.stores.journal.port import Journal
from judgement.linkage.events import order_of as order_said
from judgement.linkage.events import record_of, words_of
from judgement.linkage.examinations import Linkage
from judgement.linkage.facts import Record
from judgement.newest import Place, happened_at
from judgement.order_states import History

__all__ = ["PAST", "Order", "Orders"]

WAITING = 1000  # acquisitions whose order may still come; the newest of them are looked for again
PAST = timedelta(days=7)  # an order that nobody has done for so long after its time is not offered any more


@dataclass(frozen=True, slots=True)
class Order:
    """One ordered examination as the messages about it make it."""

    examination: str  # by the id that linkage gives it
    label: str  # the number by which people know it, of this examination alone
    accession_number: str
    pseudonym: str
    exam_code: str
    exam_name: str
    starts_at: datetime  # of an order that names no time, when it was given
    is_scheduled: bool
    is_timed: bool  # whether it names the time too, and not the day alone
    weight_kg: float | None
    stations: tuple[str, ...]  # AE titles that the order itself names; empty: any station for this examination
    procedure_id: str
    step_id: str
    study_uid: str | None


class _Known:
    """One order: what is told of it, and what that makes; made anew after a message."""

    def __init__(self) -> None:
        self.offsets = list[int]()
        self._history = History()
        self._made: tuple[str, Order | None, datetime] | None = None
        self._newest: Place | None = None  # of the messages that name an examination
        self._given = datetime.min.replace(tzinfo=UTC)

    def add(self, offset: int, event: Event) -> None:
        self.offsets.append(offset)
        place = self._history.add(event)
        if event.data["exam_code"] and (self._newest is None or self._newest <= place):
            self._newest, self._given = place, happened_at(event)
        elif self._newest is None:
            self._given = max(self._given, happened_at(event))
        self._made = None

    def made(self, examination: str) -> tuple[str, Order | None, datetime]:
        """Return state, order (None: nobody has told an examination) and when it starts."""
        if self._made is None:
            said = self._history.whole()
            order = order_of(examination, said, self._given) if said and said["exam_code"] else None
            self._made = self._history.state(), order, order.starts_at if order else self._given
        return self._made


class Orders:
    """The open orders; reads what is new in the journals when somebody asks, and nothing in between."""

    def __init__(self, hl7: Journal, door: Journal, site_id: str = "") -> None:
        self._hl7, self._door, self._lock = hl7, door, threading.Lock()
        self._at = {"hl7": 0, "door": 0}
        self._linkage = Linkage(site_id)
        self._known: dict[str, _Known] = {}  # by examination
        self._over: dict[
            str, list[int]
        ] = {}  # of long ago; one that is spoken of again is read again: its state is what all messages make
        self._done = list[Record]()  # acquisitions of which the examination is not known yet
        self._acquired: set[str] = set()

    def open(self, now: datetime) -> list[Order]:
        """Return the orders that wait to be done, the earliest first."""
        found = [order for _, order, _ in self._waiting(now, "open") if order]
        return sorted(found, key=lambda o: (o.starts_at, o.label))

    def unclear(self, now: datetime) -> set[str]:
        """Return the numbers of orders that may wait to be done: what is told of them holds a code that no table holds."""
        return {self._linkage.label(e) for e, _, _ in self._waiting(now, "unknown")}

    def _waiting(self, now: datetime, wanted: str) -> list[tuple[str, Order | None, datetime]]:
        with self._lock:
            self._read(now)
            made = [(e, *k.made(e)) for e, k in self._known.items() if e not in self._acquired]
            found = [(e, order, starts) for e, state, order, starts in made if state == wanted and starts > now - PAST]
            return [(e, o and replace(o, label=self._linkage.label(e)), starts) for e, o, starts in found]

    def _read(self, now: datetime) -> None:
        for offset, event in self._hl7.since(self._at["hl7"], "his.order", "his.patient"):
            if event.type == "his.patient":
                for one, other, joined in words_of(event.data):
                    self._linkage.persons.say(one, other, event.occurred_at, joined)
            else:
                self._add(offset, event)
            self._at["hl7"] = offset
        for offset, event in self._door.since(self._at["door"], "examination.step"):
            if event.data["step"] == "acquisition" and event.data["result"] == "done":
                said = record_of(f"events/{offset}", event.type, event.data, event.occurred_at)
                self._done += [said] if said else []
            self._at["door"] = offset
        links = [(r, self._linkage.link(r)) for r in self._done[-WAITING:]]
        self._done = [r for r, link in links if link.state != "joined"]
        self._acquired |= {e for _, link in links for e in link.examinations}
        old = [e for e, known in self._known.items() if known.made(e)[2] < now - 2 * PAST]
        for examination in old:
            self._over[examination] = self._known.pop(examination).offsets

    def _add(self, offset: int, event: Event) -> None:
        said = order_said(f"hl7/{offset}", event.data, event.occurred_at, event.recorded_at)
        examination = self._linkage.say(said)
        if not examination:
            return
        known = self._known.setdefault(examination, _Known())
        earlier = self._over.pop(examination, [])
        for at, told in zip(earlier, self._hl7.at(earlier), strict=True):
            known.add(at, told)
        known.add(offset, event)


def order_of(examination: str, said: Mapping[str, Any], given: datetime) -> Order:
    """Return what the messages about an order make; `given` is when it was ordered."""
    accession, starts = said["accession_number"], said["scheduled_at_utc"]
    return Order(
        examination, examination, accession, said["patient_pseudonym"], said["exam_code"], said["exam_name"] or said["exam_code"],
        datetime.fromisoformat(starts) if starts else given, bool(starts),
        bool(starts) and said.get("scheduled_precision") != "day", said.get("weight_kg"),
        tuple(said.get("stations") or ()), said.get("procedure_id") or accession, said.get("step_id") or accession, said.get("study_uid"),
    )  # fmt: skip
