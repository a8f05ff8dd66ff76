"""When a journal wakes its consumer, and what Airflow is told of how a job ended."""

import json
import sqlite3
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from photopeak_airflow.operators import outcome
from photopeak_airflow.triggers import Watch, committed_offsets, head, holds


def walk(watch: Watch, looks: list[tuple[float, int, int]]) -> list[float]:
    """Return the moments of wake-ups for looks of (moment, head, committed)."""
    return [now for now, top, done in looks if watch.step(now, {"dicom": top}, {"dicom": done} if done else {})]


def test_what_came_while_it_was_down_wakes() -> None:
    assert walk(Watch({"dicom": 5}), [(t, 7, 3) for t in range(0, 10, 2)]) == [4]


def test_nothing_new_never_wakes() -> None:
    assert walk(Watch({"dicom": 5}), [(t, 7, 7) for t in range(0, 1000, 2)]) == []


def test_a_burst_wakes_once_when_it_rests() -> None:
    assert walk(Watch({"dicom": 5}), [(t, min(t, 20) + 1, 0) for t in range(0, 40, 2)]) == [24]


def test_a_stream_that_never_rests_wakes_within_half_a_minute() -> None:
    assert walk(Watch({"dicom": 5}), [(t, t + 1, 0) for t in range(0, 60, 2)])[:1] == [30]


def test_a_lost_wake_up_is_repeated_and_a_running_one_is_not() -> None:
    assert walk(Watch({"dicom": 5}, again_s=180), [(t, 9, 0) for t in range(0, 300, 2)]) == [4, 184]


def test_a_commit_arms_it_again() -> None:
    looks = [(t, 9, 0) for t in range(0, 6, 2)] + [(6, 9, 9)] + [(t, 12, 9) for t in range(8, 16, 2)]
    assert walk(Watch({"dicom": 5}), looks) == [4, 12]


def test_a_closed_series_wakes_at_once_and_a_stream_of_them_not_every_time() -> None:
    watch = Watch({"dicom": 10}, quiet_s=12)
    woke, done = [], 0
    for now in range(40):
        if watch.step(now, {"dicom": now + 1}, {"dicom": done}, at_once=now >= 3):
            woke.append(now)
            done = now + 1
    assert woke == [3, 13, 23, 33]


def test_live_readings_alone_wake_every_quarter_of_an_hour_batches_at_once() -> None:
    watch = Watch({"modbus": 900, "events": 20})
    woke, done = [], {"modbus": 0, "events": 0}
    for now in range(0, 2000, 2):
        heads = {"modbus": now // 10 + 1, "events": 5 if now > 300 else 0}
        if watch.step(now, heads, done):
            woke.append(now)
            done = dict(heads)
    assert woke == [4, 302, 1202]


def test_head_and_commit_are_read_without_writing(tmp_path: Path) -> None:
    assert head(tmp_path / "none.db") == 0 and committed_offsets(tmp_path / "none.json") == {}
    with sqlite3.connect(tmp_path / "j.db") as db:
        db.execute("CREATE TABLE event (offset INTEGER PRIMARY KEY, type TEXT)")
        db.executemany("INSERT INTO event VALUES (?, ?)", [(1, "dicom.instance"), (2, "dicom.series")])
    (tmp_path / "c.json").write_text(json.dumps({"committed": {"j": 1}, "pending": None}))
    assert (head(tmp_path / "j.db"), committed_offsets(tmp_path / "c.json")) == (2, {"j": 1})
    assert [holds(tmp_path / "j.db", after, "dicom.series") for after in (0, 1, 2)] == [True, True, False]
    assert not holds(tmp_path / "j.db", 1, "dicom.instance")


def test_outcomes() -> None:
    assert outcome("build_marts", 0, '{"read": 3}', "", False) == {"read": 3}
    assert outcome("analyse_images", 99, '{"read": 0}', "", True) == {"read": 0}
    with pytest.raises(AirflowSkipException):
        outcome("build_marts", 99, "{}", "", False)
    with pytest.raises(AirflowSkipException, match="switched off by P01"):
        outcome("analyse_images", 99, '{"read": 0, "switched_off": "analyse_images is switched off by P01"}', "", True)
    with pytest.raises(AirflowException, match="tries again by itself"):
        outcome("build_marts", 75, "", "locked", False)
    with pytest.raises(AirflowException, match=r"the disk is full.*photopeak job build_marts"):
        outcome("build_marts", 3, "", "photopeak: the disk is full", False)
