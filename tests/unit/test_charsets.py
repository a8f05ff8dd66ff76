"""The character set of bytes, whatever they are declared to be."""

import pytest

from connectors.charsets import reading, readings


@pytest.mark.parametrize("declared", [None, "ascii", "iso-8859-1", "iso-8859-15", "utf-8", "gb18030"])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    "text", ["张^三", "PID|1||王^五~WANG^WU|男", "诸葛^孔明 全身骨显像（静态）", "朱镕基", "ZHANG^SAN=张^三^^", "欧阳　娜娜"]
)
def test_valid_text_of_several_bytes_wins(text: str, codec: str, declared: str | None) -> None:
    found = reading(text.encode(codec), declared)
    assert found.text == text
    assert found.doubtful == (declared not in (None, codec))


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
