"""What linkage takes of an event's data, the same for a door that hears it and for the warehouse that reads it later."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from judgement.linkage.facts import Kind, OrderSaid, Record, person_of
from judgement.linkage.persons import PersonNumber
from judgement.order_states import effect_of

__all__ = ["RECORDS", "REPORT_CODES", "moment", "order_of", "record_of", "words_of"]

RECORDS: Mapping[str, Kind] = {
    "dicom.series": "series", "examination.step": "step", "examination.dose": "dose", "examination.preparation": "preparation",
    "form.signed": "form", "his.observation": "report", "adverse.event": "adverse",
}  # fmt: skip
MOMENTS = ("acquired_at_utc", "started_at_utc", "administered_at_utc", "asked_at_utc", "signed_at_utc", "observed_at_utc")
ENDS = {"end_asked": "ended"}
NEW = ("NW", "RO", "PR", "SN", "XX", "")  # ORC-1 that speak of an order for the first time, or nobody knows
REPORT_CODES = ("REPORT", "18748-4", "18782-3", "59776-5", "GDT", "IMP")


def order_of(record: str, data: Mapping[str, Any], occurred: datetime, recorded: datetime) -> OrderSaid:
    """Return what a `his.order` event says."""
    effect = effect_of(data.get("order_control") or "", data.get("order_status"))
    return OrderSaid(
        record, data.get("message_sha256") or record, min(occurred, recorded), ENDS.get(effect, effect), person_of(data),
        data.get("accession_number") or "",
        _number(data, "placer"), _number(data, "filler"), data.get("procedure_id") or "", data.get("exam_code") or "",
        data.get("study_uid") or "", moment(data.get("scheduled_at_utc")), (data.get("order_control") or "").upper() not in NEW,
    )  # fmt: skip


def record_of(record: str, kind: str, data: Mapping[str, Any], occurred: datetime) -> Record | None:
    """Return what an event of one of the RECORDS says; None: it belongs to no examination (a phantom, an event about none)."""
    if data.get("is_phantom"):
        return None
    what = RECORDS[kind]
    if what == "report" and not any(str(o.get("code")).upper() in REPORT_CODES for o in data.get("observations") or ()):
        what = "laboratory"
    if kind == "adverse.event" and not data.get("accession_number"):
        return None
    at = next((m for name in MOMENTS if (m := moment(data.get(name))) is not None), occurred)
    requests = tuple((str(r.get("accession_number") or ""), str(r.get("procedure_id") or "")) for r in data.get("requests") or ())
    return Record(
        record, what, at, person_of(data), data.get("accession_number") or "", _number(data, "placer"), _number(data, "filler"),
        data.get("study_uid") or "", requests,
    )  # fmt: skip


def words_of(data: Mapping[str, Any]) -> Iterator[tuple[PersonNumber, PersonNumber, bool]]:
    """Yield what an event says about who is who: (number, another number, whether they are of one person)."""
    who = person_of(data)
    if who is None:
        return
    for other in data.get("merges") or ():
        yield who, PersonNumber(other["patient_number"], other["patient_issuer"]), other["is_joined"]


def moment(text: Any) -> datetime | None:
    """Return an aware moment, UTC where the text has no offset; None for a text that is no time."""
    try:
        told = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _number(data: Mapping[str, Any], name: str) -> tuple[str, str]:
    return str(data.get(name) or ""), str(data.get(f"{name}_issuer") or "")
