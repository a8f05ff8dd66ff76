"""Attest one release of the warehouse: the job `attest_quality`.

Integrity rules are about our own tables and decide about publishing; findings are about the hospital and never do.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.account import Account
from connectors.settings import Settings
from expectations import data_docs, evidence, history, pages, population
from expectations.population import Population
from expectations.suites import Checkpoint, Suite, read_checkpoint, read_suites

__all__ = ["attest"]

# the column that says when a row failed, first match
WHEN = ("measured_at_utc", "occurred_at_utc", "administered_at_utc", "started_at_utc", "at_utc", "hour_utc", "day", "month", "ordered_at_utc",
        "received_at_utc", "start_at_utc", "flagged_at_utc", "next_due_day", "valid_until_utc", "read_at_utc", "recorded_at_utc")  # fmt: skip


def attest(settings: Settings, as_of_utc: datetime, publish: Callable[[Path], object]) -> Account:
    """Attest the candidate or else the published release, write its reports, call `publish` with its folder unless integrity is broken.

    Returns the job's account: the run key, `read` rows of populations, `written` rules; beside the contract
    `integrity` (whether it holds), `published`, `broken` (integrity rules that fail or could not be tried) and
    `failing` (rules about the hospital that fail).
    `read` = `written` = 0 when this release was attested by these suites before and is published.
    `as_of_utc` counts only where there is no release yet; a release carries its own moment.
    """
    began = time.perf_counter()
    path = population.find_release(settings.warehouse)
    if path is None:
        return _job("", began)
    checkpoint = read_checkpoint()
    suites, digest = read_suites(checkpoint.layers)
    with population.open_release(path) as connection:
        release = population.release_of(connection, path)
        run_id = _run_id(release, digest)
        current = settings.warehouse / "current" / "qc.duckdb"
        if current.exists() and current.resolve() == path and history.has(settings.reports, run_id):
            return _job(run_id, began)
        rules = population.rules_in_force(connection, settings.zone)
        populations = {s.name: _read(connection, s, settings.zone) for s in suites}
        seen, names = evidence.read(connection), population.names_of(connection)
    moment = datetime.fromisoformat(release.as_of_utc)
    draft = settings.reports / f".docs-{run_id}"
    shutil.rmtree(draft, ignore_errors=True)
    from expectations.engine import Engine  # takes seconds to import, so only here

    engine = Engine(run_id, moment, draft)
    run: dict[str, Any] = {
        "run_id": run_id,
        "as_of_utc": release.as_of_utc,
        "produced_at_utc": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "release_id": release.release_id,
        "suites_digest": digest,
        "suites": [],
        "rules": [],
    }
    for suite in suites:
        # let go of one after the other: together they need not fit
        read_rows = populations.pop(suite.name)
        results = (
            _unread(suite, read_rows) if isinstance(read_rows, str) else engine.validate(suite, read_rows.frame, read_rows.size)
        )
        size = 0 if isinstance(read_rows, str) else read_rows.size
        run["suites"].append(
            {"name": suite.name, "layer": suite.layer, "title_en": suite.title_en, "title_zh": suite.title_zh, "population": size}
        )
        run["rules"] += [_rule(suite, read_rows, r, rules, checkpoint) for r in results]
    engine.build_docs()
    data_docs.install(draft, settings.reports, run)
    broken = [r["rule"] for r in run["rules"] if r["severity"] == "integrity" and not r["success"]]
    run["integrity"] = not broken
    history.store(settings.reports, run, checkpoint.runs_kept, checkpoint.days_kept)
    pages.write(settings.reports, run, seen, names, settings.zone)
    published = not broken and population.find_release(settings.warehouse) == path  # a newer candidate has its own attestation
    if published:
        publish(path.parent)
    failing = [r["rule"] for r in run["rules"] if r["severity"] == "finding" and not r["success"]]
    read = sum(s["population"] for s in run["suites"])
    return _job(run_id, began, read, len(run["rules"]), integrity=not broken, published=published, broken=broken, failing=failing)


def _job(run_id: str, began: float, read: int = 0, written: int = 0, **more: Any) -> Account:
    seconds = round(time.perf_counter() - began, 3)
    about = {"integrity": True, "published": False, "broken": [], "failing": [], **more}
    return Account("attest_quality", run_id, read=read, written=written, seconds=seconds, more=about)


def _run_id(release: population.Release, digest: str) -> str:
    """Return the run's name: moment of the release, then a digest of release and suites; it is a folder's name too."""
    moment = datetime.fromisoformat(release.as_of_utc).astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{sha256(f'{release.release_id}/{digest}'.encode()).hexdigest()[:12]}"


def _read(connection: Any, suite: Suite, zone: tzinfo) -> Population | str:
    """Return the suite's rows, or why they cannot be read: that is a failure of every rule in it, never a pass."""
    try:
        return population.population_of(connection, suite, zone)
    except Exception as failed:
        return f"the population could not be read: {str(failed).splitlines()[0]}"


def _unread(suite: Suite, error: str) -> list[dict[str, Any]]:
    return [
        {
            "meta": e["meta"],
            "type": e["type"],
            "kwargs": e.get("kwargs", {}),
            "success": False,
            "error": error,
            "population": 0,
            "failing": 0,
            "observed": None,
            "rows": [],
        }
        for e in suite.expectations
    ]


def _rule(
    suite: Suite, read_rows: Population | str, result: dict[str, Any], rules: dict[str, dict[str, Any]], checkpoint: Checkpoint
) -> dict[str, Any]:
    """Return what the reports say of one rule: its reference data in force, population, failing rows and their share by group."""
    meta = {**result["meta"]}
    if meta["severity"] == "finding" and (row := rules.get(meta["rule"])):  # rules.csv is where the hospital changes a rule
        meta |= {
            "rule_version": str(row["version"]),
            **{k: str(row[k]) for k in ("clause", "requirement") if isinstance(row[k], str)},
        }
    elif meta["severity"] == "finding" and result["error"] is None and rules:
        result = {
            **result,
            "success": False,
            "error": f"rule {meta['rule']} is not in force in dim_rule; add its row to rules.csv or end its expectation",
        }
    shown: list[dict[str, Any]] = []
    columns: list[str] = []
    groups: list[dict[str, Any]] = []
    first = last = None
    if not isinstance(read_rows, str):
        frame = read_rows.frame
        columns = [str(c) for c in frame.columns if c != "row"]
        failed = frame.iloc[result["rows"]]
        shown = json.loads(failed.head(checkpoint.rows_kept)[columns].to_json(orient="records", date_format="iso", date_unit="s"))
        first, last = _span(failed)
        if suite.group:
            bad = Counter(failed[suite.group].astype(object).where(failed[suite.group].notna(), "").map(str))
            groups = [
                {"group": g, "population": n, "failing": bad[g]}
                for g, n in sorted(read_rows.groups.items(), key=lambda i: (-bad[i[0]], i[0]))
            ]
    return {
        "suite": suite.name,
        **{k: meta[k] for k in ("rule", "rule_version", "severity", "clause", "requirement", "title_en", "title_zh")},
        **{k: result[k] for k in ("type", "kwargs", "success", "error", "population", "failing", "observed")},
        "key": list(suite.key),
        "group": suite.group,
        "groups": groups[:50],
        "columns": columns,
        "first_failing": first,
        "last_failing": last,
        "rows": shown,
    }


def _span(failed: pd.DataFrame) -> tuple[str | None, str | None]:
    """Return the first and the last moment or day of the failing rows, by the column that says when; None where none does."""
    for name in WHEN:
        moments: Any = pd.to_datetime(failed[name], errors="coerce").dropna() if name in failed.columns else []
        if len(moments):
            first, last = (
                m.isoformat(timespec="seconds") if name.endswith("_utc") else m.date().isoformat()
                for m in (min(moments), max(moments))
            )
            return first, last
    return None, None
