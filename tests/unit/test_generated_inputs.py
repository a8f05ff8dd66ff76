"""What senders write, in every shape that a generator makes of it, beside what an oracle of its own says that it means."""

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from random import Random

import pytest

from connectors.events import utc_text
from connectors.his.facts import Fact, facts, patient
from connectors.his.message import InvalidMessage, parse
from connectors.his.quantities import KG, MBQ, plain, quantity
from connectors.nuclides import kept_as, nuclide_named
from connectors.sensors.decode import decoded
from connectors.sensors.mapping import DEFAULT, read_mapping
from judgement.days import site_zone

CHINA = site_zone("Asia/Shanghai")
FIELDS = ("OBR-36", "TQ1-7", "ORC-7.4", "OBR-27.4")


def said(content: bytes) -> list[Fact]:
    message = parse(content)
    return facts(message, "PT-1", patient(message), CHINA)


def ordered(field: str, text: str, at: str = "20260301093000") -> dict:
    """Return the data of an order whose appointment stands in a field."""
    orc7, obr27, obr36 = (text if field == f else "" for f in ("ORC-7.4", "OBR-27.4", "OBR-36"))
    lines = [
        f"MSH|^~\\&|H|H|P|M|{at}||ORM^O01|M1|P|2.5.1", "PID|1||P1||A^B", f"ORC|NW||A1||||{'^^^' * bool(orc7)}{orc7}",
        *([f"TQ1|1||||||{text}"] if field == "TQ1-7" else []), f"OBR|1|||BONE{'|' * 23}{'^^^' * bool(obr27)}{obr27}{'|' * 9}{obr36}",
    ]  # fmt: skip
    return said("\r".join(lines).encode())[0].data


DATES = ("{:%Y%m%d}", "{:%Y-%m-%d}", "{:%Y/%m/%d}", "{:%Y.%m.%d}", "{d.year}-{d.month}-{d.day}")
CLOCKS = {  # how a time of day is written, and to how many seconds
    "": 86400, "%H": 3600, "%H%M": 60, "%H%M%S": 1, "%H%M%S.250": 1, "%H%M%S.2500": 1, "%H:%M": 60, "%H:%M:%S": 1, "%H:%M:%S,250": 1,
}  # fmt: skip
ZONES = {"": None, "Z": 0, "+0800": 480, "+08:00": 480, "-0530": -330, "+0000": 0, " +0800": 480, "-05": -300}


def moments() -> Iterator[tuple[str, datetime]]:
    """Yield texts of appointments and what they mean: the first moment of what is told, in the field's zone or the site's."""
    chance = Random(36)
    for date, (clock, step), (zone, offset), between in product(DATES, CLOCKS.items(), ZONES.items(), ("", "T", " ")):
        is_parted, has_colon = date != DATES[0], ":" in clock
        if (not clock and (zone or between)) or (clock and is_parted != has_colon) or (is_parted and clock and not between):
            continue  # a whole day names no offset; ISO 8601 is written with separators or without
        if clock == "%H" and zone == " +0800":
            continue
        wall = datetime(2026, 1, 1) + timedelta(seconds=chance.randrange(365 * 86400))
        fine = timedelta(milliseconds=250) if "250" in clock else timedelta(0)
        wall = wall.replace(
            second=0 if step > 1 else wall.second, minute=0 if step > 60 else wall.minute, hour=wall.hour if clock else 0
        )
        own = CHINA if offset is None else timezone(timedelta(minutes=offset))
        yield (
            date.format(wall, d=wall) + (between + wall.strftime(clock) if clock else "") + zone,
            (wall + fine).replace(tzinfo=own),
        )


def test_an_appointment_is_read_in_every_shape_and_in_every_field() -> None:
    shapes = list(moments())
    assert len(shapes) > 250
    for (text, meant), field in product(shapes, FIELDS):
        assert ordered(field, text)["scheduled_at_utc"] == utc_text(meant.astimezone(UTC)), (field, text)


IMPOSSIBLE = (
    "20261301", "20260230", "20260431100000", "20260229", "2026-02-30", "20261203250000", "20261203106000", "20261203100099", "20261203240001",
    "261203", "26-12-03", "03.12.2026", "12/03/2026", "3 Dec 2026", "2026-12", "202612", "2026", "20261203T", "2026-12-03T", "10:00", "100000",
    "20261203100000+2500", "20261203100000+0890", "20261203100000 CST", "20261203 10 00", "2026-12-03 10.00", "2026-12/03", "二〇二六年", "２０２６",
    "0", "00000000", "20261203100000-", "2026-12-03 10:00:00 PM", "-20261203", "1e10", "202612031", "2026120310000", "20261203\x00", "20261203x",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_an_appointment_that_cannot_be_read_is_refused_in_every_field(text: str, field: str) -> None:
    with pytest.raises(InvalidMessage, match="is no date and time that can be read"):
        ordered(field, text)


def test_an_offset_of_the_message_is_that_of_its_fields() -> None:
    for offset, minutes in ((z, m) for z, m in ZONES.items() if m is not None and " " not in z):
        told = ordered("OBR-36", "20261203100000", at=f"20260301093000{offset}")["scheduled_at_utc"]
        assert told == utc_text(datetime(2026, 12, 3, 10, tzinfo=UTC) - timedelta(minutes=minutes)), offset


CHINESE = ["张^三", "王^小明", "欧阳^娜娜", "李^建国", "陈^静", "刘^德华", "全身骨显像", "骨痛 疑转移", "甲状腺癌术后"]
DECLARED = ["", "UNICODE UTF-8", "UTF-8", "GB 18030-2000", "GBK", "GB2312", "8859/1", "8859/15", "ASCII", "NOBODY KNOWS"]


def named(text: str, codec: str, charset: str, bom: bytes = b"") -> tuple[str, bool]:
    """Return an examination's name as it was read, and whether it is told as doubtful."""
    head = (
        f"MSH|^~\\&|H|H|P|M|20260301093000||ORM^O01|M1|P|2.5.1||||||{charset}\rPID|1||P1||A^B\rORC|CA||A1\rOBR|1|||BONE^".encode()
    )
    data = said(bom + head + text.encode(codec))[0].data
    return data["exam_name"], {"field": "MSH-18", "doubt": "character_set"} in data.get("doubts", [])


@pytest.mark.parametrize("charset", DECLARED)
@pytest.mark.parametrize("codec", ["utf-8", "gbk", "gb18030"])
def test_chinese_is_read_whatever_is_declared(codec: str, charset: str) -> None:
    is_told = ("UTF" in charset) if codec == "utf-8" else charset[:2] == "GB"
    for text in CHINESE:
        text = text.replace("^", "")
        assert named(text, codec, charset) == (text, not is_told), (text, codec, charset)
        assert codec != "utf-8" or named(text, codec, charset, b"\xef\xbb\xbf")[0] == text


def test_what_nobody_declares_is_never_wrong_in_silence() -> None:
    for text in ("許功蓋", "陳怡君", "全身骨骼掃描", "甲狀腺"):
        assert named(text, "big5", "BIG-5") == (text, False)
        for charset in ("", "UNICODE UTF-8", "8859/1"):
            read, doubtful = named(text, "big5", charset)
            assert read == text or doubtful, (text, charset)
    for text in ("Müller", "Größe", "Élodie", "Señor", "Ångström", "thyroïde"):
        assert named(text, "latin-1", "8859/1") == (text, False)
        assert named(text, "latin-1", "") == (text, True)
        assert named(text, "utf-8", "8859/1") == (text, True)


@pytest.mark.parametrize("units", [KG, MBQ])
def test_a_quantity_is_read_with_every_unit_and_mark_or_is_none(units: dict[str, float]) -> None:
    chance = Random(5)
    for unit, factor in units.items():
        for _ in range(40):
            value = round(chance.uniform(0.4, 900), chance.choice((0, 1, 2)))
            text = f"{value:g}"
            for written in {
                text,
                text.replace(".", ","),
                f"+{text}",
                f" {text} ",
                f"{value:.2f}",
                f"{value:.2f}".replace(".", ","),
            }:
                told = round(value * factor, 6)
                assert quantity(written, unit, units) == pytest.approx(told, abs=1e-6), (written, unit)
                assert quantity(f"{written.strip()} {unit}", "", units) == pytest.approx(told, abs=1e-6), (written, unit)
            if text.isdigit():
                assert (
                    quantity(f"{int(text) % 900 + 1},{chance.randrange(1000):03}", unit, units) is None
                )  # a thousand, or decimals
            assert quantity(f"-{text}", unit, units) is None or value == 0
            for wrong in (
                f"{text} furlong",
                f"{text}/{text}",
                f"{text} {text}",
                f"about {text}",
                f"{text}-{text}",
                f"{text}e3",
                f"{text}..",
                "",
            ):
                assert quantity(wrong, unit, units) is None, wrong
        assert quantity("70", "furlong", units) is None


def test_a_decimal_comma_of_a_result_is_a_point_and_two_meanings_are_none() -> None:
    for whole, part in product(("0", "5", "12", "270"), ("1", "05", "25", "1234")):
        assert plain(f"{whole},{part}", "mmol/L") == (f"{float(f'{whole}.{part}'):g}", "mmol/L")
        assert plain(f"{whole}.{part}", "MMOL/L") == (f"{whole}.{part}", "mmol/L")
    assert plain("1,234", "mmol/L") is None and plain("1.234,5", "") == ("1234.5", "") and plain("1,234.5", "") == ("1234.5", "")


POINTS = tuple(read_mapping(DEFAULT.read_bytes()).points)
FLOATS = (math.nan, -math.nan, math.inf, -math.inf, -9999.0, -999.0, -999.9, 1e38, -1e38, 3.4028235e38, 1e-40, -1e-40, 9.9e37)


def words(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


@pytest.mark.parametrize("point", POINTS, ids=lambda p: p.sensor_id)
def test_no_sentinel_of_a_sensor_is_a_value(point) -> None:
    for type_ in ("int16", "uint16"):
        for word in (0x8000, 0x7FFF, 0xFFFF, 0xFFFE, 0x10000 - 9999, 0x10000 - 999):
            if type_ == "int16" and word in (0xFFFF, 0xFFFE) and point.quantity in ("temperature", "pressure_difference"):
                continue  # -0.1 and -0.2
            if type_ == "int16" and word == 0x10000 - 999 and point.quantity == "pressure_difference":
                continue  # -99.9 Pa
            if type_ == "uint16" and point.quantity == "dose_rate" and word not in (0x8000, 0x7FFF, 0xFFFF):
                continue  # a dose rate
            value, quality, reason = decoded(replace(point, type=type_, scale=0.1), [word])
            assert value is None and quality != "good" and reason, (type_, hex(word))
    for type_, value in product(("float32", "float32_swapped"), FLOATS):
        registers = words(value) if type_ == "float32" else words(value)[::-1]
        read, quality, reason = decoded(replace(point, type=type_, scale=1.0), registers)
        assert read is None and quality != "good" and reason, (type_, value)
    for eighths in range(1, 8 * 40):  # the words of a float came swapped
        read, quality, _ = decoded(replace(point, type="float32", scale=1.0), words(eighths / 8)[::-1])
        assert read is None and quality != "good", eighths / 8
    for registers in ([0xFFFF, 0xFFFF], [0x8000, 0x0001], [0x7FFF, 0xFFFF], [0x7F7F, 0xFFFF], [0xFF80, 0]):
        assert decoded(replace(point, type="float32", scale=1.0), registers)[0] is None, registers


NUCLIDES = {
    "Tc-99m": "Technetium 锝", "F-18": "Fluorine 氟", "Lu-177": "Lutetium 镥", "I-123": "Iodine 碘", "I-131": "Iodine 碘", "Tl-201": "Thallium 铊",
    "Ga-68": "Gallium 镓", "Zr-89": "Zirconium 锆", "In-111": "Indium 铟", "Y-90": "Yttrium 钇", "Ra-223": "Radium 镭", "Cu-64": "Copper 铜",
    "Xe-133": "Xenon 氙", "Rb-82": "Rubidium 铷", "N-13": "Nitrogen 氮", "O-15": "Oxygen 氧", "Co-57": "Cobalt 钴", "Cs-137": "Caesium 铯",
    "Ge-68": "Germanium 锗", "Ba-133": "Barium 钡", "Na-22": "Sodium 钠",
}  # fmt: skip
FORMS = (
    "{s}{m}", "{m}{s}", "{s}-{m}", "{m}-{s}", "{s} {m}", "{m} {s}", "^{m}^{s}", "{s}^{m}^", "^{m}^{n}", "{n}-{m}", "{n} {m}", "{n}{m}", "{m}{n}",
    "{s}_{m}", "{s}–{m}", "{s} - {m}", "[{m}{s}]", "({m}){s}", "{z}-{m}", "{z}{m}", "{m}{z}", "^{m}^{z}", " {s}-{m} ", "{s}.{m}", "{s}/{m}",
    "[{m}{s}]FDG",
)  # fmt: skip


def test_a_nuclide_is_read_in_every_spelling() -> None:
    lost = []
    for (nuclide, names), form in product(NUCLIDES.items(), FORMS):
        symbol, mass = nuclide.split("-")
        name, chinese = names.split()
        text = form.format(s=symbol, m=mass, n=name, z=chinese)
        for written in {text, text.upper(), text.lower()} if form != "[{m}{s}]FDG" else {text}:
            if nuclide_named(written) != nuclide or nuclide_named(kept_as(written)) != nuclide:
                lost.append(written)
    assert lost == []
