"""A site's wall clock by its IANA zone: days of 23 and 25 hours, times that come twice, and the same rules in Python and in SQL."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from pydantic import ValidationError
from pydicom import Dataset
from pydicom.config import disable_value_validation
from test_worklist_holds import House

from connectors.dicom.storage.facts import acquired_at, clock_doubts
from connectors.documents import utc_of
from connectors.events import Event
from connectors.his.facts import Fact, facts, patient
from connectors.his.message import parse
from connectors.settings import load
from expectations.pages import _environment
from expectations.population import rules_in_force
from judgement import reference
from judgement.days import (
    day_start,
    from_wall,
    is_doubtful,
    local,
    local_day,
    local_text,
    present_day,
    site_zone,
    with_local_times,
    zone_text,
)
from judgement.newest import happened_at, in_order, precision_s
from judgement.rows import Site

ROOT = Path(__file__).resolve().parents[2]
BERLIN, CHINA = site_zone("Europe/Berlin"), site_zone("Asia/Shanghai")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
ZONES = (
    "Europe/Berlin", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC",
    # the clock is changed at midnight, so that midnight does not exist or comes twice
    "Atlantic/Azores", "America/Havana", "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia",
)  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Berlin",
        "Europe",
        "Europe/Berlinn",
        "../etc/passwd",
        "/etc/localtime",
        "UTC+8",
        "480",
        "+08:00",
        "right/Europe/Berlin",
        "localtime",
    ],
)
def test_a_name_that_is_no_zone_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no IANA time zone"):
        site_zone(name)
    with pytest.raises(ValidationError, match="is no IANA time zone"):
        load(home=tmp_path, time_zone=name)
    (tmp_path / "sites.csv").write_text(f"site_id,name_en,name_zh,time_zone\nMAIN,M,M,{name}\n")
    with pytest.raises(reference.BadReference, match=r"sites\.csv, line 2: time_zone"):
        reference.read(Site, tmp_path)


def test_an_offset_of_former_versions_is_refused_with_the_setting_that_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(home=tmp_path).zone == CHINA
    (tmp_path / "photopeak.env").write_text("PHOTOPEAK_UTC_OFFSET_MINUTES=480\n")
    with pytest.raises(ValidationError, match="set PHOTOPEAK_TIME_ZONE"):
        load(home=tmp_path)
    (tmp_path / "photopeak.env").write_text("PHOTOPEAK_TIME_ZONE=Europe/Berlin\n")
    assert load(home=tmp_path).zone == BERLIN
    monkeypatch.setenv("PHOTOPEAK_UTC_OFFSET_MINUTES", "60")
    with pytest.raises(ValidationError, match="set PHOTOPEAK_TIME_ZONE"):
        load(home=tmp_path)


def test_days_of_23_and_25_hours() -> None:
    hours = {d: (day_start(d + timedelta(days=1), BERLIN) - day_start(d, BERLIN)) / timedelta(hours=1) for d in (SPRING, AUTUMN)}
    assert hours == {SPRING: 23, AUTUMN: 25}
    assert (
        local_day(utc("2026-03-28T22:59"), BERLIN) == date(2026, 3, 28) and local_day(utc("2026-03-28T23:00"), BERLIN) == SPRING
    )
    assert local_day(utc("2026-03-29T21:59"), BERLIN) == SPRING and local_day(utc("2026-03-29T22:00"), BERLIN) != SPRING
    assert local_day(utc("2026-10-24T22:00"), BERLIN) == AUTUMN == local_day(utc("2026-10-25T22:59"), BERLIN)
    assert present_day(utc("2026-10-25T23:00"), BERLIN) == AUTUMN, "midnight is the end of the day before"
    assert local(datetime(2026, 7, 1, 10), BERLIN).isoformat() == "2026-07-01T12:00:00+02:00", "a naive moment is UTC"


def test_a_time_that_comes_twice_is_the_first_a_missing_one_keeps_the_offset() -> None:
    assert from_wall(datetime(2026, 10, 25, 2, 30), BERLIN) == utc("2026-10-25T00:30")
    assert (
        from_wall(datetime(2026, 3, 29, 2, 30), BERLIN)
        == utc("2026-03-29T01:30")
        == from_wall(datetime(2026, 3, 29, 3, 30), BERLIN)
    )
    doubtful = [h for d in (SPRING, AUTUMN) for h in range(24) if is_doubtful(datetime(d.year, d.month, d.day, h, 30), BERLIN)]
    assert doubtful == [2, 2] and not any(is_doubtful(datetime(2026, 3, 29, h), CHINA) for h in range(24))


def test_a_page_says_times_that_come_twice_apart() -> None:
    assert local_text(utc("2026-10-25T00:30"), BERLIN) == "2026-10-25 02:30 UTC+02:00"
    assert local_text(utc("2026-10-25T01:30"), BERLIN) == "2026-10-25 02:30 UTC+01:00"
    assert local_text(utc("2026-03-29T01:30"), BERLIN) == "2026-03-29 03:30"
    assert local_text(datetime(2026, 3, 10, 16), CHINA) == "2026-03-11 00:00"
    assert [zone_text(site_zone(n)) for n in ("Asia/Shanghai", "Europe/Berlin", "UTC", "Asia/Kathmandu", "America/Bogota")] == [
        "UTC+08:00", "Europe/Berlin", "UTC", "UTC+05:45", "UTC-05:00",
    ]  # fmt: skip
    shown = _environment(BERLIN).globals["moment"]
    assert shown("2026-07-01T10:00:00Z") == "2026-07-01 12:00 Europe/Berlin"
    assert shown("2026-01-01T10:00:00Z") == "2026-01-01 11:00 Europe/Berlin"


MSH = "MSH|^~\\&|HIS|HOSP|PHOTOPEAK|MAIN|{sent}||ORM^O01|M1|P|2.5.1||||||UNICODE UTF-8\r"
ORDER = (
    "PID|1||P1||A^B||19800517|M\rORC|NW|7|A1||SC||||{ordered}\rOBR|1|7|A1|BONE^x^L|||||||||x|||||A1" + "|" * 18 + "{planned}\r"
)


def order(planned: str, sent: str = "20261001090000", ordered: str = "20261001090000") -> Fact:
    message = parse((MSH.format(sent=sent) + ORDER.format(ordered=ordered, planned=planned)).encode())
    (fact,) = facts(message, "PT-1", patient(message), BERLIN)
    return fact


@pytest.mark.parametrize(
    ("planned", "moment", "doubted"),
    [
        ("20260328100000", "2026-03-28T09:00:00", False),
        ("20260329010000", "2026-03-29T00:00:00", False),
        ("20260329023000", "2026-03-29T01:30:00", True),  # does not exist
        ("20260329030000", "2026-03-29T01:00:00", False),
        ("20260329100000", "2026-03-29T08:00:00", False),
        ("20261025013000", "2026-10-24T23:30:00", False),
        ("20261025023000", "2026-10-25T00:30:00", True),  # comes twice
        ("20261025023000+0100", "2026-10-25T01:30:00", False),
        ("20261025030000", "2026-10-25T02:00:00", False),
        ("20261025", "2026-10-24T22:00:00", False),
        ("20261026", "2026-10-25T23:00:00", False),
    ],
)
def test_the_time_of_an_order_follows_the_clock_of_its_day(planned: str, moment: str, doubted: bool) -> None:
    fact = order(planned)
    assert fact.data["scheduled_at_utc"].startswith(moment)
    assert fact.data.get("doubts", []) == ([{"field": "OBR-36", "doubt": "clock_change"}] if doubted else [])


def test_the_moment_of_a_message_itself_may_be_the_doubtful_one() -> None:
    fact = order("20261026100000", sent="20261025023000", ordered="")
    assert fact.occurred_at == utc("2026-10-25T00:30") and fact.data["doubts"] == [{"field": "MSH-7", "doubt": "clock_change"}]
    named = order("20261026100000", sent="20261025023000+0100", ordered="20261025024000")
    assert named.occurred_at == utc("2026-10-25T01:40") and "doubts" not in named.data, "the zone of MSH-7 settles it"


@pytest.mark.parametrize(
    ("given", "moment", "field"),
    [
        ({"AcquisitionDate": "20260328", "AcquisitionTime": "080000"}, "2026-03-28T07:00", None),
        ({"AcquisitionDate": "20260329", "AcquisitionTime": "080000"}, "2026-03-29T06:00", None),
        ({"AcquisitionDate": "20260329", "AcquisitionTime": "023000.5"}, "2026-03-29T01:30:00.500000", "AcquisitionTime"),
        ({"AcquisitionDateTime": "20261025023000"}, "2026-10-25T00:30", "AcquisitionDateTime"),
        ({"AcquisitionDateTime": "20261025023000+0100"}, "2026-10-25T01:30", None),
        ({"SeriesDate": "20261025", "SeriesTime": "0230", "TimezoneOffsetFromUTC": "+0100"}, "2026-10-25T01:30", None),
        ({"StudyDate": "20261025", "StudyTime": "235900"}, "2026-10-25T22:59", None),
        ({"StudyDate": "20261025"}, "2026-10-24T22:00", "StudyTime"),
    ],
)
def test_the_acquisition_time_follows_the_clock_of_its_day(given: dict[str, str], moment: str, field: str | None) -> None:
    dataset = Dataset()
    for keyword, value in given.items():
        setattr(dataset, keyword, value)
    assert acquired_at(dataset, BERLIN) == utc(moment)
    assert [d["field"] for d in clock_doubts(dataset, BERLIN)] == ([field] if field else [])


OTHERS = {
    "AcquisitionDate": "20261130",
    "ContentDate": "20261128",
    "ContentTime": "093000",
    "SeriesDate": "20261129",
    "SeriesTime": "080000",
}


@pytest.mark.parametrize(("given", "moment", "doubts"), [
    ({}, "2026-11-28T08:30", [("AcquisitionTime", "other_time")]),
    ({"AcquisitionTime": ""}, "2026-11-28T08:30", [("AcquisitionTime", "other_time")]),
    ({"ContentTime": ""}, "2026-11-29T07:00", [("AcquisitionTime", "other_time")]),
    ({"AcquisitionTime": "256000"}, "2026-11-28T08:30", [("AcquisitionTime", "unreadable")]),
    ({"AcquisitionDate": "01122026", "AcquisitionTime": "100000"}, "2026-11-28T08:30", [("AcquisitionDate", "unreadable")]),
    ({"AcquisitionTime": "100000", "AcquisitionDateTime": "garbage"}, "2026-11-30T09:00", [("AcquisitionDateTime", "unreadable")]),
    *(({"AcquisitionTime": "100000", "TimezoneOffsetFromUTC": z}, "2026-11-30T09:00", [("TimezoneOffsetFromUTC", "unreadable")])
      for z in ("UTC+8", "CET", "+9900", "+1500", "+0860")),
    ({"AcquisitionTime": "100000", "TimezoneOffsetFromUTC": "+0800"}, "2026-11-30T02:00", []),
    ({"AcquisitionTime": "100000"}, "2026-11-30T09:00", []),
    ({"AcquisitionDate": "20270601", "AcquisitionTime": "100000"}, "2027-06-01T08:00", [("AcquisitionTime", "ahead")]),
])  # fmt: skip
def test_an_acquisition_time_is_told_or_doubted_and_never_invented(
    given: dict[str, str], moment: str, doubts: list[tuple[str, str]]
) -> None:
    dataset = Dataset()
    with disable_value_validation():
        for keyword, value in (OTHERS | given).items():
            setattr(dataset, keyword, value)
    assert acquired_at(dataset, BERLIN) == utc(moment)
    found = clock_doubts(dataset, BERLIN, utc("2026-12-01T12:00"))
    assert [(d["field"], d["doubt"]) for d in found] == doubts


def test_a_report_without_an_offset_is_of_the_clock_of_its_day() -> None:
    assert utc_of("2026-03-28T08:00:00", BERLIN) == utc("2026-03-28T07:00") and utc_of("2026-03-29T08:00:00", BERLIN) == utc(
        "2026-03-29T06:00"
    )
    assert utc_of("2026-03-29T08:00:00+08:00", BERLIN) == utc("2026-03-29T00:00")


@pytest.mark.parametrize(
    ("starts", "day", "clock"),
    [
        ("2026-03-28T22:30", "20260328", "233000"), ("2026-03-28T23:30", "20260329", "003000"), ("2026-03-29T21:30", "20260329", "233000"),
        ("2026-03-29T22:30", "20260330", "003000"), ("2026-10-24T22:30", "20261025", "003000"), ("2026-10-25T22:30", "20261025", "233000"),
    ],
)  # fmt: skip
def test_a_worklist_is_of_the_local_day(tmp_path: Path, starts: str, day: str, clock: str) -> None:
    house = House(tmp_path)
    house.settings, house.now = load(home=tmp_path, time_zone="Europe/Berlin"), utc(starts) - timedelta(hours=1)
    house.events = lambda accession: []  # type: ignore[method-assign]  # nobody asks for its forms here
    house.start()
    step = Dataset()
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = day, ""
    house.order("A1", at=utc(starts), said=house.now - timedelta(hours=1))
    _, entries = house.ask("GC1", ScheduledProcedureStepSequence=[step])
    found = [e.ScheduledProcedureStepSequence[0] for e in entries]
    assert [(s.ScheduledProcedureStepStartDate, s.ScheduledProcedureStepStartTime) for s in found] == [(day, clock)]


def macro(name: str, *arguments: str) -> str:
    """Return the SQL that a macro of the warehouse makes for DuckDB."""
    source = (ROOT / "dbt_project" / "macros" / "engine.sql").read_text(encoding="utf-8")
    wanted = "".join(
        re.findall(r"\{% macro (?:wall_clock|local_day|wall_utc|day_start_utc)\(.*?\{%- endmacro %\}", source, re.DOTALL)
    )
    environment = jinja2.Environment()
    environment.globals["target"] = SimpleNamespace(type="duckdb")
    return environment.from_string(wanted + f"{{{{ {name}({', '.join(map(repr, arguments))}) }}}}").render()


@pytest.mark.parametrize("name", ZONES)
def test_the_warehouse_has_the_same_days_and_hours_as_python(name: str) -> None:
    zone = site_zone(name)
    halves = [datetime(2026, 1, 1) + timedelta(minutes=30 * n) for n in range(2 * 24 * 366)]
    # around each change of the clock, and each day's beginning
    moments = [m for m in halves if local(m, zone).utcoffset() != local(m + timedelta(hours=30), zone).utcoffset() or m.hour == 0]
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(366)]
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'")
        db.execute("create table m as select unnest($1::timestamp[]) as moment, $2 as zone", [moments, name])
        assert db.execute(f"select {macro('local_day', 'moment', 'zone')} from m").fetchall() == [
            (local_day(m, zone),) for m in moments
        ]
        db.execute("create table d as select unnest($1::date[]) as day, $2 as zone", [days, name])
        begun = db.execute(f"select {macro('day_start_utc', 'day', 'zone')} from d").fetchall()
        assert begun == [(day_start(d, zone).replace(tzinfo=None),) for d in days]
        if name != "Australia/Lord_Howe":  # there the hour that comes twice is half an hour
            read = db.execute(f"select {macro('wall_utc', 'moment', 'zone')} from m").fetchall()
            assert read == [(from_wall(m, zone).replace(tzinfo=None),) for m in moments]


@pytest.mark.parametrize(
    ("as_of", "day"),
    [("2026-03-29 22:00", "2026-03-29"), ("2026-10-25 22:30", "2026-10-25"), ("2026-10-25 23:30", "2026-10-26")],
)
def test_reports_take_the_rules_of_the_last_local_day(as_of: str, day: str) -> None:
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'")
        db.execute("create schema marts; create table marts.mart_release as select $1::timestamp as as_of_utc", [as_of])
        db.execute(
            "create table marts.dim_rule as select 'R' as rule_id, '1' as version, $1::date as valid_from, $1::date as valid_until",
            [day],
        )
        assert list(rules_in_force(db, BERLIN)) == ["R"]
        assert not rules_in_force(db, site_zone("Asia/Shanghai")) or day != "2026-03-29"


def test_nothing_adds_minutes_to_a_moment_to_make_it_local() -> None:
    told = [
        ROOT / room
        for room in (
            "connectors",
            "judgement",
            "devices",
            "terminals",
            "warehouse",
            "expectations",
            "dashboards",
            "photopeak",
            "spark_jobs",
            "dbt_project",
        )
    ]
    files = [
        p
        for room in told
        for p in room.rglob("*")
        if p.suffix in (".py", ".sql", ".json", ".yml", ".csv") and "target" not in p.parts
    ]
    named = [str(p.relative_to(ROOT)) for p in files if "utc_offset_minutes" in p.read_text(encoding="utf-8")]
    assert named == ["connectors/settings.py"], "there it is refused"


def test_moments_in_a_sentence_are_shown_on_the_clock_of_the_site() -> None:
    said = "worst hour 2026-10-08T06:00Z, flagged on 2026-11-05, again 2026-12-31T23:30:00Z; T06:00Z"
    shown = "worst hour 2026-10-08 14:00, flagged on 2026-11-05, again 2027-01-01 07:30; T06:00Z"
    assert with_local_times(said, CHINA) == shown
    assert with_local_times("from 2026-07-01T10:00Z on", BERLIN, named=True) == f"from 2026-07-01 12:00 {zone_text(BERLIN)} on"


@pytest.mark.parametrize(("new", "stop", "is_open"), [
    ("20261025233000", "20261025", False), ("20261025235959", "20261025", False), ("20261025233000", "20261024", True),
    ("20261026003000", "20261025", True), ("20260330003000", "20260329", True), ("20260329233000", "20260329", False),
    ("20261031233000", "202610", False), ("20261101003000", "202610", True), ("20260301003000", "202602", True),
    ("20261025023000+0100", "2026102502", False), ("20261025023030+0100", "202610250230", False), ("20261025033000", "2026102502", True),
    ("20261025023000", "20261025021500", False), ("20261025123000", "20261025121500", True), ("20261025023000+0100", "20261025021500+0200", True),
])  # fmt: skip
@pytest.mark.parametrize("by", ["orc", "msh"])
def test_what_stops_an_order_is_read_as_late_as_it_can_be_meant(new: str, stop: str, is_open: bool, by: str) -> None:
    def event(n: int, control: str, told: str) -> Event:
        orc9, msh7 = (told, "20261201080000") if by == "orc" else ("", told)
        content = f"MSH|^~\\&|H|H|P|M|{msh7}||ORM^O01|{n}|P|2.5.1\rPID|1||P1||A^B\rORC|{control}||A1||||||{orc9}\rOBR|1|||BONE\r"
        message = parse(content.encode())
        (fact,) = facts(message, "PT-1", patient(message), BERLIN)
        return Event(
            fact.type, "s", str(n), "S", "A1", fact.occurred_at, utc("2026-12-01T08:00") + timedelta(seconds=n), fact.data
        )

    told = [event(1, "NW", new), event(2, "CA", stop)]
    ordered = in_order((happened_at(e), precision_s(e), e) for e in told)
    assert (ordered[-1][1].data["order_control"] == "NW") == is_open
    late = [event(1, "CA", "20261025025000"), event(2, "NW", "20261025021000")]  # sent before, and came late
    assert in_order((happened_at(e), precision_s(e), e) for e in late)[-1][1].data["order_control"] == "CA"
