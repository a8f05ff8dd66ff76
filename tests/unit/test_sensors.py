"""Sensor mapping and decoding: registers to values, and what is said when there is none."""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sensors.decode import MAX_REGISTERS, blocks, decode, decoded
from connectors.sensors.gateway import Patience
from connectors.sensors.mapping import COLUMNS, DEFAULT, UNITS, Point, read_mapping
from judgement.physical import no_reading, unphysical
from judgement.reference import read
from judgement.rows import PhysicalRange, Sensor

POINT = Point("S/t", "S", "temperature", "Cel", "h", 502, 1, 10, "input", "int16", 0.1, 0.0, (), 5.0)
DOSE = replace(POINT, quantity="dose_rate", unit="uSv/h", type="float32", scale=1.0, overload_raw=(math.nan, 1e9))
HEADER = ",".join(COLUMNS)
GOOD = "R/t,R,temperature,Cel,10.0.0.9,502,1,0,input,int16,0.1,0,,5"


def float_words(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


@pytest.mark.parametrize(
    ("point", "registers", "expected"),
    [
        (POINT, [235], (23.5, "good")),
        (POINT, [65535 - 54], (-5.5, "good")),  # -55
        (replace(POINT, type="uint16"), [65481], (None, "invalid")),  # 6548.1 °C
        (replace(POINT, offset=-40.0), [0], (-40.0, "good")),
        (replace(POINT, overload_raw=(32767.0,)), [32767], (None, "overload")),
        (replace(POINT, overload_raw=(32767.0,)), [32766], (None, "invalid")),  # 3276.6 °C
        (POINT, [1, 2], (None, "invalid")),
        (POINT, [], (None, "invalid")),
        (DOSE, [*float_words(0.12)], (0.12, "good")),
        (DOSE, [*float_words(math.nan)], (None, "overload")),
        (DOSE, [*float_words(1e9)], (None, "overload")),
        (DOSE, [*float_words(math.inf)], (None, "overload")),
        (DOSE, [*float_words(-math.inf)], (None, "invalid")),
        (replace(DOSE, overload_raw=()), [*float_words(math.nan)], (None, "invalid")),
        (replace(DOSE, type="float32_swapped"), [*reversed(float_words(17.25))], (17.25, "good")),
        (DOSE, [*float_words(0.0)], (0.0, "good")),
    ],
)
@pytest.mark.req("ENV-15")
def test_decode(point: Point, registers: Sequence[int], expected: tuple[float | None, str]) -> None:
    assert decode(point, registers) == expected


PRESSURE = replace(POINT, quantity="pressure_difference", unit="Pa", scale=0.01)
SENTINELS = [
    (POINT, [0x8000]), (POINT, [0x7FFF]), (POINT, [0x10000 - 9999]), (replace(POINT, type="uint16"), [0xFFFF]),
    (PRESSURE, [0x8000]), (PRESSURE, [0x7FFF]),
    (replace(PRESSURE, type="uint16"), [0xFFFF]), (replace(POINT, quantity="humidity"), [0xFFFE]), (replace(POINT, quantity="humidity"), [1001]),
    (replace(DOSE, overload_raw=()), [0x7F80, 0]), (replace(DOSE, overload_raw=()), [0xFF80, 0]), (replace(DOSE, overload_raw=()), [0xFFC0, 0]),
    (DOSE, [0xC28F, 0x3DF5]), (DOSE, [0xC0A0, 0]), (DOSE, [0x0001, 0x16C2]), (DOSE, [0, 0x42C8]), (DOSE, [0x4CBE, 0xBC20]),
    (replace(POINT, type="float32", scale=1.0), [0x851F, 0x41A3]), (replace(POINT, type="float32_swapped", scale=1.0), [0x41A3, 0x851F]),
    (POINT, [801]), (POINT, [0x10000 - 401]), (DOSE, [*float_words(1e-10)]), (DOSE, [*float_words(9e-4)]),
    *((replace(DOSE, type="uint16", scale=0.01), [word]) for word in (0x7FFF, 0x8000, 0xFFFF)),
]  # fmt: skip


@pytest.mark.parametrize(("point", "registers"), SENTINELS)
def test_what_a_quantity_cannot_be_is_no_value(point: Point, registers: Sequence[int]) -> None:
    value, quality, reason = decoded(point, registers)
    assert value is None and quality in ("invalid", "overload") and reason


@pytest.mark.parametrize(
    ("point", "registers", "value"),
    [(POINT, [0xFFFF], -0.1), (POINT, [800], 80.0), (POINT, [0x10000 - 400], -40.0), (replace(POINT, quantity="humidity"),
    [1000], 100.0), (DOSE, [0, 0], 0.0), (PRESSURE, [0xFFFF], -0.01)],
)  # fmt: skip
def test_what_it_can_be_stays(point: Point, registers: Sequence[int], value: float) -> None:
    assert decoded(point, registers) == (value, "good", None)


def test_a_site_narrows_what_a_sensor_can_be(tmp_path: Path) -> None:
    (tmp_path / "physical_ranges.csv").write_text(
        "quantity,sensor_id,unit,low,high,source\ntemperature,,Cel,-40,80,x\ntemperature,FREEZER,Cel,,0,x\n"
    )
    ranges = read(PhysicalRange, tmp_path)
    assert unphysical(20.0, "temperature", "R/t", ranges) is None and unphysical(-30.0, "temperature", "FREEZER", ranges) is None
    assert unphysical(20.0, "temperature", "FREEZER", ranges) == "20 is outside what this quantity can be (-40 to 0)"
    assert unphysical(1e9, "noise", "R/n", ranges) is None and unphysical(math.nan, "noise", "R/n", ranges)


NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
READING = {
    "sensor_id": "R/t", "quantity": "temperature", "value": 22.0, "unit": "Cel", "quality": "good", "time": "2026-12-01T05:30:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, None), ({"sensor_id": "X/y"}, None), ({"value": None, "quality": "no_answer"}, None), ({"time": "2026-12-01T06:04:00Z"}, None),
        ({"value": None}, "no value"), ({"quality": "invalid"}, "quality invalid"), ({"quality": "overload", "value": 1e9}, "quality overload"),
        ({"unit": "%"}, "is registered in Cel"), ({"sensor_id": "X/y", "unit": "%"}, "is registered in Cel"),
        ({"quantity": "humidity", "unit": "%"}, "registered for"), ({"sensor_id": "S/t"}, "of room S"), ({"time": "2027-01-01T00:00:00Z"}, "later"),
        ({"sensor_id": "R/d", "quantity": "dose_rate", "unit": "uSv/h", "value": 1e-40}, "outside"),
        ({"sensor_id": "R/d", "quantity": "dose_rate", "unit": "uSv/h", "value": 0}, None), ({"value": -300}, "outside"),
    ],
)  # fmt: skip
def test_a_reading_that_contradicts_itself_or_its_registration_is_none(more: dict[str, object], reason: str | None) -> None:
    sensors = [
        Sensor("R/t", "R", "temperature", "Cel", 20),
        Sensor("R/d", "R", "dose_rate", "uSv/h", 20),
        Sensor("S/t", "S", "temperature", "Cel", 20),
    ]
    why = no_reading({**READING, **more}, "R", NOW, sensors, read(PhysicalRange))
    assert why is None if reason is None else why is not None and reason in why


def test_every_quantity_of_the_doors_has_a_range() -> None:
    assert {r.quantity for r in read(PhysicalRange)} >= set(UNITS)


@given(st.floats(width=32, min_value=0, max_value=1e7).filter(lambda v: v == 0 or v > 1e-3), st.booleans())
def test_a_float_survives_both_word_orders_to_seven_digits(value: float, swapped: bool) -> None:
    words = float_words(value)
    point = replace(DOSE, type="float32_swapped" if swapped else "float32")
    read, quality = decode(point, words[::-1] if swapped else words)
    assert quality == "good" and read == pytest.approx(value, rel=1e-6, abs=1e-37)


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["int16", "float32"])), max_size=40))
def test_blocks_cover_each_point_once_within_the_limit_of_a_request(layout: list[tuple[int, str]]) -> None:
    points = [replace(POINT, sensor_id=str(n), register=r, type=t) for n, (r, t) in enumerate(layout)]
    out = blocks(points)
    assert sorted(p.sensor_id for _, _, inside in out for p in inside) == sorted(p.sensor_id for p in points)
    for start, count, inside in out:
        assert count <= MAX_REGISTERS and all(start <= p.register and p.end <= start + count for p in inside)


def test_a_room_is_one_request() -> None:
    room = [p for p in read_mapping(DEFAULT.read_bytes()).points if p.room_id == "HOTLAB"]
    assert [(start, count, len(inside)) for start, count, inside in blocks(room)] == [(300, 5, 4)]


@pytest.mark.req("DC-14")
def test_the_default_mapping_is_whole() -> None:
    mapping = read_mapping(DEFAULT.read_bytes())
    assert not mapping.bad_lines and len(mapping.points) == 19
    assert {p.sensor_id for p in mapping.points} == {f"{p.room_id}/{p.quantity}" for p in mapping.points}


def test_units_are_those_of_the_schema() -> None:
    schema = json.loads((Path(__file__).parents[2] / "connectors/events/schemas/sensor.readings.json").read_text())
    reading = schema["properties"]["readings"]["items"]["properties"]
    assert set(reading["quantity"]["enum"]) == set(UNITS) and set(reading["unit"]["enum"]) == set(UNITS.values())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("R/h,R,temperature,Cel,10.0.0.9,502,1,0,input,int16,0.1,0,", "13 columns"),
        ("R/h,R,smell,Cel,10.0.0.9,502,1,0,input,int16,0.1,0,,5", "quantity 'smell'"),
        ("R/h,R,humidity,Cel,10.0.0.9,502,1,0,input,int16,0.1,0,,5", "unit 'Cel'"),
        ("R/h,R,humidity,%,10.0.0.9,70000,1,0,input,int16,0.1,0,,5", "port"),
        ("R/h,R,humidity,%,10.0.0.9,502,x,0,input,int16,0.1,0,,5", "unit_id 'x'"),
        ("R/h,R,humidity,%,10.0.0.9,502,1,65535,input,float32,0.1,0,,5", "65535"),
        ("R/h,R,humidity,%,10.0.0.9,502,1,0,coil,int16,0.1,0,,5", "kind 'coil'"),
        ("R/h,R,humidity,%,10.0.0.9,502,1,0,input,int64,0.1,0,,5", "type 'int64'"),
        ("R/h,R,humidity,%,10.0.0.9,502,1,0,input,int16,nan,0,,5", "scale 'nan'"),
        ("R/h,R,humidity,%,10.0.0.9,502,1,0,input,int16,0.1,0,,0", "poll_s"),
        (",R,humidity,%,10.0.0.9,502,1,0,input,int16,0.1,0,,5", "sensor_id"),
        ("R/t,R,humidity,%,10.0.0.9,502,1,0,input,int16,0.1,0,,5", "above"),
    ],
)
@pytest.mark.req("DC-14")
def test_a_bad_line_is_named_and_the_others_go_on(line: str, reason: str) -> None:
    mapping = read_mapping(f"{HEADER}\n# a remark\n\n{GOOD}\n{line}\n".encode())
    assert [p.sensor_id for p in mapping.points] == ["R/t"]
    (bad,) = mapping.bad_lines
    assert bad.number == 5 and bad.reason.startswith("line 5: ") and reason in bad.reason


def test_files_of_spreadsheet_programs_are_read() -> None:
    content = f"{HEADER}\r\n{GOOD.replace('R/t,R', '热室/t,热室')}\r\n"
    for codec in ("utf-8-sig", "gb18030"):
        assert [p.room_id for p in read_mapping(content.encode(codec)).points] == ["热室"]


def test_a_lacking_header_column_is_said() -> None:
    mapping = read_mapping(b"sensor_id,room_id\nR,R\n")
    assert not mapping.points and "quantity" in mapping.bad_lines[0].reason


def test_overload_in_hexadecimal_and_of_signed_registers() -> None:
    mapping = read_mapping(f"{HEADER}\n{GOOD.replace(',0,,5', ',0,0x8000 65535,5')}\n".encode())
    assert decode(mapping.points[0], [0x8000]) == (None, "overload")
    assert decode(mapping.points[0], [0xFFFF]) == (None, "overload")
    assert decode(mapping.points[0], [0xFFFE]) == (-0.2, "good")


def test_patience_grows_to_thirty_seconds_and_ends_with_an_answer() -> None:
    patience, now, pauses = Patience(), 0.0, []
    for _ in range(7):
        patience.failed(now)
        pauses.append(patience.until - now)
        now = patience.until
    assert pauses == [2, 4, 8, 16, 30, 30, 30]
    patience.answered()
    assert patience.until == 0
