"""What a message says: ADT → his.patient, ORM/OMI → his.order, ORU → his.observation; identity goes apart, to the vault."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from connectors.charsets import coded_twice, readings
from connectors.events import utc_text
from connectors.free_text import BLOT, Secrets, births_of, without_numbers
from connectors.his.message import InvalidMessage, Message, Segment
from connectors.his.quantities import KG, MBQ, plain, quantity
from connectors.his.times import Told, Unreadable, read_time, zone_of
from judgement.linkage.numbers import plain as plain_number
from judgement.newest import PRECISION_S
from judgement.order_states import CONTROLS, STATUSES, WHOLE, order_state
from messages import because

__all__ = ["PID_FIELDS", "Fact", "Patient", "facts", "merges", "named_orders", "nobody", "patient", "said_at"]

ORDERS = {("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19")}
PLAIN = ("NM", "SN", "DT", "TM", "TS", "DTM")  # numbers and times
NUMBERS = ("NM", "SN", "ST", "")
SEALED = ("ED", "RP", "PN", "XPN", "XCN", "CX", "XAD", "XTN")  # documents, and who somebody is: stay in the sealed bytes alone
UID = re.compile(r"[0-9][0-9.]{0,63}")
MERGES = ("A18", "A30", "A34", "A36", "A40", "A43", "A46", "A47")  # HL7 v2 chapter 3: numbers of one person
KIND = re.compile(r"[A-Z]{3}\^([A-Z][0-9A-Z]{2})?")  # what else stands in MSH-9 is not repeated
FIRST_BIRTH = 1890  # of the oldest living person, with room
BODY_KG = (0.3, 650.0)  # from the smallest newborn to the heaviest person on record, with room
COMPARED = re.compile(r"([<>]=?|=)?\s*(.*)", re.DOTALL)  # of SN, and as people write it
MAX_TEXT = 256
WORKLIST_TEXT = 16  # of DICOM's VR SH: a longer accession number would be cut, which is another number
DOUBTS = (
    "unreadable",
    "character_set",
    "too_long",
    "clock_change",
    "missing",
    "unmatched",
    "several",
    "far",
    "no_station",
    "older",
)
FAR = timedelta(days=2 * 366)  # an appointment further from its message is a slip or a placeholder (1900, 9999)
PID_FIELDS = {"birth_date": 7, "sex": 8}  # what a later message may leave empty and does not take back
# PID-8: HL7 table 0001, and what senders write instead; 0, 1, 2, 9 of ISO/IEC 5218 and GB/T 2261.1
SEXES = {
    word.casefold(): sex
    for sex, words in {
        "M": "M male man 男 男性 1 männlich", "F": "F female woman 女 女性 2 W weiblich", "O": "O other 其他", "A": "A", "N": "N",
        "U": "U unknown 未知 不详 未说明 0 9",
    }.items()
    for word in words.split()
}  # fmt: skip
Find = Callable[[str, str], str | None]  # of filler and placer number (ORC-3, ORC-2; empty: not told)


@dataclass(frozen=True, slots=True)
class Fact:
    """One event's type, subject, time and data, without its identity."""

    type: str
    subject: str
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a message is about; `identity` is for the vault, `secrets` are the texts that no event may hold."""

    patient_id: str
    issuer: str  # the assigning authority of the number (CX.4), plain; empty: not told
    identity: dict[str, str | None]
    secrets: Secrets

    def cleaned(self, text: str, codec: str = "utf-8") -> str | None:
        """Return a free text for an event: clipped, without the patient's names and numbers, and without anybody's card and phone numbers.

        One that names the patient when it is read in another character set than the message's is not kept at all.
        """
        kept = without_numbers(self.secrets.blotted(text))
        if not kept.isascii() or "\x1b" in kept or coded_twice(kept):
            try:
                others = readings(kept.encode(codec))
            except UnicodeEncodeError:
                others = readings(kept.encode("utf-8", "replace"))
            came = kept.replace(BLOT, " ").encode(codec, "replace")
            if self.secrets.stand_in_bytes(came) or any(self.secrets.stand_in(other) for other in others):
                return BLOT
        return _clip(kept)


@dataclass(slots=True)
class _Group:
    orc: Segment | None = None
    obr: Segment | None = None
    ipc: Segment | None = None
    zds: Segment | None = None
    tq1: list[Segment] = field(default_factory=list)
    obx: list[Segment] = field(default_factory=list)


def patient(message: Message) -> Patient:
    """Return the patient of PID; raise InvalidMessage without one."""
    pid = message.first("PID")
    if pid is None:
        raise InvalidMessage(because("hl7.no_pid"), error="100")
    numbers = dict(zip(reversed(pid.repetitions(3, 5)), reversed(pid.repetitions(3)), strict=True))
    patient_id = numbers.get("MR") or numbers.get("PI") or next(filter(None, pid.repetitions(3)), "")
    if not patient_id:
        raise InvalidMessage(because("hl7.no_patient_id"), error="101")
    issuer = _issuer(pid, patient_id)
    identity = {
        "patient_id": patient_id, "name": pid.text(5), "birth_date": _born(pid) or pid.get(7), "sex": _sex(pid),
        "address": pid.text(11), "person_name": _person_name(pid), "phone": pid.text(13), "account": pid.get(18),
        "national_id": pid.get(19), "other_ids": " ".join(i for n in (2, 3, 4) for i in pid.repetitions(n)),
    }  # fmt: skip
    aliases = [name for name in _names(pid, 9) if name.strip("^ ")]
    identity |= {"other_names": "\n".join(aliases)} if aliases else {}
    numbers_too = (*pid.repetitions(13), *births_of(identity["birth_date"] or ""))
    names = [*_names(pid, 5), *aliases]
    written = pid.raw(5).replace(pid.marks[1], "^").replace(pid.marks[2], "~").encode(pid.codec, "replace")
    meant = readings(written, every=True)
    # a name in another character set than declared, or in none that is declared, may be meant in any of them
    identity["readings"] = "" if written.isascii() else "\n".join(meant)
    secrets = Secrets.of(identity) | Secrets((*names, *meant), numbers_too, (written,))
    told = {k: v or None for k, v in identity.items()}
    told |= {name: "" for name, field in PID_FIELDS.items() if pid.is_deleted(field)}
    return Patient(patient_id, issuer, told, secrets)


def _names(pid: Segment, field: int) -> list[str]:
    """Return family, given and middle name of each repetition of a field as DICOM writes them."""
    return ["^".join(parts) for parts in zip(*(pid.repetitions(field, n) for n in (1, 2, 3)), strict=True)]


def nobody() -> Patient:
    """Return the patient of a message that names none: it may end an order that is known, and tells nothing else."""
    return Patient("", "", {}, Secrets((), (), ()))


def _issuer(segment: Segment, number: str, field: int = 3) -> str:
    """Return who gave out a number of a CX field: the namespace of its assigning authority (CX.4), else its universal id; empty: not told."""
    for value, repetition in zip(segment.repetitions(field), segment.raw(field).split(segment.marks[2]), strict=True):
        if value == number:
            parts = repetition.split(segment.marks[1])
            names = parts[3].split(segment.marks[4]) if len(parts) > 3 else []
            return plain_number(next(filter(None, (n.strip('" ') for n in names)), ""))[:64]
    return ""


def merges(message: Message) -> list[tuple[str, str, bool]]:
    """Return what an ADT message says about the person of PID: (number, issuer, whether it is of that person too) of each other number.

    A18, A34, A36, A40, A43, A47: MRG-1 is another number of the patient of PID-3; A24 and A37 link and unlink the patients of two PID segments.
    """
    code, trigger = message.kind
    if code != "ADT":
        return []
    if trigger in ("A24", "A37"):
        others = [s for s in message.segments if s.name == "PID"][1:2]
        return [(n, _issuer(s, n), trigger == "A24") for s in others for n in s.repetitions(3) if n]
    if trigger in MERGES:
        found = [s for s in message.segments if s.name == "MRG"]
        return [(n, _issuer(s, n, 1), True) for s in found for n in s.repetitions(1) if n]
    return []


def _birth(pid: Segment) -> Told | None:
    """Return PID-7, None when it is empty or says no birth of a living person; a day of birth has no zone: an offset is passed over."""
    try:
        told, own = read_time(pid.get(7), UTC), zone_of(pid.get(7))
    except Unreadable:
        return None
    return replace(told, at=told.at.astimezone(own or UTC)) if told and FIRST_BIRTH <= told.at.year < 2100 else None


def _born(pid: Segment) -> str:
    """Return the day of birth as DICOM writes it, empty when PID-7 does not say one that can be read."""
    told = _birth(pid)
    return f"{told.at:%Y%m%d}" if told and told.precision not in ("year", "month") else ""


def _person_name(pid: Segment) -> str:
    """Return PID-5 as DICOM writes a name (PS3.5 6.2.1): family^given^middle^prefix^suffix; `=` before the ideographic form."""
    forms: list[str] = []
    for parts in zip(*(pid.repetitions(5, n) for n in (1, 2, 3, 5, 4)), strict=True):
        form = "^".join(re.sub(r"[\^=\\\x00-\x1f]", " ", p).strip() for p in parts).rstrip("^")
        if form and all(form.isascii() != f.isascii() for f in forms):  # of each kind the first
            forms.append(form)
    return "=".join(sorted(forms, key=lambda f: not f.isascii()))


def said_at(message: Message, zone: tzinfo) -> Told:
    """Return MSH-7 in UTC; raise InvalidMessage without it, for nothing else dates a message."""
    sent = _time(message.header, 7, _zone(message, zone))
    if sent is None:
        raise InvalidMessage(because("hl7.msh_7_missing"), error="101", location="MSH^1^7")
    return sent


def _nothing(_: str, __: str) -> str | None:
    return None


def facts(
    message: Message, pseudonym: str, who: Patient, zone: tzinfo, find: Find = _nothing, number: str | None = None
) -> list[Fact]:
    """Return what the message says, at least one fact; raise InvalidMessage with the reason when it may not enter.

    `pseudonym` is of the patient number and its issuer, `number` of the number alone ("": it is a placeholder; None: the same).

    `find` returns the accession number of the order of this patient that ORC-3 or ORC-2 name, None where none is known; asked for a message
    that names no examination.

    A time that is there and cannot be read is such a reason: taken for absent, it would put the patient on another day. What an order
    can do without (weight, activity) is left out and stands among the `doubts` of its event, as what was read in another character set.
    """
    code, trigger = message.kind
    whose = {
        "patient_pseudonym": pseudonym,
        "patient_number": pseudonym if number is None else number,
        "patient_issuer": who.issuer,
    }
    said = _Said(message, whose, who, _zone(message, zone), said_at(message, zone), find)
    if code == "ADT":
        found = [_visit(said)]
    elif (code, trigger) in ORDERS:
        found = [_order(said, g) for g in _groups(message)]
    elif (code, trigger) == ("ORU", "R01"):
        groups = list(_groups(message))
        found = [_results(said, g) for g in groups if g.obx]
        found += [order for g in groups if (order := _cancelled(said, g))]
    else:
        kind = (
            because("hl7.type", type=code, trigger=trigger) if KIND.fullmatch(f"{code}^{trigger}") else because("hl7.this_type")
        )
        raise InvalidMessage(because("hl7.type_not_taken", kind=kind), "AR", "200", "MSH^1^9")
    if not found:
        raise InvalidMessage(
            because("hl7.segment_missing", type=code, trigger=trigger, segment=["OBX"] if code == "ORU" else ["ORC", "OBR"]),
            error="100",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Said:
    """What the facts of one message share."""

    message: Message
    whose: dict[str, str]
    who: Patient
    zone: tzinfo
    sent: Told
    find: Find

    def clean(self, segment: Segment | None, text: str) -> str | None:
        return self.who.cleaned(text, segment.codec if segment else "utf-8")

    def term(self, text: str) -> str:
        """Return a code or identifier, which may be made of the patient's number, without the patient's whole name."""
        return self.who.secrets.in_terms().only_names().blotted(text) if text else text

    def fact(
        self,
        type_: str,
        subject: str,
        told: Told | None,
        data: dict[str, Any],
        doubts: list[dict[str, str]],
        *more_told: Told | None,
    ) -> Fact:
        """Return a fact that occurred when it says, or when the message was sent; `more_told` are its other moments."""
        happened = told or self.sent
        unsure = dict.fromkeys(t.place for t in (happened, *more_told) if t and t.place)
        doubts += [{"field": place, "doubt": "clock_change"} for place in unsure]
        doubts += [{"field": "MSH-18", "doubt": "character_set"}] if self.message.is_doubtful else []
        ends = data.get("order_control") and order_state(data["order_control"], data.get("order_status")) != "open"
        span = happened.span_s + (happened.again_s if ends else 0)  # what stops an order is read as late as it can be meant
        more: dict[str, Any] = {"occurred_precision": happened.precision} | ({"doubts": doubts[:32]} if doubts else {})
        more |= {"occurred_span_s": span} if span != PRECISION_S[happened.precision] else {}
        return Fact(type_, subject, happened.at, data | more)


def _zone(message: Message, zone: tzinfo) -> tzinfo:
    """Return the zone of times without an offset: that of MSH-7 when it has one (HL7 v2 chapter 2, MSH-7), else the site's."""
    try:
        return zone_of(message.header.get(7)) or zone
    except Unreadable as exc:
        raise _unreadable("MSH", 7) from exc


def _time(segment: Segment | None, field: int, zone: tzinfo, component: int = 1) -> Told | None:
    """Return the time of a field, None when it is empty; raise InvalidMessage when it is there and cannot be read.

    Of a timing (component 4 of TQ) that repeats the first counts. A field that is one time may say it again, and nothing else beside it.
    """
    if segment is None:
        return None
    texts = segment.repetitions(field, component)
    degrees = segment.repetitions(field, 2) if component == 1 else [""] * len(texts)
    try:
        read = [read_time(text, zone, degree, f"{segment.name}-{field}") for text, degree in zip(texts, degrees, strict=True)]
    except Unreadable as exc:
        raise _unreadable(segment.name, field, component) from exc
    told = [t for t in read if t]
    if component == 1 and (
        len({t.at for t in told}) > 1 or segment.is_split(field) or (not told and segment.text(field).strip('" \n'))
    ):
        raise _unreadable(segment.name, field)
    return told[0] if told else None


def _planned(segment: Segment | None, field: int, zone: tzinfo, component: int = 1) -> Told | None:
    """Return an appointment; raise InvalidMessage also for a month or a year, which would put it on a day that nobody has named."""
    told = _time(segment, field, zone, component)
    if told and segment and told.precision in ("year", "month"):
        raise _unreadable(segment.name, field, component)
    return told


def _unreadable(name: str, field: int, component: int = 1) -> InvalidMessage:
    place = f"{name}-{field}" + (f".{component}" if component > 1 else "")
    location = f"{name}^1^{field}" + (f"^1^{component}" if component > 1 else "")
    return InvalidMessage(because("hl7.no_time", field=place), error="102", location=location)


def _first(*told: Told | None) -> Told | None:
    return next(filter(None, told), None)


def _visit(said: _Said) -> Fact:
    pid, pv1, evn = (said.message.first(name) for name in ("PID", "PV1", "EVN"))
    trigger = said.message.kind[1] or (evn.get(1) if evn else "")
    if not trigger:
        raise InvalidMessage(because("hl7.no_trigger"), error="101")
    assert pid is not None
    born = _birth_year(said)
    location = "^".join(filter(None, (pv1.get(3, n) for n in range(1, 5)))) if pv1 else ""
    told = _first(_time(evn, 6, said.zone), _time(evn, 2, said.zone))
    doubts = _person_doubts(said)
    return said.fact("his.patient", said.whose["patient_pseudonym"], told, {
        "message_type": "ADT", "trigger": trigger, **said.whose, "sex": _sex(pid),
        "birth_year": born,
        "visit_number": said.clean(pv1, pv1.get(19)) if pv1 else None, "location": said.clean(pv1, location),
    }, doubts)  # fmt: skip


def _birth_year(said: _Said) -> int | None:
    """Return the year of birth, None for one that cannot be read or is still to come."""
    pid = said.message.first("PID")
    told = _birth(pid) if pid else None
    return told.at.year if told and told.at < said.sent.at + timedelta(days=1) else None


def _sex(pid: Segment) -> str | None:
    """Return PID-8 as HL7 table 0001 has it, None when it is empty or none that is known; its text is not kept, for it may be anything."""
    return SEXES.get(unicodedata.normalize("NFKC", pid.get(8)).strip().casefold())


def _person_doubts(said: _Said) -> list[dict[str, str]]:
    pid = said.message.first("PID")
    if pid is None:
        return []
    unread = (("PID-7", pid.get(7), _birth_year(said)), ("PID-8", pid.get(8), _sex(pid)))
    return [{"field": field, "doubt": "unreadable"} for field, text, value in unread if text and value is None]


def named_orders(message: Message) -> list[tuple[str, str]]:
    """Return filler and placer number of the orders that a message ends or holds; none where one of its orders is open, or it is no order."""
    if message.kind not in ORDERS:
        return []
    groups = list(_groups(message))
    if any(g.orc is None or order_state(g.orc.get(1), g.orc.get(5)) == "open" for g in groups):
        return []
    return [(_accession(g) or "", _placer(g)) for g in groups]


def _cancelled(said: _Said, group: _Group) -> Fact | None:
    """Return that an order is cancelled, of results that say so (OBR-25 X: table 0123, or ORC); None where they do not, or of no order here."""
    orc, obr = group.orc, group.obr
    ends = orc is not None and order_state(orc.get(1), orc.get(5)) == "ended"
    if not ends and not (obr and obr.get(25).upper() == "X"):
        return None
    accession = said.find(_accession(group) or "", _placer(group))
    if accession is None:
        return None
    doubts: list[dict[str, str]] = []
    return said.fact("his.order", accession, _first(_time(obr, 22, said.zone), _ordered_at(said, orc, True, doubts)), {
        "message_type": "ORU", "trigger": "R01", "order_control": orc.get(1).upper() if orc and orc.get(1).upper() in CONTROLS else "SC",
        "order_status": "CA", "accession_number": accession, **said.whose, "exam_code": None, "exam_name": None,
        "indication": None, "scheduled_at_utc": None, "placer": None, "prescribed_activity_mbq": None,
    }, doubts)  # fmt: skip


def _ordered_at(said: _Said, orc: Segment | None, ends: bool, doubts: list[dict[str, str]]) -> Told | None:
    """Return ORC-9; one that cannot be read dates a cancellation by its message, and may not enter otherwise."""
    try:
        return _time(orc, 9, said.zone)
    except InvalidMessage:
        if not ends:
            raise
        doubts.append({"field": "ORC-9", "doubt": "unreadable"})
        return None


def _order(said: _Said, group: _Group) -> Fact:
    code, trigger = said.message.kind
    orc = group.orc
    obr = group.obr if said.who.patient_id else None  # whose texts nobody can tell from a name
    control = orc.get(1).upper() if orc else ""
    is_open = order_state(control, orc.get(5) if orc else "") == "open"
    exam = obr.get(4)[:MAX_TEXT] if obr else ""
    if not exam and (orc is None or control in WHOLE):
        raise InvalidMessage(because("hl7.no_exam_code", type=code, trigger=trigger), error="101")
    accession, known = _accession(group), None
    if not exam or accession is None or not is_open:
        known = said.find(accession or "", "" if exam and accession else _placer(group))
        accession = known or accession
        if not exam and (accession is None or (known is None and is_open)):
            raise InvalidMessage(because("hl7.no_such_order"), error="101", location="ORC^1^2")
    if accession is None:
        raise InvalidMessage(because("hl7.no_accession_number"), error="101")
    if not control:
        raise InvalidMessage(because("hl7.no_order_control"), error="101")
    if control not in CONTROLS:
        raise InvalidMessage(because("hl7.order_control_unknown"), error="103", location="ORC^1^1")
    doubts = [{"field": "ORC-3", "doubt": "unmatched"}] if known is None and not is_open else []
    planned, again = None, False
    try:
        planned, again = _appointment(said, group)
    except InvalidMessage:
        if is_open:
            raise
        doubts.append({"field": "OBR-36", "doubt": "unreadable"})  # a cancellation holds without it
    if again:
        doubts.append({"field": "OBR-36", "doubt": "several"})
    if planned and abs(planned.at - said.sent.at) > FAR:
        doubts.append({"field": "OBR-36", "doubt": "far"})
    if len(accession) > WORKLIST_TEXT:
        doubts.append({"field": "accession_number", "doubt": "too_long"})
    doubts += _person_doubts(said)
    pid, born = said.message.first("PID"), _birth_year(said)
    person = {"sex": _sex(pid) if pid else None, "birth_year": born}
    if orc and orc.get(5) and orc.get(5).upper() not in STATUSES:
        doubts.append({"field": "ORC-5", "doubt": "unreadable"})
    if planned is None and control in ("NW", "RO") and is_open and exam:
        doubts.append({"field": "OBR-36", "doubt": "missing"})
    told = _ordered_at(said, orc, not is_open, doubts)
    activity, weight = (
        _quantity(group, *q, doubts) for q in (("PRESCRIBED_MBQ", MBQ, (0.0, math.inf)), ("WEIGHT_KG", KG, BODY_KG))
    )
    deleted = [
        name
        for name, is_so in (
            ("scheduled_at_utc", planned is None and obr is not None and obr.is_deleted(36)),
            ("indication", obr is not None and (obr.is_deleted(31) or obr.is_deleted(13))),
            ("stations", group.ipc is not None and group.ipc.is_deleted(9)),
            ("prescribed_activity_mbq", activity is None and _is_told(group, "PRESCRIBED_MBQ")),
            ("weight_kg", weight is None and _is_told(group, "WEIGHT_KG")),
        )
        if is_so
    ]
    return said.fact("his.order", accession, told, {
        "message_type": code, "trigger": trigger, "order_control": control, "accession_number": accession,
        **said.whose, "exam_code": said.clean(obr, exam) or exam or None,
        "exam_name": said.clean(obr, obr.get(4, 2)) if obr else None,
        "indication": said.clean(obr, obr.get(31, 2) or obr.get(31) or obr.text(13)) if obr else None,
        "scheduled_at_utc": utc_text(planned.at) if planned else None,
        "prescribed_activity_mbq": activity, "weight_kg": weight,
        **({"scheduled_precision": planned.precision} if planned and planned.precision == "day" else {}),
        **({"deleted": deleted} if deleted else {}), **_step(said, group), **_numbers(said, group),
        **{k: v for k, v in person.items() if v is not None},
    }, doubts, planned)  # fmt: skip


def _appointment(said: _Said, group: _Group) -> tuple[Told | None, bool]:
    """Return when an examination is planned, and whether the message says another time as well: the first of them is taken."""
    told = [_planned(group.obr, 36, said.zone), *(_planned(tq1, 7, said.zone) for tq1 in group.tq1)]
    told += [_planned(group.orc, 7, said.zone, 4), _planned(group.obr, 27, said.zone, 4)]
    repeated = [(segment, field) for segment, field in ((group.orc, 7), (group.obr, 27)) if segment]
    told += [read_time(text, said.zone) for segment, field in repeated for text in segment.repetitions(field, 4)]
    planned = _first(*told)
    return planned, planned is not None and any(_differ(planned, t) for t in told if t)


def _differ(one: Told, other: Told) -> bool:
    """Return whether two times cannot be the same one, told to unequal precision."""
    first, then = sorted((one, other), key=lambda t: t.at)
    return (then.at - first.at).total_seconds() >= max(PRECISION_S[first.precision], 1)


def _step(said: _Said, group: _Group) -> dict[str, Any]:
    """Return what an order says for a scanner's worklist, as far as it says it (IPC of OMI; OBR-19, OBR-20 and ZDS of ORM after IHE)."""
    orc, obr, ipc = group.orc, group.obr, group.ipc
    uid = (ipc.get(3) if ipc else "") or (group.zds.get(1) if group.zds else "")
    found = {
        "order_status": said.term(orc.get(5).upper()) if orc else "",
        "stations": [said.term(ae[:MAX_TEXT]) for ae in ipc.repetitions(9) if ae][:16] if ipc else [],
        "procedure_id": said.term((ipc.get(2) if ipc else "") or (obr.get(19) if obr else "")),
        "step_id": said.term((ipc.get(4) if ipc else "") or (obr.get(20) if obr else "")),
        "study_uid": uid if UID.fullmatch(uid) else "",
    }
    return {k: v for k, v in found.items() if v and (not k.endswith("_id") or len(v) <= 16)}


def _results(said: _Said, group: _Group) -> Fact:
    accession, obr = _accession(group), group.obr
    observed = _first(_time(group.obx[0], 14, said.zone), _time(obr, 7, said.zone))
    observations, doubts = [], list[dict[str, str]]()
    for obx in group.obx:
        if not obx.get(3):
            raise InvalidMessage(because("hl7.no_observation_code"), error="101")
        observations.append(_observation(said, obx, doubts))
    return said.fact("his.observation", accession or said.whose["patient_pseudonym"], _time(obr, 22, said.zone), {
        "message_type": "ORU", "trigger": "R01", "accession_number": accession, **said.whose, **_numbers(said, group),
        "result_status": (obr.get(25).upper()[:4] or None) if obr else None,
        "observed_at_utc": utc_text(observed.at) if observed else None,
        **({"observed_precision": observed.precision} if observed else {}), "observations": observations,
    }, doubts, observed)  # fmt: skip


def _observation(said: _Said, obx: Segment, doubts: list[dict[str, str]]) -> dict[str, str | None]:
    kind, text, unit = obx.get(2), obx.text(5), obx.get(6)
    relation, bare = COMPARED.findall(text)[0]
    number = plain(bare, unit) if kind in NUMBERS else None
    if number is not None:
        text, unit = " ".join(filter(None, (relation if relation != "=" else "", number[0]))), number[1]
    elif kind == "NM" and text:
        doubts.append({"field": f"OBX-5 {said.clean(obx, obx.get(3))}"[:64], "doubt": "unreadable"})
    chance = kind in PLAIN and re.fullmatch(r"[-+0-9.,:<>=/TZ ]*", text)  # a number of the patient in it is chance
    return {
        "code": said.clean(obx, obx.get(3)[:MAX_TEXT]) or obx.get(3)[:MAX_TEXT], "name": said.clean(obx, obx.get(3, 2)),
        "unit": said.clean(obx, unit), "value": None if kind in SEALED else _clip(text) if chance else said.clean(obx, text),
        "reference_range": said.clean(obx, obx.get(7)), "status": said.clean(obx, obx.get(11)),
    }  # fmt: skip


def _groups(message: Message) -> Iterator[_Group]:
    """Yield the order groups: each ORC, or an OBR behind the OBR of the group before, begins one."""
    group: _Group | None = None
    for segment in message.segments:
        if segment.name == "ORC" or (segment.name == "OBR" and (group is None or group.obr is not None)):
            if group is not None:
                yield group
            group = _Group()
        if group is None:
            continue
        if segment.name in ("OBX", "TQ1"):
            getattr(group, segment.name.lower()).append(segment)
        elif segment.name in ("ORC", "OBR", "IPC", "ZDS"):
            setattr(group, segment.name.lower(), segment)
    if group is not None:
        yield group


def _numbers(said: _Said, group: _Group) -> dict[str, Any]:
    """Return placer and filler number of an order (EI), each with its namespace."""
    orc, obr = group.orc, group.obr
    out: dict[str, Any] = {"placer": None, "filler": None}
    if not said.who.patient_id:  # nobody is told whose names could stand in them
        return out
    for name, at, beside in (("placer", 2, 2), ("filler", 3, 3)):
        segment, field = (orc, at) if orc and orc.get(at) else (obr, beside)
        number = segment.get(field) if segment else ""
        space = plain_number(segment.get(field, 2))[:64] if segment and number else ""
        out[name] = said.clean(segment, number[:MAX_TEXT]) if number else None
        out |= {f"{name}_issuer": space} if space else {}
    return out


def _accession(group: _Group) -> str | None:
    orc, obr, ipc = group.orc, group.obr, group.ipc
    found = (
        (ipc.get(1) if ipc else "") or (obr.get(18) if obr else "") or (orc.get(3) if orc else "") or (obr.get(3) if obr else "")
    )
    return _clip(found)


def _placer(group: _Group) -> str:
    return (group.orc.get(2) if group.orc else "") or (group.obr.get(2) if group.obr else "")


def _is_told(group: _Group, code: str) -> bool:
    return any(x.get(3) == code and (x.get(5) or x.is_deleted(5)) for x in group.obx)


def _quantity(
    group: _Group, code: str, units: Mapping[str, float], within: tuple[float, float], doubts: list[dict[str, str]]
) -> float | None:
    """Return the value of an order's OBX in the unit that its code names, null when the order does not say one, and for certain."""
    told = [(text, x.get(6)) for x in group.obx if x.get(3) == code for text in x.repetitions(5) if text and text != '""']
    withdrawn = any(x.get(11) in ("D", "W", "X") for x in group.obx if x.get(3) == code and x.get(5))
    values = {quantity(text, unit, units) for text, unit in told}
    value = values.pop() if len(values) == 1 else None
    if value is not None and within[0] <= value <= within[1] and not withdrawn:
        return value
    if told:
        doubts.append({"field": f"OBX-5 {code}", "doubt": "unreadable"})
    return None


def _clip(text: str) -> str | None:
    text = text.replace("\0", "").strip()
    return None if not text else text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
