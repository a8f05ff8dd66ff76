"""The character set of bytes, whatever they are declared to be."""

import pytest

from connectors.charsets import coded_twice, reading, readings


@pytest.mark.parametrize("declared", [None, "ascii", "iso-8859-1", "iso-8859-15", "utf-8", "gb18030"])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    "text", ["张^三", "PID|1||王^五~WANG^WU|男", "诸葛^孔明 全身骨显像（静态）", "朱镕基", "ZHANG^SAN=张^三^^", "欧阳　娜娜"]
)
def test_valid_text_of_several_bytes_wins(text: str, codec: str, declared: str | None) -> None:
    found = reading(text.encode(codec), declared)
    assert found.text == text
    assert found.doubtful == (declared != codec)  # undeclared, ASCII alone is declared


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Müller^André", "iso-8859-1"), ("Größe 1,80 m", "iso-8859-1"), ("Müßig", "iso-8859-1"), ("Иванов", "iso-8859-5"),
        ("山田^太郎", "cp932"), ("홍^길동", "euc_kr"), ("張^三豐", "big5"), ("naïve 5 µg", "iso-8859-1"),
    ],
)  # fmt: skip
def test_what_is_rightly_declared_stays(text: str, codec: str) -> None:
    assert reading(text.encode(codec), codec) == (text, codec, False)


def test_undeclared_text() -> None:
    assert reading(b"ZHANG^SAN", None) == ("ZHANG^SAN", "ascii", False)
    assert reading("Müller".encode(), None).text == "Müller" and reading("Иван".encode(), None).text == "Иван"
    assert reading("Müller André".encode("latin-1"), None) == ("Müller André", "iso-8859-1", True)
    assert reading("联通".encode("gb18030"), None).text == "联通"  # the pair that old readers took for UTF-8


@pytest.mark.parametrize(
    "raw",
    [
        "诸葛孔明".encode(), "诸葛孔明".encode("gb18030"), b"\x1b$)A" + "诸葛孔明".encode("gb2312"), "诸葛孔明".encode("iso2022_jp_2"),
        "諸葛孔明".encode("big5"), "诸葛孔明".encode("hz"), b"\x1b$)A" + "诸葛".encode("gb2312") + b"\x1b(B\x1b$)A" + "孔明".encode("gb2312"),
        "诸葛孔明".encode() + b"\xc4", b"\xff" + "诸葛孔明".encode("gb18030"),
    ],
)  # fmt: skip
def test_every_plausible_decoding_is_tried(raw: bytes) -> None:
    assert any("诸葛孔明" in t or "諸葛孔明" in t for t in readings(raw))


def test_seven_bits_with_escapes_are_read_before_anything_is_split() -> None:
    written = "佐藤^由美蘭|".encode("iso2022_jp")
    assert reading(written, "iso2022_jp") == ("佐藤^由美蘭|", "iso2022_jp", False)
    assert reading(written, None)[:3:2] == ("佐藤^由美蘭|", True)


@pytest.mark.parametrize(("text", "codec"), [("Жуковский", "koi8_r"), ("Щербаков", "cp1251"), ("Παπαδόπουλος", "iso-8859-7")])
def test_a_set_of_one_byte_that_nobody_declared_is_one_of_the_readings(text: str, codec: str) -> None:
    content = ("A^" + text).encode(codec)
    assert "A^" + text in readings(content, every=True)


def test_what_was_coded_twice_is_read_as_it_was_meant() -> None:
    assert "박지영쌍" in coded_twice("박지영쌍".encode().decode("latin-1")) and coded_twice("Müller") == ()
    assert "박지영쌍" in readings("박지영쌍".encode().decode("latin-1").encode())
