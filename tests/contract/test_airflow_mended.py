"""A DAG that could not be imported is back within a minute of the repair, and with it the watcher of its journal: Airflow's own processor."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from connectors.settings import ROOT, load
from photopeak import prepare
from photopeak.services import services

PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
MINUTE, SHORT, SPARE = 60, 10, 10  # seconds
pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(not PYTHON.exists(), reason="no environment of Airflow here")]


def within(seconds: float, holds: Callable[[], bool]) -> float:
    """Return after how many seconds it holds; fail when it does not in time."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.5)
    return time.monotonic() - began


@pytest.mark.parametrize("broken", ["what the files import", "a file itself"])
def test_watchers_are_back_within_a_minute_of_the_repair_also_after_a_restart(tmp_path: Path, broken: str) -> None:
    settings = load(home=tmp_path / "home")
    prepare.files(settings)
    for room in ("dags", "plugins"):
        shutil.copytree(ROOT / room, tmp_path / room)
    service = services(settings)["airflow-processor"]
    period = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"
    assert int(service.environment[period]) + SPARE <= MINUTE, "what Airflow waits before it reads a file again, here shortened"
    ours = {
        period: str(SHORT),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"),
    }
    environment = {**os.environ, **service.environment, **ours, "PYTHONPATH": str(tmp_path / "plugins")}
    Path(environment["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [str(PYTHON), "-c", "from airflow.utils import db; db.initdb()"], env=environment, check=True, capture_output=True
    )

    def rows(sql: str) -> list[tuple]:
        with closing(sqlite3.connect(f"file:{environment['AIRFLOW_HOME']}/airflow.db?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(sql).fetchall()

    def watched() -> bool:
        return len(rows("SELECT 1 FROM asset_watcher JOIN trigger ON trigger.id = trigger_id")) == 3 and not rows(
            "SELECT 1 FROM import_error UNION ALL SELECT 1 FROM dag WHERE is_stale"
        )

    def started() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as out:
            return subprocess.Popen(service.command, env=environment, stdout=out, stderr=out, start_new_session=True)

    target = tmp_path / ("plugins/photopeak_airflow/schedules.py" if broken == "what the files import" else "dags/ingest_pacs.py")
    good = target.read_text()
    target.write_text(good + "\nraise ImportError('half saved')\n")
    count = len(list((tmp_path / "dags").glob("*.py"))) if broken == "what the files import" else 1
    for _ in range(2):  # the second time the processor is started over what the first left in the database
        run = started()
        try:
            within(2 * MINUTE, lambda: len(rows("SELECT 1 FROM import_error")) == count)
            target.write_text(good)
            print(f"{broken}: back {within(SHORT + 3 * SPARE, watched):.0f} s after the repair")
        finally:
            run.terminate()
            run.wait(30)
        target.write_text(good + "\nraise ImportError('half saved')\n")
