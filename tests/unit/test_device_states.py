"""Whether a device is fit now: by its newest verdicts, scheduled or not, its checks and its schedule."""

from datetime import date, datetime, timedelta
from itertools import product

import pytest

from judgement.devices import DeviceTest, due_tests, has_opened, impossible, newest_failures, state_of
from judgement.rows import Component, OpeningHours, Scheduled

TODAY = date(2026, 3, 10)
DAILY, WEEKLY = Scheduled("GC1", "daily", 1, "2026-01-01"), Scheduled("GC1", "weekly", 7, "2026-01-01")


def test_of(
    procedure: str | None, state: str, ago: int = 0, hour: int = 7, device: str = "GC1", reason: str = "why"
) -> DeviceTest:
    day = TODAY - timedelta(days=ago)
    return DeviceTest(device, procedure, day, datetime(day.year, day.month, day.day, hour), state, reason)


test_of.__test__ = False  # type: ignore[attr-defined]


def state(
    *tests: DeviceTest, due: tuple[Scheduled, ...] = (DAILY,), checks: tuple[str, ...] = (), opened: bool = False, first: int = 90
) -> tuple:
    found = state_of("GC1", TODAY, due, tests, list(checks), opened, TODAY - timedelta(days=first))
    return found["state"], found["reason"], [t["procedure"] for t in found["tests"]]


@pytest.mark.parametrize("scheduled", [True, False])
@pytest.mark.parametrize(("ago", "passed_ago"), [(0, None), (1, None), (40, None), (40, 41), (3, 3)])
def test_every_failure_counts_and_stands_until_the_same_test_passes(scheduled: bool, ago: int, passed_ago: int | None) -> None:
    daily, others = test_of("daily", "pass"), [test_of("other", "pass", passed_ago, 6)] if passed_ago is not None else []
    due = (DAILY, Scheduled("GC1", "other", 1, "2026-01-01")) if scheduled else (DAILY,)
    missing = "; other is missing" if scheduled and ago else ""
    why = (
        "other failed (why)"
        if ago == 0
        else f"other failed on {TODAY - timedelta(days=ago)} and has not passed since (why){missing}"
    )
    assert state(daily, test_of("other", "fail", ago), *others, due=due) == ("not_fit", why, ["other"])
    mended = state(daily, test_of("other", "fail", ago), test_of("other", "pass", 0, 9), due=due)
    assert mended == ("fit", None, [])
    warned = state(daily, test_of("other", "fail", ago), test_of("other", "warn", 0, 9), due=due)
    assert warned[0] == ("conditional" if scheduled else "fit")


@pytest.mark.parametrize("state_of_try", ["not_measured", "indicative", "none"])
def test_a_try_without_a_verdict_heals_nothing(state_of_try: str) -> None:
    later = test_of("other", state_of_try, 0, 9)
    assert state(test_of("daily", "pass"), test_of("other", "fail", 2), later)[0] == "not_fit"
    assert state(test_of("daily", "fail", 0), test_of("daily", state_of_try, 0, 9))[0] == "not_fit"
    unread = test_of(None, "not_measured", 0, 9)
    assert state(test_of("daily", "fail", 1), unread) == (
        "not_fit",
        f"daily failed on {TODAY - timedelta(days=1)} and has not passed since (why)",
        ["daily"],
    )


def test_another_devices_failure_is_another_devices() -> None:
    assert state(test_of("daily", "pass"), test_of("other", "fail", device="GC2"))[0] == "fit"


def test_a_test_covers_its_period_and_is_due_when_it_could_have_been_made() -> None:
    due = (WEEKLY,)
    assert state(test_of("weekly", "pass", 6), due=due)[0] == "fit"
    assert state(test_of("weekly", "pass", 7), due=due) == ("not_confirmed", "weekly is missing", ["weekly"])
    assert state(due=due, first=6)[:2] == ("not_confirmed", "weekly is missing")
    assert state(due=due, first=5)[:2] == ("not_confirmed", "no test is scheduled")
    assert state(test_of("weekly", "fail", 8), due=due, first=5)[0] == "not_fit", "due or not, it failed"
    assert state(opened=True)[1] == "daily was not tested by the opening time"
    assert state(test_of(None, "not_measured"))[1] == "daily was not measured (why)"


def test_only_failures_of_tests_that_nobody_scheduled_count() -> None:
    assert state(test_of("other", "pass"), due=()) == ("not_confirmed", "no test is scheduled", [])
    assert state(test_of("other", "fail"), due=())[0] == "not_fit"
    assert state(test_of("daily", "pass"), test_of("other", "warn"))[0] == "fit"
    assert state(test_of("daily", "pass"), checks=("display",)) == ("not_fit", "check failed: display", [])


def test_the_worst_of_all_combinations_decides() -> None:
    rank = {"pass": 0, "warn": 1, "none": 2, "fail": 3}
    names = ("fit", "conditional", "not_confirmed", "not_fit")
    due = (DAILY, WEEKLY)
    for a, b in product(rank, repeat=2):
        assert state(test_of("daily", a), test_of("weekly", b), due=due)[0] == names[max(rank[a], rank[b])]


def test_the_newest_row_of_a_schedule_holds_from_its_day() -> None:
    rows = [
        Scheduled("GC1", "p", 7, "2026-01-01"),
        Scheduled("GC1", "p", 1, "2026-03-10"),
        Scheduled("GC1", "p", 3, "2026-03-11"),
    ]
    assert due_tests(rows, TODAY) == [rows[1]] and due_tests(rows, TODAY - timedelta(days=1)) == [rows[0]]
    assert due_tests(rows, date(2025, 12, 31)) == []


def test_opening_hours_of_a_device_go_before_those_of_the_site() -> None:
    hours = [
        OpeningHours("MAIN", None, "07:30", "2000-01-01"), OpeningHours("MAIN", "GC1", "09:00", "2000-01-01"),
        OpeningHours("EAST", None, "01:00", "2000-01-01"), OpeningHours("MAIN", None, "06:00", "2026-03-11"),
    ]  # fmt: skip
    at = datetime(2026, 3, 10, 7, 30)
    assert has_opened("SPCT1", hours, "MAIN", at) and not has_opened("SPCT1", hours, "MAIN", at - timedelta(minutes=1))
    assert not has_opened("GC1", hours, "MAIN", at) and has_opened("GC1", hours, "MAIN", at.replace(hour=9))
    assert not has_opened("GC1", [], "MAIN", at)


def test_the_newest_result_of_a_check_counts() -> None:
    at = datetime(2026, 3, 10, 7)
    checks = [
        ("GC1", "b", at, "fail"),
        ("GC1", "a", at, "fail"),
        ("GC1", "a", at + timedelta(hours=1), "pass"),
        ("GC2", "a", at, "fail"),
    ]
    assert newest_failures(checks) == {"GC1": ["b"], "GC2": ["a"]}


def test_a_schedule_of_what_does_not_exist_is_named_by_its_row() -> None:
    components = [
        Component("planar_uniformity", "procedure", "o", "job analyse_phantoms", "i", "o"),
        Component("whole_body_bone", "procedure", "o", "job analyse_images", "i", "o"),
    ]
    rows = [Scheduled("GC1", "planar_uniformity", 1, "2026-01-01"), Scheduled("GC9", "whole_body_bone", 0, "2026-01-01")]
    from judgement.reference import read
    from judgement.rows import Device

    wrong = impossible(rows, read(Device), components)
    assert [n for n, _ in wrong] == [1, 1, 1] and "GC9" in wrong[0][1] and "planar_uniformity" in wrong[1][1]
