"""Control charts: run lengths against the literature and against simulation, and the designs of the reference table held to what they promise."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from spark_jobs.jobs.design import designs as declared
from spark_jobs.jobs.design import farthest
from spark_jobs.qc.numerics.drift import (
    Chart,
    average_run_length,
    cusum,
    ewma,
    extremes,
    false_rate,
    find_drift,
    flag_rate,
    siegmund,
)

TABLE = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds" / "drift_charts.csv"
PLAIN = Chart(k=0.5, h=5, weight=0.1, limit=2.814, clip=99, baseline=30)


@cache
def designs() -> dict[Chart, tuple[int, float, float]]:
    """Return the different designs of the table (floors aside), each with its values, false rate and detection rate."""
    with TABLE.open(encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) > 10 and all(float(r["sigma_floor"]) > 0 and float(r["min_shift"]) > 0 for r in rows)
    out = {}
    for r in rows:
        names = ("cusum_k", "cusum_h", "ewma_weight", "ewma_limit", "clip_z")
        chart = Chart(*(float(r[n]) for n in names), baseline=int(r["baseline_n"]))
        out[chart] = (int(r["design_values"]), float(r["false_percent"]) / 100, float(r["detect_percent"]) / 100)
    return out


def test_run_lengths_are_those_of_the_literature() -> None:
    """Montgomery, Introduction to Statistical Quality Control, tables of CUSUM (k 0.5, h 5: 465 and 10.4) and EWMA (0.10, 2.814: 500 and 10.3)."""
    calm, shifted = average_run_length(PLAIN), average_run_length(PLAIN, 1.0)
    assert calm == pytest.approx((465, 500), rel=0.02) and shifted == pytest.approx((10.4, 10.3), rel=0.02)
    assert siegmund(0.5, 5) == pytest.approx(calm[0], rel=0.02) and siegmund(0.5, 5, 1.0) == pytest.approx(10.4, rel=0.02)


def test_statistics_are_those_of_their_recursions() -> None:
    z = np.random.default_rng(5).normal(0.3, 1, 200)
    high = low = smooth = 0.0
    upper, lower = cusum(z, 0.5)
    scaled = ewma(z, 0.2)
    for i, value in enumerate(z):
        high, low = max(0.0, high + value - 0.5), max(0.0, low - value - 0.5)
        smooth = 0.8 * smooth + 0.2 * value
        assert (upper[i], lower[i]) == pytest.approx((high, low), abs=1e-9)
        assert scaled[i] == pytest.approx(smooth / np.sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * (i + 1)))), abs=1e-9)


def test_every_design_of_the_table_keeps_its_promise() -> None:
    for chart, (values, false, detected) in designs().items():
        assert false_rate(chart, values) <= false, chart
        assert flag_rate(chart, values, 1.0) >= detected, chart


def test_how_far_a_chart_went_decides_whether_it_flags() -> None:
    chart = Chart(k=0.5, h=6, weight=0.1, limit=3.2, clip=4, baseline=15, floor=0.3)
    values = np.random.default_rng(9).normal(0.15, 1, (300, 55))
    high, far = extremes(values, chart)
    flags = [find_drift(x, chart).flagged is not None for x in values]
    assert [bool(a > chart.h or b > chart.limit) for a, b in zip(high, far, strict=True)] == flags and 30 < sum(flags) < 270


def test_simulated_series_are_those_that_the_computed_rates_speak_of() -> None:
    """The table's figures within three standard errors of 10,000 series, and the computed rate on the safe side of the simulated one."""
    assert {d.chart for d in declared()} == set(designs()) and sum(len(d.charts) for d in declared()) == len(
        list(csv.DictReader(TABLE.open()))
    )
    for number, d in enumerate(declared()):
        shares = []
        for shifted in (False, True):
            pairs = [farthest(d, number, shifted, block) for block in range(20)]
            high, far = (np.concatenate(x) for x in zip(*pairs, strict=True))
            shares.append(float(np.mean((high > d.chart.h) | (far > d.chart.limit))))
        false, detected = shares
        assert false <= d.false + 3 * np.sqrt(d.false / high.size) and false <= false_rate(d.chart, d.values) + 0.005
        assert detected >= d.detect - 3 * np.sqrt(d.detect * (1 - d.detect) / high.size)
        assert flag_rate(d.chart, d.values, 1.0) - 0.02 < detected < flag_rate(d.chart, d.values, 1.0) + 0.08


@pytest.mark.req("SYS-22")
def test_a_thousand_calm_series_and_a_thousand_that_shift_at_day_30() -> None:
    """Every value is what a device inside its tolerance gives; only the charts can tell the two kinds apart."""
    chart, (values, false, detected) = max(designs().items(), key=lambda d: d[0].baseline)
    assert chart.baseline == 30
    calm = 2.5 + 0.1 * np.random.default_rng(20260310).standard_normal((1000, chart.baseline + values))
    shifted = calm.copy()
    shifted[:, 30:] += 0.1
    flags = [find_drift(x, replace(chart, floor=0.05)) for x in calm]
    assert sum(f is not None and f.flagged is not None for f in flags) <= 1000 * false
    found = [find_drift(x, chart) for x in shifted]
    seen = [f for f in found if f is not None and f.flagged is not None]
    share = len(seen) / 1000
    assert detected - 0.03 <= share and abs(share - flag_rate(chart, values, 1.0)) < 0.03, (
        "the computed rate is the simulated one"
    )
    late = [f for f in seen if f.flagged >= 30]
    assert np.median([f.flagged - 30 for f in late]) <= 25 and np.median([f.start for f in late]) == pytest.approx(30, abs=4)
    assert sum(f.direction == "up" for f in seen) > 0.98 * len(seen)


def test_one_stray_value_is_no_drift_and_neither_is_a_shift_below_the_resolution() -> None:
    chart = next(iter(designs()))
    rng = np.random.default_rng(3)
    calm = rng.normal(0, 1, 60)
    assert find_drift(calm, chart).flagged is None
    calm[40] = 1000.0
    assert find_drift(calm, chart).flagged is None
    tiny = np.concatenate([rng.normal(0, 0.001, 30), rng.normal(0.01, 0.001, 60)])
    assert find_drift(tiny, chart).flagged is not None and find_drift(tiny, replace(chart, floor=0.1)).flagged is None
    assert find_drift(np.full(60, 7.0), chart).flagged is None, "a constant has no spread to be charted by"
    assert find_drift(calm[:29], chart) is None, "no verdict while the baseline is not complete"
