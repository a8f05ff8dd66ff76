"""Whether a device is fit now: by its newest verdicts, scheduled or not, its checks and its schedule."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import duckdb
import pytest
from contract.lake_fixture import LakeWriter

from connectors.settings import load
from devices.states import states
from judgement.devices import DeviceTest, due_tests, has_opened, impossible, newest_failures, state_of
from judgement.rows import Component, OpeningHours, Scheduled

TODAY = date(2026, 3, 10)
DAILY, WEEKLY = Scheduled("GC1", "daily", 1, "2026-01-01"), Scheduled("GC1", "weekly", 7, "2026-01-01")


def made(procedure: str | None, state: str, ago: int = 0, hour: int = 7, device: str = "GC1", reason: str = "why") -> DeviceTest:
    day = TODAY - timedelta(days=ago)
    return DeviceTest(device, procedure, day, datetime(day.year, day.month, day.day, hour), state, reason)


def state(
    *tests: DeviceTest, due: tuple[Scheduled, ...] = (DAILY,), checks: tuple[str, ...] = (), opened: bool = False, first: int = 90
) -> tuple:
    found = state_of("GC1", TODAY, due, tests, list(checks), opened, TODAY - timedelta(days=first))
    return found["state"], found["reason"], [t["procedure"] for t in found["tests"]]


@pytest.mark.parametrize("scheduled", [True, False])
@pytest.mark.parametrize(("ago", "passed_ago"), [(0, None), (1, None), (40, None), (40, 41), (3, 3)])
def test_every_failure_counts_and_stands_until_the_same_test_passes(scheduled: bool, ago: int, passed_ago: int | None) -> None:
    daily, others = made("daily", "pass"), [made("other", "pass", passed_ago, 6)] if passed_ago is not None else []
    due = (DAILY, Scheduled("GC1", "other", 1, "2026-01-01")) if scheduled else (DAILY,)
    missing = "; other is missing" if scheduled and ago else ""
    why = (
        "other failed (why)"
        if ago == 0
        else f"other failed on {TODAY - timedelta(days=ago)} and has not passed since (why){missing}"
    )
    assert state(daily, made("other", "fail", ago), *others, due=due) == ("not_fit", why, ["other"])
    mended = state(daily, made("other", "fail", ago), made("other", "pass", 0, 9), due=due)
    assert mended == ("fit", None, [])
    warned = state(daily, made("other", "fail", ago), made("other", "warn", 0, 9), due=due)
    assert warned[0] == ("conditional" if scheduled else "fit")


@pytest.mark.parametrize("state_of_try", ["not_measured", "indicative", "none"])
def test_a_try_without_a_verdict_heals_nothing(state_of_try: str) -> None:
    later = made("other", state_of_try, 0, 9)
    assert state(made("daily", "pass"), made("other", "fail", 2), later)[0] == "not_fit"
    assert state(made("daily", "fail", 0), made("daily", state_of_try, 0, 9))[0] == "not_fit"
    unread = made(None, "not_measured", 0, 9)
    assert state(made("daily", "fail", 1), unread) == (
        "not_fit",
        f"daily failed on {TODAY - timedelta(days=1)} and has not passed since (why)",
        ["daily"],
    )


def test_another_devices_failure_is_another_devices() -> None:
    assert state(made("daily", "pass"), made("other", "fail", device="GC2"))[0] == "fit"


def test_a_test_covers_its_period_and_is_due_when_it_could_have_been_made() -> None:
    due = (WEEKLY,)
    assert state(made("weekly", "pass", 6), due=due)[0] == "fit"
    assert state(made("weekly", "pass", 7), due=due) == ("not_confirmed", "weekly is missing", ["weekly"])
    assert state(due=due, first=6)[:2] == ("not_confirmed", "weekly is missing")
    assert state(due=due, first=5)[:2] == ("not_confirmed", "no test is scheduled")
    assert state(made("weekly", "fail", 8), due=due, first=5)[0] == "not_fit", "due or not, it failed"
    assert state(opened=True)[1] == "daily was not tested by the opening time"
    assert state(made(None, "not_measured"))[1] == "daily was not measured (why)"


def test_only_failures_of_tests_that_nobody_scheduled_count() -> None:
    assert state(made("other", "pass"), due=()) == ("not_confirmed", "no test is scheduled", [])
    assert state(made("other", "fail"), due=())[0] == "not_fit"
    assert state(made("daily", "pass"), made("other", "warn"))[0] == "fit"
    assert state(made("daily", "pass"), checks=("display",)) == ("not_fit", "check failed: display", [])


def test_the_worst_of_all_combinations_decides() -> None:
    rank = {"pass": 0, "warn": 1, "none": 2, "fail": 3}
    names = ("fit", "conditional", "not_confirmed", "not_fit")
    due = (DAILY, WEEKLY)
    for a, b in product(rank, repeat=2):
        assert state(made("daily", a), made("weekly", b), due=due)[0] == names[max(rank[a], rank[b])]


def test_the_newest_row_of_a_schedule_holds_from_its_day() -> None:
    rows = [
        Scheduled("GC1", "p", 7, "2026-01-01"),
        Scheduled("GC1", "p", 1, "2026-03-10"),
        Scheduled("GC1", "p", 3, "2026-03-11"),
    ]
    assert due_tests(rows, TODAY) == [rows[1]] and due_tests(rows, TODAY - timedelta(days=1)) == [rows[0]]
    assert due_tests(rows, date(2025, 12, 31)) == []


def test_opening_hours_of_a_device_go_before_those_of_the_site() -> None:
    hours = [
        OpeningHours("MAIN", None, "07:30", "2000-01-01"), OpeningHours("MAIN", "GC1", "09:00", "2000-01-01"),
        OpeningHours("EAST", None, "01:00", "2000-01-01"), OpeningHours("MAIN", None, "06:00", "2026-03-11"),
    ]  # fmt: skip
    at = datetime(2026, 3, 10, 7, 30)
    assert has_opened("SPCT1", hours, "MAIN", at) and not has_opened("SPCT1", hours, "MAIN", at - timedelta(minutes=1))
    assert not has_opened("GC1", hours, "MAIN", at) and has_opened("GC1", hours, "MAIN", at.replace(hour=9))
    assert not has_opened("GC1", [], "MAIN", at)


def test_the_newest_result_of_a_check_counts() -> None:
    at = datetime(2026, 3, 10, 7)
    checks = [
        ("GC1", "b", at, "fail"),
        ("GC1", "a", at, "fail"),
        ("GC1", "a", at + timedelta(hours=1), "pass"),
        ("GC2", "a", at, "fail"),
    ]
    assert newest_failures(checks) == {"GC1": ["b"], "GC2": ["a"]}


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=4), timedelta(days=2)])
def test_a_failed_check_of_a_clock_that_is_fast_counts_from_its_arrival(tmp_path: Path, ahead: timedelta) -> None:
    settings, lake, now = load(home=tmp_path), LakeWriter(), datetime(2026, 3, 10, 1, tzinfo=UTC)
    performed = (now + ahead).isoformat().replace("+00:00", "Z")
    check = {"device_id": "GC1", "check": "collimator", "performed_at_utc": performed, "staff_id": "P01", "result": "fail"}
    lake.event("device.check", now, check, recorded=now)
    lake.write(settings.lake)
    found = states(settings, now + timedelta(minutes=1))["GC1"]
    assert found["state"] == "not_fit" and "collimator" in found["reason"]


def test_a_schedule_of_what_does_not_exist_is_named_by_its_row() -> None:
    components = [
        Component("planar_uniformity", "procedure", "o", "job analyse_phantoms", "i", "o"),
        Component("whole_body_bone", "procedure", "o", "job analyse_images", "i", "o"),
    ]
    rows = [Scheduled("GC1", "planar_uniformity", 1, "2026-01-01"), Scheduled("GC9", "whole_body_bone", 0, "2026-01-01")]
    from judgement.reference import read
    from judgement.rows import Device

    wrong = impossible(rows, read(Device), components)
    assert [n for n, _ in wrong] == [1, 1, 1] and "GC9" in wrong[0][1] and "planar_uniformity" in wrong[1][1]


def release(home: Path, rows: str, until: str = "2026-03-09 16:00:00") -> None:
    """Publish a release that knows these tests of former days, and devices since January."""
    folder = home / "warehouse" / "releases" / "1"
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "qc.duckdb")) as db:
        db.execute("CREATE SCHEMA marts; CREATE SCHEMA intermediate")
        db.execute(f"CREATE TABLE marts.mart_release AS SELECT TIMESTAMP '{until}' AS as_of_utc")
        db.execute(
            "CREATE TABLE marts.mart_device_day AS SELECT 'MAIN' AS site_id, 'PETCT1' AS device_id, DATE '2026-01-01' AS day"
        )
        columns = "site_id, device_id, procedure, tested_day, tested_at_utc, result, reason, run_key"
        db.execute(f"CREATE TABLE intermediate.int_phantom__test AS SELECT * FROM (VALUES {rows}) AS t({columns})")
    (home / "warehouse" / "current").symlink_to(folder)


def row_of(procedure: str, day: str, result: str, reason: str = "why", device: str = "PETCT1") -> str:
    return f"('MAIN', '{device}', '{procedure}', DATE '{day}', TIMESTAMP '{day} 00:00:00', '{result}', '{reason}', 'k{day}')"


def test_a_failure_that_only_the_release_knows_holds_today_until_the_lake_has_a_pass(tmp_path: Path) -> None:
    code = json.dumps({"code": "verdict.no_value", "args": {}})
    old = [
        row_of("pet_daily_qc", "2026-01-05", "fail", code),
        row_of("pet_daily_qc", "2026-01-04", "pass"),
        row_of("ct_water", "2026-03-01", "fail"),
    ]
    release(tmp_path, ", ".join([*old, row_of("ct_water", "2026-03-02", "pass"), row_of("pet_nema_iq", "2026-03-11", "fail")]))
    settings, now = load(home=tmp_path), datetime(2026, 3, 10, 4, tzinfo=UTC)
    told = states(settings, now)["PETCT1"]
    why = "PET daily quality report failed on 2026-01-05 and has not passed since (no value)"
    assert told["state"] == "not_fit" and why in told["reason"] and "CT water phantom failed" not in told["reason"]
    assert "PET image quality" not in told["reason"], "of tomorrow"
    assert told["reason_code"] == "joined" and "pet_daily_qc" in [t["procedure"] for t in told["tests"]]
    writer = LakeWriter()
    at_seven = datetime(2026, 3, 9, 23, tzinfo=UTC)
    for procedure, measure in (("pet_daily_qc", "block_efficiency_outliers_count"), ("ct_water", "water_hu")):
        writer.measure(f"s.{procedure}", "PETCT1", at_seven, procedure, {measure: 0.0}, unit="1")
    writer.write(settings.lake)
    mended = states(settings, now)["PETCT1"]
    assert "PET daily quality report" not in (mended["reason"] or "") and mended["state"] != "not_fit"


def test_days_that_no_release_speaks_of_are_read_from_the_lake(tmp_path: Path) -> None:
    """A failure of Friday evening, a release of Friday noon: on Tuesday it stands."""
    release(tmp_path, row_of("ct_water", "2026-03-05", "pass"), "2026-03-06 04:00:00")
    settings, writer = load(home=tmp_path), LakeWriter()
    failed = datetime(2026, 3, 6, 10, tzinfo=UTC)
    writer.measure("s", "PETCT1", failed, "pet_daily_qc", {"block_efficiency_outliers_count": 3.0}, unit="1")
    writer.write(settings.lake)
    told = states(settings, datetime(2026, 3, 10, 4, tzinfo=UTC))["PETCT1"]
    assert (
        told["state"] == "not_fit" and "PET daily quality report failed on 2026-03-06 and has not passed since" in told["reason"]
    )
