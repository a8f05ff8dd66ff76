"""The list of analysis components: version, owner, what starts each, what goes in and out, whether it is on, and its last run."""

from importlib.metadata import version
from typing import Any

import duckdb

from connectors.settings import Settings
from judgement import reference
from judgement.rows import Component
from messages import because
from photopeak.jobs import NOTHING_NEW, switched_off
from photopeak.runs import last_runs

__all__ = ["components", "table"]

Row = dict[str, Any]


def components(settings: Settings) -> list[Row]:
    """Return a row for each component: the register's columns, version, state (`on` or `off`), reason, last_run_utc, last_outcome.

    Of a procedure the last run is when the newest series that it measured had come in, as the published release knows it; its
    outcome is the status of that series. Of a job it is the last line of the log of runs.
    """
    from spark_jobs.procedures import MODULES

    off = switched_off(settings, "job") | switched_off(settings, "procedure")
    jobs, measured = last_runs(settings), _measured(settings)
    rows = []
    for c in reference.read(Component):
        row: Row = {**vars(c), "version": version("photopeak") if c.kind == "job" else MODULES[c.component].VERSION}
        row |= {"state": "off" if c.component in off else "on", "reason": off.get(c.component)}
        if c.kind == "job":
            last = jobs.get(c.component)
            row |= {"last_run_utc": last and last["began_utc"], "last_outcome": last and _outcome(last)}
        else:
            row["last_run_utc"], row["last_outcome"] = measured.get(c.component, (None, None))
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as text for a person."""
    lines = [
        f"{r['component']:<30} {r['kind']:<10} {r['version']:<9} {r['state']:<4} {r['owner']:<16} {r['last_run_utc'] or 'never':<25} "
        f"{r['last_outcome'] or ''}".rstrip()
        for r in rows
    ]
    return "\n".join([*lines, *(r["reason"] for r in rows if r["reason"])])


def _outcome(last: Row) -> str:
    if last["exit"] == 0:
        return "done"
    return (
        because("job.failed", reason=last["reason"])
        if last["exit"] != NOTHING_NEW
        else because("job.did_nothing")
        if last["reason"]
        else because("job.nothing_new")
    )


def _measured(settings: Settings) -> dict[str, tuple[str, str]]:
    release = settings.warehouse / "current" / "qc.duckdb"
    if not release.exists():
        return {}
    with duckdb.connect(str(release.resolve()), read_only=True) as db:
        rows = db.execute(
            "SELECT procedure, max(series_recorded_at_utc), max_by(status, series_recorded_at_utc) FROM intermediate.int_measure__judged "
            "WHERE procedure IS NOT NULL AND is_current GROUP BY procedure"
        ).fetchall()
    return {name: (f"{moment:%Y-%m-%dT%H:%M:%SZ}", status) for name, moment, status in rows}
