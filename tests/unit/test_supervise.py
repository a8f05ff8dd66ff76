"""Supervision with real processes: two small services up, seen, killed, ended; a stranger on a port; leftovers."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.settings import Settings, load
from photopeak import prepare, probe, supervise
from photopeak.services import EnvironmentLacks, services


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    home = tmp_path / ("a home with spaces and a long name, because sockets have short ones " * 2)
    monkeypatch.setenv("PHOTOPEAK_HOME", str(home))
    for name in ("DICOM", "HL7", "EVENTS", "SPARK", "AIRFLOW", "SUPERSET", "REPORTS", "STATUS"):
        monkeypatch.setenv(f"PHOTOPEAK_{name}_PORT", str(free_port()))
    made = load()
    yield made
    supervise.down(made)
    assert probe.marked(made) == []


def rows(settings: Settings) -> dict[str, dict]:
    return {r["service"]: r for r in probe.status(settings)}


def test_up_seen_killed_restarted_down(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    supervise.up(settings, ["hl7", "events"])
    seen = rows(settings)
    assert {n for n, r in seen.items() if r["state"] == "up"} == {"hl7", "events"}
    assert seen["spark"]["state"] == "down" and "photopeak up" in seen["spark"]["reason"]
    assert all(set(r) == {"service", "state", "pid", "url", "reason"} for r in seen.values())

    began = time.monotonic()
    supervise.up(settings, ["hl7", "events"])
    assert time.monotonic() - began < 15 and rows(settings)["hl7"]["pid"] == seen["hl7"]["pid"], "a second `up` changes nothing"

    os.kill(seen["hl7"]["pid"], signal.SIGKILL)
    until = time.monotonic() + 30
    while time.monotonic() < until and (
        rows(settings)["hl7"]["state"] != "up" or rows(settings)["hl7"]["pid"] == seen["hl7"]["pid"]
    ):
        time.sleep(0.3)
    assert rows(settings)["hl7"]["state"] == "up" and rows(settings)["hl7"]["pid"] != seen["hl7"]["pid"]

    supervise.down(settings)
    assert probe.marked(settings) == [] and {r["state"] for r in rows(settings).values()} == {"down"}
    assert all(oct(p.stat().st_mode)[-2:] == "00" for p in (settings.home / "run").glob("*.sh"))


def test_leftovers_of_a_killed_supervisor_are_ended(settings: Settings) -> None:
    supervise.up(settings, ["hl7"])
    top = probe.supervisor_pid(settings)
    assert top is not None
    os.kill(top, signal.SIGKILL)
    time.sleep(1)
    supervise.up(settings, ["hl7"])
    assert rows(settings)["hl7"]["state"] == "up" and probe.supervisor_pid(settings) != top


def test_taken_port_is_one_sentence_and_a_stranger_is_not_ours(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.hl7_port)):
        assert probe._listens(settings.hl7_port, {os.getpid()}) and not probe._listens(settings.hl7_port, {os.getppid()})
        with pytest.raises(EnvironmentLacks, match=rf"port {settings.hl7_port} of hl7 .* PHOTOPEAK_HL7_PORT"):
            supervise.up(settings, ["hl7"])
        assert rows(settings)["hl7"]["state"] == "down"


def test_settings_of_the_environment_are_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    port = settings.hl7_port
    prepare.remember(settings)
    monkeypatch.delenv("PHOTOPEAK_HL7_PORT")
    assert load().hl7_port == port


def test_secrets_are_private_and_stay(settings: Settings) -> None:
    prepare.files(settings)
    before = prepare.logins(settings)
    prepare.files(settings)
    assert prepare.logins(settings) == before and {(a, u) for a, u, _ in before} >= {
        ("airflow", "admin"),
        ("superset", "manager"),
    }
    assert set(settings.device_tokens().values()) == set(prepare.DEVICES)
    private = [p for p in (settings.home / "secrets").rglob("*") if p.is_file()]
    assert private and {oct(p.stat().st_mode)[-3:] for p in private} == {"600"}


def test_every_port_is_one_setting(settings: Settings) -> None:
    ports = {s.name: s.port for s in services(settings).values() if s.port}
    assert len(set(ports.values())) == len(ports) == 8
    assert all(s.setting for s in services(settings).values() if s.port)


def test_a_full_disk_costs_lines_of_logs_and_never_the_supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its handler prints the error of a log to another log on the same disk: that raised, and all services ended with it."""
    from supervisor import loggers

    from photopeak.reaper import lose_lines_on_a_full_disk

    class Full:
        def write(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

        flush = tell = close = write

    for name in ("emit", "handleError"):  # put back afterwards: the change is for the whole process
        monkeypatch.setattr(loggers.Handler, name, getattr(loggers.Handler, name))
    monkeypatch.setattr(loggers.RotatingFileHandler, "emit", loggers.RotatingFileHandler.emit)
    monkeypatch.setattr(sys, "stderr", Full())
    handler = loggers.RotatingFileHandler(str(tmp_path / "a.log"), maxBytes=10)
    handler.setFormat("%(message)s")
    logger = loggers.Logger(loggers.LevelsByName.INFO, [handler])
    handler.stream = Full()
    with pytest.raises((OSError, TypeError)):
        logger.critical("lost")
    lose_lines_on_a_full_disk()
    logger.critical("lost")
    handler.stream = (tmp_path / "a.log").open("ab")
    logger.critical("written")
    assert b"written" in b"".join(p.read_bytes() for p in tmp_path.glob("a.log*"))
