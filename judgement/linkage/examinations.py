"""Which orders are of one examination, and of which examination a record is.

An examination is a requested procedure. Orders come in the order of their arrival and are told apart at once, so that a door that hears them
one by one and a warehouse that reads them all name the same examinations. Records are joined by the strongest evidence that they carry, and
only where nothing contradicts it. The table of evidence is in docs/linkage.md.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from judgement.linkage.facts import OrderSaid, Record, State
from judgement.linkage.numbers import is_placeholder, loose, plain
from judgement.linkage.persons import PersonNumber, Persons
from messages import Message, because

__all__ = ["AGAIN", "EARLY", "LATE", "Examination", "Link", "Linkage", "given_study_uid"]

AGAIN = timedelta(days=180)  # a number that nobody spoke of for so long, and that comes with a new order, was given out again
CROWD = 50  # a key that more than so many share is no key: the newest of them are looked at
EARLY, LATE = (
    timedelta(days=30),
    timedelta(days=180),
)  # what lies so far before the first or behind the last word of an examination is not of it
SCORE = {"study_uid": 1.0, "request": 0.97, "number_and_person": 0.95, "order_number": 0.9, "other_writing": 0.85, "number": 0.8}


@dataclass(slots=True)
class Examination:
    """A requested procedure as its orders speak of it."""

    id: str
    number: str  # the accession number of the newest order that says one
    first: datetime
    last: datetime  # the latest moment that an order speaks of
    told: datetime  # when the newest order was told
    persons: list[PersonNumber] = field(default_factory=list)
    placers: set[tuple[str, str]] = field(default_factory=set)
    fillers: set[tuple[str, str]] = field(default_factory=set)
    procedures: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)  # plain
    messages: set[str] = field(default_factory=set)
    exam: str = ""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a record belongs: `examinations` (several only where one acquisition serves several), by which rule, how surely, and why not."""

    record: str
    state: State
    examinations: tuple[str, ...] = ()
    rule: str = ""
    score: float = 0.0
    against: tuple[str, ...] = ()  # the examinations that it could have been of
    reason: Message | None = None


class Linkage:
    """What is known of orders and persons so far. Not safe for threads."""

    def __init__(self, site_id: str, declared: frozenset[str] = frozenset()) -> None:
        self.persons = Persons()
        self.of: dict[str, Examination] = {}
        self.order: dict[str, str] = {}  # id of an order → examination
        self._site, self._declared = site_id, declared
        self._by: dict[tuple[str, str], list[str]] = defaultdict(list)  # key → examinations, the oldest first

    # orders

    def say(self, order: OrderSaid) -> str:
        """Take an order and return its examination; "" for one without any number that says which it is."""
        self.persons.meet(order.person)
        likely = [(s, e) for e in self._candidates(order) if (s := self._likeness(order, e)) > 0]
        best = [e for s, e in likely if s == max(s for s, _ in likely)]
        if len(best) > 1 and not order.accession:
            return ""  # it names two
        if best:
            examination = best[-1]
        elif not order.accession:
            return ""
        else:
            examination = self._new(order)
        self._learn(examination, order)
        self.order[order.id] = examination.id
        return examination.id

    def label(self, examination: str) -> str:
        """Return the number by which people know an examination: its accession number, `~2` … behind one that was given out before."""
        own = self.of[examination]
        alike = [e for e in self._under(own.number) if plain(e.number) == plain(own.number)]
        if own not in alike:
            return own.id
        place = alike.index(own)
        return own.number if place == 0 else f"{own.number}~{place + 1}"

    def named(self, number: str) -> list[Examination]:
        """Return the examinations that were ordered under a number, the oldest first."""
        return list(self._under(number))

    def at(self, number: str, moment: datetime) -> list[Examination]:
        """Return those of them that were to be done at a moment; if none was, the last before it, else the first."""
        return self._alive(self._under(number), moment)

    def are_of_one(self, found: Sequence[Examination]) -> bool:
        """Return whether examinations are of one person, as far as anybody can tell."""
        return len({self._key(e) for e in found}) < 2

    def shared(self, examination: str) -> Message | None:
        """Return what is wrong with an examination's number: another one of another person has it while this one is not over."""
        own = self.of[examination]
        others = [e for e in self._under(own.number) if e.id != own.id and self._alive_together(own, e)]
        labels = [self.label(e.id) for e in others if self._of_one(own, e) is False]
        return because("link.number_shared", examinations=[self.label(examination), *labels]) if labels else None

    def _candidates(self, order: OrderSaid) -> Iterable[Examination]:
        keys = [("placer", order.placer[0]), ("filler", order.filler[0])]
        if not is_placeholder(order.accession, self._declared):
            keys.append(("loose", loose(order.accession)))
        found = dict.fromkeys(e for kind, value in keys if value for e in self._by.get((kind, value), ())[-CROWD:])
        return [self.of[e] for e in found]

    def _likeness(self, order: OrderSaid, known: Examination) -> float:
        """Return how surely an order is of a known examination; 0: it is of another one."""
        same = self._person(order.person, known)
        if same is False or order.message in known.messages:
            return 0.0
        if order.procedure and known.procedures and order.procedure not in known.procedures:
            return 0.0
        if not order.is_change and order.at > known.last + AGAIN:
            return 0.0
        under = plain(order.accession) in known.numbers
        placed = _compared(order.placer, known.placers)
        if placed:  # a new order under another number is another one
            return 3.0 + under if under or order.is_change or not order.accession else 0.0
        if placed is False and (not order.is_change or ("placer", order.placer[0]) in self._by):
            return 0.0  # a change under a placer number that nobody has told goes by the other numbers
        if _compared(order.filler, known.fillers):
            return 2.0
        if not order.is_change and order.exam and known.exam and order.exam != known.exam:
            return 0.0
        if under:
            return 1.0
        return 0.5 if same and not order.placer[0] else 0.0

    def _new(self, order: OrderSaid) -> Examination:
        name, n = order.accession, 1
        while name in self.of:
            n += 1
            name = f"{order.accession}~{n}"
        made = self.of[name] = Examination(name, order.accession, order.at, order.at, order.at)
        self._index("uid", given_study_uid(self._site, name), name)
        return made

    def _learn(self, known: Examination, order: OrderSaid) -> None:
        newest = order.at >= known.told
        known.first, known.told = min(known.first, order.at), max(known.told, order.at)
        known.last = max(known.last, known.told, order.scheduled or order.at)
        known.messages.add(order.message)
        if order.person is not None and order.person not in known.persons:
            known.persons.append(order.person)
        if not is_placeholder(order.accession, self._declared):
            known.numbers.add(plain(order.accession))
            known.number = order.accession if newest else known.number
            self._index("loose", loose(order.accession), known.id)
        for name, told, kept in (("placer", order.placer, known.placers), ("filler", order.filler, known.fillers)):
            if told[0]:
                kept.add(told)
                self._index(name, told[0], known.id)
        if order.procedure:
            known.procedures.add(order.procedure)
        if order.study_uid:
            self._index("uid", order.study_uid, known.id)
        if newest:
            known.exam = order.exam or known.exam
            known.ended = order.at if order.state in ("ended", "completed") else None if order.state == "open" else known.ended

    # records

    def link(self, record: Record) -> Link:
        """Return where a record belongs, as far as it can be told by what is known now."""
        self.persons.meet(record.person)
        if record.kind == "series":
            return self._series(record)
        found = self._by_numbers(record)
        return self._chosen(record, found, "number_and_person" if record.person else "number")

    def _series(self, record: Record) -> Link:
        by_uid = [self.of[e] for e in self._by.get(("uid", record.study_uid), ())]
        told = {(plain(a), p) for a, p in record.requests if not is_placeholder(a, self._declared)}
        by_request = [e for number, procedure in sorted(told) for e in self._under(number) if _fits(e, procedure)]
        by_number = self._by_numbers(record)
        if by_uid and by_number and not {e.id for e in by_uid} & {e.id for e in by_number}:
            sides = tuple(e.id for e in (*by_uid, *by_number))
            why = because("link.study_other_number", number=record.accession, examination=by_uid[0].id)
            return Link(record.id, "contradicted", against=sides, reason=why)
        if by_uid:
            narrowed = [e for e in by_uid if e in by_request] or [e for e in by_uid if e in by_number] or by_uid
            return self._chosen(record, narrowed, "study_uid")
        if by_request:
            return self._chosen(record, list({e.id: e for e in by_request}.values()), "request", several=len(told) > 1)
        return self._chosen(record, by_number, "number_and_person" if record.person else "number")

    def _by_numbers(self, record: Record) -> list[Examination]:
        """Return the examinations that a record's own numbers name, in whatever writing, the oldest first."""
        named = list[str]()
        for kind, told in (("placer", record.placer), ("filler", record.filler)):
            for e in self._by.get((kind, told[0]), ()) if told[0] else ():
                one = self.of[e]
                named += [e] if _compared(told, one.placers if kind == "placer" else one.fillers) else []
        if not is_placeholder(record.accession, self._declared):
            named += [e.id for e in self._under(record.accession)] or self._by.get(("loose", loose(record.accession)), [])
        return [self.of[e] for e in dict.fromkeys(named)]

    def _chosen(self, record: Record, found: list[Examination], rule: str, several: bool = False) -> Link:
        """Return the one of the candidates that nothing speaks against, else what does."""
        names = tuple(e.id for e in found)
        if not found:
            return Link(record.id, "orphan", reason=because("link.no_order", number=record.accession or None))
        same = {e.id: self._person(record.person, e) for e in found}
        left = [e for e in found if same[e.id] is not False]
        if not left:
            return Link(record.id, "contradicted", against=names, reason=because("link.other_person", examination=names[0]))
        left = [e for e in left if same[e.id]] or left
        in_time = [e for e in left if e.first - EARLY <= record.at <= e.last + LATE]
        if not in_time:
            return Link(record.id, "contradicted", against=names, reason=because("link.other_time", examination=left[0].id))
        left = in_time if several else self._alive(in_time, record.at)
        written = [e for e in left if plain(record.accession) in e.numbers]
        is_other = rule in ("number", "number_and_person") and not written
        if is_other and (record.placer[0] or record.filler[0]) and not record.accession:
            rule = "order_number"
        elif is_other:
            left = [e for e in left if same[e.id]]  # another writing joins nobody unless the person agrees
            rule = "other_writing"
        if not left or not self.are_of_one(left):
            return Link(record.id, "ambiguous", against=names, reason=because("link.ambiguous", examinations=list(names)))
        return Link(record.id, "joined", tuple(e.id for e in left), rule, SCORE[rule])

    def _alive(self, found: list[Examination], at: datetime) -> list[Examination]:
        """Return of examinations under one number those that were to be done at a moment; if none was, the last before it, else the first."""
        if len(found) < 2:
            return found
        begun = [e for e in found if e.first <= at]
        return [e for e in begun if e.ended is None or e.ended > at] or begun[-1:] or found[:1]

    def _alive_together(self, one: Examination, other: Examination) -> bool:
        first, second = (one, other) if one.first <= other.first else (other, one)
        return first.ended is None or first.ended > second.first

    def _under(self, number: str) -> list[Examination]:
        key = plain(number)
        return [e for name in self._by.get(("loose", loose(number)), ()) if key in (e := self.of[name]).numbers]

    def _person(self, who: PersonNumber | None, known: Examination) -> bool | None:
        """Return whether somebody is the person of an examination: of any of its orders; None where nobody can tell."""
        told = [self.persons.same(who, p) for p in known.persons]
        return True if True in told else None if not told or None in told else False

    def _of_one(self, one: Examination, other: Examination) -> bool | None:
        told = [self._person(p, other) for p in one.persons]
        return True if True in told else None if not told or None in told else False

    def _key(self, known: Examination) -> object:
        return min(self.persons.group(known.persons[-1])) if known.persons else known.id

    def _index(self, kind: str, value: str, name: str) -> None:
        if name not in self._by[kind, value]:
            self._by[kind, value].append(name)


def given_study_uid(site_id: str, examination: str) -> str:
    """Return the Study Instance UID that the worklist gives an examination whose order names none (PS3.5 B.2: 2.25 and an UUID's number)."""
    unique = hashlib.sha256(f"photopeak/{site_id}/{examination}".encode()).digest()[:16]
    return f"2.25.{int.from_bytes(unique, 'big')}"


def _compared(told: tuple[str, str], known: set[tuple[str, str]]) -> bool | None:
    """Return whether a number of an order (number, namespace) is among those known; None where none of them can be compared with it."""
    if not told[0]:
        return None
    comparable = [number for number, space in known if not space or not told[1] or space == told[1]]
    return told[0] in comparable if comparable else None


def _fits(known: Examination, procedure: str) -> bool:
    return not procedure or not known.procedures or procedure in known.procedures
