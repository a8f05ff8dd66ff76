"""Reports that are no DICOM images: a vendor's XML, a JSON sheet of readings. Text in, one safe form out."""

import json
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

from spark_jobs.reading import Unreadable

__all__ = ["Document", "looks_like_document", "read_document"]

LARGEST_BYTES = 32_000_000
DEEPEST = 100  # levels: a report has six, a bomb of brackets has thousands
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
DAYS = ("acquired_on", "measured_at", "date")  # keys of a sheet that date it, in the order of preference


@dataclass(frozen=True)
class Document:
    """One document. `kind` names who reads it: `xml <name of the root>` or `json <procedure>`.

    `root` is the XML element, `sheet` the JSON object; the other is empty. Device and day are None where the document gives none
    (of XML, they are filled by who knows the vendor's names).
    """

    kind: str
    source: str | None
    root: Element | None = field(default=None, repr=False)
    sheet: dict[str, Any] = field(default_factory=dict, repr=False)
    station_name: str | None = None
    device_serial: str | None = None
    acquired_on: str | None = None  # YYYY-MM-DD


def looks_like_document(data: bytes) -> bool:
    """Return whether bytes begin as XML or as a JSON object does; whether they are one is not said."""
    start = data[:256]
    for bom in BOMS:
        start = start.removeprefix(bom)
    return start.replace(b"\0", b"").lstrip()[:1] in (b"<", b"{")


def read_document(data: bytes, source: str | None = None) -> Document:
    """Return the document in these bytes, or raise `Unreadable` with the reason."""
    if len(data) > LARGEST_BYTES:
        raise Unreadable(f"a document of {len(data) / 1e6:.0f} MB is no report of a quality test")
    start = data[:256]
    for bom in BOMS:
        start = start.removeprefix(bom)
    return _xml(data, source) if start.replace(b"\0", b"").lstrip()[:1] == b"<" else _json(data, source)


def _xml(data: bytes, source: str | None) -> Document:
    """Return an XML document; one that declares a document type or an entity is refused before anything is expanded."""
    from xml.parsers import expat

    parser = expat.ParserCreate()
    builder = TreeBuilder()
    depth = 0

    def refuse(*_: object) -> int:
        raise Unreadable("the XML declares a document type or an entity: such files are not opened")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise Unreadable(f"the XML is nested deeper than {DEEPEST} levels")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = parser.UnparsedEntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise Unreadable(f"the XML is damaged: {exc}") from None
    except (LookupError, ValueError) as exc:  # an encoding that nobody knows; our own refusals pass through
        raise exc if isinstance(exc, Unreadable) else Unreadable(f"the XML cannot be decoded: {exc}") from None
    root = builder.close()
    return Document(f"xml {root.tag.rsplit('}', 1)[-1].rsplit(':', 1)[-1]}", source, root)


def _json(data: bytes, source: str | None) -> Document:
    try:
        sheet = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)
    except (UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise Unreadable(f"this is neither DICOM nor readable JSON: {str(exc)[:200]}") from None
    if not isinstance(sheet, dict):
        raise Unreadable("the JSON is no sheet of readings: an object with `procedure` is expected")
    procedure = sheet.get("procedure")
    if not isinstance(procedure, str) or not procedure:
        raise Unreadable("the JSON does not say which `procedure` its readings are of")
    day = next((v[:10] for v in (sheet.get(k) for k in DAYS) if isinstance(v, str) and len(v) >= 10), None)
    texts = {k: str(sheet[k]) if sheet.get(k) else None for k in ("station_name", "device_serial")}
    return Document(f"json {procedure}", source, None, sheet, texts["station_name"], texts["device_serial"], day)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no reading")
