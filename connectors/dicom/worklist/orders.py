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
    starts_at: datetime
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
        self._newest: dict[str, tuple[Place, Order, bool]] = {}  # where it stands among all, the order, whether it is open
        self._tellings: dict[str, Tellings] = {}
        self._acquired: set[str] = set()

    def open(self, now: datetime) -> list[Order]:
        """Return the orders that wait to be done, the earliest first."""
        with self._lock:
            self._read(now)
            found = [o for a, (_, o, is_open) in self._newest.items() if is_open and a not in self._acquired]
        return sorted((o for o in found if o.starts_at > now - PAST), key=lambda o: (o.starts_at, o.accession_number))

    def _read(self, now: datetime) -> None:
        for offset, event in self._hl7.since(self._at["hl7"], "his.order"):
            before = self._newest.get(event.subject)
            place = self._tellings.setdefault(event.subject, Tellings()).place(happened_at(event), precision_s(event))
            if before is None or before[0] <= place:  # a message that was late changes nothing
                self._newest[event.subject] = (place, order_of(event), state_of(event.data) == "open")
            self._at["hl7"] = offset
        for offset, event in self._door.since(self._at["door"], "examination.step"):
            if event.data["step"] == "acquisition" and event.data["result"] == "done":
                self._acquired.add(event.data["accession_number"])
            self._at["door"] = offset
        old = [a for a, (_, o, _) in self._newest.items() if o.starts_at < now - 2 * PAST]
        for accession in old:
            del self._newest[accession], self._tellings[accession]
        self._acquired -= set(old)


def order_of(event: Event) -> Order:
    """Return what an order's event says."""
    said: Mapping = event.data
    accession = said["accession_number"]
    return Order(
        accession, said["patient_pseudonym"], said["exam_code"], said["exam_name"] or said["exam_code"],
        datetime.fromisoformat(said["scheduled_at_utc"]) if said["scheduled_at_utc"] else event.occurred_at, said.get("weight_kg"),
        tuple(said.get("stations") or ()), said.get("procedure_id") or accession, said.get("step_id") or accession, said.get("study_uid"),
    )  # fmt: skip
