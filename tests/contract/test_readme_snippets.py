"""What the README tells a reader to type works on the day on which it is read: its own lines, run by a shell against real doors."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from dicom_parrot import free_port, node, peer

from connectors.settings import ROOT, Settings, load
from connectors.stores.journal.sqlite import SqliteJournal

README = (ROOT / "README.md").read_text(encoding="utf-8")


@contextmanager
def events_door(home: Path, port: int) -> Iterator[None]:
    env = {**os.environ, "PHOTOPEAK_HOME": str(home), "PHOTOPEAK_EVENTS_PORT": str(port)}
    run = subprocess.Popen([sys.executable, "-m", "connectors.http"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None and "ready" in run.stdout.readline()
        yield
    finally:
        run.terminate()
        run.wait(10)
        assert run.stdout is not None
        run.stdout.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "var"
    (home / "secrets" / "devices").mkdir(parents=True)
    (home / "secrets" / "devices" / "tablet-1").write_text("token\n")
    release = home / "warehouse" / "releases" / "1"
    release.mkdir(parents=True)
    with duckdb.connect(str(release / "qc.duckdb")) as db:
        db.execute("CREATE SCHEMA marts; CREATE TABLE marts.fct_examination AS SELECT 'A1' AS accession_number")
    (home / "warehouse" / "current").symlink_to(Path("releases") / "1")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return home


def snippet(word: str) -> str:
    """Return the block of the README that holds a word."""
    (found,) = [block for block in re.findall(r"^```\n(.*?)^```", README, re.S | re.M) if word in block]
    return found


def typed(block: str, home: Path, **ports: int) -> str:
    """Run a block as a reader does, in the folder that holds `var`, and return what it prints; only ports are other ones."""
    for usual, port in ports.items():
        assert usual.removeprefix("p") in block
        block = block.replace(usual.removeprefix("p"), str(port))
    env = {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=home.parent, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def settings(home: Path) -> Settings:
    return load(home=home)


def test_the_override_of_the_readme_is_in_force_when_it_is_typed(settings: Settings) -> None:
    port = free_port()
    with events_door(settings.home, port):
        block = snippet("device.hold_override")
        told = json.loads(typed(block, settings.home, p8070=port))
        assert told == {"stored": 1, "duplicate": 0, "quarantined": []}
    journal = SqliteJournal(settings.journals / "events.db", read_only=True)
    ((_, event),) = journal.since(0, "device.hold_override")
    assert event.occurred_at <= event.recorded_at and event.data["until_utc"] > event.recorded_at.isoformat()


def test_the_readiness_of_the_readme_is_of_an_examination_that_is_there(settings: Settings) -> None:
    port = free_port()
    with events_door(settings.home, port):
        form = {
            "accession_number": "A1",
            "form": "consent",
            "staff_id": "N01",
            "signed_at_utc": "2026-03-01T00:00:00Z",
            "complete": True,
        }
        event = {
            "specversion": "1.0",
            "type": "form.signed",
            "id": "f",
            "source": "urn:photopeak:tablet-1",
            "subject": "A1",
            "data": form,
        }
        body = json.dumps({**event, "time": "2026-03-01T00:00:00Z"})
        kind = "-H 'Content-Type: application/cloudevents+json'"
        first = f"curl -s -H 'Authorization: Bearer token' {kind} http://127.0.0.1:8070/events -d '{body}'"
        assert json.loads(typed(first, settings.home, p8070=port))["stored"] == 1
        told = json.loads(typed(snippet("readiness?step"), settings.home, p8070=port))
        assert (told["accession_number"], told["step"], told["permitted"]) == ("A1", "injection", None)


def test_the_worklist_of_the_readme_is_answered(settings: Settings) -> None:
    with node(settings.home) as (port, _):
        block = snippet("findscu").replace("findscu ", f"{peer('findscu')} ", 1)
        typed(block, settings.home, p11112=port)


def test_no_example_of_the_readme_is_of_a_day_that_is_past() -> None:
    blocks = "".join(re.findall(r"^```\n(.*?)^```", README, re.S | re.M))
    assert not re.search(r"20\d\d-\d\d-\d\d|A2\d{7}", blocks), "make dates in the shell: date -u"
