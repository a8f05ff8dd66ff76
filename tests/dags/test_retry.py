"""A job that fails is tried again by Airflow itself, and one that goes on failing is reported with its own sentence."""

import logging
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils import db
from photopeak_airflow import operators

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """#!/bin/sh
echo "$@" >> {calls}
if [ $(wc -l < {calls}) -le {fails} ]; then echo "photopeak: the disk is full: free space and run the same command again" >&2; exit 3; fi
echo '{{"job": "build_marts", "read": 3, "written": 4}}'
"""


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    db.initdb()


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> tuple[str, int, list[str]]:
    """Run the DAG as it is, but for the wait between tries, with a job that fails so many times; return state, tries and calls."""
    calls, script = folder / "calls", folder / "python"
    script.write_text(SCRIPT.format(calls=calls, fails=fails))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(operators, "COMMAND", script)
    dag = DagBag(str(ROOT / "dags")).dags["build_marts"]
    dag.tasks[0].retry_delay = timedelta(seconds=0.1)
    (task,) = dag.test().get_task_instances()
    return str(task.state), task.try_number, calls.read_text().splitlines()


@pytest.mark.req("ENG-01")
def test_a_failed_job_is_tried_again_and_then_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, tries, calls = run(tmp_path, monkeypatch, fails=2)
    assert (state, tries) == ("success", 3)
    assert calls == ["-m photopeak job build_marts --json"] * 3, "the very command that a person types"


@pytest.mark.req("ENG-01")
def test_a_job_that_goes_on_failing_is_reported_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        state, tries, calls = run(tmp_path, monkeypatch, fails=99)
    assert (state, tries, len(calls)) == ("failed", 4, 4), "three retries, then it is given up"
    said = capsys.readouterr()
    assert "the disk is full" in said.out + said.err + caplog.text
