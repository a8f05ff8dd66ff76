"""Examinations of every kind from order to verdict, and the same cases asked before the injection and judged afterwards."""

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter

from connectors.dicom.worklist.orders import Orders
from connectors.events import Event
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from judgement.days import site_zone
from judgement.order_states import History
from judgement.readiness import readiness
from judgement.reference import requirements
from simulator.events import day_events, first_events
from simulator.hospital import EXAMS
from simulator.images import make
from simulator.plan import Exam, ImageJob, build_plan
from spark_jobs.measure import measure_series
from warehouse.releases import build_marts

CHINA = site_zone("Asia/Shanghai")

RULES = ("FORM_MISSING", "PREPARATION", "DRUG_INTERFERENCE", "ORDER_IN_FORCE")
Data = dict[str, Any]
Change = Callable[[str, Data, datetime], Data | None]


def answer(**said: object) -> Change:
    """Return a change that gives other answers of the preparation; times are told in minutes before the injection."""

    def change(kind: str, data: Data, injected: datetime) -> Data | None:
        if kind == "examination.preparation":
            data |= {k: v(injected) if callable(v) else v for k, v in said.items()}
        return data

    return change


def before(**delta: float) -> Callable[[datetime], str]:
    """Return a function that tells a moment before the injection."""
    return lambda injected: text(injected - timedelta(**delta))


def took(atc: str, **delta: float) -> Callable[[datetime], list[Data]]:
    """Return a function that tells a drug and its last intake."""
    return lambda injected: [{"atc": atc, "last_taken_at_utc": text(injected - timedelta(**delta)) if delta else None}]


def without(kind: str, name: str = "") -> Change:
    """Return a change that leaves out a kind of event, or one form."""
    return lambda k, data, _: None if k == kind and name in ("", data.get("form")) else data


def signed(form: str, **delta: float) -> Change:
    """Return a change of the time of a signature."""

    def change(kind: str, data: Data, injected: datetime) -> Data | None:
        return data | {"signed_at_utc": text(injected - timedelta(**delta))} if data.get("form") == form else data

    return change


def half(kind: str, data: Data, _: datetime) -> Data | None:
    """Return the consent as not complete."""
    return data | {"complete": False} if data.get("form") == "consent" else data


def text(moment: datetime) -> str:
    """Return RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


FORBIDDING = {
    ("HD", ""): False, ("RU", ""): False, (" cr ", ""): False, ("SC", "DC"): False, ("SC", "CM"): False, ("SC", "ZZ"): None, ("ZZ", ""): None,
}  # fmt: skip


CASES: dict[str, tuple[str, Change]] = {
    "T-drug": ("THYROID", answer(medication=took("H03AA01", days=2))),
    "T-bound": ("THYROID", answer(medication=took("H03AA01", days=28))),
    "T-short": ("THYROID", answer(medication=took("H03AA01", days=28, seconds=-1))),
    "T-member": ("THYROID", answer(medication=took("H03AA02", days=20))),
    "T-group": ("THYROID", answer(medication=took("H03", days=20))),
    "T-unknown": ("THYROID", answer(medication=took("V08AB02"))),
    "T-antiseptic": ("THYROID", answer(medication=took("D08AG02", days=1))),
    "T-unasked": ("THYROID", without("examination.preparation")),
    "T-unsigned": ("THYROID", without("form.signed", "consent")),
    "T-half": ("THYROID", half),
    "T-old": ("THYROID", signed("checklist", hours=24, seconds=1)),
    "T-fresh": ("THYROID", signed("checklist", hours=24)),
    "T-late": ("THYROID", signed("consent", seconds=-1)),
    "T-cancelled": ("THYROID", lambda kind, data, _: data | ({"order_control": "CA"} if kind == "his.order" else {})),
    **{
        f"T-{control}-{status}": (
            "THYROID",
            lambda kind, data, _, c=control, s=status: (
                data | ({"order_control": c, "order_status": s} if kind == "his.order" else {})
            ),
        )
        for control, status in FORBIDDING
    },
    "T-anybody": ("THYROID", lambda k, data, _: None if k == "his.patient" or data.get("form") == "pregnancy" else data),
    "T-order-says": (
        "THYROID",
        lambda k, data, _: (
            None
            if k == "his.patient" or data.get("form") == "pregnancy"
            else data | ({"sex": "M", "birth_year": 1980} if k == "his.order" else {})
        ),
    ),
    "H-short": ("HEPATOBILIARY", answer(fasting_since_utc=before(hours=1))),
    "H-bound": ("HEPATOBILIARY", answer(fasting_since_utc=before(hours=2))),
    "H-long": ("HEPATOBILIARY", answer(fasting_since_utc=before(hours=30))),
    "H-unasked": ("HEPATOBILIARY", answer(fasting_since_utc=None)),
    "H-opioid": ("HEPATOBILIARY", answer(medication=took("N02AA01", hours=4))),
    "R-dry": ("RENAL", answer(hydration_ml=100)),
    "R-ace": ("RENAL", answer(medication=took("C09AA02", days=1))),
    "M-coffee": ("MYOCARDIAL", answer(medication=took("N06BC01", hours=2))),
    "M-beta": ("MYOCARDIAL", answer(medication=took("C07AB02", hours=8))),
    "F-sweet": ("FDG", answer(glucose_mmol_per_l=12.4)),
    "F-fed": ("FDG", answer(fasting_since_utc=before(hours=3))),
    "F-unmeasured": ("FDG", answer(glucose_mmol_per_l=None)),
    "B-iron": ("BONE", answer(medication=took("B03AC01", days=1))),
}


# what the laboratory said after 5.5 mmol/L: value, unit, OBX-11, and whether the injection is permitted
RESULTS = (
    ("15.0", "mmol/L", "F", False), ("8.0", "mmol/L", "F", True), ("> 33.3", "mmol/L", "F", False), (">= 12", "mmol/L", "F", False),
    ("> 4", "mmol/L", "F", None), ("< 20", "mmol/L", "F", None), ("< 4.5", "mmol/L", "F", None), ("270", "mg/dL", "F", False),
    ("HI", "mmol/L", "F", None), ("15.0*", "mmol/L", "F", None), ("15.0", None, "F", None), ("5.5", "mmol/L", "D", None),
    ("5.5", "mmol/L", "W", None), (None, None, "X", None), (None, "mmol/L", "F", None), ("nan", "mmol/L", "F", None),
    (None, "mmol/L", "I", True), (None, None, "N", True), (">", "mmol/L", "F", None), ("3.0", "mmol/L", "F", True),
    ("99", "mg/dL", "F", True), ("200", "mg/dL", "F", True), ("201", "MG/DL", "F", False), ("200.1", "mg/dL", "F", False),
    ("2.5", "g/L", "F", False), ("5600", "\u00b5mol/L", "F", True), ("99", "mg %", "F", True), ("> 200", "mg/dL", "F", False),
    ("< 60", "mg/dL", "F", True), ("99", "mg/24h", "F", None), ("1_0", "mmol/L", "F", None), ("\u0665.\u0665", "mmol/L", "F", None),
)  # fmt: skip
STATES = {f"T-{control}-{status}": permitted for (control, status), permitted in FORBIDDING.items()}


TOLD = 300  # orders
# examinations of a day that is over: what the order says, and which steps were done
HELD, STRANGE, NO_TIME = {"order_control": "HD"}, {"order_control": "SC", "order_status": "ZZ"}, {"scheduled_at_utc": None}
WAITING: dict[str, tuple[Data, tuple[str, ...]]] = {
    "S-open": ({}, ()), "S-held": (HELD, ()), "S-strange": (STRANGE, ()), "S-no-time": (NO_TIME, ()),
    "S-held-begun": (HELD, ("injection",)), "S-no-time-begun": (NO_TIME, ("injection",)),
}  # fmt: skip
# what else was told of an order, minutes from the injection: what was known then counts, whatever is told afterwards
WORDS = {"O-back": (("CA", -30), ("NW", 60)), "O-late": (("CA", 5),), "O-released": (("HD", -30), ("RL", -10), ("CA", 90))}


class Hospital:
    """A lake of clean examinations of every kind, and of copies that differ in one thing."""

    def __init__(self, home: Path) -> None:
        self.plan = build_plan(5, DAY, 7)
        self.lake, self.settings = LakeWriter(), load(home=home)
        self.injected: dict[str, datetime] = {}
        for e in first_events(self.plan):
            self._event(e["type"], e["data"], datetime.fromisoformat(e["time"]))
        self.good = {code: self._clean(code) for code in EXAMS}
        for code, exam in self.good.items():
            self.examine(exam, f"OK-{code}")
            self.image(exam, f"OK-{code}")
        for accession, (code, change) in CASES.items():
            self.examine(self.good[code], accession, change)
            self.image(self.good[code], accession, measured=False)
        for n, result in enumerate(RESULTS):
            self.results(f"L-{n}", result[:3])
        self.examine(self.good["RENAL"], "I-other")
        self.image(self.good["RENAL"], "I-other", kind="ORIGINAL\\PRIMARY\\WHOLE BODY\\EMISSION", measured=False)
        self.examine(self.good["RENAL"], "I-none")
        self.examine(self.good["BONE"], "I-sample")  # only a sample of these sends its images
        self.examine(
            self.good["RENAL"], "D-agent", lambda k, d, _: d | ({"agent": "Tc-99m MDP"} if k == "examination.dose" else {})
        )
        for accession, (order, keep) in WAITING.items():
            self.examine(
                self.good["BONE"], accession,
                lambda k, d, _, order=order, keep=keep: d | order if k == "his.order" else d if d.get("step") in keep else None,
            )  # fmt: skip
            del self.injected[accession]  # before a step that nobody has done there is nothing to compare
        for accession, words in WORDS.items():
            self.examine(self.good["BONE"], accession)
            order = next(json.loads(e["data"]) for e in self.lake.events if f'"accession_number": "{accession}"' in e["data"])
            for control, minutes in words:
                moment = self.injected[accession] + timedelta(minutes=minutes)
                self.lake.event("his.order", moment, order | {"order_control": control})
        self.tellings()
        self.lake.write(self.settings.lake)
        build_marts(self.settings, AS_OF)
        with duckdb.connect(str(self.settings.warehouse / "candidate" / "qc.duckdb"), read_only=True) as db:
            self.findings = db.execute(
                "SELECT accession_number, rule_id, rule_version, severity, subject_id, reason FROM marts.fct_finding"
            ).fetchall()
            self.verdicts = dict(db.execute("SELECT accession_number, verdict FROM marts.fct_examination").fetchall())
            self.steps = db.execute(
                "SELECT accession_number, step, state FROM marts.fct_examination_step WHERE accession_number LIKE 'S-%'"
            ).fetchall()
            self.orders = {
                a: (state, code, scheduled is not None)
                for a, state, code, scheduled in db.execute(
                    "SELECT accession_number, order_state, exam_code, scheduled_at_utc FROM intermediate.int_examination__order"
                ).fetchall()
            }
            self.contents = {
                a: tuple(rest)
                for a, *rest in db.execute(
                    "SELECT accession_number, indication, prescribed_activity_mbq, weight_kg, exam_name FROM intermediate.int_examination__order"
                ).fetchall()
            }
            self.statuses = dict(db.execute("SELECT accession_number, status FROM marts.fct_examination").fetchall())

    def _clean(self, code: str) -> Exam:
        """Return an examination without a planted fault, of a man: he needs no statement on pregnancy."""
        return next(e for e in self.plan.exams if e.code == code and e.accession not in self.plan.faults.values())

    def examine(self, exam: Exam, accession: str, change: Change = lambda _, data, __: data) -> None:
        """Tell an examination under another accession number, changed in one thing."""
        injected = exam.step("injection").started
        self.injected[accession] = injected.astimezone(UTC)
        p = exam.patient
        order = {
            "message_type": "ORM", "trigger": "O01", "order_control": "NW", "patient_pseudonym": f"p-{accession}", "exam_code": exam.code,
            "exam_name": EXAMS[exam.code].name_zh, "indication": "staging", "scheduled_at_utc": text(exam.arrived), "placer": None,
            "prescribed_activity_mbq": exam.dose.prescribed_mbq,
        }  # fmt: skip
        visit = {
            "message_type": "ADT", "trigger": "A04", "patient_pseudonym": f"p-{accession}", "sex": p.sex, "birth_year": p.born.year,
            "visit_number": None, "location": None,
        }  # fmt: skip
        told = [("his.order", order, exam.arrived - timedelta(hours=1)), ("his.patient", visit, exam.arrived)]
        for e in day_events(self.plan, exam.arrived.date()):
            if e["subject"] == exam.accession and e["type"] != "adverse.event":
                told.append((e["type"], dict(e["data"]), datetime.fromisoformat(e["time"])))
        for kind, data, moment in told:
            if kind == "examination.preparation" and exam.code == "FDG":
                data["glucose_mmol_per_l"] = 5.5
            changed = change(kind, data, injected)
            if changed is not None:
                # what was signed later came later; dated ahead of its arrival, it would count from then
                if kind == "form.signed":
                    moment = max(moment, datetime.fromisoformat(changed["signed_at_utc"]))
                self._event(kind, changed if kind == "his.patient" else changed | {"accession_number": accession}, moment)

    def results(self, accession: str, result: tuple[str | None, str | None, str]) -> None:
        """Tell an examination whose blood glucose the laboratory measured: 5.5 mmol/L, and then something else, by a clock that is fast."""
        self.examine(self.good["FDG"], accession, answer(glucose_mmol_per_l=None))
        self.image(self.good["FDG"], accession, measured=False)
        injected = self.injected[accession]
        for (value, unit, status), measured, recorded in (
            (("5.5", "mmol/L", "F"), injected - timedelta(minutes=40), injected - timedelta(minutes=30)),
            (result, injected + timedelta(minutes=5), injected - timedelta(minutes=5)),
        ):
            self.lake.event("his.observation", measured, {
                "message_type": "ORU", "trigger": "R01", "accession_number": accession, "patient_pseudonym": f"p-{accession}",
                "observed_at_utc": text(measured),
                "observations": [{"code": "GLUCOSE", "name": "glucose", "value": value, "unit": unit, "reference_range": None, "status": status}],
            }, recorded=recorded)  # fmt: skip

    def tellings(self) -> None:
        """Tell orders six times each, within minutes, to every precision, in any order of arrival, some twice, some in an ORC alone."""
        chance, clean = Random(84), self.good["BONE"]
        begin = datetime(2026, 1, 5, 1, 29, 50, tzinfo=UTC)
        for n in range(TOLD):
            for k in range(6):
                moment = begin + timedelta(
                    seconds=chance.choice((0, 1, 5, 30, 61, 3700)), milliseconds=chance.choice((0, 0, 500))
                )
                precision = chance.choice(("day", "hour", "minute", "second", "fraction", None))
                cut = {"day": {"hour": 0, "minute": 0, "second": 0}, "hour": {"minute": 0, "second": 0}, "minute": {"second": 0}}
                if precision != "fraction" and precision:
                    moment = moment.replace(**cut.get(precision, {}), microsecond=0)
                control, status = chance.choice(
                    (("NW", ""), ("CA", ""), *2 * [("HD", "")], ("RL", ""), ("XO", ""), ("UC", ""), ("SC", "CM"), ("SC", "ZZ"))
                )
                is_whole = k == 0 or control in ("NW", "XO") or chance.random() < 0.5
                order = {
                    "message_type": "ORM", "trigger": "O01", "order_control": control, "order_status": status, "accession_number": f"W-{n}",
                    "patient_pseudonym": f"p-W-{n}", "exam_code": clean.code if is_whole else None, "exam_name": "bone" if is_whole else None,
                    "indication": chance.choice((None, "C50.9", "C61")), "placer": None,
                    "scheduled_at_utc": text(begin + timedelta(days=1)) if is_whole else None,
                    "prescribed_activity_mbq": chance.choice((None, None, 700, 740)), "weight_kg": chance.choice((None, None, 70, 71.5)),
                    "deleted": chance.sample(("weight_kg", "indication"), k=chance.choice((0, 0, 0, 1))),
                    **({"occurred_precision": precision} if precision else {}),
                }  # fmt: skip
                for again in range(chance.choice((1, 1, 1, 2))):
                    self.lake.event("his.order", moment, order, recorded=begin + timedelta(days=1, minutes=k // 2 + 3 * again))

    def image(self, exam: Exam, accession: str, kind: str | None = None, measured: bool = True) -> None:
        """Send the image of an examination, and measure it as the job would."""
        made, start = EXAMS[exam.code].image, exam.step("acquisition").started
        uid, device = f"1.2.{accession}", exam.device_id
        if made is None:  # PET
            self.lake.series(
                uid, device, start, phantom=False, accession=accession, modality="PT", image_type="ORIGINAL\\PRIMARY"
            )
            return
        ds = make(self.plan, ImageJob(f"{made}-{exam.accession}", made, device, start, exam)) if measured else None
        kinds = {"bone": "WHOLE BODY", "thyroid": "STATIC", "heart": "GATED TOMO"}
        said = kind or f"ORIGINAL\\PRIMARY\\{kinds.get(made, 'DYNAMIC')}\\EMISSION"
        assert ds is None or "\\".join(ds.ImageType) == said
        self.lake.series(uid, device, start, phantom=False, accession=accession, image_type=said)
        if ds is not None:
            file = io.BytesIO()
            ds.save_as(file, enforce_file_format=True)
            for result in measure_series([file.getvalue()], "clinical"):
                assert result.status == "measured", result.reason
                for m in result.measures:
                    self.lake.measure(
                        uid, device, start.astimezone(UTC), result.procedure, {m.name: m.value}, analysis="clinical", unit=m.unit,
                        accession_number=accession, aspect=m.aspect, region=m.region, detector=result.detector,
                    )  # fmt: skip

    def _event(self, kind: str, data: Data, moment: datetime) -> None:
        self.lake.event(kind, moment.astimezone(UTC), data)

    def events(self, accession: str) -> list[Event]:
        """Return what the journals would hold of an examination."""
        out = []
        for row in self.lake.events:
            data = json.loads(row["data"])
            if data.get("accession_number") == accession or data.get("patient_pseudonym") == f"p-{accession}":
                moments = row["occurred_at_utc"], row["recorded_at_utc"]
                out.append(Event(row["type"], row["source"], row["event_id"], row["site_id"], "", *moments, data))
        return out


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """Return the hospital after the marts were built."""
    return Hospital(tmp_path_factory.mktemp("examinations") / "var")


@pytest.mark.req("EXM-01", "EXM-02", "EXM-03", "EXM-04", "EXM-05")
@pytest.mark.parametrize("code", sorted(EXAMS))
def test_one_examination_of_each_kind_passes(hospital: Hospital, code: str) -> None:
    accession = f"OK-{code}"
    at = hospital.injected[accession]
    answer = readiness(accession, hospital.events(accession), requirements(), at, CHINA)
    assert (answer.permitted, answer.blocks, answer.warnings) == (True, (), ())
    assert [f for f in hospital.findings if f[0] == accession] == []
    assert hospital.verdicts[accession] == "pass"


@pytest.mark.req("EXM-02")
def test_an_interfering_drug_is_blocked_before_and_found_afterwards(hospital: Hospital) -> None:
    answer = readiness("T-drug", hospital.events("T-drug"), requirements(), hospital.injected["T-drug"], CHINA)
    assert answer.permitted is False and [c.rule_id for c in answer.blocks] == ["DRUG_INTERFERENCE"]
    assert [f[1:5] for f in hospital.findings if f[0] == "T-drug"] == [
        ("DRUG_INTERFERENCE", 1, "fail", "T-drug/injection/H03AA01")
    ]
    assert hospital.verdicts["T-drug"] == "fail"


def test_what_is_asked_before_and_judged_afterwards_agree(hospital: Hospital) -> None:
    reference, told = requirements(), {}
    for accession, at in hospital.injected.items():
        answer = readiness(accession, hospital.events(accession), reference, at, CHINA)
        live = {(c.rule_id, c.rule_version, "fail", c.subject, c.reason) for c in answer.blocks}
        live |= {(c.rule_id, c.rule_version, "warn", c.subject, c.reason) for c in answer.warnings}
        audit = {(r, v, s, i.split("/")[-1], why) for a, r, v, s, i, why in hospital.findings if a == accession and r in RULES}
        if accession == "T-cancelled" or accession in STATES:  # the order says all there is to say; the audit names the rest too
            audit = {x for x in audit if x[0] == "ORDER_IN_FORCE"}
        assert live == audit, accession
        told[accession] = (answer.permitted, len(answer.blocks), len(answer.warnings))
    expected = {
        **{a: (permitted, 1, 0) for a, permitted in STATES.items()}, "O-back": (False, 1, 0), "O-late": (True, 0, 0), "O-released": (True, 0, 0),
        "T-drug": (False, 1, 0), "T-bound": (True, 0, 0), "T-short": (False, 1, 0), "T-member": (True, 0, 0), "T-group": (False, 1, 0),
        "T-unknown": (None, 1, 0), "T-antiseptic": (True, 0, 1), "T-unasked": (None, 1, 0), "T-unsigned": (False, 1, 0),
        "T-half": (False, 1, 0), "T-old": (False, 1, 0), "T-fresh": (True, 0, 0), "T-late": (False, 1, 0), "T-cancelled": (False, 1, 0),
        "T-anybody": (False, 1, 0), "T-order-says": (True, 0, 0),
        "H-short": (False, 1, 0), "H-bound": (True, 0, 1), "H-long": (True, 0, 1), "H-unasked": (None, 1, 0),
        "H-opioid": (False, 1, 0), "R-dry": (True, 0, 1), "R-ace": (True, 0, 1), "M-coffee": (False, 1, 0), "M-beta": (True, 0, 1),
        "F-sweet": (False, 1, 0), "F-fed": (False, 1, 0), "F-unmeasured": (None, 1, 0), "B-iron": (True, 0, 1),
    }  # fmt: skip
    assert {a: told[a] for a in (*CASES, *WORDS)} == expected
    assert [told[f"L-{n}"][0] for n in range(len(RESULTS))] == [r[3] for r in RESULTS]


def test_worklist_readiness_and_marts_agree_on_the_newest_telling(hospital: Hospital) -> None:
    says = {
        "ended": "the order was cancelled", "held": "the order is on hold", "completed": "the order is told as completed",
        "unknown": "the order carries a code that is not known: whether it still holds cannot be told",
    }  # fmt: skip
    journal, states = MemoryJournal(), Counter(s for a, (s, _, _) in hospital.orders.items() if a.startswith("W-"))
    assert min(states[s] for s in (*says, "open")) > 5, states
    for n in range(TOLD):
        accession = f"W-{n}"
        told = sorted(hospital.events(accession), key=lambda e: e.recorded_at)
        state, code, is_scheduled = hospital.orders[accession]
        answer = readiness(accession, told, requirements(), AS_OF, CHINA)
        assert [says[state]] == [c.reason for c in answer.blocks] if state in says else answer.blocks, (accession, state)
        assert (hospital.statuses[accession] == "cancelled") == (state == "ended")
        assert (answer.exam_code, is_scheduled) == (code, True) and code
        history = History()
        for e in told:
            history.add(e)
        whole = history.whole() or {}
        assert (
            tuple(whole[name] for name in ("indication", "prescribed_activity_mbq", "weight_kg", "exam_name"))
            == hospital.contents[accession]
        )
        journal.append([replace(e, subject=accession) for e in told])
    orders, at = Orders(journal, MemoryJournal()), datetime(2026, 1, 6, tzinfo=UTC)
    by_state = {state: {f"W-{n}" for n in range(TOLD) if hospital.orders[f"W-{n}"][0] == state} for state in states}
    assert ({o.accession_number for o in orders.open(at)}, orders.unclear(at)) == (by_state["open"], by_state["unknown"])


def test_nobody_waits_for_an_order_on_hold_or_without_a_time(hospital: Hospital) -> None:
    states = {a: {step: state for b, step, state in hospital.steps if b == a} for a in WAITING}
    before, after = ("identity_check", "dose_preparation"), ("uptake_end", "positioning", "acquisition", "image_review", "report")
    for accession in ("S-held", "S-strange", "S-no-time"):
        assert set(states[accession].values()) == {"pending"} and len(states[accession]) == 8, accession
    assert set(states["S-open"].values()) == {"missing"}
    # what was done all the same is judged: a step that a later one overtook is missing, what may still come is not
    assert states["S-held-begun"] == dict.fromkeys(before, "missing") | {"injection": "done"} | dict.fromkeys(after, "pending")
    assert states["S-no-time-begun"] == dict.fromkeys(before + after, "missing") | {"injection": "done"}
    missing = Counter(a for a, rule, *_ in hospital.findings if rule == "STEP_MISSING")
    assert {a: missing[a] for a in WAITING} == {
        "S-open": 8, "S-held": 0, "S-strange": 0, "S-no-time": 0, "S-held-begun": 2, "S-no-time-begun": 7,
    }  # fmt: skip


@pytest.mark.req("EXM-03")
def test_images_of_another_kind_or_none_and_another_agent_are_found(hospital: Hospital) -> None:
    of = {a: [(f[1], f[3], f[4]) for f in hospital.findings if f[0] == a] for a in ("I-other", "I-none", "I-sample", "D-agent")}
    assert sorted(of["I-other"]) == [("IMAGE_KIND", "fail", "1.2.I-other"), ("IMAGE_MISSING", "fail", "I-other")]
    assert of["I-none"] == [("IMAGE_MISSING", "fail", "I-none")] and of["I-sample"] == []
    assert ("AGENT_KIND", "fail", "D-agent") in of["D-agent"] and hospital.verdicts["D-agent"] == "fail"
