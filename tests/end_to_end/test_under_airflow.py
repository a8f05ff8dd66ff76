"""The whole platform with Airflow: an image comes in at the door, and nobody touches anything until its verdict is published."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pydicom
import pytest
from contract.dicom_parrot import free_port, peer

from connectors.settings import ROOT, Settings, load
from photopeak import probe, supervise
from photopeak.services import NAMES

MINUTES_3 = 180
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("airflow")
    names = ("dicom", "hl7", "events", "spark", "airflow", "superset", "reports", "status")
    (folder / "photopeak.env").write_text("".join(f"PHOTOPEAK_{n.upper()}_PORT={free_port()}\n" for n in names))
    settings = load(home=folder)
    try:
        supervise.up(settings)
        yield settings
    finally:
        supervise.down(settings)


@pytest.mark.req("SYS-11", "SYS-20", "IF-06", "DC-16")
def test_a_failed_flood_is_published_within_three_minutes_with_no_hand_on_it(home: Settings, tmp_path: Path) -> None:
    assert {r["service"]: r["state"] for r in probe.status(home)} == dict.fromkeys(NAMES, "up")
    subprocess.run(
        [sys.executable, "-m", "simulator", "images", "--out", str(tmp_path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    image = tmp_path / "flood_dead_photomultiplier.dcm"
    series = pydicom.dcmread(image, stop_before_pixels=True).SeriesInstanceUID
    subprocess.run([peer("storescu"), "-aec", "PHOTOPEAK", "127.0.0.1", str(home.dicom_port), str(image)], check=True, timeout=60)
    began = time.monotonic()
    while not (verdicts := _verdicts(home, series)):
        assert time.monotonic() - began < MINUTES_3, probe.table(probe.status(home))
        time.sleep(2)
    assert verdicts["ufov_iu_percent"] == "fail"
    index = json.loads((home.reports / "index.json").read_text())
    newest = [r for r in index if r["rule"] == "PHANTOM_LIMIT"]
    assert newest and any(not r["success"] and r["failing"] for r in newest)


def _verdicts(settings: Settings, series: str) -> dict[str, str]:
    """Return the verdicts of a series in the published release, by measure."""
    release = settings.warehouse / "current" / "qc.duckdb"
    if not release.exists():
        return {}
    with duckdb.connect(str(release.resolve()), read_only=True) as db:
        return dict(db.execute("SELECT measure, verdict FROM marts.fct_phantom_test WHERE series_uid = ?", [series]).fetchall())
