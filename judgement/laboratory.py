"""What a laboratory result says about a bound: a number, `> 33.3`, or nothing that can be used.

The newest result is chosen before it is read: one that cannot be used makes the value unknown and never lets an older one stand in its place.
A result in another unit is converted by `laboratory_units.csv`, a unit that stands in no row of it is named.
The model `int_requirement__preparation` says the same.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from judgement.rows import LaboratoryUnit

__all__ = ["Range", "Result", "exactly", "is_result", "result", "verdict"]

Range = tuple[float, float]  # the values that a result can mean, bounds included
# OBX-11, HL7 table 0085: final, corrected, preliminary, entered and not verified, partial, final without retransmission; and of later
# versions amended, appended, verified. Deleted, of another patient, not obtained, pending, not asked, order detail alone, and what no
# table holds, are no result
GOOD = ("F", "C", "P", "R", "S", "U", "A", "B", "V")
NOT_YET = ("I", "N", "O")
TOLD = re.compile(r"([<>]?)=? *([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
DECIMALS = re.compile(r"[+-]?[0-9]+\.([0-9]+)")
U_FOR_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u", " ": None})


class Result(NamedTuple):
    """What a result can mean in the unit that was asked for, None if nothing; `unit`: the one that nobody knows to convert.

    `why`: what makes it nothing, as the end of a code of `preparation.…`.
    """

    said: Range | None
    unit: str | None = None
    why: str = "result_unusable"


def exactly(value: float) -> Result:
    """Return what a number says."""
    return Result((value, value))


def is_result(observation: Mapping[str, Any]) -> bool:
    """Return whether an observation is a result, or takes one back; one that is only awaited is none."""
    return observation.get("value") is not None or observation.get("status") not in NOT_YET


def result(
    observation: Mapping[str, Any],
    item: str,
    unit: str | None,
    units: Iterable[LaboratoryUnit] = (),
    bounds: Sequence[float] = (),
) -> Result:
    """Return what a result of an item can mean in a unit; nothing: no number, a unit that no row converts, or no result by OBX-11.

    Parameters
    ----------
    bounds
        In `unit`. A converted result is one of them when that bound, in the result's own unit and to its digits, is the number that was
        told: 200 mg/dL is 11.1 mmol/L, not 11.101.
    """
    match = TOLD.fullmatch(str(observation.get("value") or ""))
    status = observation.get("status")
    if status and status.strip().upper() not in GOOD:
        return Result(None, None, "result_status")
    if match is None:
        return Result(None)
    value = float(match[2])
    if not abs(value) < 1e300:
        return Result(None)
    told = observation.get("unit")
    if told != unit and _plain(told) != _plain(unit):
        per = [r.per_base for r in _of(units, item, told)], [r.per_base for r in _of(units, item, unit)]
        if not (per[0] and per[1]):
            return Result(None, told)
        value = _converted(value, match, per[0][0], per[1][0], bounds)
    return Result((-math.inf if match[1] == "<" else value, math.inf if match[1] == ">" else value))


def _of(units: Iterable[LaboratoryUnit], item: str, unit: str | None) -> list[LaboratoryUnit]:
    return [r for r in units if r.item == item and _plain(unit) in r.spellings.split(" ")] if unit else []


def _converted(value: float, told: re.Match[str], of_told: float, of_asked: float, bounds: Sequence[float]) -> float:
    decimals = DECIMALS.fullmatch(told[2])
    steps = 10.0 ** (len(decimals[1]) if decimals else 0)
    for bound in () if told[1] else bounds:
        if math.floor(bound * of_told / of_asked * steps + 0.5) == math.floor(value * steps + 0.5):
            return bound
    return value * of_asked / of_told


def _plain(unit: str | None) -> str:
    return (unit or "").translate(U_FOR_MICRO).lower()


def verdict(said: Range, low: float | None, high: float | None) -> bool | None:
    """Return whether a result is within bounds, None when it can be either."""
    least, most = said
    if (high is not None and least > high) or (low is not None and most < low):
        return False
    return True if (low is None or least >= low) and (high is None or most <= high) else None
