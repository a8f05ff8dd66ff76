"""The event that every message and object leaves at its door: what became of it."""

from datetime import datetime
from typing import Literal
from uuid import uuid4

from connectors.events.envelope import Event
from messages import stored

__all__ = ["intake_outcome"]


def intake_outcome(
    site: str,
    channel: Literal["dicom", "hl7", "modbus", "events"],
    message_id: str,
    outcome: Literal["stored", "duplicate", "quarantined"],
    sha256: str,
    size_bytes: int,
    at: datetime,
    reason: str | None = None,
    sender: str | None = None,
) -> Event:
    """Return the `intake.outcome` event of one arrival; each arrival has its own, also when the same message comes again."""
    name = message_id[:256] or sha256
    data = {
        "channel": channel, "message_id": name, "outcome": outcome, **stored(reason or None),
        "sha256": sha256, "size_bytes": size_bytes, "sender": (sender or "")[:256] or None,
    }  # fmt: skip
    data["reason"] = (data["reason"] or "")[:1000] or None
    return Event("intake.outcome", f"urn:photopeak:{channel}", f"outcome/{uuid4()}", site, name, at, at, data)
