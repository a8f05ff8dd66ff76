"""Reports that are no DICOM images, as procedures take them: a vendor's XML, a JSON sheet of readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.documents import NoDocument, about, looks_like_document, parsed
from spark_jobs.reading import Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Document", "looks_like_document", "read_document"]


@dataclass(frozen=True)
class Document:
    """One document. `kind` names who reads it: `xml <name of the root>` or `json <procedure>`.

    `root` is the XML element, `sheet` the JSON object; the other is empty. Device and day are None where the document gives none.
    """

    kind: str
    source: str | None
    root: Element | None = field(default=None, repr=False)
    sheet: dict[str, Any] = field(default_factory=dict, repr=False)
    station_name: str | None = None
    device_serial: str | None = None
    acquired_on: str | None = None  # YYYY-MM-DD
    of_several: bool = False  # several series of one modality came along: without a name it is not known of which a sheet tells


def read_document(data: bytes, source: str | None = None) -> Document:
    """Return the document in these bytes, or raise `Unreadable` with the reason."""
    try:
        content = parsed(data)
    except NoDocument as exc:
        raise Unreadable(str(exc)) from None
    said = about(content)
    root, sheet = (None, content) if isinstance(content, dict) else (content, {})
    day = said.moment[:10] if said.moment else None
    return Document(said.kind, source, root, sheet, said.station_name, said.device_serial, day)
