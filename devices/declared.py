"""Which phantom a test was made with, as technologists declared it: known at the door minutes before a release knows it.

The same rules as `int_phantom__declared.sql`; a test holds the two together. A declaration is read once, by its offset in the journal.
"""

import csv
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from connectors.events import utc_text
from connectors.settings import Settings
from spark_jobs.judge import SEEDS

__all__ = ["USED", "Declared", "doubt"]

CHECKS = """
SELECT offset, id, recorded_at, json_extract(data, '$.device_id'), json_extract(data, '$.check'), json_extract(data, '$.performed_at_utc'),
  json_extract(data, '$.note')
FROM event WHERE type = 'device.check' AND site = ? AND offset > ? ORDER BY offset"""
USED = "phantom_used"
Key = tuple[str, str, str]  # device, local day, procedure; "" for all


class _Word(NamedTuple):
    """The order in which the latest word holds, and the serial number that it says."""

    performed: str
    recorded: str
    backwards: tuple[int, ...]  # of two that were said at one moment the first name holds
    serial: str


class Declared:
    """Answers for a test whether the phantom that was declared for it can be believed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._offset, self._words = 0, dict[Key, _Word]()

    def read(self) -> None:
        """Take in what was declared since the last call."""
        journal = self._settings.journals / "events.db"
        if not journal.exists():
            return
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as db:
            rows = db.execute(CHECKS, (self._settings.site_id, self._offset)).fetchall()
        for offset, id_, recorded, device, check, performed, note in rows:
            self._offset = offset
            name, _, procedure = str(check).partition("/")
            serial = (note or "").strip()
            if name != USED or not serial:
                continue
            at = datetime.fromisoformat(performed).astimezone(UTC)
            key = (device, self._day(at), procedure)
            word = _Word(utc_text(at), recorded, tuple(-ord(c) for c in id_), serial)
            self._words[key] = max(word, self._words.get(key, word))

    def doubt(self, device: str, acquired: datetime | None, procedure: str | None) -> tuple[str, str] | None:
        """Return "unknown" or "expired" with the reason, when such a phantom was declared for a test; None when nothing is against it."""
        if acquired is None:
            return None
        day = self._day(acquired)
        word = self._words.get((device, day, procedure or "?")) or self._words.get((device, day, ""))
        return doubt(word.serial, self._settings.site_id, day, SEEDS) if word else None

    def _day(self, at: datetime) -> str:
        utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return f"{utc + timedelta(minutes=self._settings.utc_offset_minutes):%Y-%m-%d}"


def doubt(serial: str, site_id: str, day: str, seeds: Path) -> tuple[str, str] | None:
    """Return "unknown" or "expired" with the reason when a phantom cannot be believed on a day (local, YYYY-MM-DD), by the register.

    The register is short and read each time: a physicist may have edited it just now.
    """
    with (seeds / "phantoms.csv").open(encoding="utf-8", newline="") as f:
        found = [r for r in csv.DictReader(f) if (r["site_id"], r["phantom_serial"]) == (site_id, serial)]
    if not found:
        return "unknown", f"phantom {serial} is not in the register"
    calibrated, until = found[-1]["calibrated_on"], found[-1]["valid_until"]
    if (calibrated and day < calibrated) or (until and day > until):
        return "expired", f"phantom {serial} was out of calibration (valid {calibrated} to {until or '…'})"
    return None
