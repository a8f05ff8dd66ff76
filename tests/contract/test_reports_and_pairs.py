"""Reports and pairs of series by real doors, real Spark and real dbt: from `photopeak send` to the verdict in the register."""

import json
import os
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import generate_uid

from connectors.settings import ROOT, load
from photopeak import supervise
from photopeak.demo import open_series

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))
from pet_images import cylinder, slices
from test_qc_pet_reports import blocks, report
from test_qc_registration import PLACES, ct, spect

pytestmark = pytest.mark.timeout(900)
PIN = "2026-04-01T16:00:00Z"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    ports = {f"{name}_port": _free_port() for name in ("dicom", "hl7", "events", "spark")}
    settings = {**ports, "as_of_utc": PIN, "series_quiet_s": 1, "min_free_mib": 1}
    (folder / "photopeak.env").write_text("".join(f"PHOTOPEAK_{k.upper()}={v}\n" for k, v in settings.items()))
    made = load(home=folder)
    try:
        supervise.up(made, ["dicom", "hl7", "events", "spark"])
        yield made
    finally:
        supervise.down(made)


def photopeak(home, *arguments):
    env = {**os.environ, "PHOTOPEAK_HOME": str(home.home)}
    return subprocess.run(
        [sys.executable, "-m", "photopeak", *map(str, arguments)], cwd=ROOT, env=env, capture_output=True, text=True
    )


def jobs(home, *names):
    """Run jobs in turn and return their exit codes."""
    until = time.monotonic() + 60
    while open_series(home):
        assert time.monotonic() < until, "series do not close"
        time.sleep(0.2)
    codes = []
    for name in names:
        done = photopeak(home, "job", name, "--json")
        assert done.returncode in (0, 99), done.stderr[-2000:]
        codes.append(done.returncode)
    return codes


def written(folder, files, **tags):
    """Write a series as files of a phantom on the SPECT/CT."""
    folder.mkdir(parents=True)
    for k, file in enumerate(files):
        path = folder / f"{k:03d}.dcm"
        path.write_bytes(file)
        ds = dcmread(path)
        for name, value in {"PatientID": "QC^REG", "PatientName": "", "StationName": "SPCT1", **tags}.items():
            setattr(ds, name, value)
        dcmwrite(path, ds, enforce_file_format=True)
    return folder


@pytest.mark.req("TST-03", "TST-05")
def test_sent_by_hand_judged_in_the_register_and_nothing_twice(home, tmp_path):
    dead = blocks()
    dead[11] = 0
    daily, sheet, broken = tmp_path / "daily.xml", tmp_path / "activimeter.json", tmp_path / "broken.xml"
    daily.write_bytes(report(dead))
    part = {"nuclide": "Cs-137", "reference_mbq": 9.25, "reference_at": "2026-03-01T00:00:00", "readings_mbq": [9.9]}
    sheet.write_text(json.dumps({"procedure": "activimeter", "measured_at": "2026-04-01T08:00:00", "accuracy": [part]}))
    broken.write_bytes(b"<SystemQualityReport>")
    done = photopeak(home, "send", daily)
    assert done.returncode == 0 and "1 of 1 reports accepted" in done.stdout, done.stderr
    assert photopeak(home, "send", daily).returncode == 0, "again: a duplicate, which changes nothing"
    assert photopeak(home, "send", "--device", "GC1", sheet).returncode == 0
    sheet.write_text(json.dumps({"procedure": "weather", "measured_at": "2026-04-01T08:00:00"}))
    assert photopeak(home, "send", "--device", "SPCT1", sheet).returncode == 0
    done = photopeak(home, "send", broken)
    assert done.returncode == 1 and "the XML is damaged" in done.stderr
    assert photopeak(home, "send", "--to", "127.0.0.1:1", daily).returncode == 2
    study = generate_uid()
    fixed = written(tmp_path / "ct", ct(PLACES), StudyInstanceUID=study, AcquisitionTime="080000")
    assert photopeak(home, "send", fixed).returncode == 0
    assert jobs(home, "ingest_pacs", "ingest_his", "analyse_phantoms") == [0, 0, 0]
    moved = spect(PLACES + np.array([0, 3.0, 0]), backwards=False)
    written(tmp_path / "nm", moved, StudyInstanceUID=study, AcquisitionTime="082000", FrameOfReferenceUID="7.7")
    assert photopeak(home, "send", tmp_path / "nm").returncode == 0
    assert jobs(home, "ingest_pacs", "analyse_phantoms", "build_marts", "attest_quality") == [0, 0, 0, 0]
    jobs(home, "ingest_pacs")  # the node may have written that it holds the worklist of a device that failed
    assert jobs(home, "ingest_pacs", "ingest_his", "analyse_phantoms") == [99, 99, 99]

    rows = _query(
        home, "SELECT device_id, procedure, measure, value, verdict, status FROM marts.fct_phantom_test WHERE is_current"
    )
    told = {(d, p, m): (v, verdict, status) for d, p, m, v, verdict, status in rows}
    assert told["PETCT1", "pet_normalisation", "dead_blocks_count"] == (1, "fail", "measured")
    assert told["GC1", "activimeter", "accuracy_error_percent"][1] == "fail"
    assert told["SPCT1", "registration", "offset_y_mm"][0] == pytest.approx(3.0, abs=0.1)
    assert told["SPCT1", "registration", None] == (None, "none", "measured")
    assert [r[:3] for r in rows if r[-1] == "not_measured"] == [("SPCT1", None, None)], "what the CT alone could not tell is past"
    found = _query(
        home, "SELECT rule_id, device_id FROM marts.fct_finding WHERE rule_id LIKE 'PHANTOM%' OR rule_id LIKE 'INTAKE%'"
    )
    assert sorted(found, key=str) == [
        ("INTAKE_DUPLICATE", None), ("INTAKE_QUARANTINED", None), ("PHANTOM_LIMIT", "GC1"), ("PHANTOM_LIMIT", "PETCT1"),
        ("PHANTOM_NOT_MEASURED", "SPCT1"),  # a report of no known kind is a finding of its device, not silence
    ]  # fmt: skip
    index = json.loads((home.reports / "index.json").read_text())
    assert all(r["success"] for r in index if r["severity"] == "integrity"), [r for r in index if not r["success"]]


@pytest.mark.req("TST-03")
def test_a_sheet_of_the_filling_meets_its_cylinder_whichever_comes_first(home, tmp_path):
    scanned = datetime(2026, 4, 1, 10, 0)
    for number, (first, bias) in enumerate((("sheet", 0.02), ("series", 0.25))):
        study = generate_uid()
        images = slices(cylinder(10_000 * (1 + bias), noise=0.01), (4.0, 4.0, 4.0), Units="BQML", DecayCorrection="START")
        day = {
            "SeriesDate": "20260401",
            "SeriesTime": "100000",
            "AcquisitionTime": "100000",
            "FrameOfReferenceUID": generate_uid(),
        }
        about = {"StationName": "PETCT1", "PatientID": "QC^CAL", "StudyInstanceUID": study, **day}
        series = written(tmp_path / f"cylinder {number}", images, **about)
        sheet = tmp_path / f"filling {number}.json"
        filling = {"nuclide": "F-18", "activity_mbq": 60, "measured_at": scanned.isoformat(), "volume_ml": 6_000}
        named = {"series_uid": dcmread(next(series.iterdir())).SeriesInstanceUID} if number else {"study_uid": study}
        sheet.write_text(json.dumps({"procedure": ("pet_cross_calibration", "suv_calibration")[number], **named, **filling}))
        for path in (sheet, series) if first == "sheet" else (series, sheet):
            assert photopeak(home, "send", "--device", "PETCT1", path).returncode == 0, path
            assert jobs(home, "ingest_pacs", "ingest_his", "analyse_phantoms").count(99) <= 1
    assert jobs(home, "build_marts", "attest_quality") == [0, 0]
    rows = _query(
        home,
        "SELECT procedure, measure, value, verdict, status FROM marts.fct_phantom_test WHERE is_current AND device_id = 'PETCT1' "
        "AND procedure IN ('pet_cross_calibration', 'suv_calibration', 'pet_uniformity')",
    )
    biases = sorted(
        (p, round(v), verdict) for p, m, v, verdict, _ in rows if m in ("calibration_bias_percent", "suv_bias_percent")
    )
    assert biases == [
        ("pet_cross_calibration", 2, "pass"), ("pet_cross_calibration", 25, "fail"), ("suv_calibration", 2, "pass"), ("suv_calibration", 25, "fail"),
    ], rows  # fmt: skip
    assert {s for *_, s in rows} == {"measured"}, (
        "what a series alone could not tell is past; a sheet says where its values stand"
    )
    jobs(home, "ingest_pacs")  # the node may have written that it holds the worklist of a device that failed
    assert jobs(home, "ingest_pacs", "ingest_his", "analyse_phantoms") == [99, 99, 99]


def _query(home, sql):
    release = (home.warehouse / "current" / "qc.duckdb").resolve()
    with duckdb.connect(str(release), read_only=True) as db:
        return db.execute(sql).fetchall()


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
