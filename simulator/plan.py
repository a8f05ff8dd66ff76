"""What happens on which day: examinations with steps and doses, phantom tests, and the planted faults."""

import hashlib
import zlib
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from simulator.hospital import DEVICES, EXAMS, GIVEN_NAMES, INDICATIONS, LOCAL, STAFF, SURNAMES

__all__ = ["DYNAMIC_STEPS", "STEPS", "Dose", "Exam", "ImageJob", "Patient", "Plan", "Step", "build_plan", "dice", "uid"]

BASELINE = 30  # values from which a chart of daily tests learns what is usual
STEPS = ("identity_check", "dose_preparation", "injection", "uptake_end", "positioning", "acquisition", "image_review", "report")
DYNAMIC_STEPS = ("identity_check", "dose_preparation", "positioning", "injection", "acquisition", "image_review", "report")
SLOTS = (  # device, examination, local time of arrival
    ("GC1", "THYROID", time(8, 30)),
    ("SPCT1", "BONE", time(8, 40)),
    ("PETCT1", "FDG", time(8, 45)),
    ("GC1", "BONE", time(8, 55)),
    ("SPCT1", "BONE", time(9, 20)),
    ("GC1", "THYROID", time(10, 0)),
    ("PETCT1", "FDG", time(10, 15)),
    ("SPCT1", "THYROID", time(10, 40)),
)
LIVE_SLOTS = (  # kinds that this hospital began with on the live day
    ("GC1", "RENAL", time(11, 30)),
    ("SPCT1", "MYOCARDIAL", time(11, 40)),
    ("GC1", "RENAL", time(12, 30)),
    ("SPCT1", "MYOCARDIAL", time(13, 0)),
    ("GC1", "HEPATOBILIARY", time(13, 30)),
    ("SPCT1", "MYOCARDIAL_REST", time(14, 15)),
    ("GC1", "HEPATOBILIARY", time(15, 0)),
)


@dataclass(frozen=True)
class Patient:
    """A person that does not exist."""

    patient_id: str
    surname: str
    given: str
    sex: str
    born: date
    weight_kg: float


@dataclass(frozen=True)
class Step:
    """One step of an examination, as the hospital performed it."""

    step: str
    started: datetime
    ended: datetime
    staff_id: str
    room_id: str
    device_id: str | None


@dataclass(frozen=True)
class Dose:
    """One administration; `administered_mbq` is the truth at `administered` and is told to nobody."""

    prescribed_mbq: float
    assayed_mbq: float
    assayed: datetime
    residual_mbq: float
    residual: datetime
    administered: datetime
    administered_mbq: float
    staff_id: str


@dataclass(frozen=True)
class Exam:
    """One examination of one patient on one device."""

    accession: str
    patient: Patient
    code: str
    device_id: str
    arrived: datetime
    indication: str
    steps: tuple[Step, ...]
    dose: Dose

    def step(self, name: str) -> Step:
        """Return the step of this name; a skipped one is a StopIteration."""
        return next(s for s in self.steps if s.step == name)


@dataclass(frozen=True)
class ImageJob:
    """One series to be made: what, where, when, and how it differs from a good one (`fault`: parameters of the maker)."""

    key: str
    kind: str
    device_id: str
    acquired: datetime
    exam: Exam | None = None
    fault: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Everything that the hospital will do; equal for equal seed, day and length of history."""

    seed: int
    day: date
    days: tuple[date, ...]
    working: tuple[date, ...]
    exams: tuple[Exam, ...]
    images: tuple[ImageJob, ...]
    faults: dict[str, Any]
    expired: datetime  # end of the credential of T04

    def series_uid(self, key: str) -> str:
        """Return the Series Instance UID of an image job."""
        return uid(self.seed, self.day, "series", key)

    def sop_uid(self, key: str) -> str:
        """Return the SOP Instance UID of an image job."""
        return uid(self.seed, self.day, "sop", key)


def uid(seed: int, day: date, *what: object) -> str:
    """Return the DICOM UID of a thing: a hash, so that a second run sends the same."""
    text = "/".join(map(str, (seed, day, *what)))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big') or 1}"


def dice(seed: int, *what: object) -> np.random.Generator:
    """Return the random numbers of a thing; they do not depend on the order in which things are made."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, what)).encode())])


def build_plan(seed: int, day: date, history_days: int = 90) -> Plan:
    """Return the plan of `history_days` days and the live day after them; Sundays are free, the live day never is."""
    if history_days < 7:
        raise ValueError(
            "the pretend hospital needs at least 7 days of history for its planted faults: use --history-days 7 or more"
        )
    days = tuple(day - timedelta(days=history_days - i) for i in range(history_days + 1))
    working = tuple(d for d in days if d.weekday() != 6 or d == day)
    past = working[:-1]
    at = {
        name: past[int(part * len(past))]
        for name, part in (("missed", 0.3), ("humid", 0.42), ("gap", 0.6), ("unmeasurable", 0.8))
    }
    start = int(0.7 * len(past))
    at["drift"] = past[start] if start > BASELINE else date.max  # a chart that is still learning can flag nothing
    expired = datetime.combine(past[int(0.88 * len(past))], time(0), LOCAL)
    exams = [e for d in working for e in _exams(seed, d, expired, SLOTS + (LIVE_SLOTS if d == day else ()))]
    live = {f"{e.device_id}/{e.code}/{i}": e for i, e in enumerate(x for x in exams if x.arrived.date() == day)}
    names = ("thyroid1", "bone1", "fdg1", "bone2", "bone3", "thyroid2", "fdg2", "thyroid3")
    more = ("renal1", "heart1", "renal2", "heart2", "liver1", "heart3", "liver2")
    by = dict(zip((*names, *more), live.values(), strict=True))
    changed = {
        "under_dosed": _under_dosed(by["fdg1"]),
        "expired_credential": _by_t04(by["fdg2"]),
        "skipped_step": replace(by["thyroid1"], steps=by["thyroid1"].steps[1:]),
        "step_out_of_order": _late_identity_check(by["thyroid3"]),
        "uptake_too_short": _short_uptake(by["bone2"]),
    }
    new = {e.accession: e for e in changed.values()}
    exams = [new.get(e.accession, e) for e in exams]
    faults: dict[str, Any] = {**at, **{k: e.accession for k, e in changed.items()}}
    faults |= {"low_count": by["bone1"].accession, "duplicate": by["bone3"].accession, "malformed": by["thyroid2"].accession}
    faults |= {"adverse": by["fdg1"].accession, "truncated": by["bone3"].accession, "unknown_step": by["thyroid2"].accession}
    faults |= {"interfering_drug": by["thyroid2"].accession, "unsigned_form": by["bone3"].accession}
    faults |= {
        "short_fasting": by["liver2"].accession,
        "dropped_frame": by["renal2"].accession,
        "shifted_view": by["heart2"].accession,
    }
    images = [j for d in working for j in _tests(d, day, d == working[0], at)] + _scans(exams, day, faults)
    images.sort(key=lambda j: ("edited" in j.fault, j.acquired, j.key))
    return Plan(seed, day, days, working, tuple(exams), tuple(images), faults, expired)


def _exams(seed: int, day: date, expired: datetime, slots: tuple[tuple[str, str, time], ...]) -> list[Exam]:
    out = []
    for number, (device_id, code, clock) in enumerate(slots, 1):
        rng = dice(seed, "exam", day, number)
        kind = EXAMS[code]
        arrived = datetime.combine(day, clock, LOCAL) + timedelta(seconds=int(rng.integers(0, 300)))
        technologists = [t for t in STAFF if t[0] == "T" and (t != "T04" or arrived < expired)]
        uptake = timedelta(seconds=int(rng.uniform(*kind.uptake_min) * 60))
        steps = _steps(arrived, uptake, kind.acquisition_min, device_id, technologists, rng)
        if kind.is_dynamic:
            steps = _dynamic(steps)
        sex = "MF"[int(rng.integers(2))]
        born = date(day.year - int(rng.integers(25, 80)), int(rng.integers(1, 13)), int(rng.integers(1, 28)))
        patient = Patient(
            f"P{day:%y%m%d}{number:02d}",
            SURNAMES[int(rng.integers(len(SURNAMES)))],
            GIVEN_NAMES[int(rng.integers(len(GIVEN_NAMES)))],
            sex,
            born,
            round(float(rng.uniform(48, 85)), 1),
        )
        injection = next(s for s in steps if s.step == "injection")
        prescribed = float(5 * round(rng.uniform(*kind.prescribed_mbq) / 5))
        dose = _dose(prescribed, prescribed * float(rng.uniform(0.95, 1.05)), injection, kind.half_life_s)
        indication = INDICATIONS[code][int(rng.integers(len(INDICATIONS[code])))]
        out.append(Exam(f"A{day:%y%m%d}{number:02d}", patient, code, device_id, arrived, indication, steps, dose))
    return out


def _steps(
    arrived: datetime,
    uptake: timedelta,
    acquisition_min: float,
    device_id: str,
    technologists: list[str],
    rng: np.random.Generator,
) -> tuple[Step, ...]:
    def minutes(value: float) -> timedelta:
        return timedelta(seconds=round(value * 60))

    room = DEVICES[device_id].room_id
    nurse, doctor = f"N0{rng.integers(1, 4)}", f"D0{rng.integers(1, 4)}"
    technologist = technologists[int(rng.integers(len(technologists)))]
    injected = arrived + minutes(15)
    scan = injected + uptake
    reviewed = scan + minutes(acquisition_min + 4)
    reported = reviewed + minutes(30 + float(rng.uniform(0, 90)))
    return (
        Step("identity_check", arrived, arrived + minutes(3), nurse, "WAITING", None),
        Step("dose_preparation", arrived + minutes(5), arrived + minutes(10), "RP01", "HOTLAB", None),
        Step("injection", injected, injected + minutes(1), nurse, "INJECTION", None),
        Step("uptake_end", scan - minutes(4), scan - minutes(3.5), nurse, "WAITING", None),
        Step("positioning", scan - minutes(3), scan - minutes(0.5), technologist, room, device_id),
        Step("acquisition", scan, scan + minutes(acquisition_min), technologist, room, device_id),
        Step("image_review", reviewed, reviewed + minutes(5), doctor, room, device_id),
        Step("report", reported, reported + minutes(10), doctor, room, None),
    )


def _dynamic(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps of a study that lies under the camera before the injection and starts with it."""
    by = {s.step: s for s in steps}
    injected, camera = by["injection"].started, by["positioning"]
    by["positioning"] = replace(camera, started=injected - timedelta(minutes=4), ended=injected - timedelta(minutes=1))
    by["injection"] = replace(by["injection"], room_id=camera.room_id)
    begun = injected + timedelta(seconds=5)
    by["acquisition"] = replace(
        by["acquisition"], started=begun, ended=begun + (by["acquisition"].ended - by["acquisition"].started)
    )
    return tuple(by[name] for name in DYNAMIC_STEPS)


def _dose(prescribed: float, administered: float, injection: Step, half_life_s: float) -> Dose:
    """Return what the dose calibrator shows before and after, so that `administered` MBq went in at the time of injection."""
    assayed, residual = injection.started - timedelta(minutes=7), injection.started + timedelta(minutes=6)
    left_at_injection = 0.015 * administered
    before = (administered + left_at_injection) * 2 ** ((injection.started - assayed).total_seconds() / half_life_s)
    after = left_at_injection * 2 ** (-(residual - injection.started).total_seconds() / half_life_s)
    return Dose(
        prescribed,
        round(before, 2),
        assayed,
        round(after, 2),
        residual,
        injection.started,
        round(administered, 2),
        injection.staff_id,
    )


def _under_dosed(exam: Exam) -> Exam:
    return replace(
        exam,
        dose=_dose(
            exam.dose.prescribed_mbq, 0.72 * exam.dose.prescribed_mbq, exam.step("injection"), EXAMS[exam.code].half_life_s
        ),
    )


def _by_t04(exam: Exam) -> Exam:
    return replace(
        exam, steps=tuple(replace(s, staff_id="T04") if s.step in ("positioning", "acquisition") else s for s in exam.steps)
    )


def _late_identity_check(exam: Exam) -> Exam:
    at = exam.step("injection").ended + timedelta(minutes=4)
    return replace(exam, steps=(replace(exam.steps[0], started=at, ended=at + timedelta(minutes=3)), *exam.steps[1:]))


def _short_uptake(exam: Exam) -> Exam:
    sooner = exam.step("acquisition").started - exam.step("injection").started - timedelta(minutes=70)
    return replace(
        exam,
        steps=tuple(
            replace(s, started=s.started - sooner, ended=s.ended - sooner) if n > 2 else s for n, s in enumerate(exam.steps)
        ),
    )


def _tests(day: date, live: date, first: bool, at: dict[str, date]) -> list[ImageJob]:
    out = []
    for minutes, device in enumerate(DEVICES.values()):
        for test in device.tests:
            if test == "cor" and not (first or day == live or day.weekday() == 0):
                continue
            if test == "flood" and device.device_id == "GC1" and day == at["missed"]:
                continue
            hour, minute = {"flood": (7, 0), "cor": (7, 12), "ct_water": (7, 22)}[test]
            acquired = datetime.combine(day, time(hour, minute + minutes), LOCAL)
            fault: dict[str, Any] = {}
            if (test, device.device_id) == ("ct_water", "SPCT1") and day >= at["drift"]:
                fault = {"shift_hu": 1.2}  # of 5 that are allowed, on every day from then on
            elif day == live:
                fault = {
                    ("flood", "GC1"): {"dead_pmt": 0.1},
                    ("cor", "SPCT1"): {"offset_mm": 3.0},
                    ("ct_water", "PETCT1"): {"hu": 6.0},
                }.get((test, device.device_id), {})
            out.append(ImageJob(f"{test}-{device.device_id}-{day}", test, device.device_id, acquired, None, fault))
            if test == "flood" and device.device_id == "SPCT1" and day == at["unmeasurable"]:
                wrong = {"matrix": 128, "pixel_mm": 4.32}  # cannot be blocked to 6.4 mm; the good flood was made first
                out.append(
                    ImageJob(
                        f"flood-wrong-{device.device_id}-{day}",
                        test,
                        device.device_id,
                        acquired + timedelta(minutes=8),
                        None,
                        wrong,
                    )
                )
    if day == live:  # the same object once more, edited after it was sent
        sent = next(j for j in out if j.key == f"ct_water-SPCT1-{day}")
        out.append(replace(sent, fault={**sent.fault, "edited": True}))
    return out


def _scans(exams: list[Exam], live: date, faults: dict[str, Any]) -> list[ImageJob]:
    """Return the patients' images that are sent: three bone scans a week of the past, and all but PET of the live day."""
    out = []
    for exam in exams:
        day, kind = exam.arrived.date(), EXAMS[exam.code].image
        sampled = exam.code == "BONE" and day.weekday() in (0, 2, 4) and exam.accession.endswith("04")
        if kind is None or (day != live and not sampled):
            continue
        fault: dict[str, Any] = {}
        if exam.accession == faults["low_count"]:
            fault = {"counts": 0.25}
        elif exam.accession == faults["dropped_frame"]:
            fault = {"dropped": 60}
        elif exam.accession == faults["shifted_view"]:
            fault = {"shifted_from": 29}
        key = f"{kind}-{exam.accession}"
        start = exam.step("acquisition").started
        out.append(ImageJob(key, kind, exam.device_id, start, exam, fault))
        if exam.accession == faults["truncated"]:
            out.append(
                ImageJob(f"{key}-truncated", kind, exam.device_id, start - timedelta(seconds=20), exam, {"truncated": True})
            )
    return out
