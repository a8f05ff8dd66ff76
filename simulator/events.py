"""CloudEvents of the pretend hospital: what tablets, the QC office and the building's history tell the HTTP door."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from simulator.hospital import DEVICES, EXAMS, LOCAL, ROOMS, SITE, SOURCE, STAFF, Sensor
from simulator.plan import Exam, Plan, dice
from simulator.preparation import prepared

__all__ = ["adverse_number", "day_events", "day_readings", "event", "first_events", "reading_at", "unknown_step_id"]

SLOTS_A_DAY = 144  # one reading in ten minutes
HUMID_SLOTS = slice(60, 90)  # 10:00 to 15:00
GAP_SLOTS = slice(72, 90)  # 12:00 to 15:00
SERVICED = (  # part of the history, device, what was done to it in the evening, by whom, how it was noted; the drift begins after the software
    (0.5, "PETCT1", "calibration", "P01", "Cross-calibration after the source was replaced. 换源后交叉校准。"),
    (0.6, "GC1", "maintenance", "P01", "Half-yearly maintenance of the vendor. 厂商半年保养。"),
    (0.7, "SPCT1", "software", "P01", "Software 1.0 to 1.1. 软件由 1.0 升级到 1.1。"),
)


def adverse_number(plan: Plan) -> str:
    """Return the number of the planted adverse event."""
    return f"AE-{plan.day:%Y%m%d}-1"


def unknown_step_id(plan: Plan) -> str:
    """Return the id of the event with a step that nobody knows."""
    return f"step/{plan.faults['unknown_step']}/x_ray_vision/1"


def first_events(plan: Plan) -> list[dict[str, Any]]:
    """Return the credentials of the staff, told by the QC office on the first day; that of T04 ends within the history."""
    told = datetime.combine(plan.days[0], time(6), LOCAL)
    out = []
    for staff_id, (role, credential) in STAFF.items():
        until = plan.expired if staff_id == "T04" else datetime.combine(plan.day + timedelta(days=400), time(0), LOCAL)
        data: dict[str, Any] = {
            "staff_id": staff_id,
            "role": role,
            "credential": credential,
            "issuer": "Photopeak Simulation Board",
            "valid_from_utc": _utc(told - timedelta(days=700)),
            "valid_until_utc": _utc(until),
        }
        out.append(event("staff.credential", f"credential/{staff_id}/{plan.days[0]}", staff_id, told, data))
    return out


def day_events(plan: Plan, day: date) -> list[dict[str, Any]]:
    """Return what was done on one day: checks, forms, steps, doses; on the live day the adverse and the invalid event too."""
    out = []
    if day in plan.working:
        out += [_check(device_id, day) for device_id in DEVICES]
        past = plan.working[:-1]
        out += [_maintenance(day, *done) for part, *done in SERVICED if past[int(part * len(past)) - 1] == day]
    for exam in plan.exams:
        if exam.arrived.date() == day:
            out += _exam_events(plan, exam)
    if day == plan.day:
        out += [_adverse(plan), _unknown_step(plan)]
    return out


def day_readings(plan: Plan, day: date) -> Iterator[dict[str, Any]]:
    """Return one batch of readings a room, 144 of each sensor, with the day's planted fault: humid air or a silent sensor."""
    start = datetime.combine(day, time(0), LOCAL)
    times = [_utc(start + timedelta(minutes=10 * i)) for i in range(SLOTS_A_DAY)]
    for room_id, sensors in ROOMS.items():
        readings: list[dict[str, Any]] = []
        for sensor in sensors:
            sensor_id = f"{room_id}/{sensor.quantity}"
            values = _values(plan, day, room_id, sensor)
            silent = (
                range(*GAP_SLOTS.indices(SLOTS_A_DAY)) if day == plan.faults["gap"] and sensor_id == "WAITING/temperature" else ()
            )
            fixed = {"sensor_id": sensor_id, "quantity": sensor.quantity, "unit": sensor.unit, "quality": "good"}
            readings += [{**fixed, "value": values[i], "time": times[i]} for i in range(SLOTS_A_DAY) if i not in silent]
        ended = start + timedelta(minutes=10 * (SLOTS_A_DAY - 1))
        yield event("sensor.readings", f"readings/{room_id}/{day}", room_id, ended, {"room_id": room_id, "readings": readings})


def reading_at(room_id: str, sensor: Sensor, moment: datetime) -> float:
    """Return what a sensor shows at a moment: its daily curve, with a small ripple instead of noise."""
    hours = moment.hour + moment.minute / 60 + moment.second / 3600
    ripple = sensor.noise * np.sin(moment.timestamp() / 47 + len(room_id))
    return float(sensor.usual + sensor.swing * np.sin((hours - 9) / 24 * 2 * np.pi) + ripple)


def _values(plan: Plan, day: date, room_id: str, sensor: Sensor) -> list[float]:
    hours = np.arange(SLOTS_A_DAY) / 6
    noise = np.clip(dice(plan.seed, "sensor", day, room_id, sensor.quantity).standard_normal(SLOTS_A_DAY), -3, 3)
    values = sensor.usual + sensor.swing * np.sin((hours - 9) / 24 * 2 * np.pi) + sensor.noise * noise
    if day == plan.faults["humid"] and room_id == "ROOM-PETCT1" and sensor.quantity == "humidity":
        values[HUMID_SLOTS] += 24
    return [round(float(v), sensor.decimals) for v in values]


def _exam_events(plan: Plan, exam: Exam) -> list[dict[str, Any]]:
    out = []
    data: dict[str, Any]
    ready = prepared(plan, exam)
    for form, at in ready.forms:
        data = {
            "accession_number": exam.accession,
            "form": form,
            "signed_at_utc": _utc(at),
            "staff_id": exam.steps[0].staff_id,
            "complete": True,
        }
        out.append(event("form.signed", f"form/{exam.accession}/{form}", exam.accession, at, data))
    data = {
        "accession_number": exam.accession,
        "asked_at_utc": _utc(ready.asked),
        "staff_id": exam.step("injection").staff_id,
        "fasting_since_utc": _utc(ready.fasting_since) if ready.fasting_since else None,
        "hydration_ml": ready.hydration_ml,
        "glucose_mmol_per_l": None,  # the laboratory tells it
        "medication": [{"atc": atc, "last_taken_at_utc": _utc(last)} for atc, last in ready.medication],
        "note": None,
    }
    out.append(event("examination.preparation", f"preparation/{exam.accession}/1", exam.accession, ready.asked, data))
    for s in exam.steps:
        data = {
            "accession_number": exam.accession,
            "step": s.step,
            "occurrence": 1,
            "started_at_utc": _utc(s.started),
            "ended_at_utc": _utc(s.ended),
            "staff_id": s.staff_id,
            "device_id": s.device_id,
            "room_id": s.room_id,
            "result": "done",
            "note": None,
        }
        out.append(event("examination.step", f"step/{exam.accession}/{s.step}/1", exam.accession, s.ended, data))
    kind, dose = EXAMS[exam.code], exam.dose
    data = {
        "accession_number": exam.accession,
        "agent": kind.agent,
        "nuclide": kind.nuclide,
        "prescribed_mbq": dose.prescribed_mbq,
        "assayed_mbq": dose.assayed_mbq,
        "assayed_at_utc": _utc(dose.assayed),
        "residual_mbq": dose.residual_mbq,
        "residual_at_utc": _utc(dose.residual),
        "administered_at_utc": _utc(dose.administered),
        "lot": f"{kind.nuclide}-{exam.arrived:%y%m%d}",
        "lot_expires_at_utc": _utc(datetime.combine(exam.arrived.date(), time(18), LOCAL)),
        "route": "intravenous",
        "staff_id": dose.staff_id,
    }
    out.append(event("examination.dose", f"dose/{exam.accession}/1", exam.accession, dose.residual, data))
    return out


def _check(device_id: str, day: date) -> dict[str, Any]:
    at = datetime.combine(day, time(6, 50), LOCAL)
    check, value, unit = ("warm_up", 20.0, "min") if device_id == "PETCT1" else ("peaking", 140.5, "keV")
    data: dict[str, Any] = {
        "device_id": device_id,
        "check": check,
        "performed_at_utc": _utc(at),
        "staff_id": "P01",
        "result": "pass",
        "value": value,
        "unit": unit,
        "note": None,
    }
    return event("device.check", f"check/{device_id}/{day}/{check}", device_id, at, data)


def _maintenance(day: date, device_id: str, kind: str, staff_id: str, note: str) -> dict[str, Any]:
    start, end = (datetime.combine(day, time(hour), LOCAL) for hour in (20, 22))
    data: dict[str, Any] = {
        "device_id": device_id,
        "kind": kind,
        "started_at_utc": _utc(start),
        "ended_at_utc": _utc(end),
        "staff_id": staff_id,
        "note": note,
    }
    return event("device.maintenance", f"maintenance/{device_id}/{day}", device_id, end, data)


def _adverse(plan: Plan) -> dict[str, Any]:
    exam = next(e for e in plan.exams if e.accession == plan.faults["adverse"])
    at = exam.step("injection").ended
    reported = at + timedelta(minutes=20)
    data: dict[str, Any] = {
        "event_number": adverse_number(plan),
        "accession_number": exam.accession,
        "device_id": None,
        "room_id": "INJECTION",
        "category": "extravasation",
        "severity": "minor",
        "occurred_at_utc": _utc(at),
        "reported_at_utc": _utc(reported),
        "reported_by": exam.dose.staff_id,
        "description": "Part of the activity went beside the vein. 部分药物外渗。",
    }
    return event("adverse.event", f"adverse/{adverse_number(plan)}", exam.accession, reported, data)


def _unknown_step(plan: Plan) -> dict[str, Any]:
    exam = next(e for e in plan.exams if e.accession == plan.faults["unknown_step"])
    event = next(e for e in _exam_events(plan, exam) if e["id"] == f"step/{exam.accession}/positioning/1")
    return {**event, "id": unknown_step_id(plan), "data": {**event["data"], "step": "x_ray_vision"}}


def event(kind: str, identity: str, subject: str, moment: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """Return a CloudEvent of this hospital."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": _utc(moment),
        "siteid": SITE,
        "datacontenttype": "application/json",
        "data": data,
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
