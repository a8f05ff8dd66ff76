"""What a quantity can be at all: a reading outside is a fault of the sensor or of the line, and no value.

This is no limit of a rule: 60 °C is much too warm for a detector, and a temperature.
"""

import math
from collections.abc import Iterable

from judgement.rows import PhysicalRange
from messages import Message, because

__all__ = ["physical_range", "unphysical"]


def physical_range(quantity: str, sensor_id: str, ranges: Iterable[PhysicalRange]) -> tuple[float, float]:
    """Return the least and the greatest value that a quantity, told by a sensor, can have; infinite where nothing is known.

    A row without sensor is of the quantity; one with a sensor narrows it.
    """
    mine = [r for r in ranges if r.quantity == quantity and r.sensor_id in (None, sensor_id)]
    low = max((r.low for r in mine if r.low is not None), default=-math.inf)
    high = min((r.high for r in mine if r.high is not None), default=math.inf)
    return low, high


def unphysical(value: float, quantity: str, sensor_id: str, ranges: Iterable[PhysicalRange]) -> Message | None:
    """Return why a reading is no value of its quantity, None when it can be one."""
    low, high = physical_range(quantity, sensor_id, ranges)
    if math.isfinite(value) and low <= value <= high:
        return None
    return because("sensor.unphysical", value=f"{value:g}", low=f"{low:g}", high=f"{high:g}")
