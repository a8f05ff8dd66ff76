"""The work item: what Spark is handed to measure one series or one report, and all that it knows of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from messages import from_text, to_text

__all__ = ["WorkItem", "utc"]


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One series, or one report in the form of a series of one object: its bytes by their keys, and what its rows say of it."""

    run_key: str
    site_id: str
    day: str  # UTC day of the event: the folder of its rows
    series_uid: str  # `report/<digest>` of a report
    recorded_at: datetime  # aware; of the newest of all that it is looked at together
    modality: str
    objects: tuple[str, ...]  # keys of its objects
    beside: tuple[str, ...] = ()  # keys of what it is looked at together with
    acquired_at: datetime | None = None  # aware
    study_uid: str | None = None
    accession_number: str | None = None
    station_name: str | None = None
    device_serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    kind: str | None = None  # of a document
    refusal: str | None = None  # why it is not measured at all
    elsewhere: str | None = None  # where the values of a sheet stand
    off: Mapping[str, str] = field(default_factory=dict)  # {procedure that is switched off: why}
    switched_off: str | None = None  # all of that as one text

    def to_json(self) -> str:
        """Return the item as text; its messages keep code and arguments."""
        moments = {name: m.isoformat() if (m := getattr(self, name)) else None for name in MOMENTS}
        told = {name: to_text(getattr(self, name)) for name in ("refusal", "elsewhere")}
        return json.dumps({**asdict(self), **moments, **told, "off": {name: to_text(why) for name, why in self.off.items()}})

    @classmethod
    def from_json(cls, text: str) -> "WorkItem":
        """Return the item that `to_json` made text of."""
        told = json.loads(text)
        told |= {name: datetime.fromisoformat(told[name]) if told[name] else None for name in MOMENTS}
        told |= {name: from_text(told[name]) for name in ("refusal", "elsewhere")}
        told |= {name: tuple(told[name]) for name in ("objects", "beside")}
        return cls(**{**told, "off": {name: from_text(why) or "" for name, why in told["off"].items()}})


MOMENTS = ("recorded_at", "acquired_at")


def utc(moment: datetime) -> datetime:
    """Return an aware moment in UTC; a naive one is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
