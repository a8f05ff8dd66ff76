"""The frozen result that every procedure returns: values with unit, uncertainty and place, or the reason why there are none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from messages import fields, listed

__all__ = ["INDICATIVE", "MEASURED", "NOT_MEASURED", "Measure", "Result", "refused"]

MEASURED = "measured"
INDICATIVE = "indicative"  # values that may be looked at, but get no verdict
NOT_MEASURED = "not_measured"


@dataclass(frozen=True)
class Measure:
    """One number of a procedure.

    `uncertainty` (one standard deviation, in `unit`) and `at` (where the value was found) are None where the method gives none;
    `aspect` is None for device tests, `region` (sphere, quadrant, material, organ) where the value is of the whole image.
    """

    name: str
    value: float
    unit: str
    uncertainty: float | None = None
    at: dict[str, Any] | None = None
    aspect: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Result:
    """What one run of a procedure on one detector (or one series) gave.

    `procedure`, `method` and `method_version` are None when nobody could tell what the series is for; `reason` is None only for a
    result without any reservation; `detector` is None where the procedure knows no detectors. `figure` holds the arrays that a
    picture needs and is no part of the contract.
    """

    procedure: str | None
    status: str
    reason: str | None = None
    detector: str | None = None
    method: str | None = None
    method_version: str | None = None
    measures: tuple[Measure, ...] = ()
    warnings: tuple[str, ...] = ()
    figure: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    def value(self, name: str, region: str | None = None) -> float:
        """Return the value of one measure; a missing one is a KeyError."""
        for m in self.measures:
            if m.name == name and (region is None or m.region == region):
                return m.value
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values; the command line adds inputs, limits and verdict."""
        measures = []
        for m in self.measures:
            row: dict[str, Any] = {"name": m.name, "value": m.value, "unit": m.unit, "uncertainty": m.uncertainty, "at": m.at}
            if m.aspect is not None:
                row["aspect"] = m.aspect
            if m.aspect is not None or m.region is not None:
                row["region"] = m.region
            measures.append(row)
        return {
            "procedure": self.procedure,
            "status": self.status,
            **fields(self.reason),
            "detector": self.detector,
            "method": self.method,
            "method_version": self.method_version,
            "measures": measures,
            **listed(self.warnings),
        }


def refused(reason: str, warnings: Iterable[str] = ()) -> Result:
    """Return a result without numbers: what was looked at is not measured, for this reason."""
    return Result(None, NOT_MEASURED, reason, warnings=tuple(warnings))
