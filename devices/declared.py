"""Which phantoms technologists declared, read from the door's journal: known here minutes before a release knows it."""

from datetime import UTC, datetime

from connectors.events import utc_text
from connectors.settings import Settings
from connectors.stores.journal.sqlite import SqliteJournal
from judgement import reference
from judgement.phantoms import Declarations, Word
from judgement.rows import Phantom

__all__ = ["Declared"]

FIELDS = ("device_id", "check", "performed_at_utc", "note")


class Declared:
    """Answers for a test whether the phantom that was declared for it can be believed; a declaration is read once, by its offset."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._offset = settings, 0
        self._words = Declarations(settings.site_id, settings.zone)

    def read(self) -> None:
        """Take in what was declared since the last call."""
        journal = SqliteJournal(self._settings.journals / "events.db", read_only=True)
        head = journal.head()  # asked first: what comes meanwhile is read by the next call at the latest
        for one in journal.excerpts(self._offset, "device.check", fields=FIELDS) if head > self._offset else ():
            head = max(head, one.offset)
            if one.site == self._settings.site_id:
                device, check, performed, note = (one.data[name] for name in FIELDS)
                at = min(datetime.fromisoformat(performed).astimezone(UTC), one.recorded_at)
                self._words.add([Word(one.id, utc_text(one.recorded_at), device, str(check), at, note)])
        self._offset = head

    def doubt(self, device: str, acquired: datetime | None, procedure: str | None) -> tuple[str, str] | None:
        """Return "unknown" or "expired" with the reason, when such a phantom was declared for a test; None when nothing is against it."""
        return self._words.doubt(device, acquired, procedure, reference.read(Phantom))
