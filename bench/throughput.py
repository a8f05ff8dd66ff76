"""Series a second on Spark, by the same functions that the job uses: `python -m bench.throughput [SERIES]` (default 10,000).

Throughput over 1, 2 and 4 partitions of a tenth of the series; all of them, in actions as the job starts them; a batch with a broken
image, which becomes a row with the reason while the others go on. On a machine that is too slow or too busy for the time that the
bench may take, fewer series are measured, and it says so. Exit code 1 when a row is lost, or ten times the data costs more than twice
ten times as much.
"""

import hashlib
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import page
from bench.cases import dicom, lit
from spark_jobs.jobs.work_item import WorkItem

__all__ = ["main"]

SERIES = 10_000
LONGEST_S = 420.0  # of the run over all series
STEPS = 10  # lines of progress


def main(arguments: list[str]) -> int:
    """Measure, print and write docs/speed.md; 0 done, 1 not linear or a row lost, 2 usage."""
    if len(arguments) > 1 or (arguments and not arguments[0].isdigit()):
        print("usage: python -m bench.throughput [SERIES]", file=sys.stderr)
        return 2
    before = page.load()
    with tempfile.TemporaryDirectory() as folder:
        work = _images(Path(folder), int(arguments[0]) if arguments else SERIES)
        spark = _session()
        try:
            lines, good = _measure(spark, work, Path(folder))
        finally:
            spark.stop()
    page.write("On Spark", lines, (before, page.load()))
    print("\n" + "\n".join(lines))
    return 0 if good else 1


def _measure(spark: Any, work: list[dict[str, str]], folder: Path) -> tuple[list[str], bool]:
    """Return the lines of the page, and whether cost was linear and no row was lost."""
    from spark_jobs.jobs.analyse import CHUNK, _rows

    _run(spark, work[:8], folder, 2)  # the workers' first imports
    began = time.perf_counter()
    for row in work[:50]:
        _rows(WorkItem.from_json(row["item"]), "phantom", folder)
    alone = (time.perf_counter() - began) / 50
    bare = min(_run(spark, work[:1], folder, 1)[0] for _ in range(3)) - alone
    text = ["| what | series | partitions | seconds | series/s |", "|---|--:|--:|--:|--:|"]
    text.append(f"| engine alone, one process | 50 | – | {50 * alone:.1f} | {1 / alone:.0f} |")
    wanted = len(work)
    work = work[: max(40, min(wanted, int(LONGEST_S / (alone + bare / CHUNK))))]
    if len(work) < wanted:
        print(f"{len(work)} series, not {wanted}: more would take longer than {LONGEST_S:.0f} s here and now", flush=True)
    tenth = work[: len(work) // 10]
    whole = True
    for partitions in (1, 2, 4):
        seconds, rows = _run(spark, tenth, folder, partitions)
        whole &= len(set(rows["run_key"].to_pylist())) == len(tenth)
        text.append(f"| one action | {len(tenth)} | {partitions} | {seconds:.1f} | {len(tenth) / seconds:.0f} |")
        print(text[-1], flush=True)
    small, _ = _chunks(spark, tenth, folder, CHUNK)
    text.append(f"| actions of {CHUNK}, as the job starts them | {len(tenth)} | 4 | {small:.1f} | {len(tenth) / small:.0f} |")
    large, keys = _chunks(spark, work, folder, CHUNK)
    text.append(f"| the same, ten times the data | {len(work)} | 4 | {large:.1f} | {len(work) / large:.0f} |")
    whole &= len(keys) == len(work)
    growth = large / small / (len(work) / len(tenth))
    (folder / "broken.dcm").write_bytes((folder / "0.dcm").read_bytes()[:3000])
    broken = replace(WorkItem.from_json(tenth[0]["item"]), run_key="spoilt", objects=("broken.dcm",))
    _, rows = _run(spark, [*tenth[:CHUNK], {"run_key": broken.run_key, "item": broken.to_json()}], folder, 4)
    refused = [r for r in rows.to_pylist() if r["status"] == "not_measured"]
    whole &= len(set(rows["run_key"].to_pylist())) == len(tenth[:CHUNK]) + 1 and len(refused) == 1
    reason = refused[0]["reason"] if refused else "none"
    text += [
        "",
        f"- Ten times the data costs {growth:.2f} times ten times as much (1 is linear).",
        f"- An action costs {1000 * bare:.0f} ms beside its series, {1000 * bare / CHUNK:.1f} ms a series; a series costs {1000 * alone:.0f} ms.",
        f"- One broken image among {len(tenth[:CHUNK]) + 1}: {len(refused)} row with the reason ({reason}), the others measured.",
    ]
    text += [
        f"- {wanted} series were asked for: {len(work)} are what this machine does in {LONGEST_S:.0f} s as busy as it was."
    ] * (len(work) < wanted)
    return text, whole and growth < 2


def _chunks(spark: Any, work: list[dict[str, str]], folder: Path, size: int) -> tuple[float, set[str]]:
    """Return the seconds of all actions, and the run keys that came back."""
    began, keys = time.perf_counter(), set()
    starts = range(0, len(work), size)
    for n, at in enumerate(starts, 1):
        keys |= set(_run(spark, work[at : at + size], folder, 4)[1]["run_key"].to_pylist())
        if n % max(1, len(starts) // STEPS) == 0:
            print(f"{min(at + size, len(work))} of {len(work)} series, {time.perf_counter() - began:.0f} s", flush=True)
    return time.perf_counter() - began, keys


def _run(spark: Any, work: list[dict[str, str]], folder: Path, partitions: int) -> tuple[float, Any]:
    """Return the seconds and the rows of one action, as the job starts it."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema

    from spark_jobs.jobs.analyse import RESULT, WORK, _rows

    place = str(folder)

    def partition(batches: Any) -> Any:
        for batch in batches:
            for row in batch.to_pylist():
                yield pa.RecordBatch.from_pylist(_rows(WorkItem.from_json(row["item"]), "phantom", Path(place)), schema=RESULT)

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
        moment = datetime(2026, 4, 1, tzinfo=UTC)  # a day makes a verdict: what passes needs no picture, as in the platform
        item = WorkItem(key, "MAIN", "2026-04-01", f"1.2.{k}", moment, "NM", (f"{k % 10}.dcm",), acquired_at=moment)
        out.append({"run_key": key, "item": item.to_json()})
    return out


def _session() -> Any:
    import os

    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master("local[2]")
        .appName("bench")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
    )
    builder = builder.config("spark.driver.memory", "1g").config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
    spark = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
