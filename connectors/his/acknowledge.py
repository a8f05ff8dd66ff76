"""The acknowledgement of one message (chapter 2.9.2, original mode)."""

import re
import secrets
from datetime import datetime

from connectors.his.message import Message, declared_name

__all__ = ["acknowledgement"]


def acknowledgement(
    message: Message | None,
    code: str,
    now: datetime,
    site_id: str,
    reason: str | None = None,
    error: str | None = None,
    location: str = "",
) -> bytes:
    """Return an ACK: `code` AA, AE or AR; `message` null when the sender's bytes could not be read as one.

    The reason stands in MSA-3, where senders of every version look, and from version 2.5 on in ERR with
    the code of table 0357, and the location (ERR-2, type ERL) of what is wrong.
    """
    application = facility = control_id = trigger = character_set = ""
    version, processing = "2.5.1", "P"
    if message is not None:
        header = message.header
        application, facility, control_id = header.get(3), header.get(4), header.get(10)
        trigger, character_set = header.get(9, 2), declared_name(message.codec)
        version = header.get(12) if re.fullmatch(r"2\.\d(\.\d)?", header.get(12)) else version
        processing = header.get(11) if header.get(11) in ("P", "T", "D") else processing
    kind = f"ACK^{_escape(trigger)}^ACK"
    fields = [
        "MSH", "^~\\&", "PHOTOPEAK", _escape(site_id), _escape(application), _escape(facility), now.strftime("%Y%m%d%H%M%S%z"),
        "", kind, secrets.token_hex(10), _escape(processing), _escape(version), "", "", "", "", "", character_set,
    ]  # fmt: skip
    lines = [
        "|".join(fields).rstrip("|"),
        f"MSA|{code}|{_escape(control_id) or UNKNOWN}" + (f"|{_escape(reason[:80])}" if reason else ""),
    ]
    if error and reason and _number(version) >= (2, 5):
        lines.append(
            f"ERR||{location}|{error}^{_escape(ERRORS.get(error, 'Application internal error'))}^HL70357|E||||{_escape(reason)}"
        )
    return "".join(line + "\r" for line in lines).encode(message.codec if message else "utf-8", "replace")


UNKNOWN = "UNKNOWN"  # MSA-2 must not be empty, also when the message could not be read
ERRORS = {
    "100": "Segment sequence error", "101": "Required field missing", "102": "Data type error", "103": "Table value not found",
    "200": "Unsupported message type",
    "205": "Duplicate key identifier", "207": "Application internal error",
}  # fmt: skip


def _escape(text: str) -> str:
    text = _printable(text).replace("\\", "\\E\\")
    for mark, code in (("|", "F"), ("^", "S"), ("~", "R"), ("&", "T")):
        text = text.replace(mark, f"\\{code}\\")
    return text


def _printable(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(p) for p in version.split(".") if p.isdigit())
