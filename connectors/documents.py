"""Reports that are no DICOM images: a vendor's XML, a JSON sheet of readings. Bytes in, one safe form out; nothing is ever expanded.

Intake and analysis read documents by this file alone, so that what a door took can be measured later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from judgement.days import from_wall
from messages import because

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = [
    "DAYS",
    "PERSONAL",
    "SERIES",
    "About",
    "NoDocument",
    "about",
    "looks_like_document",
    "nameless",
    "parsed",
    "shown_key",
    "utc_of",
]

LARGEST_BYTES = 32_000_000
DEEPEST = 100  # levels: a report has six, a bomb of brackets has thousands
KEY = re.compile(r"[a-z][a-z0-9]{0,20}(_[a-z0-9]{1,20}){0,4}")
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
DAYS = ("acquired_on", "measured_at", "date")  # keys of a sheet that date it, in the order of preference
SERIES = ("series_uid", "study_uid", "accession_number")  # keys by which a sheet names the images that it tells of
# root of a vendor's XML: where it says when, and which station
VENDORS = {"SystemQualityReport": ("bScandate", "dInputforComputation/dICSName")}
# names of elements and keys that speak of a person, or hold text that anybody may have typed
PERSONAL = re.compile(
    r"patient|operator|physician|doctor|nurse|technologist|technician|performed_?by|measured_?by|signed|user|person|birth|address"
    r"|phone|mail|comment|note|remark",
    re.IGNORECASE,
)


Clean = Callable[[str, str], str]  # of a text and its key → what is kept of it


class NoDocument(ValueError):
    """Bytes that are no readable document; the text is the reason."""


@dataclass(frozen=True)
class About:
    """What a document says of itself; None where it says nothing. `kind`: `xml <name of the root>` or `json <procedure>`."""

    kind: str
    moment: str | None = None  # as it stands there
    station_name: str | None = None
    device_serial: str | None = None
    series_uid: str | None = None
    study_uid: str | None = None
    accession_number: str | None = None


def looks_like_document(data: bytes) -> bool:
    """Return whether bytes begin as XML or as a JSON object does; whether they are one is not said."""
    return _first(data) in (b"<", b"{")


def parsed(data: bytes) -> Element | dict[str, Any]:
    """Return the root of the XML or the JSON object in these bytes, or raise `NoDocument` with the reason."""
    if len(data) > LARGEST_BYTES:
        raise NoDocument(because("document.too_large", mb=len(data) / 1000000.0))
    return _xml(data) if _first(data) == b"<" else _json(data)


def about(content: Element | dict[str, Any]) -> About:
    """Return kind, moment, device and images of a document."""
    if isinstance(content, dict):
        moment = next((v for v in (content.get(k) for k in DAYS) if isinstance(v, str) and len(v) >= 10), None)
        texts = {k: str(content[k])[:256] if content.get(k) else None for k in ("station_name", "device_serial", *SERIES)}
        return About(f"json {content['procedure']}", moment, **texts)
    name = content.tag.rsplit("}", 1)[-1].rsplit(":", 1)[-1]
    said = [(content.findtext(path) or "").strip() or None for path in VENDORS.get(name, ())] or [None, None]
    return About(f"xml {name}", *said)


def utc_of(moment: str | None, zone: tzinfo) -> datetime | None:
    """Return the moment in UTC; one without an offset is of the site's wall clock. None: no usable moment."""
    try:
        at = datetime.fromisoformat((moment or "").strip())
        return at.astimezone(UTC) if at.tzinfo else from_wall(at, zone)
    except (ValueError, OverflowError):
        return None


def nameless(content: Element | dict[str, Any], clean: Clean = lambda text, key: text) -> bytes:
    """Return the copy that analyses read: without persons and free texts, comments and processing instructions.

    `clean` gives what is kept of a text: of keys and values of a sheet, of names, attributes and texts of XML; with the key that it is
    the value of, or nothing.
    """
    from xml.etree.ElementTree import tostring

    if isinstance(content, dict):
        return _text(_without(content, clean))
    _strip(content, clean)
    return tostring(content, encoding="utf-8", xml_declaration=True)


def _without(value: Any, clean: Clean, key: str = "") -> Any:
    if isinstance(value, dict):
        return {clean(k, ""): _without(v, clean, k) for k, v in value.items() if not PERSONAL.search(k)}
    if isinstance(value, list):
        return [_without(v, clean, key) for v in value]
    return clean(value, key) if isinstance(value, str) else value


def _strip(element: Element, clean: Clean) -> None:
    element.tag = _named(element.tag, clean)
    element.text = element.text and clean(element.text, "")
    kept = {_named(k, clean): clean(v, "") for k, v in element.attrib.items() if not PERSONAL.search(k)}
    element.attrib.clear()
    element.attrib.update(kept)
    for child in element:
        child.tail = child.tail and clean(child.tail, "")
        if PERSONAL.search(child.tag):
            tail = child.tail
            child.clear()
            child.tail = tail
            child.tag = _named(child.tag, clean)
        else:
            _strip(child, clean)


def _named(name: str, clean: Clean) -> str:
    """Return the name of an element or attribute, or one that XML allows in the place of what is not kept."""
    return name if clean(name, "") == name else "removed"


def _first(data: bytes) -> bytes:
    start = data[:256]
    for bom in BOMS:
        start = start.removeprefix(bom)
    return start.replace(b"\0", b"").lstrip()[:1]


def _xml(data: bytes) -> Element:
    """Return the root of an XML document; one that declares a document type or an entity is refused before anything is expanded."""
    from xml.etree.ElementTree import TreeBuilder
    from xml.parsers import expat

    parser = expat.ParserCreate()
    builder = TreeBuilder()
    depth = 0

    def refuse(*_: object) -> int:
        raise NoDocument(because("document.declares_entity"))

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise NoDocument(because("document.nested_too_deep", most=DEEPEST))
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
        raise NoDocument(because("document.xml_damaged", line=exc.lineno, column=exc.offset + 1)) from None
    except NoDocument:
        raise
    except (LookupError, ValueError):  # an encoding that nobody knows
        raise NoDocument(because("document.xml_undecodable")) from None
    return builder.close()


def _json(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeError:
        raise NoDocument(because("document.not_utf8")) from None
    try:
        sheet = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        _text(sheet)  # lone surrogates and numbers beyond all bounds could not be kept
    except json.JSONDecodeError as exc:
        raise NoDocument(because("document.no_json", line=exc.lineno, column=exc.colno)) from None
    except NoDocument:
        raise
    except (UnicodeError, ValueError, RecursionError):
        raise NoDocument(because("document.no_json", line=None, column=None)) from None
    if not isinstance(sheet, dict):
        raise NoDocument(because("document.no_sheet"))
    procedure = sheet.get("procedure")
    if not isinstance(procedure, str) or not procedure:
        raise NoDocument(because("document.procedure_missing"))
    return sheet


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def shown_key(key: str) -> str:
    """Return a key as a reason may show it: what looks like one; anybody may have typed anything."""
    return key if KEY.fullmatch(key) and not PERSONAL.search(key) else "?"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys all differ: of two values of one key it is not known which is meant."""
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise NoDocument(because("document.key_doubled", key=shown_key(key)))
        out[key] = value
    return out


def _no_number(text: str) -> float:
    raise NoDocument(because("document.no_reading", text=text))
