"""HL7 v2 messages of the pretend hospital information system: arrivals, orders, results; the same bytes for the same plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from simulator.hospital import EXAMS
from simulator.plan import Exam, Plan, dice

__all__ = ["Message", "control_id", "day_messages"]


@dataclass(frozen=True)
class Message:
    """One message, and whether the listener has to refuse it; `repeated`: the information system sends it twice."""

    control_id: str
    text: bytes
    refused: bool = False
    repeated: bool = False


def control_id(accession: str, kind: str) -> str:
    """Return MSH-10 of a message of an examination."""
    return f"{accession}-{kind}"


def day_messages(plan: Plan, day: date) -> Iterator[Message]:
    """Return the messages of one day in the order of their times."""
    out: list[tuple[datetime, Message]] = []
    for exam in plan.exams:
        if exam.arrived.date() != day:
            continue
        ordered = exam.arrived - timedelta(hours=1, minutes=5)
        repeated = exam.accession == plan.faults["duplicate"]
        out.append((ordered, Message(control_id(exam.accession, "ORM"), _order(exam, ordered), repeated=repeated)))
        out.append((exam.arrived, Message(control_id(exam.accession, "ADT"), _arrival(exam))))
        if exam.code == "FDG":
            out.append((exam.arrived + timedelta(minutes=6), Message(control_id(exam.accession, "GLU"), _glucose(plan, exam))))
        reported = exam.step("report").ended
        out.append((reported, Message(control_id(exam.accession, "ORU"), _report(exam, reported))))
        if exam.accession == plan.faults["malformed"]:
            out.append((ordered, Message(control_id(exam.accession, "BAD"), _malformed(exam, ordered), refused=True)))
    yield from (m for _, m in sorted(out, key=lambda pair: (pair[0], pair[1].control_id)))


def _header(exam: Exam, kind: str, at: datetime, suffix: str) -> str:
    identity = control_id(exam.accession, suffix)
    return f"MSH|^~\\&|HIS|HOSPITAL|PHOTOPEAK|MAIN|{_time(at)}||{kind}|{identity}|P|2.5.1||||||UNICODE UTF-8"


def _patient(exam: Exam) -> list[str]:
    p = exam.patient
    visit = f"V{exam.accession[1:]}"
    return [
        f"PID|1||{p.patient_id}^^^HOSPITAL^PI||{p.surname}^{p.given}||{p.born:%Y%m%d}|{p.sex}",
        f"PV1|1|O|NM^^^HOSPITAL{'|' * 16}{visit}",
    ]


def _service(exam: Exam) -> str:
    kind = EXAMS[exam.code]
    return f"{exam.code}^{kind.name_zh}^L"


def _message(*segments: str) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def _arrival(exam: Exam) -> bytes:
    at = exam.arrived
    return _message(_header(exam, "ADT^A04^ADT_A01", at, "ADT"), f"EVN|A04|{_time(at)}", *_patient(exam))


def _order(exam: Exam, at: datetime) -> bytes:
    a = exam.accession
    obr = ["OBR", "1", a, a, _service(exam), *[""] * 13, a, *[""] * 12, exam.indication, *[""] * 4, _time(exam.arrived)]
    return _message(
        _header(exam, "ORM^O01^ORM_O01", at, "ORM"),
        *_patient(exam),
        f"ORC|NW|{a}|{a}||SC||||{_time(at)}",
        "|".join(obr),
        f"OBX|1|NM|PRESCRIBED_MBQ^Prescribed activity^L||{exam.dose.prescribed_mbq:g}|MBq|||||F",
        f"OBX|2|NM|WEIGHT_KG^Body weight^L||{exam.patient.weight_kg:g}|kg|||||F",
    )


def _glucose(plan: Plan, exam: Exam) -> bytes:
    at = exam.arrived + timedelta(minutes=6)
    value = round(float(dice(plan.seed, "glucose", exam.accession).uniform(4.4, 7.2)), 1)
    obx = f"OBX|1|NM|GLUCOSE^Blood glucose^L||{value}|mmol/L|3.9-11.1||||F|||{_time(at)}"
    return _message(_header(exam, "ORU^R01^ORU_R01", at, "GLU"), *_patient(exam), _result(exam, at), obx)


def _report(exam: Exam, at: datetime) -> bytes:
    obx = f"OBX|1|ST|REPORT^Conclusion^L||检查完成，报告已签发。||||||F|||{_time(at)}"
    return _message(_header(exam, "ORU^R01^ORU_R01", at, "ORU"), *_patient(exam), _result(exam, at), obx)


def _result(exam: Exam, at: datetime) -> str:
    a = exam.accession
    return "|".join(["OBR", "1", a, a, _service(exam), "", "", _time(at), *[""] * 10, a, *[""] * 3, _time(at), "", "", "F"])


def _malformed(exam: Exam, at: datetime) -> bytes:
    """Return an order without patient and order: only a header and a remark."""
    return _message(_header(exam, "ORM^O01^ORM_O01", at, "BAD"), "NTE|1||order lost on the way")


def _time(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S+0800")
