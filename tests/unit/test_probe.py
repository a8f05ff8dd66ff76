"""`photopeak status`: a DAG that Airflow cannot read is named with file and line, and is no success."""

import json
import sqlite3
from pathlib import Path

import pytest

from connectors.settings import ROOT, load
from messages import fields
from photopeak import probe
from photopeak.cli import main

TRACE = f'''Traceback (most recent call last):
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "{ROOT}/dags/ingest_his.py", line 31, in <module>
    from photopeak_airflow.assets import NOTHING
ImportError: cannot import name 'NOTHING' from 'photopeak_airflow.assets'
'''
SYNTAX = f'''Traceback (most recent call last):
  File "{ROOT}/dags/build_marts.py", line 26
    with DAG(
            ^
SyntaxError: '(' was never closed
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOPEAK_HOME", str(tmp_path))
    (tmp_path / "airflow").mkdir()
    with sqlite3.connect(tmp_path / "airflow" / "airflow.db") as db:
        db.execute("CREATE TABLE import_error (filename TEXT, stacktrace TEXT)")
    return tmp_path


def broken(home: Path, *rows: tuple[str, str]) -> None:
    with sqlite3.connect(home / "airflow" / "airflow.db") as db:
        db.executemany("INSERT INTO import_error VALUES (?, ?)", rows)


def test_file_and_line_of_each_broken_dag_are_named(home: Path) -> None:
    told = probe._Airflow(load(home=home))
    assert told.import_errors() is None
    broken(home, ("ingest_his.py", TRACE), (f"{ROOT}/dags/build_marts.py", SYNTAX), ("gone.py", ""))
    said = told.import_errors() or ""
    assert "import error in dags/ingest_his.py:31: ImportError: cannot import name 'NOTHING'" in said
    assert "import error in dags/build_marts.py:26: SyntaxError: '(' was never closed" in said
    assert "import error in dags/gone.py: no traceback" in said


@pytest.mark.parametrize(
    "state, reason, code",
    [("up", None, 0), ("up", "import error in dags/ingest_his.py:31: ImportError: x", 1), ("starting", "no heartbeat yet", 1)],
)
def test_status_ends_with_1_for_a_dag_that_cannot_be_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, reason: str | None, code: int
) -> None:
    row = {"service": "airflow-processor", "state": state, "pid": 1, "url": None, "reason": reason}
    monkeypatch.setattr(probe, "status", lambda _settings: [row])
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main(["status", *options])
        said = capsys.readouterr().out
        assert end.value.code == code and (reason or "up") in said and (not options or json.loads(said) == [row | fields(reason)])
