"""What a journal is: the append-only record of one intake process, its outbox and its replay source."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from connectors.events import Event

__all__ = ["Journal", "JournalError", "Outcome", "Receipt", "Then"]

Outcome = Literal["stored", "duplicate", "conflict"]


class JournalError(OSError):
    """The journal could not make events durable (disk full, I/O error): nothing of this append is written, refuse the sender."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event: its offset, or of a duplicate or conflict the offset of the event that was there before."""

    offset: int
    outcome: Outcome


Then = Callable[[Sequence[Receipt]], Sequence[Event]]


class Journal(Protocol):
    """Events in the order of their arrival; offsets start at 1 and have no gaps."""

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
        """Return all events of these types behind offset `after`, in order; none while the journal is not there yet."""
        ...

    def find(self, source: str, id_: str) -> Event | None:
        """Return the event of this name, None when there is none."""
        ...

    def head(self) -> int:
        """Return the last offset, 0 of an empty journal."""
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
