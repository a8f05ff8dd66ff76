"""Derive lake, warehouse and reports again from journals and objects; the rows come out equal."""

import shutil
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from connectors.account import Account
from connectors.events import utc_text
from connectors.settings import Settings
from messages import because, joined
from photopeak.jobs import JOBS, NOTHING_NEW, Request, run

__all__ = ["rebuild"]

PATIENCE_S = 900
MOMENT = Path("consumers") / "rebuild.as_of"


def rebuild(settings: Settings) -> None:
    """Drop what is derived and run all jobs in their order; an interrupted rebuild is simply run again.

    The release is built as of the moment that the published one speaks of, so that its rows are the same; Airflow builds none meanwhile.
    The devices' states stay as they are until all is measured again: a lake that is half full must not lift a hold.
    """
    from connectors.stores.lake.lock import locked
    from photopeak import jobs
    from spark_jobs.jobs.analyse import require_spark
    from warehouse import releases as warehouse

    off = jobs.switched_off(settings, "job")
    if off:
        raise RuntimeError(because("rebuild.nothing_dropped", reasons=joined(off.values())))
    require_spark(settings)  # before anything is dropped: without it the measures would not come back
    with ExitStack() as whole:
        whole.enter_context(locked(settings.consumers, "rebuild"))
        moment = _moment(settings, warehouse.published_as_of(settings))
        _drop(settings)
        for number, name in enumerate(JOBS, 1):
            if name == "confirm_devices":
                whole.close()
            account, code = _in_turn(settings, name, moment if name == "build_marts" else None)
            if code not in (0, NOTHING_NEW):
                raise RuntimeError(because("rebuild.stopped", job=name, code=code, again=name))
            print(f"[rebuild] {number} of {len(JOBS)}: {name}, {account.written} written in {account.seconds} s", flush=True)
    (settings.home / MOMENT).unlink(missing_ok=True)


def _moment(settings: Settings, published: datetime | None) -> str | None:
    """Return the moment to build for, kept in a file until all is done: an interrupted rebuild finds no release any more."""
    kept = settings.home / MOMENT
    if published is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(utc_text(published))
    return kept.read_text() if kept.exists() else None


def _drop(settings: Settings) -> None:
    from connectors.stores.lake.files import FileLake
    from connectors.stores.lake.ingest import CONSUMERS
    from connectors.stores.lake.lock import locked
    from connectors.stores.lake.tables import ensure_tables
    from spark_jobs.schemas.measures import MEASURES
    from warehouse import releases as warehouse

    with ExitStack() as held:  # nobody may write while the lake is dropped
        for name in (*CONSUMERS, "analyse_phantoms", "analyse_images"):
            held.enter_context(locked(settings.consumers, name))
        for name in CONSUMERS:  # first: a rebuild that is interrupted here reads the journals from their start all the same
            (settings.consumers / f"{name}.json").unlink(missing_ok=True)
        _empty(settings.lake)
        ensure_tables(FileLake(settings.lake), {"measures": MEASURES})
        _empty(settings.reports)
    warehouse.clear(settings)


def _in_turn(settings: Settings, name: str, moment: str | None) -> tuple[Account, int]:
    """Run one job; while Airflow, woken by the empty lake, runs it already, wait: what that run leaves is ours to do."""
    from connectors.stores.lake.lock import Locked

    began = time.monotonic()
    while True:
        try:
            return run(settings, name, Request(end=moment, rebuilds=True))
        except Locked:
            if time.monotonic() - began > PATIENCE_S:
                raise
            time.sleep(1)


def _empty(folder: Path) -> None:
    """Delete what the folder holds; the folder stays, because a server may be showing it."""
    for inside in folder.iterdir() if folder.is_dir() else ():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside)
        else:
            inside.unlink()
