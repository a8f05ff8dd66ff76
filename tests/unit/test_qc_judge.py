"""One judge: `photopeak analyse` and the warehouse give the same verdict for generated bounds, values and nulls."""

import itertools
import math
from dataclasses import replace

import duckdb
import jinja2
import pytest

from judgement.devices import device_of
from judgement.limits import limit_of, number_text, verdict
from judgement.reference import SEEDS, read
from judgement.rows import Device, Limit
from spark_jobs.procedures import MODULES

EMPTY = Limit("L", 1, "p", "m", None, None, None, None, None, None, None, "2020-01-01", None, None, None, None, None)
MACROS = SEEDS.parent / "macros"


def test_verdicts_equal_those_of_the_dbt_macro():
    module = jinja2.Environment().from_string((MACROS / "judge.sql").read_text()).module
    expression = str(module.verdict("value", "status", "warn_low", "warn_high", "fail_low", "fail_high"))
    bounds = itertools.product((None, -1.0), (None, 1.0), (None, -2.0), (None, 2.0))
    values = (None, math.nan, -3.0, -2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0, 2.0000001, 3.0)
    cases = list(itertools.product(values, ("measured", "indicative", "not_measured"), bounds))
    columns = "value DOUBLE, status VARCHAR, warn_low DOUBLE, warn_high DOUBLE, fail_low DOUBLE, fail_high DOUBLE, id INTEGER"
    con = duckdb.connect()
    con.execute(f"CREATE TABLE t ({columns})")
    con.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", [(v, s, *b, i) for i, (v, s, b) in enumerate(cases)])
    judged = [row[0] for row in con.execute(f"SELECT {expression} FROM t ORDER BY id").fetchall()]
    ours = [verdict(v, s, replace(EMPTY, warn_low=b[0], warn_high=b[1], fail_low=b[2], fail_high=b[3])) for v, s, b in cases]
    assert ours == judged
    assert set(ours) == {"pass", "warn", "fail", "none"}


def test_the_most_specific_row_wins_then_the_highest_version_in_force():
    rows = [
        replace(EMPTY, limit_id="any", version=9),
        replace(EMPTY, limit_id="detector", version=5, detector="1"),
        replace(EMPTY, limit_id="device", version=1, device_id="GC1"),
        replace(EMPTY, limit_id="device", version=2, device_id="GC1", valid_from="2026-01-01"),
        replace(EMPTY, limit_id="old", version=99, device_id="GC1", valid_until="2025-12-31"),
    ]
    for device, detector, day, expected in (
        ("GC1", "1", "2026-06-01", ("device", 2)),
        ("GC1", "1", "2025-06-01", ("old", 99)),
        ("SPCT1", "1", "2026-06-01", ("detector", 5)),
        ("SPCT1", "2", "2026-06-01", ("any", 9)),
    ):
        limit = limit_of(rows, "p", "m", device, detector, day)
        assert limit and (limit.limit_id, limit.version) == expected
    assert limit_of(rows, "p", "m", "GC1", "1", "2019-12-31") is None
    sphere = replace(EMPTY, limit_id="sphere", region="17 mm")
    assert limit_of([*rows, sphere], "p", "m", "X", "2", "2026-06-01", "17 mm") == sphere
    assert limit_of([*rows, sphere], "p", "m", "X", "2", "2026-06-01", "22 mm") == rows[0]
    assert limit_of(rows, "p", "other", "GC1", "1", "2026-06-01") is None
    assert limit_of(rows, "p", "m", "GC1", "1", None) is None


def test_seeds_are_whole_and_devices_are_found_by_serial_then_station():
    limits = read(Limit)
    assert {x.procedure for x in limits} <= set(MODULES)
    assert all(x.standard and x.clause and x.approver for x in limits)
    assert len({(x.limit_id, x.version) for x in limits}) == len(limits)
    devices = read(Device)
    first = devices[0]
    assert device_of(first.device_serial, "elsewhere", devices) == first.device_id
    assert device_of(None, first.station_name, devices) == first.device_id
    assert device_of("stranger", first.station_name, devices) == "UNREGISTERED"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(18_023.4, "18023"), (9_999.6, "10000"), (0.00123456, "0.001235"), (-6.0601, "-6.06"), (1e7, "1e+07"), (0.0, "0")],
)
def test_a_value_is_shown_as_people_write_it_in_python_and_sql(value: float, shown: str) -> None:
    from dashboards.compose import _number

    assert number_text(value) == duckdb.execute(f"SELECT {_number('v')} FROM (SELECT ? AS v)", [value]).fetchone()[0] == shown  # type: ignore[index]
