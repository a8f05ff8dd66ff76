"""A journal that forgets when the process ends: for tests of what stands on a journal."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime

from connectors.events import Event
from connectors.stores.journal.port import Excerpt, JournalError, Outcome, Receipt, Then

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """The port's rules on a list; `fail_with` makes the next appends fail as a broken disk would."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fail_with: str | None = None
        self._by_name: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def append(self, events: Sequence[Event], then: Then | None = None) -> list[Receipt]:
        """Return one receipt an event; see the port."""
        with self._lock:
            if self.fail_with is not None:
                raise JournalError(self.fail_with)
            mark = len(self.events)
            try:
                receipts = [self._insert(e) for e in events]
                receipts += [self._insert(e) for e in (then(tuple(receipts)) if then else ())]
            except Exception:
                for event in self.events[mark:]:
                    del self._by_name[event.source, event.id]
                del self.events[mark:]
                raise
            return receipts

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Return at most `limit` events behind offset `after`."""
        return list(enumerate(self.events, 1))[after : after + limit]

    def since(self, after: int, *types: str) -> list[tuple[int, Event]]:
        """Return all events of these types behind offset `after`."""
        return [(n, e) for n, e in enumerate(tuple(self.events), 1) if n > after and e.type in types]

    def excerpts(
        self, after: int, *types: str, fields: Sequence[str] = (), counted: Sequence[str] = (), newest: bool = False
    ) -> list[Excerpt]:
        """Return these fields of all events of these types behind offset `after`."""
        out = []
        for n, e in self.since(after, *types):
            lists = {name: e.data.get(name) for name in counted}
            data = {**{f: e.data.get(f) for f in fields}, **{f: None if v is None else len(v) for f, v in lists.items()}}
            out.append(Excerpt(n, e.type, e.id, e.site, e.subject, e.occurred_at, e.recorded_at, data))
        last = {(e.type, e.subject): e.offset for e in out}
        return [e for e in out if not newest or last[e.type, e.subject] == e.offset]

    def at(self, offsets: Sequence[int]) -> list[Event]:
        """Return the events at these offsets."""
        absent = [n for n in offsets if not 1 <= n <= len(self.events)]
        if absent:
            raise JournalError(f"the journal has no event at offset {absent[0]}")
        return [self.events[n - 1] for n in offsets]

    def find(self, source: str, id_: str) -> Event | None:
        """Return the event of this name, None when there is none."""
        offset = self._by_name.get((source, id_))
        return self.events[offset - 1] if offset else None

    def head(self) -> int:
        """Return the last offset."""
        return len(self.events)

    def first_since(self, moment: datetime) -> int:
        """Return the first offset that was recorded at this moment or later."""
        return bisect_left(self.events, moment, key=lambda e: e.recorded_at) + 1

    def of(self, type_: str, subject: str) -> Iterator[tuple[int, Event]]:
        """Return the events of one type and subject."""
        return ((n, e) for n, e in enumerate(tuple(self.events), 1) if (e.type, e.subject) == (type_, subject))

    def latest(self, type_: str) -> dict[str, int]:
        """Return the last offset of each subject of this type."""
        return {e.subject: n for n, e in enumerate(self.events, 1) if e.type == type_}

    def close(self) -> None:
        """Do nothing."""

    def _insert(self, event: Event) -> Receipt:
        name = (event.source, event.id)
        if name in self._by_name:
            offset = self._by_name[name]
            there = self.events[offset - 1]
            same = there.said == event.said if there.said and event.said else there.sha256() == event.sha256()
            outcome: Outcome = "duplicate" if same else "conflict"
            return Receipt(offset, outcome)
        event.sha256()  # data that is no JSON fails here, before anything is kept
        self.events.append(event)
        self._by_name[name] = len(self.events)
        return Receipt(len(self.events), "stored")
