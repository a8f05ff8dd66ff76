"""The mapping file: one line a sensor, from a register to a quantity of a room."""

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from messages import because

__all__ = ["COLUMNS", "DEFAULT", "UNITS", "WORDS", "BadLine", "Mapping", "Point", "read_mapping"]

DEFAULT = Path(__file__).parent / "sensors.csv"
COLUMNS = (
    "sensor_id", "room_id", "quantity", "unit", "host", "port", "unit_id", "register", "kind", "type", "scale", "offset",
    "overload_raw", "poll_s",
)  # fmt: skip
UNITS = {"temperature": "Cel", "humidity": "%", "dose_rate": "uSv/h", "pressure_difference": "Pa"}  # as sensor.readings.json
WORDS = {"int16": 1, "uint16": 1, "float32": 2, "float32_swapped": 2}
NAME = re.compile(r"[^\s,\x00-\x1f]{1,200}")


@dataclass(frozen=True, slots=True)
class Point:
    """One sensor: where its registers are and what they mean.

    `value = raw × scale + offset`; a raw value of `overload_raw` is no value.
    """

    sensor_id: str
    room_id: str
    quantity: str
    unit: str
    host: str
    port: int
    unit_id: int
    register: int
    kind: str
    type: str
    scale: float
    offset: float
    overload_raw: tuple[float, ...]
    poll_s: float

    @property
    def end(self) -> int:
        """Return the register behind the last one of this point."""
        return self.register + WORDS[self.type]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used, and why; the others go on."""

    number: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a mapping file says."""

    points: tuple[Point, ...] = ()
    bad_lines: tuple[BadLine, ...] = ()


def read_mapping(content: bytes) -> Mapping:
    """Return the points of a mapping file and the lines that cannot be used; empty lines and comments (#) say nothing."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", "replace")  # as a Chinese spreadsheet program saves it
    points: dict[str, Point] = {}
    bad: list[BadLine] = []
    header: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip(" ,\t") or line.lstrip().startswith("#"):
            continue
        cells = [c.strip() for c in next(csv.reader(io.StringIO(line)))]
        if header is None:
            header = cells
            missing = [c for c in COLUMNS if c not in cells]
            if missing:
                return Mapping((), (BadLine(number, line, because("modbus.header_lacks", line=number, columns=list(missing))),))
            continue
        try:
            if len(cells) != len(header):
                raise ValueError(because("modbus.columns_other", cells=len(cells), header=len(header)))
            point = _point(dict(zip(header, cells, strict=True)))
            if point.sensor_id in points:
                raise ValueError(because("modbus.sensor_doubled", sensor=point.sensor_id))
            points[point.sensor_id] = point
        except ValueError as exc:
            bad.append(BadLine(number, line, because("modbus.line_wrong", line=number, problem=exc)))
    return Mapping(tuple(points.values()), tuple(bad))


def _point(row: dict[str, str]) -> Point:
    for name in ("sensor_id", "room_id", "host"):
        if not NAME.fullmatch(row[name]):
            raise ValueError(because("modbus.cell_empty", column=name, value=row[name]))
    _one_of(row, "quantity", UNITS)
    _one_of(row, "unit", (UNITS[row["quantity"]],))
    _one_of(row, "kind", ("holding", "input"))
    _one_of(row, "type", WORDS)
    overload = tuple(_number({"overload_raw": part}, "overload_raw", _raw) for part in row["overload_raw"].split())
    point = Point(
        row["sensor_id"], row["room_id"], row["quantity"], row["unit"], row["host"], _number(row, "port", int, 1, 65535),
        _number(row, "unit_id", int, 0, 255), _number(row, "register", int, 0, 65535), row["kind"], row["type"],
        _number(row, "scale", float, default="1"), _number(row, "offset", float, default="0"), overload,
        _number(row, "poll_s", float, 0.1, 86400, default="5"),
    )  # fmt: skip
    if point.end > 65536:
        raise ValueError(because("modbus.last_register"))
    return replace(point, overload_raw=tuple(_as_read(point.type, v) for v in overload))


def _one_of(row: dict[str, str], name: str, known: Any) -> None:
    if row[name] not in known:
        raise ValueError(because("modbus.cell_unknown", column=name, value=row[name], known=list(known)))


def _number(
    row: dict[str, str], name: str, read: Callable[[str], Any], low: float = -1e12, high: float = 1e12, default: str = ""
) -> Any:
    text = row[name] or default
    try:
        value = read(text)
    except ValueError:
        raise ValueError(because("modbus.cell_no_number", column=name, value=text)) from None
    if isinstance(value, float) and not math.isfinite(value) and read is not _raw:
        raise ValueError(because("modbus.cell_no_number", column=name, value=text))
    if value < low or value > high:
        raise ValueError(because("modbus.cell_outside", column=name, value=text, low=low, high=high))
    return value


def _raw(text: str) -> float:
    return float(int(text, 16)) if text.lower().startswith("0x") else float(text)


def _as_read(type_: str, value: float) -> float:
    """Return an overload value as the decoder sees it: 0xFFFF of an int16 is -1."""
    return value - 65536 if type_ == "int16" and value > 32767 else value
