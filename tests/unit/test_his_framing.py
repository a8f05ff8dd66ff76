"""MLLP framing: the frames depend on the bytes alone, never on how the network cut them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.his.framing import MAX_JUNK_BYTES, Frame, Framer, wrap

PIECES = [
    b"\x0b", b"\x1c", b"\r", b"\n", b"\x0b\x0b", b"\x1c\r", b"\x1c\x0b", b"MSH|a", b"\x0bMSH", b"\x0bMS",
    b"M", b"S", b"H", b"text",
    b"\x0bMSH|^~\\&|A\rPID|1\r\x1c\r", b" ", b"GET / HTTP/1.0\r\n", b"\xd7\xf3",
]  # fmt: skip
MISSING = "the end block (FS CR) is missing"


def frames(data: bytes, cuts: list[int], **kw: int) -> list[Frame]:
    framer, out, start = Framer(**kw), [], 0
    for cut in [*sorted({c % (len(data) + 1) for c in cuts}), len(data)]:
        out += framer.feed(data[start:cut])
        start = cut
    return out + framer.close()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunking_gives_the_same_frames(data: bytes, cuts: list[int]) -> None:
    whole = frames(data, [])
    assert frames(data, cuts) == whole
    assert frames(data, list(range(len(data)))) == whole
    limited = frames(data, [], max_bytes=9)
    assert frames(data, cuts, max_bytes=9) == limited
    assert frames(data, list(range(len(data))), max_bytes=9) == limited


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(min_size=1).map(lambda b: b"MSH" + b.translate(None, b"\x0b\x1c")), max_size=6),
    st.lists(st.integers(0, 10_000)),
)
def test_clean_messages_come_out_as_they_went_in(messages: list[bytes], cuts: list[int]) -> None:
    assert frames(b"".join(map(wrap, messages)), cuts) == [Frame(m) for m in messages]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x0b\x0bMSH|1\x1c\r", [Frame(b"MSH|1")]),
        (b"\x0bMSH|1\x1c\r\n\r\n\x0bMSH|2\x1c\r\n", [Frame(b"MSH|1"), Frame(b"MSH|2")]),
        (b"\x0bMSH|a\x1cb\x1c\r", [Frame(b"MSH|a\x1cb")]),
        (b"\x0bMSH|a\x0bb\x1c\r", [Frame(b"MSH|a\x0bb")]),
        (b"\x0bMSH|1\x1c\x0bMSH|2\x1c\r", [Frame(b"MSH|1"), Frame(b"MSH|2")]),
        (b"\x0bMSH|1\x1c", [Frame(b"MSH|1")]),
        (b"\x0bMSH|1", [Frame(b"MSH|1", MISSING)]),
        (b"\x0bMSH|1\r\x0bMSH|2\x1c\r", [Frame(b"MSH|1\r", f"{MISSING}; another message follows"), Frame(b"MSH|2")]),
        (b"junk\x0bMSH|1\x1c\r", [Frame(b"junk", "bytes outside a frame (no VT before them)"), Frame(b"MSH|1")]),
        (b"\r\n \r\n", []),
    ],
)
def test_what_senders_get_wrong(data: bytes, expected: list[Frame]) -> None:
    assert frames(data, []) == expected


def test_limits_end_the_connection() -> None:
    framer = Framer(max_bytes=100)
    assert framer.feed(b"\x0b" + b"a" * 101) == [Frame(b"a" * 100, "longer than 100 bytes")]
    assert framer.broken and framer.feed(b"\x0bMSH|1\x1c\r") == [] and framer.close() == []
    framer = Framer()
    assert [f.fault for f in framer.feed(b"G" * (MAX_JUNK_BYTES + 1))] == ["bytes outside a frame (no VT before them)"]
    assert framer.broken


def test_line_ends_between_messages_wait_for_nothing() -> None:
    framer = Framer()
    framer.feed(b"\x0bMSH|1\x1c\r\n")
    assert not framer.pending
