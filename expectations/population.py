"""Rows that are attested: one release of the warehouse and the lake beside it, read through one read-only connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from expectations.suites import Suite
from expectations.suspects import suspects

__all__ = ["Population", "Release", "find_release", "names_of", "open_release", "population_of", "release_of", "rules_in_force"]

LAKE = ("events", "readings", "measures")
LARGEST = 100_000  # rows of one population that are held in memory


@dataclass(frozen=True)
class Release:
    """One release: its file, and what it says of itself."""

    path: Path
    release_id: str
    as_of_utc: str


def find_release(warehouse: Path) -> Path | None:
    """Return the candidate's file, or the published one's; None before the first build. Links are resolved: they may move on."""
    for name in ("candidate", "current"):
        path = warehouse / name / "qc.duckdb"
        if path.exists():
            return path.resolve()
    return None


@dataclass(frozen=True)
class Population:
    """What a suite is judged by: the rows that were read, how many there are, and how many in each group ("" for null)."""

    frame: pd.DataFrame
    size: int
    groups: dict[str, int]


@contextmanager
def open_release(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a read-only connection with the lake's tables, as the release froze them, as views `lake_events`, `lake_readings`, `lake_measures`."""
    lake = path.parent / "lake"
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'; set threads = 2")
        for table in LAKE:
            if any((lake / table).rglob("*.parquet")):
                glob = f"{lake}/{table}/**/*.parquet".replace("'", "''")
                connection.execute(
                    f"create temp view lake_{table} as "
                    f"select * from read_parquet('{glob}', union_by_name = true, hive_partitioning = true, "
                    "hive_types_autocast = false)"
                )
        yield connection


def release_of(connection: duckdb.DuckDBPyConnection, path: Path) -> Release:
    """Return what the release says of itself."""
    row = connection.execute("select release_id, as_of_utc from marts.mart_release").fetchone()
    if row is None:
        raise ValueError(f"{path}: mart_release is empty; run `photopeak job build_marts` again")
    moment = row[1].replace(tzinfo=UTC) if row[1].tzinfo is None else row[1].astimezone(UTC)
    return Release(path, str(row[0]), moment.isoformat(timespec="seconds").replace("+00:00", "Z"))


def names_of(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, tuple[str, str]]]:
    """Return {column: {id: (English name, Chinese name)}} of the registers that the release holds."""
    names = {}
    for register in ("device", "room", "staff"):
        rows = connection.execute(f"select {register}_id, name_en, name_zh from marts.dim_{register}").fetchall()
        names[f"{register}_id"] = {row[0]: (row[1], row[2]) for row in rows if row[0] and row[1] and row[2]}
    listed = "select 1 from information_schema.tables where table_schema = 'reference' and table_name = 'measure_names'"
    if connection.execute(listed).fetchone():
        rows = connection.execute("select measure, name_en, name_zh from reference.measure_names").fetchall()
        names["measure"] = {row[0]: (row[1], row[2]) for row in rows}
    return names


def rules_in_force(connection: duckdb.DuckDBPyConnection, zone: tzinfo) -> dict[str, dict[str, Any]]:
    """Return {rule_id: its newest row of dim_rule in force on the release's last local day}: it goes before a suite's meta."""
    # the release speaks of everything before its moment: midnight belongs to the day that ends there
    day = f"timezone('{zone}', timezone('UTC', m.as_of_utc::timestamp - interval 1 microsecond))::date"
    frame = connection.execute(
        f"""
        select r.* from marts.dim_rule r, marts.mart_release m
        where (r.valid_from is null or r.valid_from::date <= {day}) and (r.valid_until is null or r.valid_until::date >= {day})
        qualify row_number() over (partition by rule_id order by try_cast(version as integer) desc nulls last, version desc) = 1
        """
    ).df()
    return {str(r["rule_id"]): {str(k): v for k, v in r.items()} for r in frame.to_dict("records")}


def population_of(connection: duckdb.DuckDBPyConnection, suite: Suite, zone: tzinfo) -> Population:
    """Return a suite's population; of one that is larger than `LARGEST` only rows that may break a rule are read, at most so many.

    Rows have `row` in front, a number that names each; times are naive UTC.
    """
    sql = suite.sql.replace("{time_zone}", str(zone))
    group = f"coalesce(cast({suite.group} as varchar), '')" if suite.group else "''"
    groups = dict(connection.execute(f"select {group}, count(*) from ({sql}) as p group by 1").fetchall())
    size = sum(groups.values())
    doubt = suspects(suite.expectations) if size > LARGEST else None
    if doubt is not None:
        sql = f"select * from ({sql}) as p qualify row_number() over () > 0 and ({doubt}) limit {LARGEST}"
    return Population(_numbered(connection.execute(sql).df()), size, groups)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
            frame[column] = frame[column].dt.tz_convert("UTC").dt.tz_localize(None)
    frame.insert(0, "row", range(len(frame)))
    return frame
