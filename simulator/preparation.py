"""What has to be ready before an injection: which forms are signed and what the nurse asks, with the planted faults in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.plan import Exam, Plan, dice

__all__ = ["Prepared", "prepared"]

FERTILE = range(12, 57)  # ages that state whether they are pregnant


@dataclass(frozen=True)
class Prepared:
    """Forms with the time of their signature, and the answers; None: not asked, because this kind of examination does not need it."""

    forms: tuple[tuple[str, datetime], ...]
    asked: datetime
    fasting_since: datetime | None
    hydration_ml: float | None
    medication: tuple[tuple[str, datetime], ...]  # ATC code and last intake


def prepared(plan: Plan, exam: Exam) -> Prepared:
    """Return how the patient of an examination was prepared."""
    rng = dice(plan.seed, "prepared", exam.accession)
    forms = ["consent", "checklist"]
    if exam.patient.sex == "F" and exam.arrived.year - exam.patient.born.year in FERTILE:
        forms.append("pregnancy")
    if exam.accession == plan.faults["unsigned_form"]:
        forms.remove("consent")
    hours = float(rng.uniform(7, 13)) if exam.accession != plan.faults["short_fasting"] else 1.0
    fasts = exam.code in ("FDG", "MYOCARDIAL", "MYOCARDIAL_REST", "HEPATOBILIARY")
    injected = exam.step("injection").started
    taken = [("C10AA05", exam.arrived - timedelta(hours=12))] if rng.random() < 0.3 else []  # a statin disturbs nothing here
    if exam.code == "THYROID" and rng.random() < 0.2:
        taken.append(("H03AA01", exam.arrived - timedelta(days=40)))  # stopped in time
    if exam.accession == plan.faults["interfering_drug"]:
        taken = [("H03AA01", exam.arrived - timedelta(days=2))]
    return Prepared(
        tuple((form, exam.arrived + timedelta(minutes=4)) for form in forms),
        exam.arrived + timedelta(minutes=6),
        injected - timedelta(hours=hours) if fasts else None,
        float(rng.integers(6, 11) * 50) if exam.code == "RENAL" else None,
        tuple(taken),
    )
