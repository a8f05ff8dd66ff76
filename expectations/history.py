"""What earlier runs found: `index.json` is the history, one row a run and rule, oldest run first. A re-run replaces."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

__all__ = ["has", "index", "load", "runs", "store", "write_text"]


def index(reports: Path) -> list[dict[str, Any]]:
    """Return the rows of `index.json`; none before the first run."""
    path = reports / "index.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def has(reports: Path, run_id: str) -> bool:
    """Return whether the run was finished: its rows are written last."""
    return any(r["run_id"] == run_id for r in index(reports))


def load(reports: Path, run_id: str) -> dict[str, Any]:
    """Return the full result of one run."""
    return json.loads((reports / "runs" / run_id / "result.json").read_text(encoding="utf-8"))


def runs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one summary a run, oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for r in rows:
        run = found.setdefault(
            r["run_id"], {"run_id": r["run_id"], "as_of_utc": r["as_of_utc"], "rules": 0, "integrity": 0, "finding": 0}
        )
        run["rules"] += 1
        if not r["success"]:
            run[r["severity"]] += 1
    return list(found.values())


def store(reports: Path, run: dict[str, Any], keep: int, days: int = 0) -> None:
    """Add to each rule "since" when it fails and what the run before found ("before"); keep the full result, and drop old runs.

    The newest `keep` runs stay, and of the newest `days` days the last run of each: a busy day must not push last week out.
    """
    rows = index(reports)
    order = [r["run_id"] for r in runs(rows)]
    at = order.index(run["run_id"]) if run["run_id"] in order else len(order)
    outcome: dict[tuple[str | None, str], dict[str, Any]] = {(r["run_id"], r["rule"]): r for r in rows}
    run["previous_run_id"] = order[at - 1] if at else None
    for rule in run["rules"]:
        rule["since"] = _since(rule, run, order[:at], outcome)
        before = outcome.get((run["previous_run_id"], rule["rule"]))
        rule["before"] = {key: before[key] for key in ("success", "failing", "population")} if before else None
    folder = reports / "runs" / run["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "result.json", json.dumps(run, ensure_ascii=False, indent=1))
    by_run: dict[str, list[dict[str, Any]]] = {name: [] for name in order}
    for r in rows:
        by_run[r["run_id"]].append(r)
    by_run[run["run_id"]] = [_row(run, rule) for rule in run["rules"]]
    last = {rows_of[0]["as_of_utc"][:10]: name for name, rows_of in by_run.items() if rows_of}
    of_days = {last[day] for day in sorted(last)[-days:]} if days else set()
    kept = [name for n, name in enumerate(by_run, 1) if n > len(by_run) - keep or name in of_days]
    write_text(reports / "index.json", json.dumps([r for name in kept for r in by_run[name]], ensure_ascii=False, indent=1))
    for old in {p.name for p in (reports / "runs").iterdir()} - set(kept):
        shutil.rmtree(reports / "runs" / old)
        for pages in (reports / "data_docs" / "validations").glob(f"*/{old}"):
            shutil.rmtree(pages)


def _since(
    rule: dict[str, Any], run: dict[str, Any], earlier: list[str], outcome: dict[tuple[str | None, str], dict[str, Any]]
) -> dict[str, str] | None:
    """Return the first run of the unbroken failing streak that ends with this run; None when the rule holds."""
    if rule["success"]:
        return None
    since = {"run_id": run["run_id"], "as_of_utc": run["as_of_utc"]}
    for name in reversed(earlier):
        row = outcome.get((name, rule["rule"]))
        if row is None or row["success"]:
            break
        since = {"run_id": name, "as_of_utc": row["as_of_utc"]}
    return since


def _row(run: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": run["run_id"],
        "suite": rule["suite"],
        "as_of_utc": run["as_of_utc"],
        "severity": rule["severity"],
        "success": rule["success"],
        "population": rule["population"],
        "failing": rule["failing"],
        "rule": rule["rule"],
        "rule_version": rule["rule_version"],
        "clause": rule["clause"],
        "href": f"runs/{run['run_id']}/index.html#{rule['rule']}",
    }


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    draft.replace(path)
