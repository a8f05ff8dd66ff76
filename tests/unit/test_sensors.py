"""Sensor mapping and decoding: registers to values, and what is said when there is none."""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sensors.decode import MAX_REGISTERS, blocks, decode
from connectors.sensors.gateway import Patience
from connectors.sensors.mapping import COLUMNS, DEFAULT, UNITS, Point, read_mapping

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
        (replace(POINT, type="uint16"), [65481], (6548.1, "good")),
        (replace(POINT, offset=-40.0), [0], (-40.0, "good")),
        (replace(POINT, overload_raw=(32767.0,)), [32767], (None, "overload")),
        (replace(POINT, overload_raw=(32767.0,)), [32766], (3276.6, "good")),
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


@given(st.floats(width=32, min_value=-1e8, max_value=1e8), st.booleans())
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
