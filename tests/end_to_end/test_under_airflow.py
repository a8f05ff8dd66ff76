"""The whole platform with Airflow: an image comes in at the door, and nobody touches anything until its verdict is published."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pydicom
import pytest
from contract.dicom_parrot import free_port, peer

from connectors.settings import ROOT, Settings, load
from photopeak import probe, supervise
from photopeak.services import NAMES

MINUTE, MINUTES_3 = 60, 180  # the target is 30 s; other tests may run beside this one
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
    series = _send(home, tmp_path / "flood_dead_photomultiplier.dcm")
    began = time.monotonic()
    while not (verdicts := _verdicts(home, series)):
        assert time.monotonic() - began < MINUTES_3, probe.table(probe.status(home))
        time.sleep(2)
    assert verdicts["ufov_iu_percent"] == "fail"
    index = json.loads((home.reports / "index.json").read_text())
    newest = [r for r in index if r["rule"] == "PHANTOM_LIMIT"]
    assert newest and any(not r["success"] and r["failing"] for r in newest)


def test_a_technologist_sees_the_verdict_within_a_minute_long_before_the_release(home: Settings, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "simulator", "images", "--out", str(tmp_path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    series = _send(home, tmp_path / "flood.dcm")
    began = time.monotonic()
    seen = [_on_the_page(home, series)]
    while not re.search("attested", seen[-1]):
        assert time.monotonic() - began < MINUTE, (seen[-1], probe.table(probe.status(home)))
        time.sleep(1)
        seen.append(_on_the_page(home, series))
    print(f"verdict on the page {time.monotonic() - began:.1f} s after the last image")
    assert all("Waiting" in block for block in seen[:-1] if block) and any(seen[:-1]), "until then it waits, and says so"
    assert (
        "Planar uniformity" in seen[-1]
        and "Pass" in seen[-1]
        and "Not yet attested" in seen[-1]
        and "after the last image" in seen[-1]
    )
    while "Not yet attested" in (block := _on_the_page(home, series)):
        assert time.monotonic() - began < MINUTES_3, probe.table(probe.status(home))
        time.sleep(2)
    assert "Pass" in block and "Attested" in block


def _send(settings: Settings, image: Path) -> str:
    """Send an image as a camera does, and return its series."""
    command = [peer("storescu"), "-aec", "PHOTOPEAK", "127.0.0.1", str(settings.dicom_port), str(image)]
    subprocess.run(command, check=True, timeout=60)
    return str(pydicom.dcmread(image, stop_before_pixels=True).SeriesInstanceUID)


def _on_the_page(settings: Settings, series: str) -> str:
    """Return what the landing page says of a series; empty: nothing."""
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.status_port}/?lang=en", timeout=30) as answer:
        page = answer.read().decode()
    found = re.search(f'<article[^>]*id="series-{re.escape(series)}".*?</article>', page, re.S)
    return found[0] if found else ""


def _verdicts(settings: Settings, series: str) -> dict[str, str]:
    """Return the verdicts of a series in the published release, by measure."""
    release = settings.warehouse / "current" / "qc.duckdb"
    if not release.exists():
        return {}
    with duckdb.connect(str(release.resolve()), read_only=True) as db:
        return dict(db.execute("SELECT measure, verdict FROM marts.fct_phantom_test WHERE series_uid = ?", [series]).fetchall())
