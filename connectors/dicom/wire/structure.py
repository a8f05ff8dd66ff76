"""Is this a whole data set? A strict walk over the bytes: pydicom reads what it can of a broken one and says nothing."""

import struct

from pydicom.datadict import dictionary_VR
from pydicom.uid import UID

__all__ = ["Malformed", "check_structure"]

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
DEEPEST = 32  # real objects nest less than ten deep


class Malformed(ValueError):
    """An object that may not enter; the text is the reason that quarantine keeps."""


def check_structure(data: bytes, transfer_syntax: UID) -> None:
    """Raise Malformed, with the place, unless the bytes are a whole data set (PS3.5 section 7), not deflated."""
    if not data:
        raise Malformed("the data set is empty")
    walk = _Walk(data, "<" if transfer_syntax.is_little_endian else ">", transfer_syntax.is_implicit_VR)
    walk.elements(0, len(data), 0)


class _Walk:
    def __init__(self, data: bytes, order: str, implicit: bool) -> None:
        self._data, self._implicit = data, implicit
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._u16 = struct.Struct(f"{order}H").unpack_from
        self._u32 = struct.Struct(f"{order}L").unpack_from

    def elements(self, at: int, end: int, depth: int, until_delimiter: bool = False) -> int:
        """Return the position behind the elements; with `until_delimiter` they end at an item delimiter, else at `end`."""
        if depth > DEEPEST:
            raise Malformed(f"sequences nested more than {DEEPEST} deep")
        while at < end:
            tag, vr, length, at = self._header(at, end)
            if tag == ITEM_END and until_delimiter:
                return at
            if tag >> 16 == 0xFFFE:
                raise Malformed(f"{_name(tag)} at byte {at} stands outside any sequence")
            if length == UNDEFINED:
                if tag == 0x7FE00010 or vr in (b"OB", b"OW"):
                    at = self._items(at, end, depth, of_bytes=True, delimited=True)
                else:
                    implicit, self._implicit = self._implicit, self._implicit or vr == b"UN"  # PS3.5 6.2.2 note 4
                    at = self._items(at, end, depth, of_bytes=False, delimited=True)
                    self._implicit = implicit
                continue
            if at + length > end:
                raise Malformed(f"{_name(tag)} says {length} bytes, but only {end - at} are left")
            if vr == b"SQ":
                self._items(at, at + length, depth, of_bytes=False, delimited=False)
            at += length
        if until_delimiter:
            raise Malformed("the data set ends inside an item")
        return at

    def _header(self, at: int, end: int) -> tuple[int, bytes, int, int]:
        """Return tag, VR (empty when implicit and unknown), length of the value and its position."""
        if at + 8 > end:
            raise Malformed(f"the data set ends inside the header of an element, at byte {at}")
        group, element = self._tag(self._data, at)
        tag = group << 16 | element
        if group == 0xFFFE:
            return tag, b"", self._u32(self._data, at + 4)[0], at + 8
        if self._implicit:
            return tag, _vr_of(tag), self._u32(self._data, at + 4)[0], at + 8
        vr = bytes(self._data[at + 4 : at + 6])
        if not (vr.isalpha() and vr.isupper()):
            raise Malformed(f"{_name(tag)} at byte {at} has no value representation")
        if vr not in LONG:
            return tag, vr, self._u16(self._data, at + 6)[0], at + 8
        if at + 12 > end:
            raise Malformed(f"the data set ends inside the header of {_name(tag)}")
        return tag, vr, self._u32(self._data, at + 8)[0], at + 12

    def _items(self, at: int, end: int, depth: int, of_bytes: bool, delimited: bool) -> int:
        while at < end:
            if at + 8 > end:
                raise Malformed("the data set ends inside the header of an item")
            group, element = self._tag(self._data, at)
            tag, length = group << 16 | element, self._u32(self._data, at + 4)[0]
            at += 8
            if tag == SEQUENCE_END and delimited:
                return at
            if tag != ITEM:
                raise Malformed(f"{_name(tag)} at byte {at - 8} where an item of a sequence must stand")
            if length == UNDEFINED and not of_bytes:
                at = self.elements(at, end, depth + 1, until_delimiter=True)
                continue
            if length == UNDEFINED or at + length > end:
                raise Malformed(f"an item says {length} bytes, but only {end - at} are left")
            if not of_bytes:
                self.elements(at, at + length, depth + 1)
            at += length
        if delimited:
            raise Malformed("the data set ends inside a sequence")
        return at


def _name(tag: int) -> str:
    return f"element ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _vr_of(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b""
