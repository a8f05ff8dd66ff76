"""Is this a whole data set? A strict walk over the bytes: pydicom reads what it can of a broken one and says nothing."""

import struct

from pydicom.datadict import dictionary_VR
from pydicom.uid import UID

from messages import because

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
        raise Malformed(because("dicom.empty"))
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
            raise Malformed(because("dicom.nested_too_deep", most=DEEPEST))
        while at < end:
            tag, vr, length, at = self._header(at, end)
            if tag == ITEM_END and until_delimiter:
                return at
            if tag >> 16 == 0xFFFE:
                raise Malformed(because("dicom.delimiter_outside", element=_name(tag), byte=at))
            if length == UNDEFINED:
                if tag == 0x7FE00010 or vr in (b"OB", b"OW"):
                    at = self._items(at, end, depth, of_bytes=True, delimited=True)
                else:
                    implicit, self._implicit = self._implicit, self._implicit or vr == b"UN"  # PS3.5 6.2.2 note 4
                    at = self._items(at, end, depth, of_bytes=False, delimited=True)
                    self._implicit = implicit
                continue
            if at + length > end:
                raise Malformed(because("dicom.element_short", element=_name(tag), announced=length, there=end - at))
            if vr == b"SQ":
                self._items(at, at + length, depth, of_bytes=False, delimited=False)
            at += length
        if until_delimiter:
            raise Malformed(because("dicom.ends_in_item"))
        return at

    def _header(self, at: int, end: int) -> tuple[int, bytes, int, int]:
        """Return tag, VR (empty when implicit and unknown), length of the value and its position."""
        if at + 8 > end:
            raise Malformed(because("dicom.ends_in_element_header", byte=at))
        group, element = self._tag(self._data, at)
        tag = group << 16 | element
        if group == 0xFFFE:
            return tag, b"", self._u32(self._data, at + 4)[0], at + 8
        if self._implicit:
            return tag, _vr_of(tag), self._u32(self._data, at + 4)[0], at + 8
        vr = bytes(self._data[at + 4 : at + 6])
        if not (vr.isalpha() and vr.isupper()):
            raise Malformed(because("dicom.no_vr", element=_name(tag), byte=at))
        if vr not in LONG:
            return tag, vr, self._u16(self._data, at + 6)[0], at + 8
        if at + 12 > end:
            raise Malformed(because("dicom.ends_in_header_of", element=_name(tag)))
        return tag, vr, self._u32(self._data, at + 8)[0], at + 12

    def _items(self, at: int, end: int, depth: int, of_bytes: bool, delimited: bool) -> int:
        while at < end:
            if at + 8 > end:
                raise Malformed(because("dicom.ends_in_item_header"))
            group, element = self._tag(self._data, at)
            tag, length = group << 16 | element, self._u32(self._data, at + 4)[0]
            at += 8
            if tag == SEQUENCE_END and delimited:
                return at
            if tag != ITEM:
                raise Malformed(because("dicom.no_item", element=_name(tag), byte=at - 8))
            if length == UNDEFINED and not of_bytes:
                at = self.elements(at, end, depth + 1, until_delimiter=True)
                continue
            if length == UNDEFINED or at + length > end:
                raise Malformed(because("dicom.item_short", announced=length, there=end - at))
            if not of_bytes:
                self.elements(at, at + length, depth + 1)
            at += length
        if delimited:
            raise Malformed(because("dicom.ends_in_sequence"))
        return at


def _name(tag: int) -> str:
    return f"element ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _vr_of(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode()
    except KeyError:
        return b""
