"""Series a second on Spark, by the same function that the job uses: `python -m bench.throughput [SERIES]` (default 100; 10000 takes its time).

Prints throughput over 1, 2 and 4 partitions and with ten times the data, many small series against the engine alone (what a series
pays for starting), and a batch with a broken image, which becomes a row with the reason while the others go on. Exit code 1 when
that batch loses a row, or ten times the data costs more than twice ten times as much.
"""

import hashlib
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cases import dicom, lit

__all__ = ["main"]

SERIES = 100


def main(arguments: list[str]) -> int:
    """Measure and print; 0 done, 1 not linear or a row lost, 2 usage."""
    if len(arguments) > 1 or (arguments and not arguments[0].isdigit()):
        print("usage: python -m bench.throughput [SERIES]", file=sys.stderr)
        return 2
    count = int(arguments[0]) if arguments else SERIES
    with tempfile.TemporaryDirectory() as folder:
        work = _images(Path(folder), count)
        spark = _session()
        try:
            return _measure(spark, work, Path(folder), count)
        finally:
            spark.stop()


def _measure(spark: Any, work: list[dict[str, str]], folder: Path, count: int) -> int:
    from spark_jobs.jobs.analyse import _rows

    _run(spark, work[:8], folder, 2)  # the workers' first imports
    began = time.perf_counter()
    for row in work[:50]:
        _rows(json.loads(row["series"]), "phantom", folder)
    alone = (time.perf_counter() - began) / 50
    print(f"engine alone, one process: {1 / alone:.0f} series/s")
    tenth = work[: max(count // 10, 4)]
    seconds = 0.0
    for partitions in (1, 2, 4):
        seconds, rows = _run(spark, work, folder, partitions)
        print(
            f"{len(work)} series in {partitions} partitions: {len(work) / seconds:.0f} series/s ({seconds:.1f} s, {rows.num_rows} rows)"
        )
    small, _ = _run(spark, tenth, folder, 4)
    growth = seconds / small / (len(work) / len(tenth))
    print(
        f"{len(tenth)} series: {len(tenth) / small:.0f} series/s; ten times the data costs {growth:.2f} times ten times as much"
    )
    spoilt = [
        *tenth,
        dict(tenth[0], run_key="spoilt", series=json.dumps(dict(json.loads(tenth[0]["series"]), **_broken(folder)))),
    ]
    _, rows = _run(spark, spoilt, folder, 4)
    refused = [r for r in rows.to_pylist() if r["status"] == "not_measured"]
    whole = len(set(rows["run_key"].to_pylist())) == len(tenth) and len(refused) == 1
    print(
        f"one broken image among {len(spoilt)}: {len(refused)} refused ({refused[0]['reason'] if refused else 'none'}), the others measured: {whole}"
    )
    return 0 if whole and growth < 2 else 1


def _run(spark: Any, work: list[dict[str, str]], folder: Path, partitions: int) -> tuple[float, Any]:
    """Return the seconds and the rows of one action, as the job starts it."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema

    from spark_jobs.jobs.analyse import RESULT, WORK, _rows

    place = str(folder)

    def partition(batches: Any) -> Any:
        for batch in batches:
            for row in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(_rows(json.loads(row["series"]), "phantom", Path(place)), schema=RESULT)

    began = time.perf_counter()
    frame = spark.createDataFrame(pa.Table.from_pylist(work, schema=WORK)).repartition(partitions)
    table = frame.mapInArrow(partition, from_arrow_schema(RESULT)).toArrow()
    return time.perf_counter() - began, table


def _images(folder: Path, count: int) -> list[dict[str, str]]:
    """Write ten floods of 64 × 64 and return the work: each series names one of them."""
    import numpy as np

    field = np.rint(lit("RECTANGLE", (440.0, 330.0), 8.0, 64) * 20_000)
    for k in range(10):
        data = dicom(np.random.default_rng(k).poisson(field), pixel_mm=8.0, NumberOfFrames=1)
        (folder / f"{k}.dcm").write_bytes(data)
    out = []
    for k in range(count):
        key = hashlib.sha256(str(k).encode()).hexdigest()
        facts = {"run_key": key, "series_uid": f"1.2.{k}", "instances": [{"object_key": f"{k % 10}.dcm"}], "modality": "NM"}
        facts |= {"recorded_at_utc": datetime(2026, 4, 1, tzinfo=UTC).isoformat(), "site_id": "MAIN", "is_phantom": True}
        # a serial and a day make a verdict: what passes needs no picture, as in the platform
        facts |= {"acquired_at_utc": datetime(2026, 4, 1, tzinfo=UTC).isoformat(), "device_serial": None, "station_name": None}
        out.append({"run_key": key, "series": json.dumps(facts)})
    return out


def _broken(folder: Path) -> dict[str, Any]:
    (folder / "broken.dcm").write_bytes((folder / "0.dcm").read_bytes()[:3000])
    return {"run_key": "spoilt", "instances": [{"object_key": "broken.dcm"}]}


def _session() -> Any:
    import os

    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("bench").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "1g").config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
    spark = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
