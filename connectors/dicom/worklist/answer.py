"""Modality Worklist as SCP (PS3.4 annex K): what the hospital ordered, with the real name, for the scanner that will do it.

Answers hold identity and go to registered stations alone. Nothing of them is logged, journalled or kept: a log line says how many.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydicom import Dataset, charset
from pydicom.charset import convert_encodings, decode_bytes, encode_string

from connectors.dicom.worklist.blocks import Blocks
from connectors.dicom.worklist.holds import Holds
from connectors.dicom.worklist.matching import BadKey, answer, check_keys, matches, starts_within
from connectors.dicom.worklist.orders import Order, Orders
from connectors.identity import Vault
from connectors.settings import Settings
from judgement.days import day_start, local, local_day
from judgement.linkage.examinations import given_study_uid
from judgement.worklist import Decision, State, Station, Stations
from messages import Message, because

__all__ = ["LIMIT", "Worklist"]

LOG = logging.getLogger("photopeak.dicom")
# pydicom 3 takes GB 2312 (ISO 2022 IR 58) for a codec that knows its own escapes, as those of Japanese do: it leaves them in what it reads and
# out of what it writes (PS3.5 annex K has them in each component group)
charset.handled_encodings = tuple(e for e in charset.handled_encodings if e != "iso_ir_58")  # type: ignore[assignment]
LIMIT = 500  # answers to one question
NO_TIME = "NO TIME: "  # before the description of a step whose order names no time, or the day alone: the standard wants one all the same
NUMBER_LENGTH = 16  # of VR SH; a number that is cut is another number
SUCCESS, PENDING, PENDING_WARNING, CANCELLED = 0x0000, 0xFF00, 0xFF01, 0xFE00
OUT_OF_RESOURCES, NO_IDENTIFIER, UNABLE, NOT_REGISTERED = 0xA700, 0xA900, 0xC001, 0xC010
UTF8 = "ISO_IR 192"
SCHEME = "99PHOTOPEAK"
EMPTY = (  # return keys of type 2 of which the platform knows nothing
    "PatientTransportArrangements", "RequestingPhysician", "ReferringPhysicianName", "AdmissionID", "CurrentPatientLocation",
    "PatientBirthDate", "PatientSex", "PatientWeight", "ConfidentialityConstraintOnPatientDataDescription", "PatientState",
    "MedicalAlerts", "Allergies", "SpecialNeeds", "RequestedProcedureComments", "ReasonForTheRequestedProcedure",
)  # fmt: skip
Answers = Iterator[tuple[Dataset | int, Dataset | None]]


class Worklist:
    """Questions in, answers out."""

    def __init__(
        self, settings: Settings, orders: Orders, holds: Holds, blocks: Blocks, vault: Vault, limit: int = LIMIT
    ) -> None:
        self._settings, self._orders, self._holds, self._blocks = settings, orders, holds, blocks
        self._vault, self._limit = vault, limit

    def find(self, calling_ae: str, keys: Callable[[], Dataset], is_cancelled: Callable[[], bool]) -> Answers:
        """Yield status and identifier of each response; `keys` reads the identifier of the request and may raise anything."""
        try:
            yield from self._find(calling_ae, keys, is_cancelled)
        except BadKey as exc:
            LOG.info("worklist: the question of %s was refused: %s", calling_ae, exc)
            yield _failure(NO_IDENTIFIER, str(exc)), None
        except Exception as exc:  # files, journals, the vault: nothing may be offered while it is not known what is held
            LOG.error("worklist: %s cannot be answered: %s", calling_ae, type(exc).__name__)
            yield _failure(UNABLE, because("worklist.unavailable")), None

    def _find(self, calling_ae: str, keys: Callable[[], Dataset], is_cancelled: Callable[[], bool]) -> Answers:
        reference, decisions, states = self._holds.current()
        station = reference.stations.get(calling_ae)
        if station is None:
            times = self._holds.refuse(calling_ae)
            if times & (times - 1) == 0:  # the first, second, fourth, eighth …: a stranger must not fill the log
                LOG.warning("worklist: %s is no registered station and was refused, %d times by now", calling_ae, times)
            yield _failure(NOT_REGISTERED, because("worklist.station_unknown", ae_title=calling_ae)), None
            return
        wanted = _read(keys)
        every = [(o, e) for o, e in self._entries(wanted, station, reference, decisions, states) if matches(wanted, e)]
        blocked = self._blocks.held([o for o, _ in every if o], reference.policies, self._holds.now())
        found = [e for o, e in every if o is None or o.label not in blocked]
        here = decisions[station.device_id]
        held = " (held)" if here.action == "held" else ""
        LOG.info("worklist: %s asked, %d entries, %d blocked%s", calling_ae, len(found), len(blocked), held)
        asked = _values(wanted.get_item("SpecificCharacterSet") and wanted["SpecificCharacterSet"])
        for entry in found[: self._limit]:
            if is_cancelled():
                yield CANCELLED, None
                return
            said, whole = answer(wanted, entry)
            yield (PENDING if whole else PENDING_WARNING), _encoded(said, asked)
        if len(found) > self._limit:
            yield _failure(OUT_OF_RESOURCES, because("worklist.too_many", limit=self._limit)), None

    def _entries(
        self,
        wanted: Dataset,
        asking: Station,
        reference: Stations,
        decisions: dict[str, Decision],
        states: dict[str, State] | str,
    ) -> Iterator[tuple[Order | None, Dataset]]:
        """Yield what a station may be offered: its phantoms always, patients for devices that are not held unless it is held itself."""
        now = self._holds.now()
        if not isinstance(states, str) and asking.device_id in states:
            for test in states[asking.device_id].tests:
                yield None, self._phantom(asking, test, decisions[asking.device_id], now)
        if decisions[asking.device_id].action == "held":
            return
        free = [s for s in reference.stations.values() if decisions[s.device_id].action != "held"]
        wanting = self._orders.open(now)
        looked_at: dict[str, Message | None] = {}
        for order in wanting:
            order = self._dated(order, now)
            if not any(_does(s, order, reference) for s in reference.stations.values()):
                looked_at[order.accession_number] = because("worklist.order_for_no_station")
            if not starts_within(wanted, local(order.starts_at, self._settings.zone)):
                continue
            named = [s for s in free if _does(s, order, reference)]
            entry = self._patient(order, sorted(named, key=lambda s: (s is not asking, s.ae_title))) if named else None
            if isinstance(entry, Dataset):
                yield order, entry
            if named:
                looked_at[order.label] = None if isinstance(entry, Dataset) else entry
        unclear = self._orders.unclear(now)
        looked_at |= dict.fromkeys(unclear, because("order.state_unknown"))
        self._holds.leave_out(looked_at, {o.label for o in wanting} | unclear)

    def _dated(self, order: Order, now: datetime) -> Order:
        """Return an order that names no time as one of today, from when it was given on: its patient may come on any day."""
        if order.is_scheduled:
            return order
        zone = self._settings.zone
        return replace(order, starts_at=max(order.starts_at, day_start(local_day(now, zone), zone)))

    def _patient(self, order: Order, stations: list[Station]) -> Dataset | Message:
        """Return the entry of an order, or why it has none: its patient is not known (yet), or its number would have to be cut."""
        told = self._vault.recall(order.pseudonym)
        who = told.get("hl7") or told.get("dicom") or {}
        if len(order.accession_number) > NUMBER_LENGTH:
            return because("intake.accession_too_long")
        if not who.get("patient_id"):
            return because("worklist.patient_unknown")
        entry = self._entry(stations, order.starts_at, order.accession_number, order.exam_name, order.exam_code, "99HIS")
        step = entry.ScheduledProcedureStepSequence[0]
        if not order.is_timed:
            step.ScheduledProcedureStepDescription = f"{NO_TIME}{order.exam_name}"[:64]
        entry.RequestedProcedureID, step.ScheduledProcedureStepID = order.procedure_id, order.step_id
        entry.StudyInstanceUID = order.study_uid or given_study_uid(self._settings.site_id, order.examination)
        entry.PatientID = who["patient_id"]
        entry.PatientName = who.get("person_name") or (who.get("name") or "").partition("\n")[0].replace(" ", "^", 1)
        entry.PatientBirthDate = _born(who.get("birth_date") or "", local(self._holds.now(), self._settings.zone))
        entry.PatientSex = sex if (sex := who.get("sex") or "") in ("M", "F", "O") else ""
        entry.PatientWeight = f"{order.weight_kg:g}" if order.weight_kg else ""
        return entry

    def _phantom(self, station: Station, test: dict[str, Any], decision: Decision, now: datetime) -> Dataset:
        """Return the entry of a due test; where patients are held its description says so, for who stands at the console."""
        serial = f"QC^{station.device_serial}"
        day = f"{local(now, self._settings.zone):%Y%m%d}"
        number = f"QC{hashlib.sha256('/'.join((serial, test['procedure'], day)).encode()).hexdigest()[:14].upper()}"
        held = "HELD: " if decision.action == "held" else ""
        entry = self._entry([station], now, "", f"{held}{test['reason'] or test['procedure']}", test["code"], SCHEME, number)
        entry.PatientID = entry.PatientName = serial
        entry.RequestedProcedureID = entry.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID = number
        return entry

    def _entry(
        self, stations: list[Station], at: datetime, accession: str, name: str, code: str, scheme: str, number: str = ""
    ) -> Dataset:
        """Return an entry with every attribute of table K.6-1 that is supported; type 2 ones that nobody told are empty."""
        start = local(at, self._settings.zone)
        coded = Dataset()
        coded.CodeValue, coded.CodingSchemeDesignator, coded.CodeMeaning = code[:16], scheme, name[:64]
        step, entry = Dataset(), Dataset()
        step.ScheduledStationAETitle = [s.ae_title for s in stations]
        step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = f"{start:%Y%m%d}", f"{start:%H%M%S}"
        step.Modality, step.ScheduledProcedureStepDescription = stations[0].modality, name[:64]
        step.ScheduledStationName = [s.station_name[:16] for s in stations]
        step.ScheduledProtocolCodeSequence = [coded]
        step.ScheduledPerformingPhysicianName = step.ScheduledProcedureStepLocation = step.PreMedication = ""
        step.ScheduledProcedureStepStatus = "SCHEDULED"
        for keyword in EMPTY:
            setattr(entry, keyword, "")
        entry.PregnancyStatus = None  # nobody has told: empty
        entry.ReferencedStudySequence, entry.ReferencedPatientSequence = [], []
        entry.RequestedProcedurePriority = "MEDIUM"
        entry.ScheduledProcedureStepSequence = [step]
        entry.RequestedProcedureDescription, entry.RequestedProcedureCodeSequence = name[:64], [coded]
        unique = hashlib.sha256(f"photopeak/{self._settings.site_id}/{accession or number}".encode()).digest()[:16]
        entry.StudyInstanceUID, entry.AccessionNumber = f"2.25.{int.from_bytes(unique, 'big')}", accession
        return entry


def _born(text: str, now: datetime) -> str:
    """Return a day of birth, empty for what is no day or is still to come."""
    try:
        day = datetime.strptime(text, "%Y%m%d") if re.fullmatch(r"(?:189|19\d|20\d)\d{5}", text) else None
    except ValueError:
        return ""
    return text if day and day.date() <= now.date() else ""


def _does(station: Station, order: Order, reference: Stations) -> bool:
    """Return whether an order is for a station: named by the order, else by its examination, which if no row names it is for all."""
    if order.stations:
        return station.ae_title.strip().upper() in (ae.strip().upper() for ae in order.stations)
    named = {s.ae_title for s in reference.stations.values() if order.exam_code in s.exam_codes}
    return not named or station.ae_title in named


def _read(keys: Callable[[], Dataset]) -> Dataset:
    try:
        wanted = keys()
        wanted.walk(lambda _, element: element.value)  # values are decoded when they are looked at
    except Exception as exc:  # pydicom raises many kinds over bytes that break the standard
        raise BadKey(because("worklist.identifier_unreadable")) from exc
    check_keys(wanted)
    return wanted


def _encoded(said: Dataset, asked: list[str]) -> Dataset:
    """Return the identifier in the character set that was asked for, or in UTF-8 when it cannot hold the text; ASCII needs none."""
    texts: list[str] = []

    def collect(_: Dataset, element: Any) -> None:
        if element.VR in ("PN", "LO", "SH", "LT", "ST", "UC", "UT"):
            texts.extend(_values(element))

    said.walk(collect)
    if all(t.isascii() for t in texts):
        return said
    said.SpecificCharacterSet = asked if asked and all(_holds(asked, t) for t in texts) else UTF8
    return said


def _holds(charset: list[str], text: str) -> bool:
    try:
        names = convert_encodings(charset)
        return all(decode_bytes(encode_string(t, names), names, set()) == t for t in re.split("[=^]", text))
    except Exception:  # unknown sets, and texts that the set has no letters for
        return False


def _values(element: Any) -> list[str]:
    value = element.value if element is not None else None
    if not value:
        return []
    return [str(v) for v in value] if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [str(value)]


def _failure(status: int, why: str) -> Dataset:
    out = Dataset()
    out.Status, out.ErrorComment = status, "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in why)[:64]
    return out
