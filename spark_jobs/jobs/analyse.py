"""Measure every series and report that has no measures yet: find them in the lake's events, measure on Spark, write one file a run key.

The work is found by anti-join, so that a run by hand, a retry and a wake-up that comes twice all do the same and nothing twice.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.account import Account
from connectors.settings import Settings
from connectors.stores.lake.lock import locked
from connectors.stores.lake.write import place
from judgement import reference
from judgement.devices import device_of
from judgement.limits import judge
from judgement.rows import Device, Limit
from messages import because, columns
from spark_jobs.faults import of_method
from spark_jobs.jobs.work import is_clinical, run_key, waiting
from spark_jobs.jobs.work_item import WorkItem
from spark_jobs.measure import measure_series, methods_digest, render, told_elsewhere
from spark_jobs.qc.result import Result, refused
from spark_jobs.schemas.measures import MEASURES
from spark_jobs.switched_off import refuse_switched_off

__all__ = [
    "OtherMethods",
    "SparkUnreachable",
    "is_clinical",
    "measured",
    "picture",
    "require_spark",
    "run",
    "run_key",
    "session",
    "waiting",
]

CHUNK = 120  # series a Spark action: an interrupted run keeps what earlier chunks wrote, and the log shows progress
WORK = pa.schema([("run_key", pa.string()), ("item", pa.string())])
OF_ITEM = (
    "site_id", "run_key", "study_uid", "series_uid", "accession_number", "station_name", "device_serial", "manufacturer", "model", "modality",
    "switched_off",
)  # fmt: skip
RESULT = MEASURES.append(pa.field("png", pa.binary())).append(pa.field("methods", pa.string()))


class SparkUnreachable(ConnectionError):
    """No Spark Connect server answers at the address of the settings."""


class OtherMethods(RuntimeError):
    """Spark's workers hold other methods than this command: their rows would lie under a run key that is not theirs."""


def run(settings: Settings, analysis: str, series: str | None = None) -> Account:
    """Measure what waits, or one series again, and return the account of the job.

    Parameters
    ----------
    analysis
        "phantom" or "clinical".
    series
        Series Instance UID, or `report/<digest>`: measure this one even if it was measured before; its rows are replaced by equal ones.
    """
    began = time.monotonic()
    name = "analyse_phantoms" if analysis == "phantom" else "analyse_images"
    with locked(settings.consumers, name):
        work = waiting(settings, analysis, series)
        written = 0
        if work:
            spark = session(settings)
            for at in range(0, len(work), CHUNK):
                written += _measure(spark, settings, analysis, work[at : at + CHUNK])
                print(f"[{name}] {min(at + CHUNK, len(work))} of {len(work)} series", flush=True)
    moments = sorted(s.recorded_at for s in work)
    key = hashlib.sha256("".join(sorted(s.run_key for s in work)).encode()).hexdigest()
    first, last = (moments[n].isoformat() if moments else None for n in (0, -1))
    return Account(name, key, first, last, len(work), written, seconds=round(time.monotonic() - began, 1))


def _measure(spark: Any, settings: Settings, analysis: str, work: list[WorkItem]) -> int:
    from pyspark.sql.pandas.types import from_arrow_schema

    rows = [{"run_key": s.run_key, "item": s.to_json()} for s in work]
    folder = str(settings.objects / "clear")

    def partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(_rows(WorkItem.from_json(row["item"]), analysis, Path(folder)), schema=RESULT)

    frame = spark.createDataFrame(pa.Table.from_pylist(rows, schema=WORK)).repartition(min(4, len(rows)))
    table = frame.mapInArrow(partition, from_arrow_schema(RESULT)).toArrow().cast(RESULT)
    _same_methods(table)
    for s in work:
        mine = table.filter(pa.compute.equal(table["run_key"], s.run_key))
        png = next((v for v in mine["png"].to_pylist() if v), None)
        if png:
            place(settings.reports / "pictures" / f"{s.run_key}.png", partial(Path.write_bytes, data=png))
        rows_out = mine.drop_columns(["png", "methods"]).sort_by(
            [("procedure", "ascending"), ("detector", "ascending"), ("region", "ascending"), ("measure", "ascending")]
        )
        target = settings.lake / "measures" / f"site_id={s.site_id}" / f"day={s.day}" / f"{s.run_key}.parquet"
        place(target, partial(pq.write_table, rows_out))
    return table.num_rows


def _same_methods(table: pa.Table) -> None:
    """Raise unless all rows were measured by the methods that the run keys name: workers keep the code that they once loaded."""
    if set(table["methods"].to_pylist()) - {methods_digest()}:
        raise OtherMethods(because("job.methods_edited"))


def _rows(item: WorkItem, analysis: str, objects: Path) -> list[dict[str, Any]]:
    """Return the rows of one series; whatever goes wrong with it becomes its own row with the reason, and others go on."""
    base = {
        **{name: getattr(item, name) for name in OF_ITEM}, "analysis": analysis, "methods": methods_digest(),
        "acquired_at_utc": item.acquired_at, "series_recorded_at_utc": item.recorded_at, "instance_count": len(item.objects),
    }  # fmt: skip
    try:
        instances, results = measured(item, analysis, objects)
        png = picture(instances, results, base) if any(doubtful(r, base) for r in results) else None
    except Exception as exc:
        return [{**base, "status": "not_measured", **columns(of_method(exc, ()))}]
    href = f"pictures/{item.run_key}.png" if any(r.figure is not None for r in results) else None
    rows = []
    for result in results:
        about = {
            **base,
            "picture": href,
            "procedure": result.procedure,
            "status": result.status,
            **columns(result.reason),
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


def measured(item: WorkItem, analysis: str, objects: Path) -> tuple[list[bytes], list[Result]]:
    """Return the bytes and the results of a series."""
    instances = [(objects / key).read_bytes() for key in item.objects]
    if item.refusal:
        return instances, [refused(item.refusal)]
    if item.elsewhere:
        told = told_elsewhere((item.kind or "").removeprefix("json "), item.elsewhere)
        return instances, refuse_switched_off([told], item.off)
    beside = [(objects / key).read_bytes() for key in item.beside]
    return instances, measure_series(instances, analysis, beside, off=item.off)


def doubtful(result: Result, facts: dict[str, Any]) -> bool:
    """Return whether a result is anything but a pass: its picture is made at once, others when somebody asks (0.3 s each)."""
    device = device_of(facts["device_serial"], facts["station_name"], reference.read(Device))
    moment = facts["acquired_at_utc"]
    return judge(result, reference.read(Limit), device, f"{moment:%Y-%m-%d}" if moment else None)[0] != "pass"


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
        raise SparkUnreachable(because("job.no_spark", url=settings.spark_url)) from None
    return address


def session(settings: Settings) -> Any:
    """Return the session that all jobs share: a new one costs 3 s, and a client of a dead server would hang for minutes."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    address = require_spark(settings)
    note = settings.home / "run" / "spark-session"
    for fresh in (False, True):
        if fresh or not note.exists():
            note.parent.mkdir(parents=True, exist_ok=True)
            draft = note.with_suffix(f".{os.getpid()}")
            draft.write_text(str(uuid.uuid4()))
            draft.replace(note)
        spark = SparkSession.builder.remote(f"sc://{address}/;user_id=photopeak;session_id={note.read_text()}").getOrCreate()
        # a server that died is waited for half a minute, not ten: the same job, run again, finds what is left to do
        spark.client.set_retry_policies([DefaultPolicy(max_retries=9, max_backoff=5_000)])
        try:
            spark.range(1).count()
            return spark
        except PySparkException as exc:
            if fresh or "SESSION" not in str(exc):
                raise
    raise AssertionError("unreachable")
