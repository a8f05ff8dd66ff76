"""Measure every series that has no measures yet: read `dicom.series` events, measure on Spark, write one file a run key.

The work is found by anti-join, so that a run by hand, a retry and a wake-up that comes twice all do the same and nothing twice.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.settings import Settings
from connectors.stores.lake.lock import locked
from connectors.stores.lake.write import place
from spark_jobs.judge import device_of, judge, read_limits
from spark_jobs.measure import METHODS_DIGEST, measure_series, render
from spark_jobs.procedures.clinical_header import CLASSES
from spark_jobs.qc.result import Result
from spark_jobs.schemas.measures import MEASURES

__all__ = ["OtherMethods", "SparkUnreachable", "is_clinical", "picture", "require_spark", "run", "run_key", "waiting"]

CHUNK = 120  # series a Spark action: an interrupted run keeps what earlier chunks wrote, and the log shows progress
NEWEST = """
SELECT site_id, recorded_at_utc, occurred_at_utc, data FROM read_parquet($glob, hive_partitioning = false, union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY site_id, json_extract_string(data, '$.series_uid') ORDER BY journal_offset DESC) = 1
ORDER BY recorded_at_utc, journal_offset"""
WORK = pa.schema([("run_key", pa.string()), ("series", pa.string())])
RESULT = MEASURES.append(pa.field("png", pa.binary())).append(pa.field("methods", pa.string()))


class SparkUnreachable(ConnectionError):
    """No Spark Connect server answers at the address of the settings."""


class OtherMethods(RuntimeError):
    """Spark's workers hold other methods than this command: their rows would lie under a run key that is not theirs."""


def run(settings: Settings, analysis: str, series: str | None = None) -> dict[str, Any]:
    """Measure what waits, or one series again, and return the account of the job.

    Parameters
    ----------
    analysis
        "phantom" or "clinical".
    series
        Series Instance UID: measure this one even if it was measured before; its rows are replaced by equal ones.
    """
    began = time.monotonic()
    name = "analyse_phantoms" if analysis == "phantom" else "analyse_images"
    with locked(settings.consumers, name):
        work = waiting(settings, analysis, series)
        written = 0
        if work:
            spark = _session(settings)
            for at in range(0, len(work), CHUNK):
                written += _measure(spark, settings, analysis, work[at : at + CHUNK])
                print(f"[{name}] {min(at + CHUNK, len(work))} of {len(work)} series", flush=True)
    moments = sorted(s["recorded_at_utc"] for s in work)
    return {
        "job": name,
        "run_key": hashlib.sha256("".join(sorted(s["run_key"] for s in work)).encode()).hexdigest(),
        "from": moments[0].isoformat() if moments else None,
        "to": moments[-1].isoformat() if moments else None,
        "read": len(work),
        "written": written,
        "quarantined": 0,
        "seconds": round(time.monotonic() - began, 1),
    }


def run_key(analysis: str, sha256s: list[str]) -> str:
    """Return the SHA-256 of the analysis, the digest of all method versions and the sorted digests of the inputs."""
    return hashlib.sha256("\n".join([analysis, METHODS_DIGEST, *sorted(sha256s)]).encode()).hexdigest()


def waiting(settings: Settings, analysis: str, series: str | None = None) -> list[dict[str, Any]]:
    """Return the newest state of each series of this analysis whose run key has no file in the lake, oldest first."""
    if not (settings.lake / "events").is_dir():
        return []
    rows = duckdb.sql(NEWEST, params={"glob": f"{settings.lake}/events/type=dicom.series/**/*.parquet"}).fetchall()
    done = {p.stem for p in (settings.lake / "measures").glob("site_id=*/day=*/*.parquet")}
    out = []
    for site_id, recorded, occurred, text in rows:
        facts = json.loads(text)
        if is_clinical(facts) != (analysis == "clinical") or series not in (None, facts["series_uid"]):
            continue
        key = run_key(analysis, [i["sha256"] for i in facts["instances"]])
        if key not in done or series:
            times = {"recorded_at_utc": _utc(recorded), "day": f"{_utc(occurred):%Y-%m-%d}"}
            out.append({**facts, **times, "site_id": site_id, "run_key": key})
    return out


def is_clinical(facts: dict[str, Any]) -> bool:
    """Return whether a series goes to the clinical analysis; everything else is tried as a phantom.

    Whole bodies and gated tomograms of patients do; other classes only when an order or protocol names an examination that this class
    of image is measured for, because a clinical image that could not be measured is a finding.
    """
    if facts["is_phantom"]:
        return False
    values = (facts.get("image_type") or "").upper().split("\\")
    kind = values[2].strip() if len(values) > 2 else None
    if facts["modality"] == "NM" and ("WHOLE BODY" in values or kind in (None, "GATED TOMO")):
        return True
    asked = [CLASSES[code] for code in facts.get("protocol_codes") or () if code in CLASSES]
    return any(facts["modality"] == modality and (not kinds or kind in kinds) for modality, kinds in asked)


def _measure(spark: Any, settings: Settings, analysis: str, work: list[dict[str, Any]]) -> int:
    from pyspark.sql.pandas.types import from_arrow_schema

    rows = [{"run_key": s["run_key"], "series": json.dumps(s, default=str)} for s in work]
    folder = str(settings.objects / "clear")

    def partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(_rows(json.loads(row["series"]), analysis, Path(folder)), schema=RESULT)

    frame = spark.createDataFrame(pa.Table.from_pylist(rows, schema=WORK)).repartition(min(4, len(rows)))
    table = frame.mapInArrow(partition, from_arrow_schema(RESULT)).toArrow().cast(RESULT)
    _same_methods(table)
    for s in work:
        mine = table.filter(pa.compute.equal(table["run_key"], s["run_key"]))
        png = next((v for v in mine["png"].to_pylist() if v), None)
        if png:
            place(settings.reports / "pictures" / f"{s['run_key']}.png", partial(Path.write_bytes, data=png))
        rows_out = mine.drop_columns(["png", "methods"]).sort_by(
            [("procedure", "ascending"), ("detector", "ascending"), ("region", "ascending"), ("measure", "ascending")]
        )
        target = settings.lake / "measures" / f"site_id={s['site_id']}" / f"day={s['day']}" / f"{s['run_key']}.parquet"
        place(target, partial(pq.write_table, rows_out))
    return table.num_rows


def _same_methods(table: pa.Table) -> None:
    """Raise unless all rows were measured by the methods that the run keys name: workers keep the code that they once loaded."""
    if set(table["methods"].to_pylist()) - {METHODS_DIGEST}:
        raise OtherMethods(
            "the methods were edited while Spark was running, and nothing was written: end the process of `spark` that `photopeak status` "
            "names, which starts it anew, and run this again"
        )


def _rows(series: dict[str, Any], analysis: str, objects: Path) -> list[dict[str, Any]]:
    """Return the rows of one series; whatever goes wrong with it becomes its own row with the reason, and others go on."""
    base = {
        **{
            k: series.get(k)
            for k in ("site_id", "run_key", "study_uid", "series_uid", "accession_number", "station_name", "device_serial")
        },
        **{k: series.get(k) for k in ("manufacturer", "model", "modality")},
        "analysis": analysis,
        "methods": METHODS_DIGEST,
        "acquired_at_utc": _utc(datetime.fromisoformat(series["acquired_at_utc"])) if series.get("acquired_at_utc") else None,
        "series_recorded_at_utc": _utc(datetime.fromisoformat(series["recorded_at_utc"])),
        "instance_count": len(series["instances"]),
    }
    try:
        instances = [(objects / i["object_key"]).read_bytes() for i in series["instances"]]
        results = measure_series(instances, analysis)
        png = picture(instances, results, base) if any(doubtful(r, base) for r in results) else None
    except Exception as exc:
        return [{**base, "status": "not_measured", "reason": f"analysis failed: {type(exc).__name__}: {exc}"[:500]}]
    href = f"pictures/{series['run_key']}.png" if any(r.figure is not None for r in results) else None
    rows = []
    for result in results:
        about = {
            **base,
            "picture": href,
            "procedure": result.procedure,
            "status": result.status,
            "reason": result.reason,
            "detector": result.detector,
        }
        about |= {"method": result.method, "method_version": result.method_version}
        for m in result.measures:
            at = json.dumps(m.at, sort_keys=True) if m.at is not None else None
            rows.append(
                {
                    **about,
                    "measure": m.name,
                    "value": m.value,
                    "unit": m.unit,
                    "uncertainty": m.uncertainty,
                    "at": at,
                    "aspect": m.aspect,
                    "region": m.region,
                }
            )
        if not result.measures:
            rows.append(about)
    if png:
        rows[0]["png"] = png
    return rows


def doubtful(result: Result, facts: dict[str, Any]) -> bool:
    """Return whether a result is anything but a pass: its picture is made at once, others when somebody asks (0.3 s each)."""
    device = device_of(facts["device_serial"], facts["station_name"])
    moment = facts["acquired_at_utc"]
    return judge(result, read_limits(), device, f"{moment:%Y-%m-%d}" if moment else None)[0] != "pass"


def picture(instances: list[bytes], results: list[Result], facts: dict[str, Any]) -> bytes | None:
    """Return the picture of the worst result of a series, or None when there is nothing to show."""
    first = sorted(results, key=lambda r: not doubtful(r, facts))
    return next((p for p in (render(instances, r) for r in first) if p), None)


def require_spark(settings: Settings) -> str:
    """Return the host and port where Spark Connect answers; raise SparkUnreachable."""
    import socket

    address = settings.spark_url.removeprefix("sc://").split("/")[0]
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port or 15002)), 3).close()
    except OSError:
        raise SparkUnreachable(
            f"no Spark Connect server answers at {settings.spark_url}: start it with `photopeak up spark`"
        ) from None
    return address


def _session(settings: Settings) -> Any:
    """Return the session that all jobs share: a new one costs 3 s, and a client of a dead server would hang for minutes."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    address = require_spark(settings)
    note = settings.home / "run" / "spark-session"
    for fresh in (False, True):
        if fresh or not note.exists():
            note.parent.mkdir(parents=True, exist_ok=True)
            draft = note.with_suffix(f".{os.getpid()}")
            draft.write_text(str(uuid.uuid4()))
            draft.replace(note)
        spark = SparkSession.builder.remote(f"sc://{address}/;user_id=photopeak;session_id={note.read_text()}").getOrCreate()
        try:
            spark.range(1).count()
            return spark
        except PySparkException as exc:
            if fresh or "SESSION" not in str(exc):
                raise
    raise AssertionError("unreachable")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
