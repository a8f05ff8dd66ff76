"""`photopeak why`: who told what of one examination, and why each was joined to it or not; by the published release, with pseudonyms only."""

import json
from typing import Any

import duckdb

from connectors.settings import Settings
from messages import because, from_text, render

__all__ = ["NotBuilt", "table", "why"]

# what names it: number, id, series, record; then all that is joined to the same examinations, and what was kept out of them
FOUND = """
WITH linked AS (
    SELECT l.*, e.source, e.type, e.subject, e.occurred_at_utc, e.recorded_at_utc, e.data
    FROM intermediate.int_record_link AS l
    JOIN staging.stg_lake__event AS e ON l.site_id = e.site_id AND l.record_id = e.record_id
),
meant AS (
    SELECT DISTINCT examination_id, record_id FROM linked
    WHERE upper($name) IN (upper(accession_number), upper(examination_id), upper(subject), upper(record_id),
        upper(json_extract_string(data, '$.accession_number')), upper(json_extract_string(data, '$.study_uid')))
)
SELECT DISTINCT occurred_at_utc, recorded_at_utc, source, type, subject, record_id, json_extract_string(data, '$.accession_number') AS told_number,
    json_extract_string(data, '$.patient_pseudonym') AS patient, json_extract_string(data, '$.patient_issuer') AS issuer,
    state, accession_number AS examination, rule, score, reason, against
FROM linked
WHERE examination_id IN (SELECT examination_id FROM meant) OR record_id IN (SELECT record_id FROM meant)
ORDER BY recorded_at_utc, record_id
"""
Row = dict[str, Any]


class NotBuilt(RuntimeError):
    """No release is published yet."""


def why(settings: Settings, name: str) -> list[Row]:
    """Return a row for each event about an examination, accession number, series, study or record, in the order of arrival.

    `state` is joined, ambiguous, contradicted or orphan; `rule` and `score` say by what it was joined, `reason` (English, `reason_zh`) why not.

    Raises
    ------
    NotBuilt
        There is no release to read.
    """
    file = settings.warehouse / "current" / "qc.duckdb"
    if not file.exists():
        raise NotBuilt(because("why.no_release"))
    with duckdb.connect(str(file), read_only=True) as db:
        found = db.execute(FOUND, {"name": name.strip()})
        names = [d[0] for d in found.description]
        rows = [dict(zip(names, r, strict=True)) for r in found.fetchall()]
    for row in rows:
        reason = from_text(row["reason"]) or ""
        row |= {"reason": str(reason) or None, "reason_zh": render(reason, "zh") or None}
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as text for a person, in both languages."""
    lines = []
    for r in rows:
        about = f"{r['told_number'] or '–'} · {(r['patient'] or '–')[:11]}{' @' + r['issuer'] if r['issuer'] else ''}"
        joined = f"→ {r['examination']} ({r['rule']}, {r['score']:.2f})" if r["state"] == "joined" else f"✗ {r['state']}"
        lines.append(f"{r['recorded_at_utc']:%Y-%m-%d %H:%M:%S}Z {r['type']:<24} {about:<40} {joined}")
        lines += [f"    {r['reason']}", f"    {r['reason_zh']}"] if r["reason"] else []
        lines += [f"    {r['source']} {r['record_id']}"]
    return "\n".join(lines)


def to_json(rows: list[Row]) -> str:
    """Return the rows as JSON."""
    return json.dumps(rows, indent=1, ensure_ascii=False, default=str)
