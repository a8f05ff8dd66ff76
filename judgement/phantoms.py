"""Which phantom a test was made with, as technologists declared it, and whether it can be believed: the rules of `int_phantom__declared.sql`."""

from collections.abc import Iterable
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from judgement.days import local_day, utc_text
from judgement.rows import Phantom
from messages import because

__all__ = ["USED", "Declarations", "Word", "doubt"]

USED = "phantom_used"
Key = tuple[str, date, str]  # device, local day, procedure; "" for all


class Word(NamedTuple):
    """One check of a device that a person made; `check` is `phantom_used` or `phantom_used/<procedure>` where a phantom was declared."""

    event_id: str
    recorded: str  # RFC 3339 in UTC
    device_id: str
    check: str
    performed_at: datetime
    note: str | None


class Declarations:
    """The newest word about each device, local day and procedure."""

    def __init__(self, site_id: str, zone: tzinfo) -> None:
        self._site_id, self._zone = site_id, zone
        self._words = dict[Key, tuple[tuple[str, str, tuple[int, ...]], str]]()

    def add(self, words: Iterable[Word]) -> None:
        """Take in checks; those that declare no phantom are passed over."""
        for w in words:
            name, _, procedure = w.check.partition("/")
            serial = (w.note or "").strip()
            if name != USED or not serial:
                continue
            # the latest word holds; of two that were said at one moment the first name
            rank = utc_text(w.performed_at), w.recorded, tuple(-ord(c) for c in w.event_id)
            key = w.device_id, local_day(w.performed_at, self._zone), procedure
            self._words[key] = max((rank, serial), self._words.get(key, (rank, serial)))

    def doubt(
        self, device_id: str, acquired: datetime | None, procedure: str | None, register: Iterable[Phantom]
    ) -> tuple[str, str] | None:
        """Return "unknown" or "expired" with the reason, when such a phantom was declared for a test; None when nothing is against it."""
        if acquired is None:
            return None
        day = local_day(acquired, self._zone)
        word = self._words.get((device_id, day, procedure or "?")) or self._words.get((device_id, day, ""))
        return doubt(word[1], self._site_id, day, register) if word else None


def doubt(serial: str, site_id: str, day: date, register: Iterable[Phantom]) -> tuple[str, str] | None:
    """Return "unknown" or "expired" with the reason when a phantom cannot be believed on a local day."""
    found = [p for p in register if (p.site_id, p.phantom_serial) == (site_id, serial)]
    if not found:
        return "unknown", because("phantom.not_registered", phantom=serial)
    since, until, on = found[-1].calibrated_on, found[-1].valid_until, day.isoformat()
    if (since and on < since) or (until and on > until):
        return "expired", because("phantom.out_of_calibration", phantom=serial, valid_from=since, valid_until=until or "…")
    return None
