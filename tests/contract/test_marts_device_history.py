"""A device over days: which failures make it unfit and for how long, where its history begins, and what late and old images change."""

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter, at

from connectors.settings import load
from devices.states import states
from warehouse.releases import PROJECT, BuildFailed, build_marts

BACK = 9  # days of data before the last one
COMMISSIONED = DAY - timedelta(days=20)
HOUR = timedelta(hours=1)
LONG_AGO = date(2024, 5, 1)


def day(back: int) -> date:
    return DAY - timedelta(days=back)


def flood(w: LakeWriter, device: str, acquired: datetime, percent: float = 2.5, recorded: datetime | None = None) -> None:
    uid = f"flood.{device}.{acquired:%Y%m%d%H%M}"
    came = recorded or acquired + timedelta(minutes=1)
    w.series(uid, device, acquired, recorded=came)
    w.measure(uid, device, acquired, "planar_uniformity", {"ufov_iu_percent": percent}, series_recorded_at_utc=came)


def report(w: LakeWriter, device: str, acquired: datetime, dead: float) -> None:
    uid = f"report/{device}{acquired:%Y%m%d}"
    w.measure(uid, device, acquired, "pet_daily_qc", {"block_efficiency_outliers_count": dead}, unit="1")


def lake() -> LakeWriter:
    w = LakeWriter()
    for back in range(BACK, -1, -1):
        w.phantom(f"water.PETCT1.{back}", "PETCT1", at("07:20", day(back)), "ct_water", {"water_hu": 0.5}, unit="HU")
        if back != 2:
            report(w, "PETCT1", at("07:25", day(back)), 3 if back == 3 else 0)  # nobody has scheduled it
        if back != 4:
            flood(w, "GC1", at("07:00", day(back)), 9.0 if back == 5 else 2.5)
        if back % 6 == 3:
            w.phantom(f"cor.GC1.{back}", "GC1", at("07:10", day(back)), "centre_of_rotation", {"cor_offset_mm": 0.1}, unit="mm")
        for device in ("OLD", "OLDER", "CHECKED"):
            flood(w, device, at("07:00", day(back)))
        late = {4: at("09:00", day(2)), 6: at("09:00", day(1))}.get(back)
        flood(w, "LATE", at("07:00", day(back)), 9.0 if back == 6 else 2.5, late)
    w.examination("USED", "THYROID", "GC1", at("09:00", day(4)))
    # images of long ago: one that comes later, one that comes on the day on which the device joins
    flood(w, "OLD", at("07:00", LONG_AGO), recorded=at("12:00", day(2)))
    flood(w, "OLDER", at("07:00", LONG_AGO), recorded=at("12:00", day(BACK)))
    flood(w, "SPCT1", at("07:00", LONG_AGO), recorded=at("12:00", day(1)))
    # its only test, which nobody has scheduled, failed; it was repeated after the first patient
    w.phantom("water.LONE.1", "LONE", at("07:00", day(3)), "ct_water", {"water_hu": 9.0})
    w.examination("LONE", "FDG", "LONE", at("08:00", day(1)))
    w.phantom("water.LONE.2", "LONE", at("18:00", day(1)), "ct_water", {"water_hu": 0.5})
    # two checks failed; another one passed, then one of them, then the other after the first patient; a third failed and passed on one day
    for back, clock, check, result in (
        (5, "06:50", "peaking", "fail"), (5, "06:55", "display", "fail"), (4, "06:50", "energy", "pass"), (3, "06:50", "peaking", "pass"),
        (2, "12:00", "display", "pass"), (1, "06:50", "energy", "fail"), (1, "12:00", "energy", "pass"),
    ):  # fmt: skip
        when = at(clock, day(back))
        said = {"device_id": "CHECKED", "check": check, "performed_at_utc": when.isoformat(), "staff_id": "T01", "result": result}
        w.event("device.check", when, said)
    w.examination("CHECKED", "THYROID", "CHECKED", at("09:00", day(2)))
    for device, kind, clock, back in (
        ("PETCT1", "software", "20:00", 3), ("PETCT1", "maintenance", "22:00", 3), ("GC1", "repair", "20:00", 7), ("STRANGER", "repair", "20:00", 3),
    ):  # fmt: skip
        began = at(clock, day(back))
        said = {"device_id": device, "kind": kind, "started_at_utc": began.isoformat(), "staff_id": "P01", "note": "as agreed"}
        w.event("device.maintenance", began, {**said, "ended_at_utc": (began + HOUR).isoformat()}, id_=f"{kind}/{device}")
    fault = {"event_number": "AE-1", "device_id": "OLD", "category": "equipment", "severity": "near_miss", "reported_by": "T01"}
    told = {
        "occurred_at_utc": at("08:00").isoformat(),
        "reported_at_utc": at("08:30").isoformat(),
        "description": "the table stops",
    }
    w.event("adverse.event", at("08:30"), {**fault, **told})
    for clock, action in (("07:41", "held"), ("07:55", "held"), ("08:00", "offered")):
        hold = {
            "device_id": "LONE",
            "state": "not_fit",
            "action": action,
            "reason": "x",
            "policy_id": None,
            "policy_version": None,
        }
        w.event("device.hold", at(clock), hold, id_=f"hold {clock}")
    return w


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("history")
    shutil.copytree(PROJECT, root / "project")
    seeds = root / "project" / "seeds"
    devices = (seeds / "devices.csv").read_text(encoding="utf-8")
    assert "SPCT1,SN-SPCT1,ROOM-SPCT1,2020-01-01,\n" in devices
    devices = devices.replace("ROOM-SPCT1,2020-01-01,\n", f"ROOM-SPCT1,2020-01-01,{COMMISSIONED}\n")
    for name in ("OLD", "OLDER", "LATE", "LONE", "CHECKED"):  # a row without the last column: of a file that is older than it
        devices += f"{name},MAIN,x,x,gamma_camera,NM,M,Model,{name},SN-{name},ROOM-{name},2020-01-01\n"
    (seeds / "devices.csv").write_text(devices, encoding="utf-8")
    with (seeds / "phantom_schedule.csv").open("a") as f:
        f.writelines(f"{name},planar_uniformity,1,2020-01-01\n" for name in ("OLD", "OLDER", "LATE", "CHECKED"))
    settings = load(home=root / "var")
    lake().write(settings.lake)
    build_marts(settings, AS_OF, root / "project")
    return root


@pytest.fixture(scope="module")
def release(house: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(house / "var" / "warehouse" / "candidate" / "qc.duckdb"), read_only=True)


def days(release: duckdb.DuckDBPyConnection, device: str, columns: str = "state") -> dict[int, tuple]:
    """Return {days before the last one: columns}."""
    found = release.execute(
        f"SELECT day, {columns} FROM marts.mart_device_day WHERE device_id = '{device}' ORDER BY day"
    ).fetchall()
    return {(DAY - d).days: tuple(row) for d, *row in found}


def test_a_failed_unscheduled_test_makes_a_device_unfit_until_it_passes(
    release: duckdb.DuckDBPyConnection,
) -> None:
    found = days(release, "PETCT1", "state, tests_due, tests_done, tests_failed, state_at_opening, reason")
    states = {back: row[0] for back, row in found.items()}
    assert states == {**dict.fromkeys(range(BACK + 1), "fit"), 3: "not_fit", 2: "not_fit"}
    assert found[3][1:5] == (1, 1, 1, "not_fit") and found[2][1:5] == (1, 1, 1, "not_fit") and found[1][1:5] == (1, 1, 0, "fit")
    assert "PET daily quality report failed (Outlying block efficiencies: 3.0 is outside" in found[3][5]
    assert f"PET daily quality report failed on {day(3)} and has not passed since" in found[2][5]
    assert found[1][5] is None


def test_a_failure_does_not_end_by_the_day_that_nobody_tests(release: duckdb.DuckDBPyConnection) -> None:
    found = days(release, "GC1", "state, reason, tests_done, state_at_opening, reason_zh")
    assert [found[b][0] for b in (6, 5, 4, 3)] == ["fit", "not_fit", "not_fit", "fit"]
    assert "has not passed since" in found[4][1] and "Planar uniformity is missing" in found[4][1]
    assert found[4][2:4] == (1, "not_fit") and "此后未再合格" in found[4][4]
    missing = release.execute("SELECT subject_id FROM marts.fct_finding WHERE rule_id = 'PHANTOM_MISSING'").fetchall()
    assert (f"GC1/{day(4)}",) in missing
    alone = days(release, "LONE", "state, reason")
    assert [alone[b][0] for b in (3, 2, 1, 0)] == ["not_fit", "not_fit", "not_fit", "not_confirmed"]
    assert alone[0][1] == "no test is scheduled"


def test_what_happened_to_a_device_stands_at_the_first_value_after_it(release: duckdb.DuckDBPyConnection) -> None:
    told = release.execute(
        "SELECT device_id, kind, event_id, staff_id, note, occurred_at_utc FROM marts.fct_device_event ORDER BY 1, 2"
    ).fetchall()
    assert [t[:2] for t in told] == [
        ("GC1", "repair"), ("LONE", "held"), ("OLD", "fault"), ("PETCT1", "maintenance"), ("PETCT1", "software"), ("UNREGISTERED", "repair"),
    ]  # fmt: skip
    assert told[1][2:] == ("hold 07:41", None, None, at("07:41").replace(tzinfo=None)), "held once, however often it is told"
    assert told[2][2:] == ("AE-1", "T01", "the table stops", at("08:00").replace(tzinfo=None))
    assert told[4][2:] == ("software/PETCT1", "P01", "as agreed", (at("20:00", day(3)) + HOUR).replace(tzinfo=None)), (
        "it counts from its end"
    )
    # of two things in one evening the newer one stands, at the next value and nowhere else
    marked = release.execute(
        "SELECT DISTINCT subject_id, procedure, day, device_event FROM marts.mart_trend_point WHERE device_event IS NOT NULL ORDER BY 1, 2"
    ).fetchall()
    gc1 = [("GC1", "centre_of_rotation", day(3), "repair"), ("GC1", "planar_uniformity", day(6), "repair")]
    assert marked == [*gc1, ("PETCT1", "ct_water", day(2), "maintenance")]


def test_a_failed_check_stands_until_the_same_check_passes_before_a_patient(
    release: duckdb.DuckDBPyConnection, house: Path
) -> None:
    found = days(release, "CHECKED", "state, reason, state_at_opening")
    assert {back: row[0] for back, row in found.items()} == {
        **dict.fromkeys(range(BACK + 1), "fit"),
        **dict.fromkeys((5, 4, 3, 2, 1), "not_fit"),
    }
    failed = {back: row[1] for back, row in found.items() if row[0] == "not_fit"}
    both, one = "check failed: display, peaking", "check failed: display"
    assert failed == {5: both, 4: both, 3: one, 2: one, 1: "check failed: energy"}
    assert [found[back][2] for back in (6, 5, 3, 2, 1, 0)] == ["fit", "not_fit", "not_fit", "not_fit", "not_fit", "fit"]
    for back, clock, reason in ((4, "20:00", both), (3, "20:00", one), (1, "20:00", None), (0, "20:00", None)):
        now = states(load(home=house / "var"), at(clock, day(back)), house / "project" / "seeds")["CHECKED"]
        assert (now["reason"] or None) == reason, back


def test_history_begins_at_commissioning_or_with_the_data_a_device_joined_with(
    release: duckdb.DuckDBPyConnection,
) -> None:
    for device in ("OLD", "OLDER"):
        found = days(release, device)
        assert set(found) == set(range(BACK + 1)) and set(found.values()) == {("fit",)}, device
    assert set(days(release, "SPCT1")) == set(range(21)), "from commissioned_on, whatever came"
    assert {row[0] for row in days(release, "SPCT1").values()} == {"not_confirmed"}
    due = release.execute("SELECT next_due_day FROM marts.mart_phantom_due WHERE device_id = 'SPCT1' AND procedure = 'ct_water'")
    assert due.fetchall() == [(COMMISSIONED,)]


def test_a_late_result_confirms_no_earlier_day_and_a_failure_is_never_too_late(
    release: duckdb.DuckDBPyConnection,
) -> None:
    found = days(release, "LATE", "state, reason, last_test_at_utc, last_test_arrived_at_utc, tests_failed, reason_zh")
    states = {back: row[0] for back, row in found.items()}
    assert states == {**dict.fromkeys(range(BACK + 1), "fit"), 6: "not_fit", 4: "not_confirmed"}
    assert found[4][1] == f"Planar uniformity was made in time, and its result came only on {day(2)}"
    assert "才到达" in found[4][5] and found[4][2] == at("07:00", day(4)).replace(tzinfo=None) and found[4][3] is None
    assert found[6][2:5] == (at("07:00", day(6)).replace(tzinfo=None), at("09:00", day(1)).replace(tzinfo=None), 1)
    assert found[0][3] == at("07:01", day(0)).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("GC1,planar_uniformty,1,2020-01-01", "phantom_schedule.csv:8: there is no phantom procedure 'planar_uniformty'"),
        ("GC1,whole_body_bone,7,2020-01-01", "phantom_schedule.csv:8: there is no phantom procedure 'whole_body_bone'"),
        ("GC9,planar_uniformity,1,2020-01-01", "phantom_schedule.csv:8: there is no device 'GC9'"),
        ("GC1,planar_uniformity,0,2020-01-01", "phantom_schedule.csv:8: every_days is '0'"),
    ],
)
def test_a_schedule_of_what_does_not_exist_is_refused_by_its_row(tmp_path: Path, row: str, told: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    with (project / "seeds" / "phantom_schedule.csv").open("a") as f:
        f.write(f"{row}\n")
    with pytest.raises(BuildFailed, match=told.split(":")[0]) as refused:
        build_marts(load(home=tmp_path / "var"), AS_OF, project)
    assert told in str(refused.value) and ("planar_uniformty" not in row or "planar_uniformity" in str(refused.value))
