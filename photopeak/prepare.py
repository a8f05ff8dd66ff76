"""Make what the services need before their first start: folders, keys, tokens, passwords, empty tables, users, dashboards.

Every step can be interrupted and run again; what is there stays as it is.
"""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from connectors.settings import ROOT, Settings, load
from messages import because
from photopeak.doctor import say
from photopeak.services import PASSWORDS, EnvironmentLacks, airflow_environment, superset_environment

__all__ = ["DEVICES", "files", "logins", "metadata", "remember"]

DEVICES = ("simulator", "qc-office", "tablet-1")
FOLDERS = (
    "config",
    "journal",
    "objects",
    "consumers",
    "reports",
    "warehouse",
    "airflow",
    "superset",
    "spark",
    "log",
    "tmp",
    "user",
)
EXPECTED_S, PATIENCE_S = 35, 240


def remember(settings: Settings) -> Settings:
    """Write the settings that were given by the environment into `photopeak.env`, so that every later command sees the same."""
    path = settings.home / "photopeak.env"
    settings.home.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    lines = dict(re.findall(r"^(PHOTOPEAK_\w+)=(.*)$", before, re.M))
    for field in sorted(set(Settings.model_fields) - {"home"}):
        name = f"PHOTOPEAK_{field.upper()}"
        if name in os.environ:
            lines[name] = os.environ[name]
    text = "".join(f"{k}={v}\n" for k, v in lines.items())
    if text != before:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text)
        draft.replace(path)
    return load(home=settings.home)


def files(settings: Settings) -> None:
    """Make folders, secrets, copies of configuration and the empty tables of the lake."""
    from connectors.stores.lake.files import FileLake
    from connectors.stores.lake.tables import ensure_tables
    from spark_jobs.schemas.measures import MEASURES

    for name in FOLDERS:
        (settings.home / name).mkdir(parents=True, exist_ok=True)
    for name in ("run", "secrets"):
        (settings.home / name).mkdir(exist_ok=True)
        (settings.home / name).chmod(0o700)
    for device in DEVICES:
        settings.secret(f"devices/{device}")
    for name in PASSWORDS:
        settings.secret(f"passwords/{name}", 8)
    sensors = settings.sensor_map
    default = ROOT / "connectors" / "sensors" / "sensors.csv"
    if not sensors.exists():
        sensors.parent.mkdir(parents=True, exist_ok=True)
        draft = sensors.with_name(f".{sensors.name}.{os.getpid()}")
        draft.write_bytes(default.read_bytes())
        draft.replace(sensors)
    ensure_tables(FileLake(settings.lake), {"measures": MEASURES})


def metadata(settings: Settings, applications: set[str]) -> None:
    """Make or bring up to date the databases of Airflow and Superset, both at once; raise with the last line of a failed one."""
    airflow = ROOT / "plugins" / "photopeak_airflow" / "bootstrap.py"
    superset = ROOT / "dashboards"
    todo = {
        "airflow": (
            [str(ROOT / ".venv-airflow/bin/python"), str(airflow)],
            airflow_environment(settings),
            [airflow, ROOT / "requirements/airflow.txt"],
        ),
        "superset": (
            [str(ROOT / ".venv-superset/bin/python"), str(superset / "bootstrap.py")],
            superset_environment(settings),
            [
                *sorted(p for p in superset.rglob("*") if p.suffix in (".py", ".yaml", ".json")),
                ROOT / "requirements/superset.txt",
                ROOT / "dbt_project/seeds/sites.csv",
            ],
        ),
    }
    running = {}
    for name, (command, environment, sources) in todo.items():
        if name not in applications:
            continue
        stamp, digest = settings.home / name / "prepared", _digest(sources, settings)
        if stamp.exists() and stamp.read_text() == digest and (settings.home / name / f"{name}.db").exists():
            continue
        print("[up] " + say("up.preparing", name=name, seconds=EXPECTED_S), flush=True)
        running[name] = (_start(settings, name, command, environment), stamp, digest)
    began, failed = time.monotonic(), []
    for name, (process, stamp, digest) in running.items():
        try:
            code = process.wait(max(1.0, PATIENCE_S - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            failed.append(name)
            continue
        stamp.write_text(digest)
        print("[up] " + say("up.prepared", name=name, seconds=time.monotonic() - began), flush=True)
    for name in failed:
        log = settings.home / "log" / f"prepare-{name}.log"
        last = next(
            (line for line in reversed(log.read_text(errors="replace").splitlines()) if line.strip()),
            because("service.no_output"),
        )
        raise EnvironmentLacks(because("demo.not_prepared", name=name, problem=last.strip()[:300], file=log))


def logins(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (application, user, password) of every login that this installation made."""
    folder = settings.home / "secrets" / "passwords"
    return [(*name.split("-", 1), (folder / name).read_text().strip()) for name in PASSWORDS if (folder / name).exists()]  # type: ignore[misc]


def _start(settings: Settings, name: str, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    if not Path(command[0]).exists():
        raise EnvironmentLacks(because("service.not_installed", service=name))
    with (settings.home / "log" / f"prepare-{name}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=dict(environment),
            cwd=settings.home / "tmp",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _digest(sources: list[Path], settings: Settings) -> str:
    """Return the digest of what a database is prepared from; ports and host are part of it, links are made from them."""
    ports = (settings.superset_port, settings.airflow_port, settings.reports_port, settings.status_port)
    digest = hashlib.sha256(f"{settings.host} {settings.site_id} {ports}".encode())
    for path in sources:
        if path.exists():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
