"""The verdict on a measure outside the warehouse: the same limits, precedence and truth table as the dbt models."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_jobs.qc.result import MEASURED, Result

__all__ = ["Limit", "device_of", "in_force", "judge", "read_limits", "verdict", "worst"]

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
BOUNDS = ("warn_low", "warn_high", "fail_low", "fail_high")
ORDER = ("none", "pass", "warn", "fail")


@dataclass(frozen=True)
class Limit:
    """One row of limits.csv. `device_id`, `detector` or `region` None means any; four bounds None: the value is not known yet."""

    limit_id: str
    version: int
    procedure: str
    measure: str
    device_id: str | None
    detector: str | None
    region: str | None
    warn_low: float | None
    warn_high: float | None
    fail_low: float | None
    fail_high: float | None
    valid_from: str
    valid_until: str | None
    standard: str | None
    clause: str | None
    requirement: str | None
    approver: str | None


def read_limits(path: Path | None = None) -> list[Limit]:
    """Return the rows of the reference table that the warehouse judges by."""
    with (path or SEEDS / "limits.csv").open(encoding="utf-8", newline="") as f:
        return [_limit(row) for row in csv.DictReader(f)]


def _limit(row: dict[str, str]) -> Limit:
    values: dict[str, Any] = {k: (v if v not in ("", None) else None) for k, v in row.items() if k in Limit.__dataclass_fields__}
    values["version"] = int(row["version"])
    for name in BOUNDS:
        values[name] = float(row[name]) if row[name] else None
    return Limit(**values)


def device_of(device_serial: str | None, station_name: str | None, path: Path | None = None) -> str:
    """Return the registered device of an image by its serial number, by its station name when it has none, or UNREGISTERED."""
    with (path or SEEDS / "devices.csv").open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            if device_serial and row["device_serial"] == device_serial:
                return row["device_id"]
            if not device_serial and station_name and row["station_name"] == station_name:
                return row["device_id"]
    return "UNREGISTERED"


def in_force(
    limits: Iterable[Limit],
    procedure: str | None,
    measure: str,
    device_id: str | None,
    detector: str | None,
    day: str | None,
    region: str | None = None,
) -> Limit | None:
    """Return the limit of a measure on a day: the most specific row (device before detector before region), then the highest version."""
    if day is None:
        return None
    fits = [
        x
        for x in limits
        if (x.procedure, x.measure) == (procedure, measure)
        and x.device_id in (None, device_id)
        and x.detector in (None, detector)
        and x.region in (None, region)
        and x.valid_from <= day
        and (x.valid_until is None or x.valid_until >= day)
    ]
    # the last sort decides least: two rows of one rank are told apart as the warehouse does it
    fits.sort(key=lambda x: x.limit_id)
    fits.sort(key=lambda x: (_rank(x), x.version, x.valid_from), reverse=True)
    return fits[0] if fits else None


def _rank(limit: Limit) -> int:
    return 4 * (limit.device_id is not None) + 2 * (limit.detector is not None) + (limit.region is not None)


def verdict(value: float | None, status: str, limit: Limit | None) -> str:
    """Return pass, warn, fail or none; a value on a bound is inside."""
    if status != MEASURED or value is None or math.isnan(value) or limit is None:
        return "none"
    if all(getattr(limit, b) is None for b in BOUNDS):
        return "none"
    if _outside(value, limit.fail_low, limit.fail_high):
        return "fail"
    return "warn" if _outside(value, limit.warn_low, limit.warn_high) else "pass"


def _outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)


def judge(result: Result, limits: Sequence[Limit], device_id: str | None, day: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the worst verdict of a result and the limit rows used, each with its measure's own verdict."""
    rows = []
    verdicts = ["none"]
    for m in result.measures:
        limit = in_force(limits, result.procedure, m.name, device_id, result.detector, day, m.region)
        if limit is None:
            continue
        own = verdict(m.value, result.status, limit)
        verdicts.append(own)
        row = {**asdict(limit), "verdict": own}
        if m.region is not None:
            row["region"] = m.region
        rows.append(row)
    return worst(verdicts), rows


def worst(verdicts: Iterable[str]) -> str:
    """Return the most severe of some verdicts: fail, warn, pass, none."""
    return max(verdicts, key=ORDER.index, default="none")
