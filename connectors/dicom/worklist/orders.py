"""What the hospital still wants done: the orders of the HL7 journal that nobody has cancelled, stopped or finished."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.events import Event
from connectors.stores.journal.port import Journal
from judgement.newest import Place, Tellings, happened_at, precision_s
from judgement.order_states import state_of

__all__ = ["PAST", "Order", "Orders"]

PAST = timedelta(days=7)  # an order that nobody has done for so long after its time is not offered any more


@dataclass(frozen=True, slots=True)
class Order:
    """One ordered examination as the newest message about it says it."""

    accession_number: str
    pseudonym: str
    exam_code: str
    exam_name: str
    starts_at: datetime  # of an order that names no time, when it was given
    is_scheduled: bool
    weight_kg: float | None
    stations: tuple[str, ...]  # AE titles that the order itself names; empty: any station for this examination
    procedure_id: str
    step_id: str
    study_uid: str | None


class Orders:
    """The open orders; reads what is new in the journals when somebody asks, and nothing in between."""

    def __init__(self, hl7: Journal, door: Journal) -> None:
        self._hl7, self._door, self._lock = hl7, door, threading.Lock()
        self._at = {"hl7": 0, "door": 0}
        self._states: dict[str, tuple[Place, str]] = {}  # where the newest telling of all stands, and the state that it says
        self._newest: dict[str, tuple[Place, Order]] = {}  # the same of those that name an examination
        self._tellings: dict[str, Tellings] = {}
        self._acquired: set[str] = set()

    def open(self, now: datetime) -> list[Order]:
        """Return the orders that wait to be done, the earliest first."""
        with self._lock:
            self._read(now)
            found = [o for a, (_, o) in self._newest.items() if self._states[a][1] == "open" and a not in self._acquired]
        return sorted((o for o in found if o.starts_at > now - PAST), key=lambda o: (o.starts_at, o.accession_number))

    def unclear(self, now: datetime) -> set[str]:
        """Return the accession numbers of orders that may wait to be done: their newest message says a code that no table holds."""
        with self._lock:
            self._read(now)
            found = {a for a, (_, state) in self._states.items() if state == "unknown" and a not in self._acquired}
            return {a for a in found if self._starts(a) > now - PAST}

    def _starts(self, accession: str) -> datetime:
        order = self._newest.get(accession)
        return order[1].starts_at if order else self._states[accession][0].at

    def _read(self, now: datetime) -> None:
        for offset, event in self._hl7.since(self._at["hl7"], "his.order"):
            accession = event.subject
            place = self._tellings.setdefault(accession, Tellings()).place(happened_at(event), precision_s(event))
            if accession not in self._states or self._states[accession][0] <= place:  # a message that was late changes nothing
                self._states[accession] = place, state_of(event.data)
            if event.data["exam_code"] and (accession not in self._newest or self._newest[accession][0] <= place):
                self._newest[accession] = place, order_of(event)
            self._at["hl7"] = offset
        for offset, event in self._door.since(self._at["door"], "examination.step"):
            if event.data["step"] == "acquisition" and event.data["result"] == "done":
                self._acquired.add(event.data["accession_number"])
            self._at["door"] = offset
        old = [a for a in self._states if self._starts(a) < now - 2 * PAST]
        for accession in old:
            del self._states[accession], self._tellings[accession]
            self._newest.pop(accession, None)
        self._acquired -= set(old)


def order_of(event: Event) -> Order:
    """Return what an order's event says."""
    said: Mapping = event.data
    accession, starts = said["accession_number"], said["scheduled_at_utc"]
    return Order(
        accession, said["patient_pseudonym"], said["exam_code"], said["exam_name"] or said["exam_code"],
        datetime.fromisoformat(starts) if starts else happened_at(event), bool(starts), said.get("weight_kg"),
        tuple(said.get("stations") or ()), said.get("procedure_id") or accession, said.get("step_id") or accession, said.get("study_uid"),
    )  # fmt: skip
