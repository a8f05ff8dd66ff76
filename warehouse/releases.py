"""Releases of the warehouse: build a candidate privately with dbt, publish it by one atomic swap of a link, keep the last few.

A release is a folder `warehouse/releases/<ns>/` with `qc.duckdb`, `release.json` and `lake/`: links to the lake files that it was built from.
The links `candidate` and `current` name one release each.
Nobody but a build ever opens a database file for writing, and it does so before the file has its place.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.account import Account
from connectors.settings import ROOT, Settings
from connectors.stores.lake.files import FileLake
from connectors.stores.lake.lock import locked
from connectors.stores.lake.tables import ensure_tables
from judgement import reference
from judgement.devices import impossible
from judgement.rows import Component, Device, Scheduled, Site
from messages import because, joined
from messages.catalogue import FILES
from spark_jobs.schemas.measures import MEASURES

__all__ = ["PROJECT", "BuildFailed", "behind", "build_marts", "clear", "publish", "published_as_of", "run_key"]

PROJECT = ROOT / "dbt_project"
SCHEDULE = "dbt_project/seeds/phantom_schedule.csv"
KEEP = 5  # releases, beside those that a link names
LINKS = ("candidate", "current")
TABLES = ("events", "measures", "readings")


class BuildFailed(RuntimeError):
    """The marts could not be built; the text names the failing models and tests, and what to do."""


def build_marts(settings: Settings, as_of_utc: datetime, project: Path = PROJECT, force: bool = False) -> Account:
    """Build a candidate release unless one of the same inputs stands already, and return the account of the job.

    Parameters
    ----------
    as_of_utc
        The moment the release speaks of; aware.
    force
        Build even when nothing is new.

    Returns
    -------
    Account
        `written` is the number of rows in the marts; 0 (with `read` 0) says that nothing was new.

    Raises
    ------
    BuildFailed
        When a model or a test of severity error fails; the half-built file is gone and the links are as they were.
    Locked
        When another build is at work.
    """
    began = time.monotonic()
    moment = _moment(as_of_utc)
    _refuse_unknown_site(settings, project)
    _refuse_impossible_schedule(project)
    with locked(settings.consumers, "build_marts"):
        ensure_tables(FileLake(settings.lake), {"measures": MEASURES})
        files = _lake_files(settings)
        key = run_key(settings, as_of_utc, project, files)
        read = rows = 0
        same = (
            None
            if force
            else next((r for r in (_linked(settings, name) for name in LINKS) if r and _note(r).get("run_key") == key), None)
        )
        if same is None:
            _freeze(settings, files)
            built = _dbt(settings, key, moment, project)
            rows = _place(
                settings,
                built,
                {
                    "run_key": key,
                    "as_of_utc": moment,
                    "lake": _lake_digest(files),
                    "settled_key": _settled_key(as_of_utc, project),
                },
            )
            read = len(files)
        else:
            _link(settings, "candidate", same)
    return Account("build_marts", key, end=moment, read=read, written=rows, seconds=round(time.monotonic() - began, 1))


def publish(settings: Settings, release: Path) -> str:
    """Make this release folder, the one that was attested, what everybody reads, and return its run key."""
    if not (release / "qc.duckdb").exists():
        raise BuildFailed(because("release.gone", release=release.name))
    _link(settings, "current", release)
    return str(_note(release).get("run_key"))


def published_as_of(settings: Settings) -> datetime | None:
    """Return the moment that the published release speaks of, None before the first one."""
    current = _linked(settings, "current")
    told = _note(current).get("as_of_utc") if current else None
    return datetime.fromisoformat(told) if told else None


def behind(settings: Settings, project: Path = PROJECT) -> bool:
    """Return whether the published release lacks something of the lake or the project, live sensor readings left aside."""
    note = _note(current) if (current := _linked(settings, "current")) else {}
    if not note:
        return True
    as_of = settings.as_of_utc or datetime.fromisoformat(str(note["as_of_utc"]))
    files = _lake_files(settings)
    return note.get("lake") != _lake_digest(files) or note.get("settled_key") != _settled_key(as_of, project)


def clear(settings: Settings) -> None:
    """Delete all releases and links; `rebuild` derives them again."""
    with locked(settings.consumers, "build_marts"):
        shutil.rmtree(settings.warehouse, ignore_errors=True)


def run_key(settings: Settings, as_of_utc: datetime, project: Path = PROJECT, files: list[str] | None = None) -> str:
    """Return the SHA-256 of everything that a release depends on: names of lake files, the dbt project with its seeds, as_of."""
    names = _lake_files(settings) if files is None else files
    parts = [settings.site_id, _settled_key(as_of_utc, project), *names]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _refuse_unknown_site(settings: Settings, project: Path) -> None:
    """Raise when the reference data do not know this site, or know another clock of it: its rows would vanish, or lie on wrong days."""
    zones = {s.site_id: s.time_zone for s in reference.read(Site, project / "seeds")}
    if settings.site_id not in zones:
        raise BuildFailed(because("site.unknown", site=settings.site_id))
    registered = zones[settings.site_id]
    if registered != settings.time_zone:
        raise BuildFailed(because("site.zone_differs", site=settings.site_id, registered=registered, setting=settings.time_zone))


def _refuse_impossible_schedule(project: Path) -> None:
    """Raise when the schedule names a device or a phantom procedure that does not exist: such a test would be due for ever and never made."""
    kinds, seeds = (Scheduled, Device, Component), project / "seeds"
    if None in reference.stamp(kinds, seeds):
        return
    try:
        wrong = impossible(*(reference.read(kind, seeds) for kind in kinds))  # type: ignore[arg-type]
    except reference.BadReference as exc:
        raise BuildFailed(because("reference.of_project", problem=exc)) from exc
    if wrong:
        raise BuildFailed(joined(because("reference.row_wrong", file=SCHEDULE, line=n + 2, reason=why) for n, why in wrong))


def _settled_key(as_of_utc: datetime, project: Path) -> str:
    digest = hashlib.sha256(b"".join([_moment(as_of_utc).encode(), *(f.read_bytes() for f in FILES)]))  # the marts hold sentences
    for path in sorted(p for p in project.rglob("*") if p.is_file() and p.suffix in (".sql", ".yml", ".csv")):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _moment(as_of_utc: datetime) -> str:
    if as_of_utc.tzinfo is None:
        raise ValueError(because("command.as_of_without_offset"))
    return as_of_utc.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _lake_files(settings: Settings) -> list[str]:
    """Return the names of the lake's files below its folder, sorted."""
    return sorted(p.relative_to(settings.lake).as_posix() for table in TABLES for p in (settings.lake / table).rglob("*.parquet"))


def _lake_digest(files: list[str]) -> str:
    """Return the digest of the lake without what the Modbus poller goes on adding for as long as the platform runs."""
    return hashlib.sha256("\n".join(n for n in files if not n.rsplit("/", 1)[-1].startswith("modbus-")).encode()).hexdigest()


def _freeze(settings: Settings, files: list[str]) -> None:
    """Link the lake as listed below `build/lake`: intake goes on, and what a release is built from and attested against must not."""
    frozen = settings.warehouse / "build" / "lake"
    shutil.rmtree(frozen, ignore_errors=True)
    for table in TABLES:
        (frozen / table).mkdir(parents=True)
    for name in files:
        target = frozen / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(settings.lake / name)
        except OSError:  # another file system
            target.symlink_to(settings.lake / name)


def _dbt(settings: Settings, key: str, moment: str, project: Path) -> Path:
    """Run `dbt build` into a private file and return it."""
    work = settings.warehouse / "build"  # one fixed path: dbt parses its project anew whenever the path changes
    database = work / "qc.duckdb"
    log = settings.home / "log" / "dbt"
    for old in work.glob("qc.duckdb*"):
        old.unlink()
    work.mkdir(parents=True, exist_ok=True)
    log.mkdir(parents=True, exist_ok=True)
    given = {"as_of_utc": moment, "site_id": settings.site_id}
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("DBT_")},
        "PHOTOPEAK_LAKE": str(work / "lake"),
        "PHOTOPEAK_WAREHOUSE_FILE": str(database),
        "PHOTOPEAK_RUN_KEY": key,  # no dbt variable: a changed one makes dbt parse the whole project anew
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(work / "target"),
        "DBT_LOG_PATH": str(log),
        "DBT_VERSION_CHECK": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),  # profiles.yml names a module of this checkout
    }
    # unit tests of models belong to `make test`: they say nothing about these data
    options = ["--no-use-colors", "--log-level-file", "info", "--exclude-resource-type", "unit_test", "--vars", json.dumps(given)]
    command = [str(Path(sys.executable).with_name("dbt")), "build", *options]
    results = work / "target" / "run_results.json"
    results.unlink(missing_ok=True)
    done = subprocess.run(command, env=env, cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        for half in work.glob("qc.duckdb*"):
            half.unlink()
        told = "; ".join(_failures(results)) or because("release.build_failed", problem=done.stdout.strip()[-1500:])
        full = os.strerror(errno.ENOSPC)  # in the words of DuckDB and of Python alike
        if full in done.stdout + told:
            raise OSError(errno.ENOSPC, full, str(work))
        raise BuildFailed(told)
    return database


def _failures(results: Path) -> Iterator[str]:
    if not results.exists():
        return
    for one in json.loads(results.read_text())["results"]:
        if one["status"] in ("error", "fail", because("airflow.runtime_error")):
            kind, _, *name = one["unique_id"].split(".")
            yield f"{kind} {name[0]}: {' '.join(str(one.get('message') or one['status']).split())[:400]}"


def _place(settings: Settings, built: Path, note: dict[str, Any]) -> int:
    """Move a finished database to its release folder, let `candidate` name it, forget old ones; return the rows of its marts."""
    import duckdb

    with duckdb.connect(str(built)) as db:
        db.execute("CHECKPOINT")
        names = [
            n
            for (n,) in db.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 1"
            ).fetchall()
        ]
        counts = {n: db.execute(f"SELECT count(*) FROM marts.{n}").fetchall()[0][0] for n in names}
    releases = settings.warehouse / "releases"
    draft = releases / f".{os.getpid()}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "release.json").write_text(json.dumps({**note, "rows": counts}, indent=2))
    _sync(built)
    built.replace(draft / "qc.duckdb")
    (built.parent / "lake").replace(draft / "lake")
    release = releases / str(time.time_ns())  # a name that sorts, nothing more
    draft.replace(release)
    _sync(releases)
    _link(settings, "candidate", release)
    named = {r for r in (_linked(settings, name) for name in LINKS) if r}
    for old in sorted((r for r in releases.iterdir() if r.name.isdigit()), key=lambda r: int(r.name))[:-KEEP]:
        if old not in named:
            shutil.rmtree(old)
    return sum(counts.values())


def _linked(settings: Settings, name: str) -> Path | None:
    """Return the release folder that a link names, or None when there is none or it is gone."""
    link = settings.warehouse / name
    if not link.is_symlink():
        return None
    target = settings.warehouse / link.readlink()
    return target if (target / "qc.duckdb").exists() else None


def _link(settings: Settings, name: str, release: Path) -> None:
    draft = settings.warehouse / f".{name}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("releases") / release.name)
    draft.replace(settings.warehouse / name)
    _sync(settings.warehouse)


def _note(release: Path) -> dict[str, Any]:
    path = release / "release.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
