"""Marts of a site in Europe/Berlin over the nights in which its clock is changed: days of 23 and 25 hours have no gap and no other day."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import duckdb
import pytest
from lake_fixture import LakeWriter

from connectors.settings import load
from expectations.population import population_of
from expectations.suites import read_checkpoint, read_suites
from judgement.days import day_start, from_wall, site_zone
from warehouse.releases import PROJECT, build_marts

BERLIN = site_zone("Europe/Berlin")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
SENSOR, GAPPY = "ROOM-GC1/temperature", "ROOM-GC1/humidity"
ONE = timedelta(days=1)


def wall(day: date, clock: str) -> datetime:
    return from_wall(datetime.combine(day, time.fromisoformat(clock)), BERLIN)


def lake(sunday: date) -> LakeWriter:
    w = LakeWriter()
    first, end = day_start(sunday - ONE, BERLIN), day_start(sunday + 2 * ONE, BERLIN)
    w.sensor(SENSOR, first, end, 22.0, "Cel")
    missing = day_start(sunday, BERLIN) + timedelta(hours=1)  # an hour before the change
    w.sensor(GAPPY, first, end, 45.0, "%", {missing + timedelta(minutes=10 * n): None for n in range(6)})
    for day, clock in ((sunday - ONE, "23:50"), (sunday, "00:10"), (sunday, "23:50"), (sunday + ONE, "00:10")):
        w.phantom(f"flood.{day:%d}.{clock[:2]}", "GC1", wall(day, clock), "planar_uniformity", {"ufov_iu_percent": 2.5})
    w.examination("A1", "THYROID", "GC1", wall(sunday, "23:00"))
    w.order("A2", "THYROID", wall(sunday, "02:30"))
    doubted = {**json.loads(w.events[-1]["data"]), "doubts": [{"field": "OBR-36", "doubt": "clock_change"}]}
    w.events[-1]["data"] = json.dumps(doubted, sort_keys=True)
    return w


@pytest.fixture(scope="module", params=[SPRING, AUTUMN], ids=["spring", "autumn"])
def sunday(request: pytest.FixtureRequest) -> date:
    return request.param


@pytest.fixture(scope="module")
def release(sunday: date, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    root = tmp_path_factory.mktemp("berlin")
    shutil.copytree(PROJECT, root / "project")
    sites = root / "project" / "seeds" / "sites.csv"
    sites.write_text(sites.read_text(encoding="utf-8").replace("Asia/Shanghai", "Europe/Berlin"), encoding="utf-8")
    settings = load(home=root / "var", time_zone="Europe/Berlin")
    lake(sunday).write(settings.lake)
    build_marts(settings, day_start(sunday + 2 * ONE, BERLIN), root / "project")
    (path,) = (settings.warehouse / "releases").glob("*/qc.duckdb")
    with duckdb.connect(str(path), read_only=True) as db:
        db.execute("set timezone = 'UTC'")
        yield db


@pytest.mark.req("ENV-18")
def test_a_day_of_23_or_25_hours_is_complete(release: duckdb.DuckDBPyConnection, sunday: date) -> None:
    sql = f"""select day, slots_expected, slots_received, completeness_percent from intermediate.int_environment__sensor_day
        where sensor_id = '{SENSOR}' order by day"""
    slots = {SPRING: 138, AUTUMN: 150}[sunday]
    expected = [(sunday - ONE, 144, 144, 100), (sunday, slots, slots, 100), (sunday + ONE, 144, 144, 100)]
    assert release.execute(sql).fetchall() == expected
    hours = "select local_day, count(*) from marts.mart_environment_hour where sensor_id = $1 group by 1 order by 1"
    assert release.execute(hours.replace("local_day", "timezone('Europe/Berlin', timezone('UTC', hour_utc))::date"), [SENSOR]).fetchall() == [
        (sunday - ONE, 24), (sunday, slots // 6), (sunday + ONE, 24),
    ]  # fmt: skip


def test_only_a_real_gap_is_one_in_marts_and_report(release: duckdb.DuckDBPyConnection, sunday: date) -> None:
    found = release.execute("select subject_id from marts.fct_finding where rule_id = 'ENVIRONMENT_GAP'").fetchall()
    assert found == [(f"{GAPPY}/{sunday}",)]
    (suite,) = (s for s in read_suites(read_checkpoint().layers)[0] if s.name == "marts_environment_gap")
    frame = population_of(release, suite, BERLIN).frame
    days = {(r.sensor_id, f"{r.day:%Y-%m-%d}"): (r.slots_expected, r.slots_received) for r in frame.itertuples()}
    slots = {SPRING: 138, AUTUMN: 150}[sunday]
    assert days[SENSOR, f"{sunday}"] == (slots, slots) and days[GAPPY, f"{sunday}"] == (slots, slots - 6)


def test_a_room_gives_its_trend_a_value_on_the_days_of_23_and_25_hours(release: duckdb.DuckDBPyConnection, sunday: date) -> None:
    sql = "select day, measured_at_utc from intermediate.int_drift__value where subject_kind = 'room' and measure = 'temperature' order by 1"
    expected = [(d, day_start(d, BERLIN).replace(tzinfo=None)) for d in (sunday - ONE, sunday, sunday + ONE)]
    assert release.execute(sql).fetchall() == expected


def test_devices_open_by_the_clock_and_tests_are_of_their_local_day(release: duckdb.DuckDBPyConnection, sunday: date) -> None:
    opened = "select day, opens_at_utc from intermediate.int_device__day where device_id = 'GC1' and day >= $1 order by day"
    expected = [(d, wall(d, "07:30").replace(tzinfo=None)) for d in (sunday - ONE, sunday, sunday + ONE)]
    assert release.execute(opened, [sunday - ONE]).fetchall() == expected
    tested = "select series_uid, acquired_day from intermediate.int_phantom__measure order by acquired_at_utc"
    assert [d for _, d in release.execute(tested).fetchall()] == [sunday - ONE, sunday, sunday, sunday + ONE]
    exam = release.execute("select exam_day from intermediate.int_examination__known").fetchall()
    assert exam == [(sunday,)] * 2, "late on Sunday is Sunday"


def test_a_time_in_the_hour_of_the_change_is_a_finding_in_both_languages(release: duckdb.DuckDBPyConnection) -> None:
    found = release.execute(
        "select reason_code, reason, reason_zh from marts.fct_finding where rule_id = 'INTAKE_DOUBT'"
    ).fetchall()
    assert [code for code, _, _ in found] == ["intake.clock_change"]
    assert all(text.startswith("OBR-36 ") for text in found[0][1:])
