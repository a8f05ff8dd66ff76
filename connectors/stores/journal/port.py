"""What a journal is: the append-only record of one intake process, its outbox and its replay source."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from connectors.events import Event

__all__ = ["Excerpt", "Journal", "JournalError", "Outcome", "Receipt", "Then"]

Outcome = Literal["stored", "duplicate", "conflict"]


class JournalError(OSError):
    """The journal could not make events durable (disk full, I/O error): nothing of this append is written, refuse the sender.

    Or it cannot be read.
    """


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event: its offset, or of a duplicate or conflict the offset of the event that was there before."""

    offset: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An event without most of its data: what a page or an index needs of many events, long lists never read."""

    offset: int
    type: str
    id: str
    site: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    data: dict[str, Any]  # the fields that were asked for, null where the event has none; of `counted` ones the lengths


Then = Callable[[Sequence[Receipt]], Sequence[Event]]


class Journal(Protocol):
    """Events in the order of their arrival; offsets start at 1 and have no gaps.

    Whoever only reads finds a journal that is not there yet empty; one that cannot be read is a JournalError.
    """

    def append(self, events: Sequence[Event], then: Then | None = None) -> list[Receipt]:
        """Return one receipt an event when all are durable; raise JournalError when nothing of them is.

        Same source and id with the same digest is a `duplicate`, with another digest a `conflict`: neither is written again. The
        digest is `said` where both events have one, the SHA-256 of what is kept otherwise (rows of before there was `said`).
        `then` gets the receipts and returns further events for the same transaction (the `intake.outcome`, which must say what
        really became of the message even when it comes twice at the same moment); their receipts follow in the result.
        """
        ...

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Return at most `limit` events with their offsets, which are greater than `after`, in order."""
        ...

    def since(self, after: int, *types: str) -> list[tuple[int, Event]]:
        """Return all events of these types behind offset `after`, in order."""
        ...

    def excerpts(
        self, after: int, *types: str, fields: Sequence[str] = (), counted: Sequence[str] = (), newest: bool = False
    ) -> list[Excerpt]:
        """Return of all events of these types behind offset `after`, in order, these fields of their data.

        Parameters
        ----------
        fields
            Names of fields of the data.
        counted
            Names of lists in the data of which only the length is wanted; null where there is none.
        newest
            Only the last event of each type and subject.
        """
        ...

    def at(self, offsets: Sequence[int]) -> list[Event]:
        """Return the events at these offsets, in this order; raise JournalError when there is none at one of them."""
        ...

    def find(self, source: str, id_: str) -> Event | None:
        """Return the event of this name, None when there is none."""
        ...

    def head(self) -> int:
        """Return the last offset, 0 of an empty journal."""
        ...

    def first_since(self, moment: datetime) -> int:
        """Return the first offset that was recorded at this moment or later, the one behind the last when none was.

        Arrival follows the clock: it is found by halving, and nobody waits for a whole journal.
        """
        ...

    def of(self, type_: str, subject: str) -> Iterator[tuple[int, Event]]:
        """Return the events of one type and subject with their offsets, in order."""
        ...

    def latest(self, type_: str) -> dict[str, int]:
        """Return the last offset of each subject that has events of this type."""
        ...

    def close(self) -> None:
        """Let go of files; the journal is not used afterwards."""
        ...
