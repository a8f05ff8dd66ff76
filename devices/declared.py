"""Which phantoms technologists declared, read from the door's journal: known here minutes before a release knows it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from connectors.settings import Settings
from judgement import reference
from judgement.phantoms import Declarations, Word
from judgement.rows import Phantom

__all__ = ["Declared"]

CHECKS = """
SELECT offset, id, recorded_at, json_extract(data, '$.device_id'), json_extract(data, '$.check'), json_extract(data, '$.performed_at_utc'),
  json_extract(data, '$.note')
FROM event WHERE type = 'device.check' AND site = ? AND offset > ? ORDER BY offset"""


class Declared:
    """Answers for a test whether the phantom that was declared for it can be believed; a declaration is read once, by its offset."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._offset = settings, 0
        self._words = Declarations(settings.site_id, settings.utc_offset_minutes)

    def read(self) -> None:
        """Take in what was declared since the last call."""
        journal = self._settings.journals / "events.db"
        if not journal.exists():
            return
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as db:
            rows = db.execute(CHECKS, (self._settings.site_id, self._offset)).fetchall()
        for offset, id_, recorded, device, check, performed, note in rows:
            self._offset = offset
            self._words.add([Word(id_, recorded, device, str(check), datetime.fromisoformat(performed).astimezone(UTC), note)])

    def doubt(self, device: str, acquired: datetime | None, procedure: str | None) -> tuple[str, str] | None:
        """Return "unknown" or "expired" with the reason, when such a phantom was declared for a test; None when nothing is against it."""
        return self._words.doubt(device, acquired, procedure, reference.read(Phantom))
