"""What linkage needs of an event: the numbers it carries, whose they are, and when. Doors and the warehouse make these of the same events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from judgement.linkage.persons import PersonNumber

__all__ = ["Kind", "OrderSaid", "Record", "State", "person_of"]

Kind = Literal["series", "step", "dose", "preparation", "form", "report", "laboratory", "adverse"]
State = Literal["joined", "ambiguous", "contradicted", "orphan"]


@dataclass(frozen=True, slots=True)
class OrderSaid:
    """One order of a message. Numbers are as they were sent; `placer` and `filler` are number and namespace."""

    id: str
    message: str  # what several orders of one message share
    at: datetime
    state: str  # what it does to its order: open, ended, completed or something else
    person: PersonNumber | None
    accession: str = ""
    placer: tuple[str, str] = ("", "")
    filler: tuple[str, str] = ("", "")
    procedure: str = ""  # requested procedure id
    exam: str = ""
    study_uid: str = ""
    scheduled: datetime | None = None
    is_change: bool = False  # ORC-1 asks to change or end an order, not for a new one


@dataclass(frozen=True, slots=True)
class Record:
    """Something that belongs to an examination: images, a step, a dose, a form, a report, a laboratory value."""

    id: str
    kind: Kind
    at: datetime
    person: PersonNumber | None = None
    accession: str = ""
    placer: tuple[str, str] = ("", "")
    filler: tuple[str, str] = ("", "")
    study_uid: str = ""
    # of images: request attributes (0040,0275), each accession number, requested procedure id
    requests: tuple[tuple[str, str], ...] = field(default=())


def person_of(data: Mapping[str, Any]) -> PersonNumber | None:
    """Return whose an event is: number and issuer, of older events the pseudonym alone; None where it says nobody."""
    number = data.get("patient_number")
    number = data.get("patient_pseudonym") if number is None else number
    return PersonNumber(number, data.get("patient_issuer") or "") if number else None
