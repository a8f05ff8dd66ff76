"""The log of runs: one line a run of a job, by hand or by Airflow, however it ended."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.settings import Settings

__all__ = ["last_runs", "logged"]

LARGEST = 4 << 20  # bytes; the log before it is kept as jobs.jsonl.1
NO_RUN = {"Locked": 75, "JobUsage": 2}  # the job did not begin
COUNTS = ("read", "written", "quarantined")


@contextmanager
def logged(settings: Settings, job: str) -> Iterator[dict[str, Any]]:
    """Give a note to be filled with `account` and `exit`, and write the run's line when the block ends, also by an exception."""
    began, clock = datetime.now(UTC), time.monotonic()
    note: dict[str, Any] = {}
    reason = None
    try:
        yield note
        more = note["account"].more
        reason = more.get("switched_off") or ", ".join(more.get("broken") or ()) or None
    except BaseException as exc:
        note["exit"] = NO_RUN.get(type(exc).__name__, 1)
        reason = f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:500]
        raise
    finally:
        account = note.get("account")
        line = {
            "job": job,
            "began_utc": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "seconds": round(time.monotonic() - clock, 3),
            "exit": note["exit"],
            **{k: getattr(account, k, None) for k in COUNTS},
            "reason": reason,
        }
        with suppress(OSError):  # a full disk is the job's own trouble, and its sentence must not be hidden by this one
            _append(_path(settings), json.dumps(line, ensure_ascii=False))


def last_runs(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return {job: the line of its last run that began}, of the log that stands and the one before it."""
    path = _path(settings)
    found: dict[str, dict[str, Any]] = {}
    for file in (path.with_suffix(".jsonl.1"), path):
        for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            with suppress(ValueError):  # the last line of a machine that lost its power
                line = json.loads(text)
                if line["exit"] not in NO_RUN.values():
                    found[line["job"]] = line
    return found


def _path(settings: Settings) -> Path:
    return settings.home / "log" / "jobs.jsonl"


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LARGEST:
        path.replace(path.with_suffix(".jsonl.1"))
    with path.open("a", encoding="utf-8") as f:
        f.write(line + "\n")
