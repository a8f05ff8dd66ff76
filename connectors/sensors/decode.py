"""Registers to a value: pure functions."""

import math
import struct
from collections.abc import Iterable, Sequence

from connectors.sensors.mapping import Point
from judgement.physical import unphysical
from judgement.reference import read
from judgement.rows import PhysicalRange
from messages import Message, because

__all__ = ["Block", "blocks", "decode", "decoded"]

MAX_REGISTERS = 120  # of one request; the protocol allows 125
MAX_GAP = 8  # registers read for nothing rather than asked apart
SENTINELS = {  # 0xFFFF of an int16 is -1; -9999 stands for "no value" in many a logger
    "int16": (-32768.0, 32767.0, -9999.0), "uint16": (32767.0, 32768.0, 65535.0, 55537.0),
    "float32": (-9999.0, -999.0, -999.9), "float32_swapped": (-9999.0, -999.0, -999.9),
}  # fmt: skip
TINY = 1e-20  # of any unit in use; the least float32 with swapped words is below
Block = tuple[int, int, tuple[Point, ...]]


def decode(point: Point, registers: Sequence[int]) -> tuple[float | None, str]:
    """Return value and quality ("good", "overload", "invalid"); the value is null unless it is good."""
    return decoded(point, registers)[:2]


def decoded(point: Point, registers: Sequence[int]) -> tuple[float | None, str, Message | None]:
    """Return value, quality and, where there is no value, the reason.

    A register full of ones or at the end of its type is how sensors and gateways say that they have no value; a float32 so small that no
    sensor resolves it is one whose words came swapped. Both are faults, as is whatever the quantity cannot be.
    """
    try:
        raw = _raw(point.type, registers)
    except (struct.error, ValueError):
        return None, "invalid", because("sensor.registers", count=len(registers), type=point.type)
    if any(_equal(raw, limit) for limit in point.overload_raw):
        return None, "overload", because("sensor.overloaded")
    if any(math.isclose(raw, s, rel_tol=1e-6) for s in SENTINELS.get(point.type, ())):
        told = f"{raw:g}" if point.type.startswith("float32") else f"{int(raw) & 0xFFFF:#06x}"
        return None, "invalid", because("sensor.sentinel", register=told)
    if point.type.startswith("float32") and 0 < abs(raw) < TINY:
        return None, "invalid", because("sensor.too_small")
    value = raw * point.scale + point.offset
    if not math.isfinite(value):
        return None, "invalid", because("sensor.not_finite")
    # a float32 is good for seven digits, a scaled integer for those of its scale: 235 × 0.1 is 23.5
    value = float(f"{value:.7g}")
    reason = unphysical(value, point.quantity, point.sensor_id, read(PhysicalRange))
    return (value, "good", None) if reason is None else (None, "invalid", reason)


def blocks(points: Iterable[Point]) -> list[Block]:
    """Return (first register, count, points) requests that cover points of one unit and kind, neighbours together."""
    out: list[Block] = []
    for point in sorted(points, key=lambda p: (p.register, p.end)):
        if out:
            start, count, inside = out[-1]
            end = max(start + count, point.end)
            if point.register <= start + count + MAX_GAP and end - start <= MAX_REGISTERS:
                out[-1] = (start, end - start, (*inside, point))
                continue
        out.append((point.register, point.end - point.register, (point,)))
    return out


def _raw(type_: str, registers: Sequence[int]) -> float:
    if type_ == "uint16":
        (word,) = registers
        return float(word)
    if type_ == "int16":
        (word,) = registers
        return float(struct.unpack(">h", struct.pack(">H", word))[0])
    high, low = registers if type_ == "float32" else reversed(registers)
    return float(struct.unpack(">f", struct.pack(">HH", high, low))[0])


def _equal(raw: float, limit: float) -> bool:
    """Return whether a raw value says "overload": the value itself or NaN.

    A limit out of a 16-bit register's range is one of a float32: whatever reads still more is no measurement either.
    """
    if math.isnan(limit) or math.isnan(raw):
        return math.isnan(limit) and math.isnan(raw)
    if abs(limit) > 65535:
        return raw * math.copysign(1, limit) >= abs(limit) * (1 - 1e-6)
    return raw == limit
