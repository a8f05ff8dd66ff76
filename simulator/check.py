"""Compare the answer key with what the platform found: every planted fault must be there, and nothing else may be flagged."""

import json
import os
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from simulator.answers import Expected, Planted, answer_key
from simulator.messages import day_messages
from simulator.plan import Plan, build_plan
from simulator.progress import plan_of

__all__ = ["Answer", "Finding", "check", "compare"]

COLUMNS = (
    "rule_id",
    "severity",
    "subject_kind",
    "subject_id",
    "device_id",
    "room_id",
    "accession_number",
    "staff_id",
    "occurred_at_utc",
    "value",
    "reason",
    "source_mart",
)


@dataclass(frozen=True)
class Finding:
    """One row of `marts.fct_finding`; `names` is the text in which the tokens of the key are looked for."""

    rule_id: str
    subject_id: str
    names: str
    value: float | None
    where: str
    reason: str | None

    def matches(self, expected: Expected) -> bool:
        """Return whether this finding is the expected one, whatever its value."""
        return self.rule_id == expected.rule_id and all(_named(t, self.names) for t in expected.tokens)


@dataclass(frozen=True)
class Answer:
    """The comparison, in the shape of `answer_check.json`."""

    planted: list[dict[str, Any]]
    false_alarms: list[dict[str, Any]]

    @property
    def good(self) -> bool:
        """Return whether every fault was found and nothing else was flagged."""
        return all(p["found"] for p in self.planted) and not self.false_alarms


def check(home: Path, warehouse: Path | None, day: date | None, seed: int | None, history_days: int | None) -> int:
    """Write `HOME/demo/answer_check.json`, print the table, return 0 only when all was found and nothing else flagged."""
    began = time.monotonic()
    again: set[str] = set()
    if day is None or seed is None:
        ran, again = plan_of(home)
        day, seed, history_days = date.fromisoformat(ran["day"]), ran["seed"], history_days or ran["history_days"]
    elif (home / "demo" / "simulator.jsonl").exists():
        again = plan_of(home)[1]
    plan = build_plan(seed, day, history_days or 90)
    path = warehouse or home / "warehouse" / "current"
    path = path / "qc.duckdb" if path.is_dir() else path
    if not path.exists():
        raise ConnectionError(f"there is no warehouse at {path}: let the platform build its marts first")
    with duckdb.connect(str(path.resolve()), read_only=True) as connection:
        findings = read(connection)
        populations = population(connection, plan)
    answer = compare(answer_key(plan), findings, _sent_again(plan, again))
    seconds = {"check": round(time.monotonic() - began, 2)}
    text = json.dumps(
        {"planted": answer.planted, "false_alarms": answer.false_alarms, "seconds": seconds, "populations": populations},
        ensure_ascii=False,
        indent=1,
    )
    target = home / "demo" / "answer_check.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(target)
    _print(answer, populations)
    return 0 if answer.good and all(p["sent"] == p["found"] for p in populations) else 1


def read(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Return all findings of the release."""
    rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM marts.fct_finding ORDER BY rule_id, subject_id").fetchall()
    out = []
    for row in rows:
        r = dict(zip(COLUMNS, row, strict=True))
        local = [str(r["occurred_at_utc"] + timedelta(hours=8))[:10]] if r["occurred_at_utc"] else []
        names = [r[c] for c in ("subject_id", "device_id", "room_id", "accession_number", "staff_id") if r[c]]
        where = f"{r['source_mart'] or 'fct_finding'} {r['subject_kind']} {r['subject_id']}"
        value = None if r["value"] is None else float(r["value"])
        out.append(Finding(r["rule_id"], str(r["subject_id"]), " ".join(map(str, [*names, *local])), value, where, r["reason"]))
    return out


def compare(key: list[Planted], findings: list[Finding], sent_again: set[str] = frozenset()) -> Answer:  # type: ignore[assignment]
    """Return the comparison.

    Parameters
    ----------
    sent_again
        Ids that an interrupted run sent a second time: the doors count them as duplicates, and rightly so.
    """
    explained: set[int] = set()
    planted = []
    for fault in key:
        hits: list[Finding] = []
        found = True
        for expected in fault.expected:
            mine = [(i, f) for i, f in enumerate(findings) if f.matches(expected)]
            explained |= {i for i, _ in mine}
            good = [f for _, f in mine if _within(f, expected)]
            found = found and bool(good)
            hits += good[:1]
        explained |= {i for i, f in enumerate(findings) if any(f.matches(e) for e in fault.also)}
        row = {"id": fault.id, "kind": fault.kind, "found": found, "where": "; ".join(h.where for h in hits) or None}
        planted.append({**row, "value": next((h.value for h in hits if h.value is not None), None)})
    left = [f for i, f in enumerate(findings) if i not in explained]
    left = [f for f in left if not (f.rule_id == "INTAKE_DUPLICATE" and any(t in f.names for t in sent_again))]
    return Answer(
        planted, [{"rule_id": f.rule_id, "subject_id": f.subject_id, "where": f.where, "reason": f.reason} for f in left]
    )


def population(connection: duckdb.DuckDBPyConnection, plan: Plan) -> list[dict[str, Any]]:
    """Return how much of what was sent arrived in the marts, so that a mart that lost rows cannot look like a good hospital."""
    numbers = [e.accession for e in plan.exams]
    mine = "accession_number IN (SELECT unnest(?))"
    exams = connection.execute(f"SELECT count(*) FROM marts.fct_examination WHERE {mine}", [numbers]).fetchone()
    done = "state IN ('done', 'out_of_order')"
    steps = connection.execute(f"SELECT count(*) FROM marts.fct_examination_step WHERE {mine} AND {done}", [numbers]).fetchone()
    doses = connection.execute(
        f"SELECT accession_number, administered_mbq FROM marts.mart_administered_activity WHERE {mine}", [numbers]
    )
    truth = {e.accession: e.dose.administered_mbq for e in plan.exams}
    exact = sum(v is not None and abs(v / truth[a] - 1) < 0.002 for a, v in doses.fetchall())
    uids = [plan.series_uid(j.key) for j in plan.images if j.exam is None and "edited" not in j.fault]
    tests = connection.execute(
        "SELECT count(DISTINCT series_uid) FROM marts.fct_phantom_test WHERE series_uid IN (SELECT unnest(?))", [uids]
    ).fetchone()
    scans = [plan.series_uid(j.key) for j in plan.images if j.exam is not None and "truncated" not in j.fault]
    quality = connection.execute(
        "SELECT count(DISTINCT series_uid) FROM marts.fct_image_quality WHERE series_uid IN (SELECT unnest(?))", [scans]
    ).fetchone()
    return [
        {"what": "examinations", "sent": len(numbers), "found": exams[0] if exams else 0},
        {"what": "examination steps", "sent": sum(len(e.steps) for e in plan.exams), "found": steps[0] if steps else 0},
        {"what": "administered activities within 0.2 % of the truth", "sent": len(truth), "found": exact},
        {"what": "phantom series", "sent": len(set(uids)), "found": tests[0] if tests else 0},
        {"what": "images of patients", "sent": len(set(scans)), "found": quality[0] if quality else 0},
    ]


def _sent_again(plan: Plan, pieces: set[str]) -> set[str]:
    """Return the ids that the doors know of the pieces that an interrupted run sent twice."""
    out: set[str] = set()
    for piece in pieces:
        door, _, name = piece.partition(":")
        if door == "hl7":
            out |= {m.control_id for m in day_messages(plan, date.fromisoformat(name))}
        elif door == "image":
            out.add(plan.sop_uid(name.removesuffix("-edited")))
        elif door == "real":
            out |= _real_uid(name)
        else:
            out |= _event_ids(plan, date.fromisoformat(name))
    return out


def _real_uid(name: str) -> set[str]:
    import pydicom

    from simulator.real import real_files

    paths = [p for p in real_files() if f"{p.parent.name}/{p.name}" == name]
    return {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in paths}


def _event_ids(plan: Plan, day: date) -> set[str]:
    from simulator.events import day_events, day_readings, first_events
    from simulator.reports import day_reports

    first = first_events(plan) if day == plan.days[0] else []
    return {e["id"] for e in [*first, *day_events(plan, day), *day_reports(plan, day), *day_readings(plan, day)]}


def _named(token: str, names: str) -> bool:
    """Return whether a token is one of the names or a part between separators (GC1 is not in SPCT1)."""
    at = names.find(token)
    while at >= 0:
        before, after = names[at - 1 : at], names[at + len(token) : at + len(token) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = names.find(token, at + 1)
    return False


def _within(finding: Finding, expected: Expected) -> bool:
    if expected.between is None:
        return True
    low, high = expected.between
    return finding.value is not None and low <= finding.value <= high


def _print(answer: Answer, populations: list[dict[str, Any]]) -> None:
    print(f"{'planted / 已植入':<28}{'found / 已发现':<12}where / 位置")
    for p in answer.planted:
        print(f"{p['id']:<28}{'yes' if p['found'] else 'NO':<12}{p['where'] or '-'}")
    for p in populations:
        mark = "yes" if p["sent"] == p["found"] else "NO"
        print(f"{p['what'] + ' in the marts':<66}{mark:<5}{p['found']} of {p['sent']}")
    for f in answer.false_alarms:
        print(f"flagged, but not planted: {f['rule_id']} {f['where']} ({f['reason']})")
    found = sum(p["found"] for p in answer.planted)
    print(f"{found} of {len(answer.planted)} planted faults found, {len(answer.false_alarms)} false alarms")
