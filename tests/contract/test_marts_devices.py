"""Devices over time: drift, health, peers, phantoms, due list, opening time and indications, in one release built from planted series."""

import csv
import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter, at

from connectors.events import Event
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.files import FileLake
from devices import declared
from devices.states import states
from judgement import reference
from spark_jobs.qc.numerics.drift import Chart, find_drift
from spark_jobs.schemas.measures import MEASURES
from warehouse.releases import PROJECT, build_marts

DAYS = 90
FIRST = DAY - timedelta(days=DAYS - 1)
SHIFT = 30  # the day from which GC1's flood drifts
PEERS = [f"P{i}" for i in range(8)]
CALM = 60  # further calm series, one a detector of P0


def values(seed: int, shift: float = 0.0) -> np.ndarray:
    """Return a flood's uniformity a day: always far inside 5 %, one sigma is 0.3 %."""
    out = 2.5 + 0.3 * np.random.default_rng(seed).standard_normal(DAYS)
    out[SHIFT:] += shift
    assert out.max() < 4.5
    return out.round(4)


def lake() -> LakeWriter:
    w = LakeWriter()
    for device, seed, shift in (("GC1", 1, 0.3), ("SPCT1", 2, 0.0)):
        for i, value in enumerate(values(seed, shift)):
            day = FIRST + timedelta(days=i)
            if (device, i) == ("SPCT1", DAYS - 1):
                continue  # omitted: nobody tested SPCT1 on the last day
            w.phantom(f"flood.{device}.{i}", device, at("07:00", day), "planar_uniformity", {"ufov_iu_percent": float(value)})
        w.phantom(f"cor.{device}", device, at("07:10", FIRST + timedelta(days=75)), "centre_of_rotation", {"cor_offset_mm": 0.1})
    w.phantom("cor.GC1.new", "GC1", at("07:10", DAY - timedelta(days=2)), "centre_of_rotation", {"cor_offset_mm": 0.1})
    for i in range(DAYS):
        w.series(f"flood.P0.{i}", "P0", at("06:00", FIRST + timedelta(days=i)))
    for n in range(CALM):
        for i, value in enumerate(values(100 + n)):
            w.measures.append({
                "site_id": "MAIN", "run_key": f"run-P0.{i}", "analysis": "phantom", "series_uid": f"flood.P0.{i}", "station_name": "P0",
                "device_serial": "SN-P0", "modality": "NM", "procedure": "planar_uniformity", "status": "measured", "method": "m",
                "method_version": "1.0.0", "acquired_at_utc": at("06:00", FIRST + timedelta(days=i)),
                "series_recorded_at_utc": at("06:01", FIRST + timedelta(days=i)), "instance_count": 1, "detector": f"D{n:02d}",
                "measure": "ufov_iu_percent", "value": float(value), "unit": "%",
            })  # fmt: skip
    for i, device in enumerate(PEERS):  # water of eight devices of one model on two campuses; only P3 stands out
        w.phantom(
            f"water.{device}", device, at("07:40"), "ct_water", {"water_hu": 4.0 if device == "P3" else 0.2 + 0.1 * (i % 4)}
        )
        if device == "P6":
            w.measures[-1]["method_version"] = "2.0.0"  # another method is no peer
    w.phantom("water.PETCT1", "PETCT1", at("07:40"), "ct_water", {"water_hu": 9.0})
    # phantoms declared: valid, expired, unknown
    for device, clock, check, note in (
        ("P1", "07:30", "phantom_used", "GOOD"), ("P2", "07:30", "phantom_used/ct_water", "OLD"), ("P4", "07:30", "phantom_used", "NOBODY"),
        ("P5", "07:30", "phantom_used/planar_uniformity", "OLD"),
    ):  # fmt: skip
        w.event("device.check", at(clock), {
            "device_id": device, "check": check, "performed_at_utc": at(clock).isoformat(), "staff_id": "T01", "result": "pass", "note": note,
        })  # fmt: skip
    w.event("device.check", at("06:50"), {
        "device_id": "P6", "check": "peaking", "performed_at_utc": at("06:50").isoformat(), "staff_id": "T01", "result": "fail",
    })  # fmt: skip
    hold = {
        "device_id": "PETCT1", "state": "not_fit", "reason": "ct_water failed", "policy_id": "HOLD-NOT-FIT", "policy_version": 1, "approver": "x",
        "override_id": None, "overridden_by": None, "override_reason": None, "override_until_utc": None,
    }  # fmt: skip
    w.event("device.hold", at("07:41"), {**hold, "action": "held"})
    word = {"device_id": "PETCT1", "staff_id": "P01", "reason": "one emergency", "until_utc": "2026-03-10T01:00:00Z"}
    w.event("device.hold_override", at("08:00"), word, id_="o1")
    w.event("device.hold_override", at("08:10"), {**word, "staff_id": "NOBODY"}, id_="o2")
    lifted = {
        "override_id": "o1",
        "overridden_by": "P01",
        "override_reason": "one emergency",
        "override_until_utc": word["until_utc"],
    }
    w.event("device.hold", at("08:00"), {**hold, **lifted, "action": "offered"})
    for i, words in enumerate(("staging", "肺癌分期及疗效评价", "I25.1", "骨痛", None)):
        w.order(f"X{i}", "BONE", at("09:00"))
        w.events[-1]["data"] = w.events[-1]["data"].replace('"staging"', "null" if words is None else f'"{words}"')
    return w


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Return a connection to the release of the planted lake."""
    root = tmp_path_factory.mktemp("devices")
    project = root / "project"
    shutil.copytree(PROJECT, project)
    seeds = project / "seeds"
    _append(seeds / "sites.csv", ["EAST,East campus,东院区,Asia/Shanghai"])
    _append(
        seeds / "devices.csv",
        [f"{p},{'EAST' if p == 'P7' else 'MAIN'},x,x,ct,CT,Maker,Model 1,{p},SN-{p},ROOM-{p},2020-01-01" for p in PEERS],
    )
    _append(seeds / "phantom_schedule.csv", ["P1,ct_water,1,2020-01-01", "P2,ct_water,1,2020-01-01"])
    _append(
        seeds / "phantoms.csv",
        [
            "GOOD,MAIN,water,x,x,ct_water,0 HU,none,,2026-01-01,2026-12-31,,nobody",
            "OLD,MAIN,water,x,x,ct_water,0 HU,none,,2024-01-01,2026-03-09,,nobody",
        ],
    )
    _append(
        seeds / "baselines.csv", [f"ACC,1,P0,planar_uniformity,,D00,,2.5,0.3,{FIRST + timedelta(days=60)},service report,nobody"]
    )
    settings = load(home=root / "var")
    w = lake()
    east = [{**m, "site_id": "EAST"} for m in w.measures if m["station_name"] == "P7"]
    w.measures = [m for m in w.measures if m["station_name"] != "P7"]
    w.write(settings.lake)
    FileLake(settings.lake).put(
        "measures", {"site_id": "EAST", "day": f"{DAY}"}, "run-east", pa.Table.from_pylist(east, schema=MEASURES)
    )
    build_marts(settings, AS_OF, project)
    (settings.warehouse / "current").symlink_to((settings.warehouse / "candidate").resolve())
    return duckdb.connect(str(settings.warehouse / "candidate" / "qc.duckdb"), read_only=True)


def _append(path: Path, rows: list[str]) -> None:
    with path.open("a", encoding="utf-8") as f:
        f.write("\n".join(rows) + "\n")


def rows(release: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return release.execute(sql).fetchall()


@pytest.mark.req("SYS-22")
def test_a_shift_of_one_sigma_is_flagged_with_its_start_and_calm_series_are_not(release: duckdb.DuckDBPyConnection) -> None:
    ((state, direction, start, flagged, shift, spread),) = rows(
        release,
        "SELECT state, direction, start_at_utc, flagged_at_utc, shift, baseline_sigma FROM marts.mart_drift "
        "WHERE subject_id = 'GC1' AND procedure = 'planar_uniformity'",
    )
    assert (state, direction) == ("drift", "up") and 0.15 < shift < 0.45 and 0.2 < spread < 0.4
    began = (FIRST + timedelta(days=SHIFT)) - (start + timedelta(hours=8)).date()
    assert abs(began.days) <= 5 and 0 < (flagged - start).days <= 60
    assert rows(release, "SELECT DISTINCT verdict FROM marts.fct_phantom_test WHERE device_id = 'GC1' AND verdict = 'fail'") == []
    calm = rows(
        release, "SELECT state FROM marts.mart_drift WHERE subject_id IN ('SPCT1', 'P0') AND procedure = 'planar_uniformity'"
    )
    assert len(calm) == CALM + 2 and sum(s != "in_control" for (s,) in calm) <= 0.03 * len(calm) + 2
    found = rows(
        release, "SELECT subject_id, occurred_at_utc, reason FROM marts.fct_finding WHERE rule_id = 'DRIFT' AND device_id = 'GC1'"
    )
    assert (
        found[0][:2] == ("GC1/planar_uniformity/ufov_iu_percent", flagged)
        and f"{(start + timedelta(hours=8)).date()}" in found[0][2]
    )


def test_the_marts_chart_as_the_pure_functions_do(release: duckdb.DuckDBPyConnection) -> None:
    with (PROJECT / "seeds" / "drift_charts.csv").open() as f:
        design = {r["chart_id"]: r for r in csv.DictReader(f)}
    trends = rows(
        release,
        "SELECT any_value(d.baseline_source), any_value(d.chart_id), any_value(d.state), any_value(d.start_at_utc), any_value(d.flagged_at_utc), "
        "list(p.value ORDER BY p.n), list(p.measured_at_utc ORDER BY p.n) "
        "FROM marts.mart_drift d JOIN marts.mart_trend_point p USING (trend_id) GROUP BY d.trend_id",
    )
    flagged = 0
    for source, chart_id, state, start, at_utc, series, moments in trends:
        r = design[chart_id]
        names = ("cusum_k", "cusum_h", "ewma_weight", "ewma_limit", "clip_z")
        chart = Chart(*(float(r[n]) for n in names), baseline=int(r["baseline_n"]), floor=float(r["sigma_floor"]))
        drift = find_drift(np.array(series), chart)
        if source == "ACC":
            continue  # its baseline was given, not learned
        if drift is None:
            assert state == "learning"
        elif drift.flagged is None:
            assert state == "in_control"
        else:
            flagged += 1
            assert (state in ("drift", "returned"), at_utc, start) == (True, moments[drift.flagged], moments[drift.start])
    assert flagged >= 1 and len(trends) > CALM


def test_an_accepted_change_begins_a_new_trend_with_its_own_baseline(release: duckdb.DuckDBPyConnection) -> None:
    trends = rows(
        release,
        "SELECT values_seen, is_current, baseline_source, baseline_value, baseline_sigma FROM marts.mart_drift WHERE detector = 'D00' ORDER BY 2",
    )
    assert [t[:3] for t in trends] == [(60, False, "first 30 values"), (30, True, "ACC")] and trends[1][3:] == (2.5, 0.3)
    charted = "SELECT count(*) FROM marts.mart_trend_point WHERE detector = 'D00' AND baseline_source = 'ACC' AND z IS NOT NULL"
    assert rows(release, charted) == [(30,)]
    judged = "SELECT DISTINCT baseline_source FROM marts.fct_phantom_test WHERE detector = 'D00' ORDER BY 1"
    assert rows(release, judged) == [("ACC",), ("first 30 values",)]


@pytest.mark.req("ANA-07")
def test_drift_lowers_the_health_and_is_named(release: duckdb.DuckDBPyConnection) -> None:
    health = rows(
        release,
        f"SELECT device_id, contribution, points_lost, score, reason FROM marts.mart_device_health WHERE day = '{DAY}' "
        "AND device_id IN ('GC1', 'P6') AND points_lost > 0 ORDER BY 1, 2",
    )
    assert [h[:4] for h in health] == [("GC1", "drift", 15, 85), ("P6", "faults", 10, 40), ("P6", "phantom", 50, 40)]
    assert "Integral uniformity, UFOV went up" in health[0][4] and "check failed: peaking" in health[1][4]
    before = f"day = '{FIRST + timedelta(days=SHIFT - 1)}' AND device_id = 'GC1'"
    lost = f"SELECT contribution, points_lost FROM marts.mart_device_health WHERE {before} AND points_lost > 0"
    assert rows(release, lost) == [("phantom", 25)]  # no rotation test yet; nothing drifts
    assert rows(release, "SELECT count(*) FROM marts.mart_device_health WHERE points_lost > 0 AND reason IS NULL") == [(0,)]


@pytest.mark.req("ANA-08")
def test_one_of_the_peers_stands_out_and_few_peers_give_no_z(release: duckdb.DuckDBPyConnection) -> None:
    got = {
        d: (peers, position, reason)
        for d, peers, position, reason in rows(
            release, "SELECT device_id, peers, position, reason FROM marts.mart_peer_position WHERE measure = 'water_hu'"
        )
    }
    # P2 and P4 used invalid phantoms, P1 declared its kind and the others none, P6 was measured by another method, P7 stands on another campus
    assert {d for d, (_, position, _) in got.items() if position == "outlier"} == {"P3"}
    assert got["P0"][:2] == (3, "among") and got["P3"][0] == 3 and "robust z" in got["P3"][2]
    assert {d: got[d][1:] for d in ("P1", "P6", "PETCT1")} == dict.fromkeys(
        ("P1", "P6", "PETCT1"), ("too_few", "fewer than three peers")
    )
    assert got["P7"][:2] == (3, "among") and set(got) == {"P0", "P1", "P3", "P5", "P6", "P7", "PETCT1"}
    assert rows(release, "SELECT count(*) FROM marts.mart_peer_position WHERE position = 'too_few' AND robust_z IS NOT NULL") == [
        (0,)
    ]
    assert rows(release, "SELECT subject_id FROM marts.fct_finding WHERE rule_id = 'PEER_OUTLIER'") == [("P3/ct_water/water_hu",)]


def known_at_the_door(
    release: duckdb.DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[str, str] | None]:
    """Return what the landing page knows against the phantoms of the water tests, from the same declarations and register."""
    ((schema,),) = rows(release, "SELECT table_schema FROM information_schema.tables WHERE table_name = 'phantoms'")
    release.execute(f"COPY (SELECT * FROM {schema}.phantoms) TO '{folder / 'phantoms.csv'}' (HEADER)")
    monkeypatch.setattr(reference, "SEEDS", folder)
    settings = load(home=folder)
    journal = SqliteJournal(settings.journals / "events.db")
    for e in lake().events:
        if e["type"] == "device.check":
            times = e["occurred_at_utc"], e["recorded_at_utc"]
            journal.append([Event(e["type"], e["source"], e["event_id"], e["site_id"], "", *times, json.loads(e["data"]))])
    known = declared.Declared(settings)
    known.read()
    doubts = {f"P{n}": known.doubt(f"P{n}", at("07:40"), "ct_water") for n in range(7)}
    return {device: doubt for device, doubt in doubts.items() if doubt}


@pytest.mark.req("ENV-04")
def test_an_unknown_or_expired_phantom_makes_the_test_invalid(
    release: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = rows(
        release,
        "SELECT device_id, phantom_state, value IS NOT NULL, verdict, reason FROM marts.fct_phantom_test "
        "WHERE device_id IN ('P1', 'P2', 'P4', 'P5') ORDER BY 1",
    )
    assert [t[:4] for t in tests] == [
        ("P1", "valid", True, "pass"),
        ("P2", "expired", True, "none"),
        ("P4", "unknown", True, "none"),
        ("P5", None, True, "pass"),  # what was declared is the phantom of another procedure
    ]
    assert "2026-03-09" in tests[1][4] and "NOBODY is not in the register" in tests[2][4]
    assert {t[0]: (t[1], t[4]) for t in tests if t[3] == "none"} == known_at_the_door(release, tmp_path, monkeypatch), (
        "as the page says it"
    )
    found = rows(release, "SELECT subject_id FROM marts.fct_finding WHERE rule_id = 'PHANTOM_INVALID' ORDER BY 1")
    assert found == [("water.P2",), ("water.P4",)]
    assert rows(release, "SELECT state FROM marts.mart_device_day WHERE device_id IN ('P1', 'P2') ORDER BY device_id") == [
        ("fit",),
        ("not_confirmed",),
    ]


@pytest.mark.req("TST-09")
def test_the_due_list_and_the_baseline_in_force(release: duckdb.DuckDBPyConnection) -> None:
    due = rows(
        release,
        "SELECT device_id, procedure, next_due_day, days_left, state FROM marts.mart_phantom_due WHERE device_id IN ('GC1', 'SPCT1') ORDER BY 1, 2",
    )
    assert due == [
        ("GC1", "centre_of_rotation", date(2026, 3, 15), 5, "ok"),
        ("GC1", "planar_uniformity", DAY + timedelta(days=1), 1, "ok"),
        ("SPCT1", "centre_of_rotation", FIRST + timedelta(days=82), -7, "overdue"),
        ("SPCT1", "ct_water", FIRST, -89, "overdue"),
        ("SPCT1", "planar_uniformity", DAY, 0, "due"),
    ]
    assert rows(release, "SELECT subject_id FROM marts.fct_finding WHERE rule_id = 'PHANTOM_OVERDUE'") == [
        ("SPCT1/centre_of_rotation",)
    ]
    last = rows(
        release,
        f"SELECT value, baseline_value, change_from_baseline, baseline_source FROM marts.fct_phantom_test WHERE series_uid = 'flood.GC1.{DAYS - 1}'",
    )
    mean = float(np.mean(values(1, 0.3)[:30]))
    assert last == [
        (values(1, 0.3)[-1], pytest.approx(mean, abs=1e-6), pytest.approx(values(1, 0.3)[-1] - mean, abs=1e-5), "first 30 values")
    ]
    assert rows(release, "SELECT count(*) FROM marts.fct_phantom_test WHERE device_id = 'GC1'") == [(DAYS + 2,)]


@pytest.mark.req("ANA-06", "ENV-21")
def test_no_scan_by_the_opening_time_is_not_confirmed(release: duckdb.DuckDBPyConnection) -> None:
    opening = rows(
        release,
        f"SELECT device_id, state, state_at_opening, reason_at_opening, opens_at_utc FROM marts.mart_device_day WHERE day = '{DAY}' "
        "AND device_id IN ('GC1', 'SPCT1', 'P1', 'P6') ORDER BY 1",
    )
    assert [o[:3] for o in opening] == [
        ("GC1", "fit", "fit"),
        ("P1", "fit", "not_confirmed"),  # tested at 07:40
        ("P6", "not_fit", "not_fit"),
        ("SPCT1", "not_confirmed", "not_confirmed"),
    ]
    assert "was not tested by the opening time" in opening[1][3] and "check failed: peaking" in opening[2][3]
    assert opening[0][4] == at("07:30").replace(tzinfo=None)


def test_the_state_by_which_worklists_are_held_is_that_of_the_mart(
    release: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nobody was examined that day, so what counts now and what counted before the first patient are the same."""
    (path,) = release.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchone()
    home = Path(path).resolve().parents[3]
    told = states(load(home=home), AS_OF, home.parent / "project" / "seeds")
    marts = dict(rows(release, f"SELECT device_id, state FROM marts.mart_device_day WHERE day = '{DAY}' AND site_id = 'MAIN'"))
    assert len(marts) > 8 and {d: told[d]["state"] for d in marts} == marts
    assert {"fit", "not_fit", "not_confirmed"} == set(marts.values())
    reasons = dict(rows(release, f"SELECT device_id, reason FROM marts.mart_device_day WHERE day = '{DAY}'"))
    assert (
        told["PETCT1"]["reason"]
        == reasons["PETCT1"]
        == "CT water phantom failed (CT number of water: 9.0 % is outside -5.0 … 5.0 %)"
    )
    assert told["P6"]["reason"].startswith("check failed: peaking") and "out of calibration" in told["P2"]["reason"]
    assert "was not tested by the opening time" in told["SPCT1"]["reason"]
    morning = states(load(home=home), at("07:00"), home.parent / "project" / "seeds")
    assert "is missing" in morning["SPCT1"]["reason"]


@pytest.mark.req("ANA-06")
def test_holds_and_overrides_are_rows_for_the_auditor(release: duckdb.DuckDBPyConnection) -> None:
    told = rows(
        release,
        "SELECT kind, action, staff_id, state, reason, policy_id, override_reason, occurred_at_utc FROM marts.fct_worklist_hold "
        "WHERE device_id = 'PETCT1' ORDER BY occurred_at_utc, kind",
    )
    assert [t[:3] for t in told] == [
        ("change", "held", None),
        ("change", "offered", "P01"),
        ("override", "obeyed", "P01"),
        ("override", "not_obeyed", "NOBODY"),
    ]
    assert told[0][3:6] == ("not_fit", "ct_water failed", "HOLD-NOT-FIT") and told[0][7] == at("07:41").replace(tzinfo=None)
    found = rows(
        release,
        "SELECT subject_id, severity, staff_id, reason FROM marts.fct_finding WHERE rule_id = 'WORKLIST_OVERRIDE' ORDER BY 1",
    )
    held = rows(release, "SELECT subject_id, severity, reason, limit_text FROM marts.fct_finding WHERE rule_id = 'WORKLIST_HELD'")
    assert held == [(f"PETCT1/{DAY}", "info", "ct_water failed", "HOLD-NOT-FIT")]
    assert found == [
        ("o1", "warn", "P01", "one emergency"),
        ("o2", "warn", "NOBODY", "the person is not in the register of staff: one emergency"),
    ]


@pytest.mark.req("EXM-06")
def test_indications_are_coded_and_missing_ones_counted(release: duckdb.DuckDBPyConnection) -> None:
    assert rows(
        release, "SELECT accession_number, indication_code, is_first FROM marts.fct_examination_indication ORDER BY 1, 2"
    ) == [
        ("X0", "staging", True),
        ("X1", "response_assessment", False),
        ("X1", "staging", True),
        ("X2", "cardiovascular", True),
        ("X3", "missing", True),
        ("X4", "missing", True),
    ]
    assert rows(release, "SELECT indication_code, count(*) FROM marts.fct_examination GROUP BY 1 ORDER BY 1") == [
        ("cardiovascular", 1),
        ("missing", 2),
        ("staging", 2),
    ]
