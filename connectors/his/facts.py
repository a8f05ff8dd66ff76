"""What a message says: ADT → his.patient, ORM/OMI → his.order, ORU → his.observation; identity goes apart, to the vault."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.events import utc_text
from connectors.free_text import MIN_SECRET, blotted, names_of, without_numbers
from connectors.his.message import InvalidMessage, Message, Segment, moment

__all__ = ["Fact", "Patient", "facts", "patient", "said_at"]

MBQ = {"": 1.0, "MBQ": 1.0, "GBQ": 1000.0, "KBQ": 0.001, "MCI": 37.0}
KG = {"": 1.0, "KG": 1.0, "G": 0.001}
NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")
ORDERS = {("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19")}
PLAIN = ("NM", "SN", "DT", "TM", "TS", "DTM")  # numbers and times: a number of the patient in them is chance
SEALED = ("ED", "RP", "PN", "XPN", "XCN", "CX", "XAD", "XTN")  # documents, and who somebody is: stay in the sealed bytes alone
UID = re.compile(r"[0-9][0-9.]{0,63}")
MAX_TEXT = 256


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
    identity: dict[str, str | None]
    secrets: tuple[str, ...]


@dataclass(slots=True)
class _Group:
    orc: Segment | None = None
    obr: Segment | None = None
    tq1: Segment | None = None
    ipc: Segment | None = None
    zds: Segment | None = None
    obx: list[Segment] = field(default_factory=list)


def patient(message: Message) -> Patient:
    """Return the patient of PID; raise InvalidMessage without one."""
    pid = message.first("PID")
    if pid is None:
        raise InvalidMessage("no PID segment", error="100")
    numbers = dict(zip(reversed(pid.repetitions(3, 5)), reversed(pid.repetitions(3)), strict=True))
    patient_id = numbers.get("MR") or numbers.get("PI") or next(filter(None, pid.repetitions(3)), "")
    if not patient_id:
        raise InvalidMessage("PID-3 holds no patient identifier", error="101")
    identity = {
        "patient_id": patient_id, "name": pid.text(5), "birth_date": pid.get(7), "sex": pid.get(8), "address": pid.text(11),
        "person_name": _person_name(pid), "phone": pid.text(13), "account": pid.get(18),
        "national_id": pid.get(19), "other_ids": " ".join(pid.repetitions(3)),
    }  # fmt: skip
    numbers_too = (*pid.repetitions(3), pid.get(18), pid.get(19), *pid.repetitions(13))
    secrets = {n for n in numbers_too if len(n) >= MIN_SECRET}
    for family, given in zip(pid.repetitions(5, 1), pid.repetitions(5, 2), strict=True):
        secrets |= names_of(f"{family}^{given}") | ({family} if len(family) > 1 and not given else set())
    return Patient(patient_id, {k: v or None for k, v in identity.items()}, tuple(sorted(secrets)))


def _person_name(pid: Segment) -> str:
    """Return PID-5 as DICOM writes a name (PS3.5 6.2.1): family^given^middle^prefix^suffix; `=` before the ideographic form."""
    forms: list[str] = []
    for parts in zip(*(pid.repetitions(5, n) for n in (1, 2, 3, 5, 4)), strict=True):
        form = "^".join(re.sub(r"[\^=\\\x00-\x1f]", " ", p).strip() for p in parts).rstrip("^")
        if form and all(form.isascii() != f.isascii() for f in forms):  # of each kind the first
            forms.append(form)
    return "=".join(sorted(forms, key=lambda f: not f.isascii()))


def said_at(message: Message, utc_offset_minutes: int) -> datetime:
    """Return MSH-7 in UTC; raise InvalidMessage without it, for nothing else dates a message."""
    sent = moment(message.header.get(7), utc_offset_minutes)
    if sent is None:
        raise InvalidMessage("MSH-7 (date and time of the message) is missing or no time", error="101")
    return sent


def facts(message: Message, pseudonym: str, who: Patient, utc_offset_minutes: int) -> list[Fact]:
    """Return what the message says, at least one fact; raise InvalidMessage with the reason when it may not enter."""
    code, trigger = message.kind
    if code == "ADT":
        found = [_visit(message, pseudonym, utc_offset_minutes)]
    elif (code, trigger) in ORDERS:
        found = [_order(message, g, pseudonym, who, utc_offset_minutes) for g in _groups(message)]
    elif (code, trigger) == ("ORU", "R01"):
        found = [_results(message, g, pseudonym, who, utc_offset_minutes) for g in _groups(message) if g.obx]
    else:
        raise InvalidMessage(f"message type {code}^{trigger} is not taken here (ADT, ORM^O01, OMI^O23, ORU^R01 are)", "AR", "200")
    if not found:
        raise InvalidMessage(f"{code}^{trigger} without {'OBX' if code == 'ORU' else 'ORC or OBR'} segment", error="100")
    return found


def _visit(message: Message, pseudonym: str, offset: int) -> Fact:
    pid, pv1, evn = message.first("PID"), message.first("PV1"), message.first("EVN")
    trigger = message.kind[1] or (evn.get(1) if evn else "")
    if not trigger:
        raise InvalidMessage("MSH-9 names no trigger event", error="101")
    assert pid is not None
    born = re.match(r"(1[89]|20)\d\d", pid.get(7))
    happened = (moment(evn.get(6), offset) or moment(evn.get(2), offset)) if evn else None
    location = "^".join(filter(None, (pv1.get(3, n) for n in range(1, 5)))) if pv1 else ""
    return Fact("his.patient", pseudonym, happened or said_at(message, offset), {
        "message_type": "ADT", "trigger": trigger, "patient_pseudonym": pseudonym, "sex": _clip(pid.get(8)),
        "birth_year": int(born[0]) if born else None,
        "visit_number": _clip(pv1.get(19)) if pv1 else None, "location": _clip(location),
    })  # fmt: skip


def _order(message: Message, group: _Group, pseudonym: str, who: Patient, offset: int) -> Fact:
    code, trigger = message.kind
    orc, obr = group.orc, group.obr
    if obr is None or not obr.get(4):
        raise InvalidMessage(f"{code}^{trigger} without an examination code (OBR-4)", error="101")
    accession = _accession(group)
    if accession is None:
        raise InvalidMessage("no accession number (ORC-3, OBR-18 or OBR-3)", error="101")
    control = orc.get(1) if orc else ""
    if not control:
        raise InvalidMessage("no order control code (ORC-1)", error="101")
    clean = _cleaner(who)
    planned = [obr.get(36), group.tq1.get(7) if group.tq1 else "", orc.get(7, 4) if orc else "", obr.get(27, 4)]
    scheduled = next(filter(None, (moment(t, offset) for t in planned)), None)
    happened = moment(orc.get(9), offset) if orc else None
    return Fact("his.order", accession, happened or said_at(message, offset), {
        "message_type": code, "trigger": trigger, "order_control": control, "accession_number": accession,
        "patient_pseudonym": pseudonym, "exam_code": obr.get(4)[:MAX_TEXT], "exam_name": clean(obr.get(4, 2)),
        "indication": clean(obr.get(31, 2) or obr.get(31) or obr.text(13)),
        "scheduled_at_utc": utc_text(scheduled) if scheduled else None,
        "placer": _clip((orc.get(2) if orc else "") or obr.get(2)),
        "prescribed_activity_mbq": _quantity(group, "PRESCRIBED_MBQ", MBQ), "weight_kg": _quantity(group, "WEIGHT_KG", KG),
        **_step(group),
    })  # fmt: skip


def _step(group: _Group) -> dict[str, Any]:
    """Return what an order says for a scanner's worklist, as far as it says it (IPC of OMI; OBR-19, OBR-20 and ZDS of ORM after IHE)."""
    orc, obr, ipc = group.orc, group.obr, group.ipc
    uid = (ipc.get(3) if ipc else "") or (group.zds.get(1) if group.zds else "")
    said = {
        "order_status": orc.get(5) if orc else "",
        "stations": [ae[:16] for ae in ipc.repetitions(9) if ae][:16] if ipc else [],
        "procedure_id": (ipc.get(2) if ipc else "") or (obr.get(19) if obr else ""),
        "step_id": (ipc.get(4) if ipc else "") or (obr.get(20) if obr else ""),
        "study_uid": uid if UID.fullmatch(uid) else "",
    }
    return {k: v for k, v in said.items() if v and (not k.endswith("_id") or len(v) <= 16)}


def _results(message: Message, group: _Group, pseudonym: str, who: Patient, offset: int) -> Fact:
    accession, obr, clean = _accession(group), group.obr, _cleaner(who)
    reported = moment(obr.get(22), offset) if obr else None
    times = [group.obx[0].get(14), obr.get(7) if obr else ""]
    observed = next(filter(None, (moment(t, offset) for t in times)), None)
    observations = []
    for obx in group.obx:
        if not obx.get(3):
            raise InvalidMessage("OBX without an observation code (OBX-3)", error="101")
        observations.append({
            "code": obx.get(3)[:MAX_TEXT], "name": clean(obx.get(3, 2)), "unit": _clip(obx.get(6)),
            "value": None if obx.get(2) in SEALED else _clip(obx.text(5)) if obx.get(2) in PLAIN else clean(obx.text(5)),
            "reference_range": _clip(obx.get(7)), "status": _clip(obx.get(11)),
        })  # fmt: skip
    return Fact("his.observation", accession or pseudonym, reported or said_at(message, offset), {
        "message_type": "ORU", "trigger": "R01", "accession_number": accession, "patient_pseudonym": pseudonym,
        "observed_at_utc": utc_text(observed) if observed else None, "observations": observations,
    })  # fmt: skip


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
        if segment.name == "OBX":
            group.obx.append(segment)
        elif segment.name in ("ORC", "OBR", "TQ1", "IPC", "ZDS"):
            setattr(group, segment.name.lower(), segment)
    if group is not None:
        yield group


def _accession(group: _Group) -> str | None:
    orc, obr, ipc = group.orc, group.obr, group.ipc
    found = (orc.get(3) if orc else "") or (obr.get(18) or obr.get(3) if obr else "") or (ipc.get(1) if ipc else "")
    return _clip(found)


def _quantity(group: _Group, code: str, units: dict[str, float]) -> float | None:
    """Return the value of one OBX of an order in the unit that its code names, null when the order does not say it."""
    obx = next((x for x in group.obx if x.get(3) == code), None)
    if obx is None or not obx.get(5):
        return None
    factor = units.get(obx.get(6).upper())
    if factor is None or not NUMBER.fullmatch(obx.get(5)):
        raise InvalidMessage(f"OBX {code}: {obx.get(5)[:40]!r} {obx.get(6)[:20]!r} is no value with a known unit", error="102")
    return round(float(obx.get(5)) * factor, 6)


def _cleaner(who: Patient) -> Callable[[str], str | None]:
    """Return a function that clips free text and blots out the patient's names and numbers in it, and anybody's card and phone numbers."""

    def clean(text: str) -> str | None:
        return _clip(without_numbers(blotted(text, who.secrets)))

    return clean


def _clip(text: str) -> str | None:
    text = text.replace("\0", "").strip()
    return None if not text else text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
