"""The embedded journal: one SQLite file, one commit for all threads that wait (group commit), each commit synced to disk."""

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connectors.events import Event, canonical, utc_text
from connectors.stores.journal.port import Excerpt, JournalError, Outcome, Receipt, Then
from messages import because

__all__ = ["SqliteJournal", "head_of"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
  offset INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, sha256 TEXT NOT NULL, type TEXT NOT NULL,
  site TEXT NOT NULL, subject TEXT NOT NULL, occurred_at TEXT NOT NULL, recorded_at TEXT NOT NULL, data TEXT NOT NULL,
  said TEXT, UNIQUE (source, id)
);
CREATE INDEX IF NOT EXISTS event_by_subject ON event (type, subject);
"""
COLUMNS = "offset, source, id, sha256, type, site, subject, occurred_at, recorded_at, data"
ABOUT = "type, id, site, subject, occurred_at, recorded_at"
INSERT = f"INSERT INTO event ({COLUMNS}, said) VALUES ({', '.join('?' * 11)})"
Row = tuple[str, str, str, str, str, str, str, str, str, str | None]


@dataclass(slots=True)
class _Append:
    rows: list[Row]
    then: Then | None
    receipts: list[Receipt] = field(default_factory=list)
    done: bool = False
    error: Exception | None = None


class SqliteJournal:
    """Journal in the file `path`; the process that owns it opens it for writing, any other with `read_only`."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path = path
        self._queue: list[_Append] = []
        self._queued, self._committing = threading.Lock(), threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._head = 0
        if read_only:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise JournalError(because("store.journal_in_use", journal=path.name)) from None
        self._writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        # FULL: a commit returns after the sync of the log; the size limit gives space back after a burst
        self._writer.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864; {SCHEMA}"
        )
        if "said" not in {name for _, name, *_ in self._writer.execute("PRAGMA table_info(event)")}:  # a journal of before
            self._writer.execute("ALTER TABLE event ADD COLUMN said TEXT")
        self._head = self.head()

    def append(self, events: Sequence[Event], then: Then | None = None) -> list[Receipt]:
        """Return when all events are durable; see the port."""
        own = _Append([_row(e) for e in events], then)
        with self._queued:
            self._queue.append(own)
        with self._committing:  # whoever comes first commits for all who queue by then; the others find their work done
            if not own.done:
                with self._queued:
                    batch, self._queue = self._queue, []
                self._commit(batch)
        if own.error is not None:
            raise own.error
        return own.receipts

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Return at most `limit` events behind offset `after`, in order."""
        return self._select("WHERE offset > ? ORDER BY offset LIMIT ?", after, limit)

    def since(self, after: int, *types: str) -> list[tuple[int, Event]]:
        """Return all events of these types behind offset `after`, in order."""
        return self._select(f"WHERE offset > ? AND {_of_types(after, types)} ORDER BY offset", after, *types)

    def excerpts(
        self, after: int, *types: str, fields: Sequence[str] = (), counted: Sequence[str] = (), newest: bool = False
    ) -> list[Excerpt]:
        """Return these fields of all events of these types behind offset `after`, in order; see the port."""
        paths = [f'$."{name}"' for name in fields]
        lengths = "".join(", json_array_length(data, ?)" for _ in counted)
        parts = f"json_extract(data, '$.\"\"'{', ?' * len(paths)}){lengths}"  # an array always: of one path alone it would be the bare value
        offset, group = ("max(offset) AS offset", "GROUP BY +type, subject") if newest else ("offset", "")
        sql = f"SELECT {offset}, {ABOUT}, {parts} FROM event WHERE event.offset > ? AND {_of_types(after, types)} {group} ORDER BY 1"
        values = (*paths, *(f'$."{name}"' for name in counted), after, *types)
        with self._reading() as db:
            rows = db.execute(sql, values).fetchall() if db else []
        return [_excerpt(row, fields, counted) for row in rows]

    def at(self, offsets: Sequence[int]) -> list[Event]:
        """Return the events at these offsets, in this order."""
        sql, out = f"SELECT {COLUMNS} FROM event WHERE offset = ?", []
        with self._reading() as db:
            for offset in offsets:
                row = db.execute(sql, (offset,)).fetchone() if db else None
                if row is None:
                    raise JournalError(f"journal {self._path.name} has no event at offset {offset}")
                out.append(_event(row)[1])
        return out

    def find(self, source: str, id_: str) -> Event | None:
        """Return the event of this name, None when there is none."""
        found = self._select("WHERE source = ? AND id = ?", source, id_)
        return found[0][1] if found else None

    def head(self) -> int:
        """Return the last offset, 0 of an empty journal."""
        with self._reading() as db:
            return _head(db) if db else 0

    def first_since(self, moment: datetime) -> int:
        """Return the first offset that was recorded at this moment or later."""
        since = utc_text(moment)
        with self._reading() as db:
            low, high = 1, (_head(db) if db else 0) + 1
            while db and low < high:
                middle = (low + high) // 2
                (recorded,) = db.execute("SELECT recorded_at FROM event WHERE offset = ?", (middle,)).fetchone()
                low, high = (middle + 1, high) if recorded < since else (low, middle)
        return low

    def of(self, type_: str, subject: str) -> Iterator[tuple[int, Event]]:
        """Return the events of one type and subject, in order."""
        return iter(self._select("WHERE type = ? AND subject = ? ORDER BY offset", type_, subject))

    def latest(self, type_: str) -> dict[str, int]:
        """Return the last offset of each subject of this type."""
        with self._reading() as db:
            sql = "SELECT subject, max(offset) FROM event WHERE type = ? GROUP BY subject"
            return dict(db.execute(sql, (type_,))) if db else {}

    def close(self) -> None:
        """Close the file; a running commit is waited for."""
        with self._committing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                os.close(self._lock)

    def _select(self, clause: str, *values: object) -> list[tuple[int, Event]]:
        with self._reading() as db:
            rows = db.execute(f"SELECT {COLUMNS} FROM event {clause}", values).fetchall() if db else []
        return [_event(row) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Give a connection that cannot write, None while the file or its table is not there yet; safe in any process."""
        if not self._path.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
                made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone()
                yield db if made else None  # else its owner is just making it
        except sqlite3.Error as exc:
            raise JournalError(f"journal {self._path.name} cannot be read: {exc}") from exc

    def _commit(self, batch: list[_Append]) -> None:
        db, head = self._writer, self._head
        try:
            if db is None:
                raise JournalError(because("store.journal_closed"))
            db.execute("BEGIN IMMEDIATE")
            for one in batch:
                head = self._write(db, one, head)
            db.execute("COMMIT")
            self._head = head
        except Exception as exc:  # whatever it is: a caller that got no error would take its events for durable
            for one in batch:  # each caller gets an error of its own: one exception raised in several threads garbles its trace
                one.error = JournalError(because("store.journal_failed", journal=self._path.name, problem=exc))
            if db is not None and db.in_transaction:
                db.execute("ROLLBACK")
        for one in batch:
            one.done = True

    def _write(self, db: sqlite3.Connection, one: _Append, head: int) -> int:
        """Return the new head; an error of `then` undoes this append alone."""
        before = head
        db.execute("SAVEPOINT one")
        for row in one.rows:
            head = self._insert(db, row, head, one.receipts)
        if one.then is not None:
            try:
                more = [_row(e) for e in one.then(tuple(one.receipts))]
            except Exception as exc:
                db.execute("ROLLBACK TO one")
                db.execute("RELEASE one")
                one.error = exc
                return before
            for row in more:
                head = self._insert(db, row, head, one.receipts)
        db.execute("RELEASE one")
        return head

    def _insert(self, db: sqlite3.Connection, row: Row, head: int, receipts: list[Receipt]) -> int:
        there = db.execute("SELECT offset, sha256, said FROM event WHERE source = ? AND id = ?", row[:2]).fetchone()
        if there is not None:
            offset, kept, said = there
            same = said == row[-1] if said and row[-1] else kept == row[2]
            outcome: Outcome = "duplicate" if same else "conflict"
            receipts.append(Receipt(offset, outcome))
            return head
        db.execute(INSERT, (head + 1, *row))
        receipts.append(Receipt(head + 1, "stored"))
        return head + 1


def head_of(path: Path) -> int:
    """Return the last offset of a journal file, 0 when it is empty or not there yet; safe from any process."""
    return SqliteJournal(path, read_only=True).head()


def _head(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(offset), 0) FROM event").fetchone()[0])


def _of_types(after: int, types: Sequence[str]) -> str:
    """Return the condition: by offset, not by an index over the whole history of a type (`+` forbids it), but from the start by that index."""
    return f"{'+' if after else ''}type IN ({', '.join('?' * len(types))})"


def _row(event: Event) -> Row:
    return (
        event.source, event.id, event.sha256(), event.type, event.site, event.subject,
        utc_text(event.occurred_at), utc_text(event.recorded_at), canonical(event.data).decode(), event.said,
    )  # fmt: skip


def _event(row: tuple) -> tuple[int, Event]:
    offset, source, id_, _, type_, site, subject, occurred, recorded, data = row
    times = datetime.fromisoformat(occurred), datetime.fromisoformat(recorded)
    return offset, Event(type_, source, id_, site, subject, *times, json.loads(data))


def _excerpt(row: tuple, fields: Sequence[str], counted: Sequence[str]) -> Excerpt:
    offset, type_, id_, site, subject, occurred, recorded, told, *lengths = row
    data = (
        dict(zip((*fields, *counted), (*json.loads(told)[1:], *lengths), strict=True))
        if fields
        else dict(zip(counted, lengths, strict=True))
    )
    return Excerpt(offset, type_, id_, site, subject, datetime.fromisoformat(occurred), datetime.fromisoformat(recorded), data)
