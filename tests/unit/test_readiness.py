"""Whether a step may begin: the decision by hand-made events and rows, the index over two journals, and the question at the door."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from connectors.events import Event, validate
from connectors.examinations import Examinations
from connectors.http.app import make_app
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from judgement.days import site_zone
from judgement.readiness import Readiness, Requirements, readiness
from judgement.reference import SEEDS, requirements
from judgement.rows import Drug
from messages import render
from simulator.events import day_events
from simulator.plan import build_plan

CHINA = site_zone("Asia/Shanghai")

AT = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
TOKEN = {"Authorization": "Bearer t"}
DAYS_28 = timedelta(days=28)


@pytest.fixture(scope="module")
def reference() -> Requirements:
    return requirements()


def event(kind: str, number: int, data: dict, occurred: datetime = AT - timedelta(hours=1)) -> Event:
    made = Event(kind, "urn:photopeak:t", f"{kind}/{number}", "MAIN", "S", occurred, AT + timedelta(seconds=number), data)
    validate(made)
    return made


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def order(code: str, control: str = "NW", number: int = 1, status: str = "") -> Event:
    return event("his.order", number, {
        "message_type": "ORM", "trigger": "O01", "order_control": control, "accession_number": "A1", "patient_pseudonym": "P",
        "exam_code": code, "exam_name": None, "indication": None, "scheduled_at_utc": None, "placer": None, "prescribed_activity_mbq": 100,
        "order_status": status,
    })  # fmt: skip


def visit(sex: str | None, born: int | None) -> Event:
    return event("his.patient", 2, {
        "message_type": "ADT", "trigger": "A04", "patient_pseudonym": "P", "sex": sex, "birth_year": born, "visit_number": None,
        "location": None,
    })  # fmt: skip


def form(name: str, signed: datetime = AT - timedelta(minutes=30), complete: bool = True, number: int = 3) -> Event:
    data = {"accession_number": "A1", "form": name, "signed_at_utc": text(signed), "staff_id": "N01", "complete": complete}
    return event("form.signed", number + len(name) * 10, data)


def prepared(number: int = 4, asked: datetime = AT - timedelta(minutes=20), **said: object) -> Event:
    return event(
        "examination.preparation", number, {"accession_number": "A1", "asked_at_utc": text(asked), "staff_id": "N01", **said}
    )


def drug(atc: str, before: timedelta | None) -> dict:
    return {"atc": atc, "last_taken_at_utc": None if before is None else text(AT - before)}


def good(code: str, **said: object) -> list[Event]:
    """Return what is known of a man who may be injected."""
    return [order(code), visit("M", 1960), form("consent"), form("checklist"), prepared(**{"medication": [], **said})]


def ask(reference: Requirements, events: list[Event], step: str = "injection", at: datetime = AT) -> Readiness:
    return readiness("A1", events, reference, at, CHINA, step)


@pytest.mark.parametrize(
    "atc, before, permitted, blocked, warned",
    [
        ("H03AA01", DAYS_28, True, 0, 0),  # on the bound: withheld long enough
        ("H03AA01", DAYS_28 - timedelta(seconds=1), False, 1, 0),
        ("H03AA02", timedelta(days=14), True, 0, 0),  # the row of the drug goes before that of its group
        ("H03AA02", timedelta(days=13), False, 1, 0),
        ("H03AA01", None, None, 1, 0),  # taken, nobody knows when
        ("D08AG02", timedelta(days=1), True, 0, 1),
        ("N02BE01", timedelta(0), True, 0, 0),
        ("H03", timedelta(days=20), False, 1, 0),  # told only by its group: the worst of it
    ],
)
def test_an_interfering_drug_blocks_until_it_was_withheld(
    reference: Requirements, atc: str, before: timedelta | None, permitted: bool | None, blocked: int, warned: int
) -> None:
    answer = ask(reference, good("THYROID", medication=[drug(atc, before)]))
    assert (answer.permitted, len(answer.blocks), len(answer.warnings)) == (permitted, blocked, warned)
    for clue in (*answer.blocks, *answer.warnings):
        assert (clue.rule_id, clue.rule_version, clue.subject) == ("DRUG_INTERFERENCE", 1, atc)
        assert clue.requirement_version == 1 and "须停用" in render(clue.reason, "zh") and "days without it" in clue.reason


def test_what_nobody_asked_is_neither_permitted_nor_forbidden(reference: Requirements) -> None:
    answer = ask(reference, good("THYROID", medication=None))
    assert answer.permitted is None and [c.subject for c in answer.blocks] == ["medication"] and not answer.blocks[0].known
    assert render(answer.blocks[0].reason, "zh") == "用药情况：未询问或未测量"
    assert ask(reference, good("THYROID", medication=[drug("H03AA01", timedelta(days=1))])[:-1]).permitted is None
    # asked only afterwards is not asked before
    late = [*good("THYROID")[:-1], prepared(asked=AT + timedelta(seconds=1), medication=[])]
    assert ask(reference, late).permitted is None
    assert ask(reference, late, at=AT + timedelta(seconds=1)).permitted is True


def test_the_newest_answer_counts_and_another_question_does_not_take_it_back(reference: Requirements) -> None:
    first = prepared(10, AT - timedelta(minutes=50), medication=[drug("H03AA01", timedelta(days=2))])
    then = prepared(11, AT - timedelta(minutes=40), medication=[])
    other = prepared(12, AT - timedelta(minutes=30), hydration_ml=500)
    assert ask(reference, [*good("THYROID")[:-1], first, other]).permitted is False
    assert ask(reference, [*good("THYROID")[:-1], then, first, other]).permitted is True


@pytest.mark.parametrize("events, permitted, why", [
    ([], None, "no order is known"),
    ([order("X_RAY")], None, "no plan is known for examination X_RAY"),
    ([order("THYROID", number=5), order("THYROID", "CA", number=6)], False, "the order was cancelled"),
    *(([order("THYROID", number=5), order("THYROID", c, number=6)], False, "the order was cancelled")
      for c in ("CR", "OD", "DR", "RP", "RU", "RQ", "UA", " ca")),
    *(([order("THYROID", number=5), order("THYROID", c, number=6)], False, "the order is on hold") for c in ("HD", "OH", "HR", "UR")),
    *(([order("THYROID", "SC", 5, s)], False, "the order was cancelled") for s in ("CA", "DC", "RP")),
    ([order("THYROID", "SC", 5, "HD")], False, "the order is on hold"),
    ([order("THYROID", "SC", 5, "CM")], False, "the order is told as completed"),
    *(([order("THYROID", c, 5, s)], None, "the order carries a code that is not known: whether it still holds cannot be told")
      for c, s in (("ZZ", ""), ("SC", "ZZ"), ("DE", ""))),
])  # fmt: skip
def test_without_an_order_in_force_nothing_is_permitted(
    reference: Requirements, events: list[Event], permitted: bool | None, why: str
) -> None:
    answer = ask(reference, events)
    assert (answer.permitted, [c.reason for c in answer.blocks]) == (permitted, [why])
    assert ask(reference, good("THYROID"), "levitation").permitted is None


@pytest.mark.parametrize("occurred", [timedelta(seconds=-30), timedelta(hours=1)])
def test_a_cancellation_counts_when_it_is_recorded_whatever_its_clock_says(reference: Requirements, occurred: timedelta) -> None:
    ended = replace(order("THYROID", "CA", 9), occurred_at=AT + occurred, recorded_at=AT - timedelta(minutes=1))
    ahead = replace(order("THYROID"), occurred_at=AT + timedelta(hours=2), recorded_at=AT - timedelta(minutes=2))
    for first in (order("THYROID"), ahead):
        first = replace(first, recorded_at=AT - timedelta(minutes=2))
        assert ask(reference, [*good("THYROID")[1:], first]).permitted is True
        assert ask(reference, [*good("THYROID")[1:], first, ended]).permitted is False


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Path, SqliteJournal, SqliteJournal]]:
    hl7, events = SqliteJournal(tmp_path / "journal" / "hl7.db"), SqliteJournal(tmp_path / "journal" / "events.db")
    yield tmp_path, hl7, events
    hl7.close()
    events.close()


def test_the_door_answers_from_both_journals_and_a_restart_answers_the_same(home) -> None:
    folder, hl7, events = home
    settings = load(home=folder)

    def client() -> TestClient:
        return TestClient(make_app(None, lambda: {"t": "tablet"}, Examinations(settings), lambda: AT))  # type: ignore[arg-type]

    door = client()
    url = "/examinations/A1/readiness"
    assert door.get(url).status_code == 401
    assert door.get(url, headers=TOKEN).status_code == 404
    told = good("THYROID", medication=[drug("H03AA01", timedelta(days=3))])
    hl7.append(told[:2])
    assert door.get(url, headers=TOKEN).json()["permitted"] is False  # forms
    events.append(told[2:])
    answer = door.get(url, headers=TOKEN).json()
    assert (answer["permitted"], answer["exam_code"], answer["warnings"]) == (False, "THYROID", [])
    (block,) = answer["blocks"]
    assert (block["rule_id"], block["requirement_id"], block["subject"]) == ("DRUG_INTERFERENCE", "THYROID-H03AA", "H03AA01")
    assert block["reason_zh"].startswith("甲状腺激素（ATC H03AA01）：末次使用于 3.0 天前")
    assert client().get(url, headers=TOKEN).json() == answer
    month = {"at": text(AT + timedelta(days=25))}
    later = door.get(url, params=month, headers=TOKEN).json()
    assert [b["rule_id"] for b in later["blocks"]] == [
        "FORM_MISSING",
        "FORM_MISSING",
    ]  # withheld by now, but the signatures are old
    assert door.get(url, params={"at": "soon"}, headers=TOKEN).status_code == 400
    assert door.get("/examinations/A2/readiness", headers=TOKEN).status_code == 404


@pytest.mark.parametrize("code, said, permitted, subjects", [
    ("HEPATOBILIARY", {"fasting_since_utc": text(AT - timedelta(hours=2))}, True, ["fasting_h"]),  # on the bound, but below what is wished
    ("HEPATOBILIARY", {"fasting_since_utc": text(AT - timedelta(hours=2) + timedelta(seconds=1))}, False, ["fasting_h"]),
    ("HEPATOBILIARY", {"fasting_since_utc": text(AT - timedelta(hours=25))}, True, ["fasting_h"]),
    ("HEPATOBILIARY", {"fasting_since_utc": text(AT - timedelta(hours=8))}, True, []),
    ("HEPATOBILIARY", {"fasting_since_utc": text(AT - timedelta(hours=8)), "medication": [drug("N02AA01", timedelta(hours=11))]}, False, ["N02AA01"]),
    ("HEPATOBILIARY", {}, None, ["fasting_h"]),
    ("FDG", {"fasting_since_utc": text(AT - timedelta(hours=6)), "glucose_mmol_per_l": 11.1}, True, []),
    ("FDG", {"fasting_since_utc": text(AT - timedelta(hours=6)), "glucose_mmol_per_l": 11.2}, False, ["glucose_mmol_per_l"]),
    ("FDG", {"fasting_since_utc": text(AT - timedelta(hours=6))}, None, ["glucose_mmol_per_l"]),
    ("RENAL", {"hydration_ml": 200}, True, ["hydration_ml"]),
    ("RENAL", {"hydration_ml": 300, "medication": [drug("C09AA01", timedelta(days=1))]}, True, ["C09AA01"]),
    ("MYOCARDIAL", {"fasting_since_utc": text(AT - timedelta(hours=6)), "medication": [drug("N06BC01", timedelta(hours=3))]}, False, ["N06BC01"]),
    ("MYOCARDIAL_REST", {"fasting_since_utc": text(AT - timedelta(hours=6)), "medication": [drug("N06BC01", timedelta(hours=3))]}, True, []),
    ("BONE", {"medication": None}, True, ["medication"]),
])  # fmt: skip
def test_preparation_of_each_kind(
    reference: Requirements, code: str, said: dict, permitted: bool | None, subjects: list[str]
) -> None:
    answer = ask(reference, good(code, **said))
    assert (answer.permitted, [c.subject for c in (*answer.blocks, *answer.warnings)]) == (permitted, subjects)
    assert not answer.blocks if permitted else answer.blocks
    assert all(render(c.reason, "zh") != c.reason for c in (*answer.blocks, *answer.warnings))


@pytest.mark.req("BIZ-03")
def test_a_form_that_is_missing_incomplete_or_old_is_named(reference: Requirements) -> None:
    events = good("THYROID")
    for form_, why in (
        (None, "the form Consent is not signed"),
        (form("consent", complete=False), "the form Consent is signed but not complete"),
        (form("consent", AT - timedelta(days=7, seconds=1)), "signed at 2026-03-03T00:59Z, which is more than 168.0 h before"),
    ):
        told = [e for e in events if e.data.get("form") != "consent"] + ([form_] if form_ else [])
        answer = ask(reference, told)
        assert answer.permitted is False and [c.rule_id for c in answer.blocks] == ["FORM_MISSING"]
        assert why in answer.blocks[0].reason
    exactly = [e for e in events if e.data.get("form") != "consent"] + [form("consent", AT - timedelta(days=7))]
    assert ask(reference, exactly).permitted is True


PERSONS = [
    ("F", 1990, True),
    ("F", 1970, True),
    ("F", 1969, False),
    ("F", 2014, True),
    ("F", 2015, False),
    ("F", 2016, False),
    ("F", 1950, False),
    ("M", 1990, False),
    (None, 1990, True),
    ("F", None, True),
]


@pytest.mark.parametrize("sex, born, asked", PERSONS)
def test_who_may_be_pregnant_says_so(reference: Requirements, sex: str | None, born: int | None, asked: bool) -> None:
    events = [e for e in good("BONE") if e.type != "his.patient"] + [visit(sex, born)]
    assert [c.subject for c in ask(reference, events).blocks] == (["pregnancy"] if asked else [])
    assert ask(reference, [*events, form("pregnancy")]).permitted is True


def test_what_the_order_says_of_the_person_counts_like_a_visit(reference: Requirements) -> None:
    def ordered(sex: str | None, born: int | None, pseudonym: str = "P") -> Event:
        made = order("BONE")
        return replace(
            made,
            data={
                **made.data,
                "patient_pseudonym": pseudonym,
                **({"sex": sex} if sex else {}),
                **({"birth_year": born} if born else {}),
            },
        )

    rest = [form("consent"), form("checklist"), prepared(medication=[])]

    def asked(*events: Event) -> bool:
        return "pregnancy" in [c.subject for c in ask(reference, [*events, *rest]).blocks]

    assert (
        not asked(ordered("M", 1990))
        and asked(ordered("F", 1990))
        and not asked(ordered("F", 1950))
        and asked(ordered(None, 1990))
    )
    later = replace(visit("F", 1990), occurred_at=AT - timedelta(minutes=30))
    assert asked(ordered("M", 1990), later) and not asked(ordered("M", 1990), visit(None, None))


def test_a_version_holds_from_its_day_on_the_wall_clock(reference: Requirements) -> None:
    def row(version: int, days: float, valid_from: str) -> Drug:
        one = next(r for r in reference.drugs if r.requirement_id == "THYROID-H03AA")
        return replace(one, version=version, withhold_days=days, valid_from=valid_from)

    changed = replace(reference, drugs=(row(1, 28, "2020-01-01"), row(2, 2, "2026-03-10")))
    events = [e for e in good("THYROID") if e.type != "examination.preparation"]
    told = [*events, prepared(asked=AT - timedelta(days=2), medication=[drug("H03AA01", timedelta(days=10))])]
    told = [replace(e, occurred_at=AT - timedelta(days=3)) for e in told]
    midnight = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)  # of 10 March on the wall clock
    before = ask(changed, told, at=midnight - timedelta(seconds=1))
    assert [c.requirement_version for c in before.blocks if c.rule_id == "DRUG_INTERFERENCE"] == [1]
    assert [c for c in ask(changed, told, at=midnight).blocks if c.rule_id == "DRUG_INTERFERENCE"] == []
    off = replace(changed, rules=tuple(replace(r, valid_until="2026-03-08") for r in reference.rules))
    assert ask(off, told, at=midnight - timedelta(seconds=1)).blocks == ()


def test_the_pretend_hospital_breaks_only_what_it_planted(reference: Requirements) -> None:
    plan = build_plan(11, date(2026, 12, 3), 14)
    broken = {}
    for exam in plan.exams:
        events = [order(exam.code), visit(exam.patient.sex, exam.patient.born.year)]
        if exam.code == "FDG":
            moment = exam.arrived + timedelta(minutes=6)
            events.append(event("his.observation", 7, {
                "message_type": "ORU", "trigger": "R01", "accession_number": "A1", "patient_pseudonym": "P", "observed_at_utc": text(moment),
                "observations": [{"code": "GLUCOSE", "value": "5.1", "unit": "mmol/L"}],
            }))  # fmt: skip
        for n, e in enumerate(day_events(plan, exam.arrived.date())):
            if e["subject"] == exam.accession and e["type"] in ("form.signed", "examination.preparation"):
                events.append(event(e["type"], 1000 + n, e["data"]))
        events = [replace(e, occurred_at=exam.arrived, recorded_at=exam.step("injection").started) for e in events]
        answer = ask(reference, events, at=exam.step("injection").started)
        if answer.blocks or answer.warnings:
            broken[exam.accession] = [c.subject for c in (*answer.blocks, *answer.warnings)]
    f = plan.faults
    assert broken == {f["interfering_drug"]: ["H03AA01"], f["unsigned_form"]: ["consent"], f["short_fasting"]: ["fasting_h"]}


RESULTS = [
    ("15.0", "mmol/L", "F", False), ("8.0", "mmol/L", "F", True), ("> 33.3", "mmol/L", "F", False), (">= 12", "mmol/L", "F", False),
    ("> 4", "mmol/L", "F", None), ("< 20", "mmol/L", "F", None), ("< 4.5", "mmol/L", "F", None), ("270", "mg/dL", "F", False),
    ("HI", "mmol/L", "F", None), ("15.0*", "mmol/L", "F", None), ("15.0", None, "F", None), ("5.5", "mmol/L", "D", None),
    ("5.5", "mmol/L", "W", None), (None, None, "X", None), (None, "mmol/L", "F", None), ("nan", "mmol/L", "F", None),
    (None, "mmol/L", "I", True), (None, None, "N", True), (None, None, "O", True), (">", "mmol/L", "F", None),
    ("99", "mg/dL", "F", True), ("200", "mg/dL", "F", True), ("201", "mg/dL", "F", False), ("200.1", "mg/dL", "F", False),
    ("252", "MG/DL", "F", False), ("1.0", "g/L", "F", True), ("2.5", "g/L", "F", False), ("1000", "mg/L", "F", True),
    ("5600", "µmol/L", "F", True), ("5600", "\u03bcmol/L", "F", True), ("99", "mg %", "F", True), ("5.6", "MMOL/L", "F", True),
    ("5.6", "毫摩尔/升", "F", True), ("> 200", "mg/dL", "F", False), ("< 60", "mg/dL", "F", True), ("99", "mg/24h", "F", None),
    ("5.6", "mol/L", "F", None), ("5.6", "ng/mL", "F", None), ("1_0", "mmol/L", "F", None), ("\u0665.\u0665", "mmol/L", "F", None),
]  # fmt: skip


@pytest.mark.parametrize("value, unit, status, permitted", RESULTS)
@pytest.mark.parametrize("ahead", [False, True])
def test_an_older_result_never_stands_in_for_the_newest(
    reference: Requirements, value: str | None, unit: str | None, status: str, permitted: bool | None, ahead: bool
) -> None:
    def result(number: int, moment: datetime, value: str | None, unit: str | None, status: str) -> Event:
        made = event("his.observation", number, {
            "message_type": "ORU", "trigger": "R01", "accession_number": "A1", "patient_pseudonym": "P", "observed_at_utc": text(moment),
            "observations": [{"code": "GLUCOSE", "value": value, "unit": unit, "status": status}],
        })  # fmt: skip
        return replace(made, recorded_at=AT - timedelta(minutes=10 - number))

    told = good("FDG", fasting_since_utc=text(AT - timedelta(hours=6)))
    first = result(1, AT - timedelta(minutes=50), "5.5", "mmol/L", "F")
    then = result(2, AT + timedelta(hours=1) if ahead else AT - timedelta(minutes=30), value, unit, status)
    assert ask(reference, [*told, first]).permitted is True
    answer = ask(reference, [*told, first, then])
    assert answer.permitted is permitted
    told_why = "is no value in mmol/L" if status == "F" else "is no result by its status (OBX-11)"
    assert all(told_why in c.reason for c in answer.blocks if not c.known)
    # what somebody measured after it at the bedside counts
    again = prepared(40, AT - timedelta(minutes=1), glucose_mmol_per_l=6.0)
    assert ask(reference, [*told, first, then, again]).permitted is True


def laboratory(value: str, measured: str, status: str = "F", precision: str = "second") -> Event:
    return event("his.observation", 1, {
        "message_type": "ORU", "trigger": "R01", "accession_number": "A1", "patient_pseudonym": "P", "observed_at_utc": measured,
        "observed_precision": precision, "observations": [{"code": "GLUCOSE", "value": value, "unit": "mmol/L", "status": status}],
    })  # fmt: skip


@pytest.mark.parametrize("result, permitted, why", [
    (laboratory("5.5", text(AT - timedelta(hours=4))), True, ""),
    (laboratory("5.5", text(AT - timedelta(hours=4, seconds=1))), None, "the newest value is older than 4.0 h"),
    (laboratory("5.5", "2026-02-10T00:00:00Z"), None, "the newest value is older than 4.0 h"),
    (laboratory("5.5", "2026-03-10T00:00:00Z", precision="day"), None, "names no time of day"),
    (laboratory("5.5", "2026-03-01T00:00:00Z", precision="month"), None, "names no time of day"),
    (laboratory("5.5", "2026-01-01T00:00:00Z", precision="year"), None, "names no time of day"),
    *((laboratory("5.5", text(AT - timedelta(minutes=30)), s), None, "is no result by its status (OBX-11)") for s in "NOIZXDW"),
    *((laboratory("5.5", text(AT - timedelta(minutes=30)), s), True, "") for s in ("F", "C", "P", "R", "f", "")),
    (laboratory("0", text(AT - timedelta(minutes=30))), None, "the newest value is none that this quantity can have"),
    (laboratory("555", text(AT - timedelta(minutes=30))), None, "the newest value is none that this quantity can have"),
    (laboratory("> 33.3", text(AT - timedelta(minutes=30))), False, "a value of > 33.3 mmol/L is outside ≤ 11.1 mmol/L"),
    (prepared(9, AT - timedelta(hours=4), glucose_mmol_per_l=5.5), True, ""),
    (prepared(9, AT - timedelta(hours=5), glucose_mmol_per_l=5.5), None, "the newest value is older than 4.0 h"),
    (prepared(9, glucose_mmol_per_l=0), None, "the newest value is none that this quantity can have"),
    (prepared(9, fasting_since_utc="2035-03-10T00:00:00Z", glucose_mmol_per_l=5.5), None, "the moment that was told lies in the future"),
])  # fmt: skip
def test_a_value_that_is_old_impossible_or_no_result_is_unknown(
    reference: Requirements, result: Event, permitted: bool | None, why: str
) -> None:
    newest = replace(next(r for r in reference.preparation if r.valid_hours), valid_from="2020-01-01")
    assert (newest.item, newest.valid_hours) == ("glucose_mmol_per_l", 4)  # every row of glucose that is in force now says it
    required = replace(reference, preparation=(*(r for r in reference.preparation if r.item != newest.item), newest))
    told = good("FDG", fasting_since_utc=text(AT - timedelta(hours=6)))
    answer = ask(required, [*told, result])
    assert answer.permitted is permitted and (len(answer.blocks) == 1 and why in answer.blocks[0].reason if why else True), answer


def test_what_a_fast_clock_dates_after_its_arrival_counts_from_then(reference: Requirements) -> None:
    def ahead(e: Event) -> Event:
        return replace(e, recorded_at=AT - timedelta(seconds=5))

    soon = AT + timedelta(minutes=4)
    fit = good("FDG", fasting_since_utc=text(AT - timedelta(hours=6)), glucose_mmol_per_l=5.5)
    told = [replace(e, recorded_at=AT - timedelta(minutes=20)) for e in fit]
    assert ask(reference, told).permitted is True
    assert ask(reference, [*told, ahead(prepared(20, soon, glucose_mmol_per_l=20.0))]).permitted is False
    assert ask(reference, [*told, ahead(form("consent", soon, complete=False, number=20))]).permitted is False
    insulin = [{"atc": "A10AB01", "last_taken_at_utc": text(AT - timedelta(minutes=2))}]
    assert ask(reference, [*told, ahead(prepared(20, soon, medication=insulin))]).permitted is False
    unsigned = [e for e in told if e.data.get("form") != "consent"]
    assert ask(reference, [*unsigned, ahead(form("consent", AT + timedelta(days=365)))]).permitted is True


def test_times_that_are_none_are_as_if_nobody_had_said_them(reference: Requirements) -> None:
    def raw(kind: str, number: int, **data: object) -> Event:
        return Event(
            kind, "urn:photopeak:t", f"raw/{number}", "MAIN", "S", AT, AT, {"accession_number": "A1", "staff_id": "N01", **data}
        )

    asked = text(AT - timedelta(minutes=20))
    odd = raw("form.signed", 1, form="consent", signed_at_utc="2026-13-45T00:00:00Z", complete=True)
    told = [e for e in good("HEPATOBILIARY") if e.data.get("form") != "consent" and e.type != "examination.preparation"]
    never = raw("examination.preparation", 2, asked_at_utc=asked, fasting_since_utc="2026-02-30T00:00:00Z", medication=[])
    answer = ask(reference, [*told, odd, never])
    assert [(c.subject, c.known) for c in answer.blocks] == [("consent", True), ("fasting_h", False)]
    taken = [{"atc": "N02AA01", "last_taken_at_utc": "2026-02-30T00:00:00Z"}]
    unknown = raw("examination.preparation", 3, asked_at_utc=asked, fasting_since_utc="2026-03-09T16:00:00Z", medication=taken)
    answer = ask(reference, [*told, form("consent"), unknown])
    assert answer.permitted is None and "not known" in answer.blocks[0].reason


def test_the_index_reads_only_what_came_since_the_last_question(home) -> None:
    folder, hl7, events = home
    asked = Examinations(load(home=folder))
    hl7.append(good("THYROID")[:2])
    assert len(asked.events("A1")) == 2
    seen = dict(asked._seen)
    events.append(good("THYROID")[2:])
    assert len(asked.events("A1")) == 5 and asked._seen["hl7"] == seen["hl7"] and asked._seen["events"] == 3
    with pytest.raises(OSError, match="shorter"):
        asked._seen["events"] = 9
        asked.events("A1")


def test_a_damaged_row_permits_nothing(home) -> None:
    folder, hl7, events = home
    hl7.append(good("THYROID")[:2])
    events.append(good("THYROID")[2:])
    seeds = folder / "seeds"
    shutil.copytree(SEEDS, seeds)
    door = TestClient(make_app(None, lambda: {"t": "tablet"}, Examinations(load(home=folder), seeds), lambda: AT))  # type: ignore[arg-type]
    assert door.get("/examinations/A1/readiness", headers=TOKEN).json()["permitted"] is True
    table = seeds / "exam_forms.csv"
    table.write_text(table.read_text().replace(",168,", ",a week,"))
    assert door.get("/examinations/A1/readiness", headers=TOKEN).status_code == 503
