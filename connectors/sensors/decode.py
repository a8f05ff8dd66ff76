"""Registers to a value: pure functions."""

import math
import struct
from collections.abc import Iterable, Sequence

from connectors.sensors.mapping import Point

__all__ = ["Block", "blocks", "decode"]

MAX_REGISTERS = 120  # of one request; the protocol allows 125
MAX_GAP = 8  # registers read for nothing rather than asked apart
Block = tuple[int, int, tuple[Point, ...]]


def decode(point: Point, registers: Sequence[int]) -> tuple[float | None, str]:
    """Return value and quality ("good", "overload", "invalid"); the value is null unless it is good."""
    try:
        raw = _raw(point.type, registers)
    except (struct.error, ValueError):
        return None, "invalid"
    if any(_equal(raw, limit) for limit in point.overload_raw):
        return None, "overload"
    value = raw * point.scale + point.offset
    if not math.isfinite(value):
        return None, "invalid"
    # a float32 is good for seven digits, a scaled integer for those of its scale: 235 × 0.1 is 23.5
    return float(f"{value:.7g}"), "good"


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
