"""Which requirement ids have tests, and how the last `make test` ended for each."""

import json
import re
from pathlib import Path
from typing import Any

from connectors.settings import ROOT

__all__ = ["CATALOGUE", "RESULTS", "catalogue", "outcomes", "table"]

CATALOGUE = ROOT / "docs" / "requirements-ids.txt"
RESULTS = ROOT / "var" / "test" / "requirements.json"


def catalogue(path: Path = CATALOGUE) -> dict[str, str]:
    """Return the name of each requirement by its id."""
    return dict(re.findall(r"^(\S+)  (.+)$", path.read_text(), re.M))


def outcomes(path: Path = RESULTS, ids: Path = CATALOGUE) -> list[dict[str, Any]]:
    """Return a row for each id of the catalogue: id, tests, outcome ('passed', 'failed', 'not_run').

    'passed' means: at least one test of this id passed and none failed. Skipped tests prove nothing.
    """
    ran: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
    rows = []
    for id_ in catalogue(ids):
        tests = ran.get(id_, {})
        ended = set(tests.values())
        outcome = "failed" if "failed" in ended else "passed" if "passed" in ended else "not_run"
        rows.append({"id": id_, "tests": sorted(tests), "outcome": outcome})
    return rows


def table(rows: list[dict[str, Any]], path: Path = RESULTS) -> str:
    """Return the rows that have tests as text, with a count of all, or that no `make test` has run here: nothing has failed then."""
    if not path.exists():
        return (
            f"{len(rows)} ids. No `make test` has run in this checkout, so nothing is known of them yet; a demo tests none of them.\n"
            f"{len(rows)} 项需求。此处尚未运行 `make test`，因此暂无结果；演示不执行这些测试。"
        )
    names = catalogue()
    lines = [f"{r['id']:<9} {r['outcome']:<8} {len(r['tests']):>3} tests  {names[r['id']]}" for r in rows if r["tests"]]
    counts = {o: sum(r["outcome"] == o for r in rows) for o in ("passed", "failed", "not_run")}
    return "\n".join([*lines, f"{len(rows)} ids: " + ", ".join(f"{n} {o}" for o, n in counts.items())])
