"""The whole chain without Airflow: a pretend fortnight through real doors, every job by hand, the answer key, then everything again."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors.settings import ROOT, Settings, load
from judgement import reference
from judgement.rows import Limit
from judgement.verdicts import judged
from photopeak import supervise
from photopeak.demo import open_series
from photopeak.jobs import JOBS

DAY, DAYS, PIN = "2026-03-30", "14", "2026-03-30T16:00:00Z"
DOORS = ["dicom", "hl7", "events", "spark"]  # no poller: it would go on adding readings while rows are compared
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("a hospital")  # with a space, as users have them
    ports = {f"{name}_port": _free_port() for name in ("dicom", "hl7", "events", "spark")}
    lines = [f"PHOTOPEAK_{k.upper()}={v}" for k, v in {**ports, "as_of_utc": PIN, "series_quiet_s": 2}.items()]
    (folder / "photopeak.env").write_text("\n".join(lines) + "\n")
    settings = load(home=folder)
    try:
        supervise.up(settings, DOORS)
        _hospital(settings)
        for job in JOBS:
            assert _job(settings, job)[0] in ((0,) if job != "confirm_devices" else (0, 99)), (
                job
            )  # the analysis may have said all
        _until_held(settings, "GC1")
        for job in ("ingest_pacs", "build_marts", "attest_quality"):  # the node's word on it
            assert _job(settings, job)[0] == 0, job
        yield settings
    finally:
        supervise.down(settings)


@pytest.mark.req("SYS-17", "SYS-18", "ENB-08")
def test_every_planted_fault_is_found_and_nothing_else_is_flagged(home: Settings) -> None:
    command = ["check", "--home", str(home.home), "--warehouse", str(home.warehouse / "current" / "qc.duckdb")]
    done = subprocess.run([sys.executable, "-m", "simulator", *command], cwd=ROOT, capture_output=True, text=True)
    answer = json.loads((home.home / "demo" / "answer_check.json").read_text())
    assert done.returncode == 0, done.stdout
    assert len(answer["planted"]) >= 15 and all(p["found"] for p in answer["planted"]) and answer["false_alarms"] == []


@pytest.mark.req("IF-03", "DC-09")
def test_a_second_run_of_every_job_finds_nothing_new_and_changes_no_row(home: Settings) -> None:
    before = _marts(home)
    assert {job: _job(home, job)[0] for job in JOBS} == dict.fromkeys(JOBS, 99)
    assert _marts(home) == before


def test_one_series_measured_again_gives_the_same_rows(home: Settings) -> None:
    series, rows = _query(
        home, "SELECT series_uid, count(*) FROM marts.fct_phantom_test WHERE verdict = 'fail' GROUP BY 1 LIMIT 1"
    )[0]
    files = {p: p.read_bytes() for p in home.lake.glob("measures/site_id=*/day=*/*.parquet")}
    code, account = _job(home, "analyse_phantoms", "--series", series)
    assert (code, account["read"]) == (0, 1) and account["written"] >= rows
    assert {p: p.read_bytes() for p in home.lake.glob("measures/site_id=*/day=*/*.parquet")} == files


@pytest.mark.req("DC-11", "ENB-03")
def test_no_identity_leaves_the_vault(home: Settings) -> None:
    written = re.compile(rb"P2603\d{4}(?!\d)")  # the pretend hospital's patient ids of that month
    places = {
        "journals": list(home.journals.glob("*.db")),
        "lake": list(home.lake.rglob("*.parquet")),
        "reports": [p for p in home.reports.rglob("*") if p.suffix in (".html", ".json")],
        "objects": [p for p in home.objects.rglob("*") if p.is_file()],
        "logs": list((home.home / "log").rglob("*.log")),
    }
    for place, files in places.items():
        assert files, place
        found = {match for p in files for match in written.findall(_plain(p))}
        assert not found, (place, found)
    for table, rows in _marts(home).items():
        assert not written.search(json.dumps(rows, default=str, ensure_ascii=False).encode()), table


def test_the_landing_page_judges_the_lake_as_the_marts_do(home: Settings) -> None:
    names = ("run_key", "procedure", "detector", "region", "measure", "status", "verdict")
    released = set(
        _query(home, f"SELECT {', '.join(names)} FROM marts.fct_phantom_test WHERE coalesce(phantom_state, 'valid') = 'valid'")
    )
    devices = dict(_query(home, "SELECT DISTINCT run_key, device_id FROM marts.fct_phantom_test"))
    limits, ours = reference.read(Limit), set()
    for path in home.lake.glob("measures/site_id=*/day=*/*.parquet"):
        if path.stem in devices:
            rows = _rows_of_the_lake(path)
            ours |= {tuple(r[n] for n in names) for r in judged(rows, limits, devices[path.stem], home.zone)}
    assert len(released) > 100 and {r[-1] for r in released} >= {"pass", "fail", "none"}
    assert released <= ours


@pytest.mark.req("ANA-06")
def test_the_failed_phantom_holds_the_worklist_of_its_device_and_the_mart_says_so(home: Settings) -> None:
    holds = json.loads((home.worklist / "holds.json").read_text())["devices"]
    assert (
        holds["GC1"]["action"] == "held" and holds["GC1"]["state"] == "not_fit" and "Planar uniformity" in holds["GC1"]["reason"]
    )
    days = dict(_query(home, f"SELECT device_id, state FROM marts.mart_device_day WHERE day = '{DAY}'"))
    assert {d: h["action"] == "held" for d, h in holds.items()} == {d: s == "not_fit" for d, s in days.items()}
    assert ("GC1", "held", "HOLD-NOT-FIT") in _query(home, "SELECT device_id, action, policy_id FROM marts.fct_worklist_hold")


def test_the_failed_number_leads_to_its_picture(home: Settings) -> None:
    for (href,) in _query(home, "SELECT DISTINCT picture_href FROM marts.fct_phantom_test WHERE verdict = 'fail'"):
        assert (home.reports / href).read_bytes().startswith(b"\x89PNG")


@pytest.mark.req("IF-02")
def test_the_reports_index_names_rule_population_and_failing_rows(home: Settings) -> None:
    index: list[dict[str, Any]] = json.loads((home.reports / "index.json").read_text())
    assert {r["severity"] for r in index} >= {"integrity", "finding"}
    assert all(r["success"] for r in index if r["severity"] == "integrity")
    limit = next(r for r in index if r["rule"] == "PHANTOM_LIMIT")
    assert not limit["success"] and 0 < limit["failing"] < limit["population"]
    assert (home.reports / limit["href"].split("#")[0].removeprefix("/")).exists()


@pytest.mark.req("SYS-05")
def test_rebuild_derives_equal_rows_from_journals_and_objects(home: Settings) -> None:
    before = _marts(home)
    assert _photopeak(home, "verify").returncode == 0
    done = _photopeak(home, "rebuild")
    assert done.returncode == 0, done.stderr[-2000:]
    after = _marts(home)
    assert {t: len(r) for t, r in after.items()} == {t: len(r) for t, r in before.items()}
    for release in (before, after):  # its name is made of the files of the lake, which hold other ranges when read in one go
        release["mart_release"] = [row[1:] for row in release["mart_release"]]
    assert after == before


def _hospital(settings: Settings) -> None:
    doors = ["--dicom", f"127.0.0.1:{settings.dicom_port}", "--hl7", f"127.0.0.1:{settings.hl7_port}"]
    doors += ["--events", f"http://127.0.0.1:{settings.events_port}", "--modbus-port", "0"]
    what = ["--home", str(settings.home), "--day", DAY, "--history-days", DAYS, "--seed", "11"]
    env = {**os.environ, "PHOTOPEAK_REAL_DATA": str(ROOT.parent / "shared" / "data")}
    subprocess.run(
        [sys.executable, "-m", "simulator", "run", *what, *doors], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
    )
    _until_closed(settings)


def _plain(path: Path) -> bytes:
    """Return the bytes of a file; Parquet is compressed and SQLite leaves halves of moved rows beside each other, so rows are read."""
    if path.suffix == ".parquet":
        return str(pq.read_table(path, partitioning=None).to_pylist()).encode()
    if path.suffix == ".db":
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            return "\n".join(db.iterdump()).encode()
    return path.read_bytes()


def _until_closed(settings: Settings) -> None:
    until = time.monotonic() + 60
    while open_series(settings):
        assert time.monotonic() < until, "series do not close"
        time.sleep(0.5)


def _until_held(settings: Settings, device: str) -> None:
    until = time.monotonic() + 10
    path = settings.worklist / "holds.json"
    while not path.exists() or json.loads(path.read_text())["devices"][device]["action"] != "held":
        assert time.monotonic() < until, f"{device} is not held"
        time.sleep(0.2)


def _rows_of_the_lake(path: Path) -> list[dict[str, Any]]:
    rows = pq.ParquetFile(path).read().to_pylist()
    return [{**r, "acquired_at_utc": r["acquired_at_utc"] and r["acquired_at_utc"].replace(tzinfo=None)} for r in rows]


def _photopeak(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PHOTOPEAK_HOME": str(settings.home)}
    return subprocess.run([sys.executable, "-m", "photopeak", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


def _job(settings: Settings, name: str, *options: str) -> tuple[int, dict[str, Any]]:
    done = _photopeak(settings, "job", name, "--json", *options)
    assert done.stdout.startswith("{"), done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def _query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    release = (settings.warehouse / "current" / "qc.duckdb").resolve()
    with duckdb.connect(str(release), read_only=True) as db:
        return db.execute(sql).fetchall()


def _marts(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    tables = _query(settings, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 1")
    return {t: _query(settings, f"SELECT * FROM marts.{t} ORDER BY ALL") for (t,) in tables}


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
