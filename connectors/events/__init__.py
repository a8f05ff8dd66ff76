"""The one envelope that everything that happened travels in: CloudEvents 1.0, one JSON Schema per type."""

from connectors.events.envelope import Event, InvalidEvent, canonical, from_cloudevent, utc_text
from connectors.events.outcome import intake_outcome
from connectors.events.types import TYPES, validate

__all__ = ["TYPES", "Event", "InvalidEvent", "canonical", "from_cloudevent", "intake_outcome", "utc_text", "validate"]
