"""Hold the designs of the control charts to what they promise: simulate series once, keep how far they went in memory, search the limits.

Simulating is the costly part, and the same for all limits. So it is one Spark stage whose rows are cached; each step of the search counts
over the cached rows, all designs at once, and nothing is written anywhere. Blocks of series have seeds of their own: the counts are the
same however many workers share them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.settings import Settings
from judgement import reference, rows
from spark_jobs.qc.numerics.drift import Chart, extremes

__all__ = ["SERIES", "Design", "designs", "farthest", "prove"]

SERIES, BLOCK, SEED = 50_000, 500, 20260310
STEPS, WIDEST, NARROWEST = 14, 2.0, 0.25  # of the search: both limits are scaled together, between these factors
ERRORS = 3.0  # standard errors that a simulated share may be on the wrong side of a promise
Row = dict[str, Any]
WORK = pa.schema([("design", pa.int32()), ("shifted", pa.bool_()), ("block", pa.int32())])
FAR = pa.schema([("design", pa.int32()), ("shifted", pa.bool_()), ("cusum", pa.float64()), ("ewma", pa.float64())])


@dataclass(frozen=True, slots=True)
class Design:
    """What some rows of `drift_charts.csv` promise alike: within `values` values after the baseline at most `false` of the series that are
    in control are flagged, and at least `detect` of those that shifted by one sigma.
    """

    charts: tuple[str, ...]
    chart: Chart
    values: int
    false: float
    detect: float


def designs(seeds: Path | None = None) -> list[Design]:
    """Return the designs of the reference table; floors aside, which only ever widen a chart."""
    found: dict[Design, list[str]] = {}
    for row in reference.read(rows.Chart, seeds):
        chart = Chart(row.cusum_k, row.cusum_h, row.ewma_weight, row.ewma_limit, row.clip_z, row.baseline_n)
        design = Design((), chart, row.design_values, row.false_percent / 100, row.detect_percent / 100)
        found.setdefault(design, []).append(row.chart_id)
    return [replace(design, charts=tuple(names)) for design, names in found.items()]


def farthest(design: Design, number: int, shifted: bool, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far CUSUM and EWMA went in each series of a block; the shift comes right after the baseline."""
    dice = np.random.default_rng([SEED, number, shifted, block])
    values = dice.standard_normal((BLOCK, design.chart.baseline + design.values))
    values[:, design.chart.baseline :] += float(shifted)
    return extremes(values, design.chart)


def prove(settings: Settings, series: int = SERIES) -> list[Row]:
    """Return what each design does in so many simulated series of each kind, and the tightest limits that keep its promise.

    Returns
    -------
    list of dict
        A row a design. `false_percent`, `detect_percent` as declared; `simulated_…` with its `…_error` (one standard error);
        `tightest_cusum_h`, `tightest_ewma_limit`: both limits scaled alike until `false_percent` is reached, and what they would detect;
        `keeps`: whether both promises hold within three standard errors.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.storagelevel import StorageLevel

    from spark_jobs.jobs.analyse import session

    table, blocks = designs(), max(1, series // BLOCK)
    work = [
        {"design": n, "shifted": shifted, "block": b}
        for n in range(len(table))
        for shifted in (True, False)
        for b in range(blocks)
    ]

    def simulate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                cusum, ewma = farthest(table[row["design"]], row["design"], row["shifted"], row["block"])
                same = [pa.array([row[k]] * BLOCK, FAR.field(k).type) for k in ("design", "shifted")]
                yield pa.RecordBatch.from_arrays([*same, pa.array(cusum), pa.array(ewma)], schema=FAR)

    began = time.monotonic()
    spark = session(settings)
    rows = spark.createDataFrame(pa.Table.from_pylist(work, schema=WORK)).repartition(4)
    far = rows.mapInArrow(simulate, from_arrow_schema(FAR)).persist(StorageLevel.MEMORY_ONLY)
    try:
        declared = _shares(far, table, dict.fromkeys(range(len(table)), 1.0), blocks * BLOCK)
        simulated_s = time.monotonic() - began
        tightest, at_tightest = _search(far, table, blocks * BLOCK)
    finally:
        far.unpersist()
    seconds = {"simulated_s": round(simulated_s, 2), "searched_s": round(time.monotonic() - began - simulated_s, 2)}
    return [{**_told(d, blocks * BLOCK, *declared[n], tightest[n], at_tightest[n][1]), **seconds} for n, d in enumerate(table)]


def _shares(far: Any, table: Sequence[Design], scales: Mapping[int, float], count: int) -> dict[int, tuple[float, float]]:
    """Return {design: shares of the series in control and of those that shifted that are flagged} with limits scaled so."""
    from pyspark.sql import functions as F

    sums = []
    for n, d in enumerate(table):
        beyond = (F.col("cusum") > d.chart.h * scales[n]) | (F.col("ewma") > d.chart.limit * scales[n])
        for shifted in (False, True):
            mine = (F.col("design") == n) & (F.col("shifted") == shifted) & beyond
            sums.append(F.count(F.when(mine, 1)))
    (counts,) = far.agg(*sums).collect()
    return {n: (counts[2 * n] / count, counts[2 * n + 1] / count) for n in range(len(table))}


def _search(far: Any, table: Sequence[Design], count: int) -> tuple[dict[int, float], dict[int, tuple[float, float]]]:
    """Return the smallest scale of each design's limits that keeps its false rate, by bisection, and the shares there."""
    low, high = dict.fromkeys(range(len(table)), NARROWEST), dict.fromkeys(range(len(table)), WIDEST)
    for _ in range(STEPS):
        middle = {n: (low[n] + high[n]) / 2 for n in low}
        for n, (false, _detected) in _shares(far, table, middle, count).items():
            if false > table[n].false:
                low[n] = middle[n]
            else:
                high[n] = middle[n]
    return high, _shares(far, table, high, count)


def _told(design: Design, count: int, false: float, detected: float, scale: float, detected_there: float) -> Row:
    errors = [100 * float(np.sqrt(max(p * (1 - p), 1 / count) / count)) for p in (false, detected)]
    chart = design.chart
    return {
        "charts": list(design.charts), "baseline_n": chart.baseline, "design_values": design.values, "cusum_h": chart.h,
        "ewma_limit": chart.limit, "series": count,
        "false_percent": 100 * design.false, "simulated_false_percent": 100 * false, "false_percent_error": errors[0],
        "detect_percent": 100 * design.detect, "simulated_detect_percent": 100 * detected, "detect_percent_error": errors[1],
        "tightest_cusum_h": chart.h * scale, "tightest_ewma_limit": chart.limit * scale, "tightest_detect_percent": 100 * detected_there,
        "keeps": 100 * (false - design.false) <= ERRORS * errors[0] and 100 * (design.detect - detected) <= ERRORS * errors[1],
    }  # fmt: skip
