"""Which of several tellings about one thing is the newest, when some say the second and others only the day.

A moment that is told to the day stands for the whole day. Of two moments of unequal precision the coarser decides: where it cannot
tell them apart, what arrived later is newer. So that three of them cannot contradict each other, a coarse telling counts from the
latest moment within it that had arrived before, and behind it. Worklist, readiness and marts order by this one rule; in the
warehouse it is the macro `as_told`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = ["PRECISION_S", "Place", "Tellings", "happened_at", "in_order", "precision_s", "told_at"]

# of a time stamp (HL7 v2 DTM: as many digits as are known), in seconds: how long it may stand for
PRECISION_S = {"year": 366 * 86400, "month": 31 * 86400, "day": 86400, "hour": 3600, "minute": 60, "second": 1, "fraction": 0}


T = TypeVar("T")


class Telling(Protocol):
    """What an event says."""

    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


class Place(NamedTuple):
    """Where a telling stands among others; the greatest is the newest."""

    at: datetime  # the moment that it counts from
    behind: bool  # whether it follows a finer one of this very moment
    arrival: int


class Tellings:
    """The moments of one thing in the order of their arrival; each is placed in logarithmic time."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []

    def place(self, at: datetime, precision: float) -> Place:
        """Return where a telling stands that arrives now, of the moment `at` and the `precision` seconds behind it."""
        arrival = len(self._starts)
        last = bisect_left(self._starts, at + timedelta(seconds=precision)) - 1
        begins = max(at, self._starts[last]) if last >= 0 else at
        insort(self._starts, at)
        return Place(begins, begins > at, arrival)


def happened_at(event: Telling) -> datetime:
    """Return when an event occurred, at the latest when it was recorded: a sender's clock that is fast tells nothing of the future."""
    return min(event.occurred_at, event.recorded_at)


def told_at(event: Telling, said: datetime) -> datetime:
    """Return a moment that an event says, at the latest when it was recorded, for the same reason; the staging models say the same."""
    return min(said, event.recorded_at)


def precision_s(event: Telling, name: str = "occurred_precision") -> float:
    """Return to how many seconds a moment of an event was told, 0 where it does not say it (events of before).

    `…_span_s` says it where a day, a month or an hour lasts longer or shorter than such a one mostly does.
    """
    span = event.data.get(name.removesuffix("precision") + "span_s")
    return PRECISION_S.get(event.data.get(name) or "", 0) if span is None else span


def in_order(told: Iterable[tuple[datetime, float, T]]) -> list[tuple[datetime, T]]:
    """Return (moment that it counts from, what is told) of tellings of one thing, given as they arrived, the newest last."""
    tellings = Tellings()
    placed = sorted(((tellings.place(at.astimezone(UTC), s), e) for at, s, e in told), key=lambda p: p[0])
    return [(p.at, e) for p, e in placed]
