"""Which telling is the newest: moments of unequal precision, in every order of arrival."""

from datetime import UTC, datetime
from itertools import permutations

import pytest

from connectors.events import Event
from judgement.newest import PRECISION_S, Tellings, in_order, precision_s


def told(text: str) -> tuple[datetime, float, Event]:
    """Return `what@moment/precision` as a telling."""
    what, _, rest = text.partition("@")
    moment, _, precision = rest.partition("/")
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    event = Event("his.order", "s", what, "S", "A1", at, at, {"occurred_precision": precision} if precision else {})
    return at, precision_s(event), event


@pytest.mark.parametrize(
    ("arrived", "newest"),
    [
        (("order@2026-11-30T15:30/second", "cancel@2026-11-30/day"), "cancel"),
        (("order@2026-11-30T15:30:12/second", "cancel@2026-11-30T15:30/minute"), "cancel"),
        (("order@2026-11-30T15:30:12/second", "cancel@2026-11-30T15:00/hour"), "cancel"),
        (("order@2026-11-30T15:30:12/second", "cancel@2026-11-30T15:30:12/second"), "cancel"),
        (("order@2026-11-30T15:30:12.500/fraction", "cancel@2026-11-30T15:30:12/second"), "cancel"),
        (("cancel@2026-11-30/day", "order@2026-11-30T15:30/second"), "order"),  # ordered anew on the same day
        (("cancel@2026-11-30T16:00/second", "order@2026-11-30/day"), "order"),
        (("order@2026-11-30T15:30/second", "old@2026-11-29/day"), "order"),  # a cancellation of the day before, sent again
        (("order@2026-11-30T15:30/second", "old@2026-11-30T15:29/minute"), "order"),
        (("cancel@2026-11-30T16:00/second", "order@2026-11-30T15:30/second"), "cancel"),
        (("order@2026-11-30T15:30/second", "cancel@2026-11-30/day", "again@2026-11-30T15:30/second"), "cancel"),
        (("order@2026-11-30T15:30/second", "cancel@2026-11-30/day", "again@2026-11-30T14:00/second"), "cancel"),
        (("order@2026-11-30T15:30/second", "cancel@2026-11-30/day", "new@2026-11-30T16:00/second"), "new"),
        (("order@2026-11-30/day", "cancel@2026-11-30/day"), "cancel"),
        (("order@2026-11-30T15:30", "cancel@2026-11-30T00:00"), "order"),  # events of before: as it was
    ],
)  # fmt: skip
def test_of_unequal_precision_the_coarser_decides_and_then_the_arrival(arrived: tuple[str, ...], newest: str) -> None:
    assert in_order(told(t) for t in arrived)[-1][1].id == newest


def test_the_order_never_contradicts_itself() -> None:
    three = ("a@2026-11-30T15:30:12/second", "b@2026-11-30T15:30/minute", "c@2026-11-30T15:30:50/second")
    for arrived in permutations(three):
        ids = [e.id for _, e in in_order(told(t) for t in arrived)]
        assert ids.index("a") < ids.index("c")  # of equal precision the moments decide, whatever lies between
        assert ids == [e.id for _, e in in_order(told(t) for t in arrived)]


def test_a_telling_counts_from_the_latest_moment_within_it() -> None:
    tellings, day = Tellings(), datetime(2026, 11, 30, tzinfo=UTC)
    assert tellings.place(day.replace(hour=9), PRECISION_S["second"]).at.hour == 9
    assert tellings.place(day, PRECISION_S["day"]) == (day.replace(hour=9), True, 1)
    assert tellings.place(day, PRECISION_S["minute"]) == (day, False, 2)
