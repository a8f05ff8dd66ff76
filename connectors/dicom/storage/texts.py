"""Texts of a data set as bytes, and in the character set that fits them, whatever (0008,0005) declares (PS3.3 C.12.1.1.2)."""

import re

from pydicom import Dataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from connectors.charsets import ESCAPE, Reading, reading

__all__ = ["codecs_of", "doubts_of", "raw_of", "text_of"]


def codecs_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the Python codecs that a data set declares, none where it declares nothing or nothing that is known."""
    try:
        said = dataset.get("SpecificCharacterSet")
        return tuple(convert_encodings(said)) if said else ()
    except Exception:  # pydicom raises many kinds over names that nobody knows
        return ()


def raw_of(dataset: Dataset, key: str | int) -> bytes:
    """Return the bytes of a value, without decoding it in place; empty when it is absent."""
    element = dataset.get_item(key) if key in dataset else None
    value = element.value if element is not None else None
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    original = getattr(value, "original_string", None)
    if isinstance(original, bytes):
        return original
    joined = (
        "\\".join(map(str, value)) if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else str(value)
    )
    return joined.encode("utf-8", "surrogateescape")


def text_of(raw: bytes, codecs: tuple[str, ...], vr: str = "PN") -> Reading:
    """Return the text of a value, without the escapes of ISO 2022, in the character set that fits."""
    if ESCAPE.search(raw) is None:
        return reading(raw, codecs[0] if codecs else None)
    if not codecs:
        return reading(ESCAPE.sub(b"", raw), None)._replace(doubtful=True)
    said = decode_bytes(raw, codecs, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    return Reading(re.sub(ESCAPE.pattern.decode("latin-1"), "", said), codecs[0], "\ufffd" in said)


def doubts_of(dataset: Dataset) -> list[dict[str, str]]:
    """Return the texts that are in another character set than declared; without a declaration nothing but ASCII is (PS3.5 6.1.2.1)."""
    codecs, found = codecs_of(dataset), []
    for keyword in ("PatientName", "StudyDescription", "SeriesDescription", "ProtocolName"):
        raw = raw_of(dataset, keyword)
        if text_of(raw, codecs, "PN" if keyword == "PatientName" else "LO").doubtful or not (codecs or raw.isascii()):
            found.append({"field": keyword, "doubt": "character_set"})
    return found
