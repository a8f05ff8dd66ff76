"""What a laboratory result says about a bound: a number, `> 33.3`, or nothing that can be used.

The newest result is chosen before it is read: one that cannot be used makes the value unknown and never lets an older one stand in its place.
The model `int_requirement__preparation` says the same.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Range", "is_result", "value_range", "verdict"]

Range = tuple[float, float]  # the values that a result can mean, bounds included
WITHDRAWN = ("D", "W", "X")  # OBX-11, HL7 table 0085: deleted, of another patient, cannot be obtained
NOT_YET = ("I", "N", "O")  # pending, not asked, order detail only
TOLD = re.compile(r"([<>]?)=? *(.*)", re.DOTALL)


def is_result(observation: Mapping[str, Any]) -> bool:
    """Return whether an observation is a result, or takes one back; one that is only awaited is none."""
    return observation.get("value") is not None or observation.get("status") not in NOT_YET


def value_range(observation: Mapping[str, Any], unit: str | None) -> Range | None:
    """Return what a result can mean in a unit; None: no number, another unit, or withdrawn (OBX-11)."""
    match = TOLD.fullmatch(str(observation.get("value") or ""))
    if match is None or observation.get("unit") != unit or observation.get("status") in WITHDRAWN:
        return None
    try:
        value = float(match[2])
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return (-math.inf if match[1] == "<" else value, math.inf if match[1] == ">" else value)


def verdict(said: Range, low: float | None, high: float | None) -> bool | None:
    """Return whether a result is within bounds, None when it can be either."""
    least, most = said
    if (high is not None and least > high) or (low is not None and most < low):
        return False
    return True if (low is None or least >= low) and (high is None or most <= high) else None
