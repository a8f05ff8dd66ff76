"""The one command: what it is called, how it ends, and what stays apart."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer.main
import yaml

from connectors.settings import Settings, load
from connectors.stores.lake.lock import locked
from photopeak import jobs, prepare, requirements
from photopeak.cli import app, main, sentence
from photopeak.services import NAMES

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = (
    "messages",
    "photopeak",
    "terminals",
    "warehouse",
    "connectors",
    "spark_jobs",
    "expectations",
    "dashboards",
    "simulator",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a home with spaces"
    monkeypatch.setenv("PHOTOPEAK_HOME", str(folder))
    return folder


def photopeak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "photopeak", *arguments], capture_output=True, text=True, timeout=120)


@pytest.fixture
def settings(home: Path) -> Settings:
    made = load()
    prepare.files(made)
    return made


def test_every_verb_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert all(c.help for c in commands.values())
    verbs = set(commands)
    told = set(re.findall(r"photopeak (\w+)", (ROOT / "README.md").read_text())) | set(
        re.findall(r"`(\w+)`", (ROOT / "photopeak" / "README.md").read_text())
    )
    assert verbs and verbs - told == set()


def test_job_of_a_new_home_has_nothing_new_and_says_so_in_json(settings: Settings) -> None:
    done = photopeak("job", "ingest_pacs", "--json")
    account = json.loads(done.stdout)
    assert done.returncode == 99
    assert set(account) >= {"job", "run_key", "from", "to", "read", "written", "quarantined", "seconds"}
    assert (account["job"], account["read"]) == ("ingest_pacs", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["job", "nonsense"], 2, "there is no job 'nonsense'"),
        (["job", "ingest_pacs", "--from", "yesterday"], 2, "journal offsets"),
        (["job", "build_marts", "--series", "1.2"], 2, "takes no --series"),
        (["job", "build_marts", "--to", "soon"], 2, "no moment"),
        (["job", "analyse_phantoms", "--series", "1.2"], 2, "holds no series 1.2"),
        (["send", "/nowhere/at/all"], 2, "does not exist"),
        (["up", "nonsense"], 3, "there is no service 'nonsense'"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_use_is_one_sentence(home: Path, arguments: list[str], code: int, said: str) -> None:
    done = photopeak(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not home.joinpath("airflow").exists()


def test_wrong_setting_names_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOPEAK_DICOM_PORT", "many")
    done = photopeak("status")
    assert done.returncode == 2 and "PHOTOPEAK_DICOM_PORT" in done.stderr and "Traceback" not in done.stderr


def test_locked_is_75(settings: Settings) -> None:
    with locked(settings.consumers, "ingest_his"):
        done = photopeak("job", "ingest_his", "--json")
    assert done.returncode == 75 and done.stdout == "" and "another run of ingest_his" in done.stderr


def test_send_without_a_node_is_an_environment_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import pydicom

    image = next(Path(pydicom.__file__).parent.rglob("JPEG2000.dcm"))
    done = photopeak("send", str(image), "--to", "127.0.0.1:1")
    assert done.returncode == 3 and "photopeak up dicom" in done.stderr


def test_jobs_are_the_dags() -> None:
    assert set(jobs.JOBS) == {p.stem for p in (ROOT / "dags").glob("*.py")}


def test_compose_names_the_same_services() -> None:
    named = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert set(named) - {"prepare"} == set(NAMES)


def test_requirements_join_catalogue_and_outcomes(tmp_path: Path) -> None:
    ids, ran = tmp_path / "ids.txt", tmp_path / "ran.json"
    ids.write_text("A-01  one\nA-02  two\nA-03  three\nA-04  four\n")
    ran.write_text(
        json.dumps({"A-01": {"x": "passed", "y": "skipped"}, "A-02": {"x": "passed", "y": "failed"}, "A-03": {"z": "skipped"}})
    )
    rows = requirements.outcomes(ran, ids)
    assert [(r["id"], r["outcome"], len(r["tests"])) for r in rows] == [
        ("A-01", "passed", 2), ("A-02", "failed", 2), ("A-03", "not_run", 1), ("A-04", "not_run", 0),
    ]  # fmt: skip


def test_marked_requirements_are_in_the_catalogue() -> None:
    marks = re.compile(r"mark\.req\(([^)]*)\)")
    texts = [p.read_text() for p in (ROOT / "tests").rglob("test_*.py")]
    used = {id_ for text in texts for mark in marks.findall(text) for id_ in re.findall(r'"([^"]+)"', mark)}
    assert used - set(requirements.catalogue()) == set()


def test_nothing_imports_dags_plugins_or_tests() -> None:
    for room in PLATFORM:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = (
                    [a.name for a in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                assert not {n.split(".")[0] for n in names} & {"dags", "plugins", "photopeak_airflow", "tests", "bench"}, path


def test_rooms_are_named_for_what_they_can_do() -> None:
    wrong = {"utils", "common", "helpers", "misc"}
    found = [p for room in (*PLATFORM, "dags", "plugins", "tests") for p in (ROOT / room).rglob("*") if p.stem in wrong]
    assert found == []


def test_every_package_is_installed() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    there = {".".join(p.parent.relative_to(ROOT).parts) for room in PLATFORM for p in (ROOT / room).rglob("__init__.py")}
    assert there and [name for name in there if not any(fnmatch(name, pattern) for pattern in found)] == []


def test_an_interrupted_command_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_arguments: object) -> None:
        raise SystemExit(130)  # what typer makes of Ctrl-C

    monkeypatch.setattr("photopeak.cli.app", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["demo"])
    assert end.value.code == 130 and "goes on where it stopped" in capsys.readouterr().err


def test_a_full_disk_is_said_so_whoever_met_it() -> None:
    full = OSError(28, "No space left on device", "/var/x")
    for error in (full, RuntimeError("Job aborted: java.io.IOException: No space left on device")):
        said = sentence(error)
        assert said is not None and said[0].startswith("the disk is full (") and said[1] == 3
    assert "/var/x" in str(sentence(full)) and sentence(ZeroDivisionError("x")) is None


def test_requirements_without_a_test_run_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = requirements.outcomes(tmp_path / "none.json")
    assert {r["outcome"] for r in rows} == {"not_run"}
    told = requirements.table(rows, tmp_path / "none.json")
    assert "No `make test` has run in this checkout" in told and "尚未运行" in told and "fail" not in told
    ran = tmp_path / "requirements.json"
    ran.write_text(json.dumps({rows[0]["id"]: {"tests/x.py::test": "failed"}}))
    assert f"{rows[0]['id']:<9} failed" in requirements.table(requirements.outcomes(ran), ran)
