"""A page of evidence for each run: what was measured on it, how it was judged, whose images they were, and these images to take away.

`evidence/<run_key>.json` names the pseudonymised copies of the images; the reports' server gives them as one archive.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from expectations.history import write_text
from messages import from_fields

__all__ = ["Evidence", "read", "write"]

MARTS = ("fct_phantom_test", "fct_image_quality")
FACTS = (
    "device_id",
    "accession_number",
    "procedure",
    "measured_at_utc",
    "method",
    "method_version",
    "phantom_serial",
    "series_uid",
)
WORST = ("fail", "warn", "pass", "none")
Evidence = dict[str, Any]


def read(connection: duckdb.DuckDBPyConnection) -> list[Evidence]:
    """Return what the release holds of each current run: its facts, its measures, its study and images."""
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for mart in MARTS:
        rows = connection.execute(f"select * from marts.{mart} where is_current and run_key is not null order by all").df()
        for row in json.loads(rows.to_json(orient="records", date_format="iso", date_unit="s")):
            runs[row["run_key"]].append(row)
    series = _series(connection)
    return [_evidence(run, rows, series.get(rows[0]["series_uid"], {})) for run, rows in sorted(runs.items())]


def write(reports: Path, evidence: list[Evidence], template: jinja2.Template, names: dict[str, Any]) -> None:
    """Write the page and the list of images of each run; what is unchanged is not written again."""
    folder = reports / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    for one in evidence:
        images = {key: one[key] for key in ("run_key", "series_uid", "study_uid", "images")}
        for suffix, text in (("json", json.dumps(images)), ("html", template.render(one=one, names=names, up="../"))):
            path = folder / f"{one['run_key']}.{suffix}"
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)


def _series(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Return {series UID: its study and images} by the newest event of each series that the release froze."""
    known = {
        row[0] for row in connection.execute("select view_name from duckdb_views() where view_name = 'lake_events'").fetchall()
    }
    if not known:
        return {}
    rows = connection.execute(
        "select subject, data from lake_events where type = 'dicom.series' "
        "qualify row_number() over (partition by subject order by recorded_at_utc desc) = 1"
    ).fetchall()
    return {subject: json.loads(data) for subject, data in rows}


def _evidence(run: str, rows: list[dict[str, Any]], series: dict[str, Any]) -> Evidence:
    first = rows[0]
    verdicts = {row["verdict"] for row in rows}
    verdict = next((v for v in WORST if v in verdicts), "none")
    # that a value beside the judged ones has no limit is no reason for the verdict
    told = [
        row for row in rows if row["reason"] and (row["verdict"] != "none" or verdict == "none" or row["status"] != "measured")
    ]
    images = [{"sop_instance_uid": i["sop_instance_uid"], "key": i["object_key"]} for i in series.get("instances", [])]
    return {
        "run_key": run,
        "picture": first["picture_href"],
        "verdict": verdict,
        "facts": {name: first[name] for name in FACTS if first.get(name) is not None},
        "reasons": list(dict.fromkeys(from_fields(row) or "" for row in told)),
        "measures": [row for row in rows if row["measure"]],
        "series_uid": first["series_uid"],
        "study_uid": series.get("study_uid"),
        "images": images,
    }
