"""Time stamps of messages: absent, read with their precision and zone, or refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.his.times import Told, Unreadable, read_time

CHINA = timezone(timedelta(hours=8))
TEN = datetime(2026, 12, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("20261203100000", "second"), ("202612031000", "minute"), ("2026120310", "hour"), ("20261203100000.0", "fraction"),
        ("20261203100000,000", "fraction"), ("2026-12-03 10:00:00", "second"), ("2026-12-03T10:00:00", "second"),
        ("2026-12-03T10:00", "minute"), ("2026/12/03 10:00", "minute"), ("2026.12.03 10:00:00", "second"),
        ("20261203 1000", "minute"), ("20261203T100000", "second"), ("20261203020000Z", "second"), ("20261203020000z", "second"),
        ("20261203100000+0800", "second"), ("20261203100000+08:00", "second"), ("20261203100000+08", "second"),
        ("2026-12-02T21:00:00.5-05:00", None), ("2026-12-03T02:00:00Z", "second"), ("2026-12-03T02:00:00.000Z", "fraction"),
        ("2026-12-03 10:00:00 +0800", "second"), ("20261203100000.1234567", None), (" 20261203100000 ", "second"),
    ],
)  # fmt: skip
def test_readable_forms_say_the_same_moment(text: str, precision: str | None) -> None:
    told = read_time(text, CHINA)
    assert told is not None and told.at.replace(microsecond=0) == TEN and (precision is None or told.precision == precision)


@pytest.mark.parametrize(
    "text",
    [
        "20261301", "yesterday", "0", "00000000", "20261203102460", "20261203250000", "20261203100000+9999", "20261203100000+2400", "2026120",
        "202612031", "03.12.2026", "12/03/2026", "2026-12-03 10", "2026-12-03T10:00:00 PM", "2026-12/03", "20261203100000+", "20261203-",
        "2026-02-30", "20261203T", "张三", "20261203100000+080", "20261203100000 CST", "2026-12-03T10:00:00+08:60", "٢٠٢٦1203",
        "2026-12", "2026-1203",
    ],
)  # fmt: skip
def test_what_is_present_and_not_readable_is_never_absent(text: str) -> None:
    with pytest.raises(Unreadable):
        read_time(text, CHINA)


def test_absent_zones_and_degrees() -> None:
    assert read_time("", CHINA) is None and read_time("  ", CHINA) is None
    assert read_time("20261203100000", UTC) == Told(TEN + timedelta(hours=8), "second")
    assert read_time("20261203100000+0530", UTC) == Told(datetime(2026, 12, 3, 4, 30, tzinfo=UTC), "second")
    assert read_time("20261203-0330", CHINA) == Told(datetime(2026, 12, 3, 3, 30, tzinfo=UTC), "day")
    assert read_time("20261203103059", CHINA, "H") == Told(TEN, "hour")
    assert read_time("20261203", CHINA, "S") == read_time("2026-12-03", CHINA) == Told(TEN - timedelta(hours=10), "day")
    assert read_time("2026", CHINA) == Told(datetime(2025, 12, 31, 16, tzinfo=UTC), "year")
    assert read_time("202612", CHINA) == Told(datetime(2026, 11, 30, 16, tzinfo=UTC), "month")
