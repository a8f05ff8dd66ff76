"""What a quantity can be at all: a reading outside is a fault of the sensor or of the line, and no value.

This is no limit of a rule: 60 °C is much too warm for a detector, and a temperature.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from judgement.rows import PhysicalRange, Sensor
from messages import Message, because

__all__ = ["AHEAD", "no_reading", "physical_range", "unphysical"]

# The ground alone gives some 0.06 µGy/h (UNSCEAR 2000, annex B): a small part of it is no dose rate anywhere on Earth, while a monitor of
# coarse resolution shows 0
LEAST = {"dose_rate": 0.001}
AHEAD = timedelta(minutes=5)  # clocks of two machines differ by less


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
    least = LEAST.get(quantity, 0.0)
    if 0 < value < least:
        return because("sensor.unphysical", value=_shown(value), low=_shown(least), high=_shown(high))
    if math.isfinite(value) and low <= value <= high:
        return None
    return because("sensor.unphysical", value=_shown(value), low=_shown(low), high=_shown(high))


def _shown(number: float) -> str:
    return f"{number:g}".replace("inf", "∞").replace("nan", "NaN")


def no_reading(
    reading: Mapping[str, Any], room_id: str, now: datetime, sensors: Iterable[Sensor], ranges: Iterable[PhysicalRange]
) -> Message | None:
    """Return why what a sender calls a reading is none, None when it can be one.

    A reading contradicts itself (good without a value, another quality with one), its registration (room, quantity, unit), the clock, or
    what its quantity can be. One of a sensor that is not registered is judged by its quantity alone; that it is not is said where it is judged.

    Parameters
    ----------
    reading
        One item of `sensor.readings`, as its schema has it.
    now
        When it arrived (UTC); a reading that is dated later by more than five minutes was not yet measured.
    """
    ranges = tuple(ranges)
    value, quality, quantity = reading["value"], reading["quality"], reading["quantity"]
    if quality != "good":
        return None if value is None else because("sensor.no_usable_value", quality=quality)
    if value is None:
        return because("sensor.good_without_value")
    known = next((s for s in sensors if s.sensor_id == reading["sensor_id"]), None)
    if known is not None and (known.room_id, known.quantity) != (room_id, quantity):
        return because("sensor.registered_elsewhere", quantity=known.quantity, room=known.room_id)
    unit = known.unit if known is not None else next((r.unit for r in ranges if r.quantity == quantity), reading["unit"])
    if reading["unit"] != unit:
        return because("sensor.unit_differs", unit=reading["unit"], registered=unit)
    if datetime.fromisoformat(reading["time"]) > now + AHEAD:
        return because("sensor.dated_after_arrival")
    return unphysical(value, quantity, reading["sensor_id"], ranges)
