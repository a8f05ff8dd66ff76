"""The marts of a lake of known content, built by the job itself: exact rows, what changes them, and what must not."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter, at, hospital

from connectors.settings import ROOT, Settings, load
from judgement import reference
from judgement.environment import Kept, advance, us
from messages import from_fields, render
from warehouse.releases import PROJECT, BuildFailed, behind, build_marts, publish

LIMITS = """limit_id,version,procedure,measure,device_id,detector,region,warn_low,warn_high,fail_low,fail_high,valid_from,valid_until,\
standard,clause,requirement,approver
UNI,1,planar_uniformity,ufov_iu_percent,,,,,4,,5,2020-01-01,,NEMA NU 1,2.4,TST-02,nobody
UNI-C,1,planar_uniformity,cfov_iu_percent,,,,,4,,5,2020-01-01,,NEMA NU 1,2.4,TST-02,nobody
COR,1,centre_of_rotation,cor_offset_mm,,,,-1.5,1.5,-2,2,2020-01-01,,NEMA NU 1,4.1,TST-06,nobody
CT,1,ct_water,water_hu,,,,-4,4,-5,5,2020-01-01,,ACR,water,TST-02,nobody
BONE,1,whole_body_bone,view_kcts,,,,,,500,,2020-01-01,,house,1,ANA-24,nobody
"""
SENSORS = """sensor_id,room_id,quantity,unit,silent_after_min
ROOM-GC1/temperature,ROOM-GC1,temperature,Cel,20
ROOM-SPCT1/humidity,ROOM-SPCT1,humidity,%,20
WAITING/temperature,WAITING,temperature,Cel,20
HOTLAB/dose_rate,HOTLAB,dose_rate,uSv/h,20
"""
ENVIRONMENT = f"""limit_id,version,room_id,quantity,low,high,valid_from,valid_until,standard,clause
T,1,,temperature,18,26,2020-01-01,{DAY - timedelta(days=1)},house default,1
T-GC1,1,ROOM-GC1,temperature,20,24,2020-01-01,,house default,1
T-GC1,2,ROOM-GC1,temperature,21,,{DAY},,house default,1
T-OLD,9,ROOM-GC1,temperature,0,1,2020-01-01,2020-12-31,house default,1
H,1,,humidity,,60,2020-01-01,,house default,1
"""
NEW_DAY = DAY + timedelta(days=1)
LATER = AS_OF + timedelta(days=1)


@dataclass
class House:
    """An installation whose dbt project is a copy, so that a test may edit it."""

    settings: Settings
    project: Path

    def rows(self, sql: str, name: str = "candidate") -> list[tuple[Any, ...]]:
        """Return the rows of a query on a release."""
        with duckdb.connect(str(self.settings.warehouse / name / "qc.duckdb"), read_only=True) as db:
            return db.execute(sql).fetchall()

    def digest(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of all marts but the release's own id."""
        names = [
            n for (n,) in self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 1")
        ]
        return {
            n: self.rows(f"SELECT {'* EXCLUDE (release_id)' if n == 'mart_release' else '*'} FROM marts.{n} ORDER BY ALL")
            for n in names
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house with one published release."""
    root = tmp_path_factory.mktemp("a house")  # a path with a space
    project = root / "project"
    shutil.copytree(PROJECT, project)
    (project / "seeds" / "limits.csv").write_text(LIMITS)
    (project / "seeds" / "sensors.csv").write_text(SENSORS)
    (project / "seeds" / "environment_limits.csv").write_text(ENVIRONMENT)
    made = House(load(home=root / "var"), project)
    hospital().write(made.settings.lake)
    assert behind(made.settings, project)
    account = build_marts(made.settings, AS_OF, project)
    assert account.job == "build_marts" and account.read > 0 and account.written > 0
    publish(made.settings, (made.settings.warehouse / "candidate").resolve())
    return made


@pytest.mark.req("SYS-02", "BIZ-07", "ENV-18", "ENV-21", "ENB-09")
def test_each_broken_rule_is_found_once_and_nothing_else(house: House) -> None:
    found = house.rows("SELECT rule_id, severity, subject_id FROM marts.fct_finding ORDER BY 1, 3")
    assert found == [
        ("ADVERSE_EVENT", "warn", "AE1"),
        ("CREDENTIAL_INVALID", "fail", "A3/acquisition"),
        ("DOSE_RANGE", "fail", "A2"),
        ("ENVIRONMENT_GAP", "warn", "ROOM-GC1/temperature/2026-03-10"),
        ("ENVIRONMENT_LIMIT", "fail", "ROOM-SPCT1/humidity/2026-03-10"),
        ("ENVIRONMENT_SILENT", "fail", "HOTLAB/dose_rate"),
        ("IMAGE_NOT_MEASURED", "warn", "bone.bad"),
        ("IMAGE_QUALITY_LIMIT", "fail", "bone.A4/counts"),
        ("INTAKE_DUPLICATE", "info", "HIS/M1"),
        ("INTAKE_QUARANTINED", "warn", "HIS/M2"),
        ("INTAKE_QUARANTINED", "warn", "LIS/M2"),
        ("LINK_ORPHAN", "warn", "bone.bad"),
        ("PHANTOM_LIMIT", "fail", "flood.GC1.0"),
        ("PHANTOM_LIMIT", "warn", "water.PETCT1.2"),
        ("PHANTOM_MISSING", "fail", "GC1/2026-03-09"),
        ("PHANTOM_NOT_MEASURED", "warn", "flood.bad"),
        ("STEP_MISSING", "fail", "A4/identity_check"),
        ("STEP_ORDER", "fail", "A5/dose_preparation"),
        ("STEP_ORDER", "fail", "A5/injection"),
        ("STEP_TIMING", "fail", "A6/acquisition"),
    ]
    ranks = house.rows("SELECT severity FROM marts.fct_finding ORDER BY rank")
    said = house.rows(
        "SELECT DISTINCT reason, reason_zh, reason_code, reason_args FROM marts.fct_finding WHERE reason IS NOT NULL"
    )
    told = [dict(zip(("reason", "reason_zh", "reason_code", "reason_args"), row, strict=True)) for row in said]
    assert all(render(from_fields(t) or "", "zh") == t["reason_zh"] and from_fields(t) == t["reason"] for t in told)
    prose = {"pixels cannot be blocked", "clipped pixels"}  # as old data hold it
    assert {t["reason"] for t in told if t["reason_code"] is None} <= prose
    assert all(re.search("[\u4e00-\u9fff]", t["reason_zh"]) for t in told if t["reason"] not in prose)
    assert ranks == [("fail",)] * 11 + [("warn",)] * 8 + [("info",)]
    columns = "value, unit, limit_text, clause, device_id, room_id, picture_href, rule_version"
    assert house.rows(f"SELECT {columns} FROM marts.fct_finding WHERE subject_id = 'flood.GC1.0'") == [
        (7.5, "%", "≤ 5.0 %", "NEMA NU 1 2.4", "GC1", "ROOM-GC1", "pictures/run-flood.GC1.0.png", 1)
    ]


@pytest.mark.req("SYS-02", "SYS-17")
def test_examinations(house: House) -> None:
    columns = "accession_number, status, device_id, round(administered_mbq, 6), series_count"
    counts = "steps_expected, steps_done, steps_missing, findings, verdict"
    assert house.rows(f"SELECT {columns}, {counts} FROM marts.fct_examination ORDER BY 1") == [
        ("A0", "reported", "GC1", 150.0, 0, 8, 8, 0, 0, "pass"),
        ("A1", "reported", "SPCT1", 700.0, 1, 8, 8, 0, 0, "pass"),
        ("A2", "reported", "PETCT1", 216.0, 0, 8, 8, 0, 2, "fail"),
        ("A3", "reported", "PETCT1", 300.0, 0, 8, 8, 0, 1, "fail"),
        ("A4", "reported", "SPCT1", 700.0, 1, 8, 7, 1, 2, "fail"),
        ("A5", "reported", "SPCT1", 150.0, 1, 8, 8, 0, 2, "fail"),
        ("A6", "reported", "SPCT1", 700.0, 0, 8, 8, 0, 1, "fail"),
        ("A7", "cancelled", None, None, 0, 0, 0, 0, 0, "none"),
        ("A8", "ordered", None, None, 0, 8, 0, 0, 0, "none"),
    ]
    one = "arrived_at_utc, started_at_utc, ended_at_utc, reported_at_utc, room_id, exam_code"
    assert house.rows(f"SELECT {one} FROM marts.fct_examination WHERE accession_number = 'A1'") == [
        (naive("08:28"), naive("08:30"), naive("11:48"), naive("12:48"), "ROOM-SPCT1", "BONE")
    ]
    future = "SELECT DISTINCT state FROM marts.fct_examination_step WHERE accession_number = 'A8'"
    assert house.rows(future) == [("pending",)]


@pytest.mark.req("AUD-03")
def test_staff_total_against_compliant_work(house: House) -> None:
    columns = "staff_id, month, staff_role, steps_total, steps_compliant, steps_credential_invalid"
    assert house.rows(f"SELECT {columns} FROM marts.mart_staff_month ORDER BY 1") == [
        ("D01", date(2026, 3, 1), "physician", 14, 14, 0),
        ("N01", date(2026, 3, 1), "nurse", 20, 19, 0),  # the injection of A5 came before the identity check
        ("RP01", date(2026, 3, 1), "radiopharmacist", 7, 6, 0),
        ("T01", date(2026, 3, 1), "technologist", 13, 12, 0),  # the early scan of A6
        ("T04", date(2026, 3, 1), "technologist", 1, 0, 1),
    ]  # fmt: skip
    assert house.rows(
        "SELECT state, days_left, steps_while_invalid FROM marts.mart_credential_validity WHERE staff_id = 'T04'"
    ) == [("expired", -10, 1)]


@pytest.mark.req("ENV-21")
def test_device_days_and_months(house: House) -> None:
    states = house.rows(
        "SELECT device_id, day, state, tests_due, tests_done, tests_failed, examinations FROM marts.mart_device_day ORDER BY 1, 2"
    )
    days = [DAY - timedelta(days=n) for n in range(3, -1, -1)]
    assert [s for s in states if s[0] == "GC1"] == [
        ("GC1", days[0], "fit", 2, 2, 0, 0),
        ("GC1", days[1], "fit", 2, 2, 0, 0),
        ("GC1", days[2], "not_confirmed", 2, 1, 0, 1),
        ("GC1", days[3], "not_fit", 2, 2, 1, 0),
    ]
    assert [s[2] for s in states if s[0] == "PETCT1"] == ["fit", "conditional", "fit", "fit"]
    assert [s[2] for s in states if s[0] == "SPCT1"] == [
        "fit"
    ] * 4  # a good flood stands beside the one that could not be measured
    columns = "examinations, phantom_tests, phantom_fails, image_quality_mean, image_quality_n, days_fit"
    assert house.rows(f"SELECT {columns} FROM marts.mart_device_month WHERE device_id = 'SPCT1'") == [(5, 9, 0, 50.0, 2, 4)]


@pytest.mark.req("SYS-18")
def test_strangers_are_shown_and_patients_are_no_phantoms(house: House) -> None:
    rows = house.rows("SELECT series_uid, verdict FROM marts.fct_phantom_test WHERE device_id = 'UNREGISTERED'")
    assert rows == [("flood.stranger", "fail")]
    assert house.rows("SELECT count(*) FROM marts.fct_phantom_test WHERE series_uid = 'thyroid.A5'") == [(0,)]


@pytest.mark.req("ENV-18")
def test_environment_hours_and_the_exact_gap(house: House) -> None:
    gap = "SELECT value, reason FROM marts.fct_finding WHERE rule_id = 'ENVIRONMENT_GAP'"
    assert house.rows(gap) == [
        (100 * 142 / 144, "no good reading from 2026-03-09T19:20Z for 20 min; 142 of 144 ten-minute slots of the day")
    ]
    columns = "hour_utc, slots_expected, slots_received, completeness_percent"
    waiting = house.rows(f"SELECT {columns} FROM marts.mart_environment_hour WHERE room_id = 'WAITING' ORDER BY 1")
    assert waiting[0] == (naive("10:00"), 3, 3, 100.0)  # it began at half past
    assert waiting[-1] == (naive("09:00", NEW_DAY), 0, 2, None)  # live readings after as_of: shown, nothing expected
    assert {w[1:] for w in waiting[1:-1]} == {(6, 6, 100.0)} and len(waiting) == 15
    humid = "SELECT count(*), max(value_mean) FROM marts.mart_environment_hour WHERE verdict = 'fail'"
    assert house.rows(humid) == [(2, 71.0)]


@pytest.mark.req("ANA-09")
def test_the_stream_judges_a_reading_as_the_mart_judges_its_hour(house: House) -> None:
    rules, names = reference.rules(house.project / "seeds"), ("limit_low", "limit_high", "limit_version")
    streamed: dict[tuple[str, str, datetime], set[tuple[Any, ...]]] = {}
    for r in hospital().readings:
        about = {"read_at": us(r["read_at_utc"]), "recorded_at": us(r["recorded_at_utc"]), "journal": "modbus", "place": 0}
        (change,) = advance(Kept(), [{**r, **about}], rules)[1]
        hour = r["read_at_utc"].replace(minute=0, tzinfo=None)
        streamed.setdefault((r["room_id"], r["quantity"], hour), set()).add((change["state"], *(change[n] for n in names)))
    columns = f"room_id, quantity, hour_utc, verdict, {', '.join(names)}"
    hours = house.rows(f"SELECT {columns} FROM marts.mart_environment_hour WHERE slots_received > 0")
    said = {"pass": "normal", "fail": "abnormal", "none": "no_limit"}
    assert streamed == {h[:3]: {(said[h[3]], *h[4:])} for h in hours}
    assert set().union(*streamed.values()) >= {
        ("normal", 20.0, 24.0, 1), ("normal", 21.0, None, 2), ("abnormal", None, 60.0, 1), ("no_limit", None, None, None),
    }  # fmt: skip


def test_a_second_build_of_the_same_is_nothing_new(house: House) -> None:
    before = (house.settings.warehouse / "candidate").readlink()
    account = build_marts(house.settings, AS_OF, house.project)
    assert (account.read, account.written) == (0, 0)
    assert (house.settings.warehouse / "candidate").readlink() == before
    assert not behind(house.settings, house.project)


def test_every_mart_has_its_site_and_utc_names(house: House) -> None:
    columns = house.rows("SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'marts'")
    tables = {t for t, _, _ in columns}
    assert len(tables) >= 18
    assert {t for t, c, _ in columns if c == "site_id"} == tables
    assert {c for _, c, kind in columns if kind.startswith("TIMESTAMP") and not c.endswith("_utc")} == set()
    assert {kind for _, c, kind in columns if c.endswith("_utc")} == {"TIMESTAMP"}


def test_models_truth_tables(house: House) -> None:
    """Run the dbt unit tests: they need the tables of a release for the types of their columns."""
    work = house.settings.home / "unit"
    work.mkdir()
    shutil.copy(house.settings.warehouse / "candidate" / "qc.duckdb", work / "qc.duckdb")
    done = dbt(house, work, "test", "--select", "test_type:unit")
    assert done.returncode == 0, done.stdout[-3000:]
    outcomes = [r["status"] for r in json.loads((work / "target" / "run_results.json").read_text())["results"]]
    assert len(outcomes) >= 3 and set(outcomes) == {"pass"}


@pytest.mark.req("ENB-09", "DC-09")
def test_late_and_repeated_facts_and_a_new_limit_row(house: House) -> None:
    """A replay changes nothing; corrections replace, late facts land on their day; a limit row takes effect at the next build."""
    first = house.digest()
    hospital().write(house.settings.lake, "events-1000-1999")  # every event and reading once more, as a repeated range would
    build_marts(house.settings, AS_OF, house.project)
    again = house.digest()
    assert {n for n in first if first[n] != again[n]} == set()

    late = LakeWriter()
    late.events = [{}] * 5000  # later offsets
    late.step("A4", "identity_check", at("08:50"), recorded=LATER)  # told a day late
    late.dose("A2", "FDG", at("08:55"), 0.97)
    late.events[-1]["recorded_at_utc"] = LATER  # a correction of the dose record
    late.credential("T04", "2026-03-01", "2027-03-01")
    late.series("flood.late", "GC1", at("08:00", DAY - timedelta(days=1)), recorded=LATER)
    late.measure("flood.late", "GC1", at("08:00", DAY - timedelta(days=1)), "planar_uniformity", {"ufov_iu_percent": 3.0})
    late.measure(
        "flood.GC1.0", "GC1", at("07:00"), "planar_uniformity", {"ufov_iu_percent": 4.5}, run="run-new", method_version="1.10.0"
    )
    late.events = late.events[5000:]
    late.write(house.settings.lake, "events-5001-5999")
    with (house.project / "seeds" / "limits.csv").open("a") as f:
        f.write(f"CT,2,ct_water,water_hu,,,,-4.6,4.6,-5,5,{DAY - timedelta(days=2)},,ACR,water,TST-02,nobody\n")
        f.write("UNI-GC1,1,planar_uniformity,ufov_iu_percent,GC1,,,,4,,8,2020-01-01,,house,1,TST-02,nobody\n")
    assert behind(house.settings, house.project)
    build_marts(house.settings, AS_OF, house.project)

    gone = {r for (r,) in house.rows("SELECT subject_id FROM marts.fct_finding", "current")} - {
        r for (r,) in house.rows("SELECT subject_id FROM marts.fct_finding")
    }
    assert gone == {"A4/identity_check", "A2", "A3/acquisition", "GC1/2026-03-09", "water.PETCT1.2"}
    columns, where = (
        "run_key, is_current, value, limit_high, limit_id, verdict",
        "series_uid = 'flood.GC1.0' AND measure LIKE 'ufov%'",
    )
    assert house.rows(f"SELECT {columns} FROM marts.fct_phantom_test WHERE {where} ORDER BY 1") == [
        ("run-flood.GC1.0", False, 7.5, 8.0, "UNI-GC1", "warn"),
        ("run-new", True, 4.5, 8.0, "UNI-GC1", "warn"),
    ]
    water = "SELECT measured_at_utc, limit_version FROM marts.fct_phantom_test WHERE device_id = 'PETCT1' ORDER BY 1"
    assert [v for _, v in house.rows(water)] == [1, 2, 2, 2]  # the version in force on the day of acquisition


@pytest.mark.req("DC-09")
def test_an_integrity_failure_blocks_and_leaves_nothing_half_built(house: House) -> None:
    before = (house.settings.warehouse / "candidate").readlink()
    staff = house.project / "seeds" / "staff.csv"
    good = staff.read_text()
    staff.write_text(good + "T01,MAIN,technologist,Somebody else,别人\n")
    try:
        with pytest.raises(BuildFailed, match="unique_staff_staff_id"):
            build_marts(house.settings, AS_OF, house.project)
    finally:
        staff.write_text(good)
    assert (house.settings.warehouse / "candidate").readlink() == before
    assert not list((house.settings.warehouse / "build").glob("qc.duckdb*"))


def naive(clock: str, day: date = DAY) -> datetime:
    """Return the moment as the marts hold it."""
    return at(clock, day).replace(tzinfo=None)


def dbt(house: House, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt on a database of its own."""
    env = {
        **os.environ,
        "PHOTOPEAK_LAKE": str(house.settings.lake),
        "PHOTOPEAK_WAREHOUSE_FILE": str(work / "qc.duckdb"),
        "DBT_PROJECT_DIR": str(house.project),
        "DBT_PROFILES_DIR": str(house.project),
        "DBT_TARGET_PATH": str(work / "target"),
        "DBT_LOG_PATH": str(work / "log"),
        "PYTHONPATH": str(ROOT),
    }
    given = json.dumps({"as_of_utc": AS_OF.isoformat()})
    command = [str(Path(sys.executable).with_name("dbt")), *arguments, "--vars", given]
    return subprocess.run(command, env=env, cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
