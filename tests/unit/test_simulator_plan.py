"""What the pretend hospital says: events that the schemas accept, clean but for each planted fault where it belongs."""

import base64
import hashlib
import json
from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from judgement import reference
from judgement.limits import judge
from judgement.rows import Limit
from simulator.answers import answer_key
from simulator.check import Finding, compare
from simulator.events import day_events, day_readings, first_events, unknown_step_id
from simulator.hospital import DEVICES, EXAMS, LOCAL, STAFF
from simulator.messages import day_messages
from simulator.plan import DYNAMIC_STEPS, STEPS, build_plan
from simulator.reports import DEAD_BLOCK, day_reports, report_sha256
from spark_jobs.measure import measure_series

SCHEMAS = Path(__file__).parents[2] / "connectors" / "events" / "schemas"
WINDOWS = {"BONE": (120, 240), "THYROID": (15, 30), "FDG": (50, 70), "MYOCARDIAL": (15, 120), "MYOCARDIAL_REST": (30, 180)}
WINDOWS |= dict.fromkeys(("RENAL", "HEPATOBILIARY"), (-2, 4))  # 0 to 2 minutes, which the margins below make of it
DAY = date(2026, 3, 3)


@pytest.fixture(scope="module")
def plan():
    return build_plan(11, DAY, 90)


@pytest.mark.req("ENB-08")
def test_the_schemas_accept_every_event_but_the_planted_one(plan) -> None:
    validators = {p.stem: Draft202012Validator(json.loads(p.read_text())) for p in SCHEMAS.glob("*.json")}
    days = [plan.days[0], plan.faults["humid"], plan.faults["gap"], plan.day]
    events = [
        *first_events(plan),
        *(e for d in days for e in day_events(plan, d)),
        *(e for d in days[1:2] for e in day_readings(plan, d)),
    ]
    assert [e["id"] for e in events if not validators[e["type"]].is_valid(e["data"])] == [unknown_step_id(plan)]
    start, end = (datetime.combine(d, time(0), LOCAL) for d in (plan.days[0], DAY + timedelta(days=1)))
    assert all(start <= datetime.fromisoformat(e["time"]) < end for e in events)


def test_only_the_planted_examinations_break_their_plan(plan) -> None:
    late, wrong_order, missing, dose, credential = set(), set(), set(), set(), set()
    for exam in plan.exams:
        names = [s.step for s in sorted(exam.steps, key=lambda s: s.started)]
        planned = DYNAMIC_STEPS if EXAMS[exam.code].is_dynamic else STEPS
        missing |= {exam.accession} if set(names) != set(planned) else set()
        wrong_order |= {exam.accession} if names != sorted(names, key=planned.index) else set()
        low, high = WINDOWS[exam.code]
        waited = (exam.step("acquisition").started - exam.step("injection").started).total_seconds() / 60
        late |= set() if low + 2 <= waited <= high - 2 else {exam.accession}
        dose |= set() if abs(exam.dose.administered_mbq / exam.dose.prescribed_mbq - 1) < 0.07 else {exam.accession}
        credential |= {exam.accession for s in exam.steps if s.staff_id == "T04" and s.ended >= plan.expired}
        assert all(s.staff_id in STAFF and s.ended > s.started for s in exam.steps)
        assert exam.steps[-1].ended < datetime.combine(exam.arrived.date() + timedelta(days=1), time(0), LOCAL)
    f = plan.faults
    assert (late, wrong_order) == ({f["uptake_too_short"]}, {f["step_out_of_order"]})
    assert (missing, dose, credential) == ({f["skipped_step"]}, {f["under_dosed"]}, {f["expired_credential"]})
    assert any(s.staff_id == "T04" for e in plan.exams for s in e.steps if s.ended < plan.expired), (
        "T04 worked while it was valid"
    )


def test_what_the_calibrator_shows_gives_the_administered_activity(plan) -> None:
    for exam in plan.exams:
        d, half_life = exam.dose, EXAMS[exam.code].half_life_s
        left = d.assayed_mbq * 2 ** (-(d.administered - d.assayed).total_seconds() / half_life)
        left -= d.residual_mbq * 2 ** ((d.residual - d.administered).total_seconds() / half_life)
        assert left == pytest.approx(d.administered_mbq, rel=1e-3)


def test_phantoms_are_measured_before_the_first_patient_but_on_the_missed_day(plan) -> None:
    first = {}
    for e in plan.exams:
        key = (e.device_id, e.arrived.date())
        first[key] = min(first.get(key, e.arrived), e.arrived)
    missing = set()
    for (device_id, day), moment in first.items():
        for test in DEVICES[device_id].tests:
            since = day - timedelta(days=6 if test == "cor" else 0)
            jobs = [j for j in plan.images if (j.kind, j.device_id) == (test, device_id) and "matrix" not in j.fault]
            if not any(since <= j.acquired.date() and j.acquired < moment and j.acquired.date() <= day for j in jobs):
                missing.add((device_id, test, day))
    assert missing == {("GC1", "flood", plan.faults["missed"])}


@pytest.mark.parametrize("day", [date(2026, 3, 1) + timedelta(days=i) for i in range(7)])
def test_any_week_day_can_be_the_live_day(day: date) -> None:
    plan = build_plan(2, day, 90)
    assert len(answer_key(plan)) == 26 and len(answer_key(build_plan(2, day, 14))) == 25
    assert Counter(e.arrived.date() for e in plan.exams)[day] == 15
    assert len(plan.images) < 450
    moments = [plan.faults[k] for k in ("missed", "humid", "gap", "unmeasurable")]
    assert len(set(moments)) == 4 and all(m in plan.working and m < day for m in moments)


@pytest.mark.parametrize("seed", range(20))
def test_the_scanners_report_shows_the_dead_block_on_the_live_day_alone(seed) -> None:
    plan = build_plan(seed, DAY, 7)
    (first,), (live,) = ([base64.b64decode(r["data_base64"]) for r in day_reports(plan, d)] for d in (plan.working[0], plan.day))
    assert not any(day_reports(plan, d) for d in plan.days if d not in (plan.working[0], plan.day))
    outliers = {}
    for name, content, beside in (("first", first, []), ("live", live, [first])):
        daily, normalisation = measure_series([content], beside=beside)
        verdicts = {judge(r, reference.read(Limit), "PETCT1", f"{DAY}")[0] for r in (daily, normalisation)}
        outliers[name] = normalisation.value("dead_blocks_count"), verdicts
    assert outliers == {"first": (0, {"pass"}), "live": (1, {"fail"})}
    assert normalisation.measures[0].at["blocks"] == [DEAD_BLOCK]
    assert hashlib.sha256(live).hexdigest() == report_sha256(plan, plan.day)


def test_readings_are_whole_but_in_the_gap(plan) -> None:
    humid = {e["data"]["room_id"]: e["data"]["readings"] for e in day_readings(plan, plan.faults["humid"])}
    over = [(r["sensor_id"]) for readings in humid.values() for r in readings if r["quantity"] == "humidity" and r["value"] > 60]
    assert set(over) == {"ROOM-PETCT1/humidity"} and 18 <= len(over) < 144
    counts = Counter(r["sensor_id"] for e in day_readings(plan, plan.faults["gap"]) for r in e["data"]["readings"])
    assert {k: v for k, v in counts.items() if v != 144} == {"WAITING/temperature": 126} and len(counts) == 19


def test_messages_name_the_accession_and_speak_chinese(plan) -> None:
    messages = list(day_messages(plan, DAY))
    assert sum(m.repeated for m in messages) == 1 and sum(m.refused for m in messages) == 1
    order = next(m for m in messages if m.control_id == f"{plan.faults['under_dosed']}-ORM").text.decode()
    fields = next(s for s in order.split("\r") if s.startswith("OBR")).split("|")
    assert (fields[3], fields[18], fields[4].split("^")[0]) == (plan.faults["under_dosed"],) * 2 + ("FDG",)
    assert fields[36].startswith("20260303") and any("一" <= c <= "鿿" for c in order)


def _findings(plan) -> list[Finding]:
    out = []
    for fault in answer_key(plan):
        for e in fault.expected:
            value = sum(e.between) / 2 if e.between else None
            out.append(Finding(e.rule_id, e.tokens[0], " ".join(e.tokens), value, "somewhere", None))
    return out


@pytest.mark.req("ENB-08")
def test_check_sees_a_missing_a_wrong_and_a_false_finding(plan) -> None:
    key, findings = answer_key(plan), _findings(plan)
    assert compare(key, findings).good
    for i, finding in enumerate(findings):
        assert not compare(key, findings[:i] + findings[i + 1 :]).good, f"{finding} can be left out"
    off = [f if f.value is None else Finding(f.rule_id, f.subject_id, f.names, f.value * 3, f.where, None) for f in findings]
    assert sum(not p["found"] for p in compare(key, off).planted) == 9
    stranger = Finding("PHANTOM_MISSING", "SPCT1/2026-01-05", "SPCT1/2026-01-05 SPCT1", None, "there", None)
    assert [f["subject_id"] for f in compare(key, [*findings, stranger]).false_alarms] == ["SPCT1/2026-01-05"]
    twice = Finding("INTAKE_DUPLICATE", "HIS/HOSPITAL/A26010501-ORU", "HIS/HOSPITAL/A26010501-ORU", None, "there", None)
    assert not compare(key, [*findings, twice]).good
    assert compare(key, [*findings, twice], {"A26010501-ORU"}).good
