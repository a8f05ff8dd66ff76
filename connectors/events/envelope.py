"""Event envelope (CloudEvents 1.0, structured JSON mode)."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.events.moments import capital, is_far, is_moment
from messages import because

__all__ = ["Event", "InvalidEvent", "canonical", "from_cloudevent", "utc_text"]


class InvalidEvent(ValueError):
    """An event that may not enter; the text is the reason that quarantine keeps."""


@dataclass(frozen=True, slots=True)
class Event:
    """One immutable fact.

    `source` and `id` identify it: the same pair with the same data is a duplicate, with other data a conflict.
    `occurred_at` and `recorded_at` are aware datetimes; `data` is JSON that the schema of `type` accepts.
    `said` is the keyed digest of what the sender said, where a door keeps other words than it was told; the journal compares by it.
    None: what is kept is what was said.
    """

    type: str
    source: str
    id: str
    site: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    data: dict[str, Any]
    said: str | None = field(default=None, compare=False)

    def content(self) -> bytes:
        """Return all that a sender says; the time of recording is ours and not in it."""
        said = [self.type, self.source, self.id, self.site, self.subject, utc_text(self.occurred_at), self.data]
        return canonical(said)

    def sha256(self) -> str:
        """Return the digest of the content as it is kept."""
        return hashlib.sha256(self.content()).hexdigest()

    def to_cloudevent(self) -> dict[str, Any]:
        """Return the structured-mode JSON object; extension attributes: `siteid`, `recordedat`."""
        return {
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.type, "subject": self.subject,
            "time": utc_text(self.occurred_at), "siteid": self.site, "recordedat": utc_text(self.recorded_at),
            "datacontenttype": "application/json", "data": self.data,
        }  # fmt: skip


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def utc_text(moment: datetime) -> str:
    """Return RFC 3339 in UTC with microseconds; a naive datetime is an error."""
    if moment.tzinfo is None:
        raise InvalidEvent(because("event.time_without_offset"))
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_cloudevent(body: object, recorded_at: datetime, default_site: str) -> Event:
    """Read a structured-mode CloudEvent; raise InvalidEvent with the first thing that is wrong with its envelope."""
    if not isinstance(body, dict):
        raise InvalidEvent(because("event.no_object"))
    if body.get("specversion") != "1.0":
        raise InvalidEvent(because("event.specversion"))
    for name in ("id", "source", "type", "time"):
        if not isinstance(body.get(name), str) or not 0 < len(body[name]) <= 256:
            raise InvalidEvent(because("event.attribute_unusable", name=name))
    if not isinstance(body.get("data"), dict):
        raise InvalidEvent(because("event.data_no_object"))
    try:
        time = capital(body["time"])
        occurred = datetime.fromisoformat(time)
    except ValueError:
        raise InvalidEvent(because("event.time_no_rfc3339")) from None
    if occurred.tzinfo is None:
        raise InvalidEvent(because("event.time_has_no_offset"))
    if is_far(time):
        raise InvalidEvent(because("event.moment_far", place="time"))
    if not is_moment(time):
        raise InvalidEvent(because("event.time_no_rfc3339"))
    return Event(
        body["type"], body["source"], body["id"], str(body.get("siteid") or default_site), str(body.get("subject") or ""),
        occurred.astimezone(UTC), recorded_at, capital(body["data"]),
    )  # fmt: skip
