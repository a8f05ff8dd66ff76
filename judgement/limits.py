"""The verdict on a value: the same limits, precedence and truth table as the dbt models (`judge.sql`, `int_measure__judged`)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Protocol

from judgement.rows import Limit
from judgement.validity import in_force

__all__ = ["BOUNDS", "LOWER_BOUND", "MEASURED", "judge", "limit_of", "number_text", "verdict", "worst"]

LOWER_BOUND = "lower_bound"  # in the place of a value: the true one may be larger, so that no limit can be held against it
MEASURED = "measured"  # the only status of a value that gets a verdict
BOUNDS = ("warn_low", "warn_high", "fail_low", "fail_high")
ORDER = ("none", "pass", "warn", "fail")


class Measured(Protocol):
    """One value of a result."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def at(self) -> Mapping[str, Any] | None: ...


class Judged(Protocol):
    """What an analysis gives."""

    @property
    def procedure(self) -> str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def detector(self) -> str | None: ...
    @property
    def measures(self) -> Sequence[Measured]: ...


def limit_of(
    limits: Iterable[Limit],
    procedure: str | None,
    measure: str,
    device_id: str | None,
    detector: str | None,
    day: date | str | None,
    region: str | None = None,
) -> Limit | None:
    """Return the limit of a measure on a day: the most specific row (device before detector before region), then the highest version."""
    fits = in_force(
        (
            x
            for x in limits
            if (x.procedure, x.measure) == (procedure, measure)
            and x.device_id in (None, device_id)
            and x.detector in (None, detector)
            and x.region in (None, region)
        ),
        day,
    )
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


def judge(result: Judged, limits: Sequence[Limit], device_id: str | None, day: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the worst verdict of a result and the limit rows used, each with its measure's own verdict."""
    rows = []
    verdicts = ["none"]
    for m in result.measures:
        limit = limit_of(limits, result.procedure, m.name, device_id, result.detector, day, m.region)
        if limit is None:
            continue
        own = verdict(m.value, "indicative" if (m.at or {}).get(LOWER_BOUND) else result.status, limit)
        verdicts.append(own)
        row = {**asdict(limit), "verdict": own}
        if m.region is not None:
            row["region"] = m.region
        rows.append(row)
    return worst(verdicts), rows


def worst(verdicts: Iterable[str]) -> str:
    """Return the most severe of some verdicts: fail, warn, pass, none."""
    return max(verdicts, key=ORDER.index, default="none")


def number_text(value: float) -> str:
    """Return a value to four significant digits, as people write it: 18020, not 1.802e+04, up to ten million."""
    return f"{value:.0f}" if 9999.5 <= abs(value) < 1e7 else f"{value:.4g}"
