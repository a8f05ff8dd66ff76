"""Journals into the lake: every event once, in spite of crashes, and readable by DuckDB from the first moment."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from connectors.events import Event, intake_outcome
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake import consumers
from connectors.stores.lake.files import FileLake
from connectors.stores.lake.ingest import CONSUMERS, ingest, ingest_his, ingest_sensors, replay
from connectors.stores.lake.lock import Locked, locked
from connectors.stores.lake.memory import MemoryLake
from connectors.stores.lake.tables import EVENTS, ensure_tables
from connectors.stores.lake.verify import verify

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def event(n: int, type_: str = "device.check", data: dict | None = None) -> Event:
    at = MIDNIGHT + timedelta(minutes=n)
    return Event(type_, "urn:photopeak:door", f"{type_}-{n}", "MAIN", "GC1", at, at, data or {"n": n})


def batch(n: int) -> Event:
    times = [(MIDNIGHT + timedelta(minutes=n - 1 + i)).isoformat() for i in range(3)]
    common = {"sensor_id": "HOTLAB/temperature", "quantity": "temperature", "unit": "Cel"}
    readings = [
        {**common, "value": 21.5 if i else None, "quality": "good" if i else "no_answer", "time": t} for i, t in enumerate(times)
    ]
    return event(n, "sensor.readings", {"room_id": "HOTLAB", "readings": readings})


@pytest.fixture
def settings(tmp_path):
    return load(home=tmp_path)


@pytest.fixture
def door(settings):
    journal = SqliteJournal(settings.journals / "events.db")
    yield journal
    journal.close()


def rows(settings, table="events", columns="event_id, journal_offset"):
    glob = f"{settings.lake}/{table}/**/*.parquet"
    return duckdb.sql(
        f"SELECT {columns} FROM read_parquet('{glob}', hive_partitioning=true, union_by_name=true) ORDER BY ALL"
    ).fetchall()


def test_an_empty_lake_can_be_read_and_its_types_hold(settings):
    ensure_tables(FileLake(settings.lake), {"measures": EVENTS})
    for hive in ("true", "false"):
        glob = f"{settings.lake}/events/**/*.parquet"
        found = duckdb.sql(f"SELECT * FROM read_parquet('{glob}', hive_partitioning={hive}, union_by_name=true)")
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        assert types["occurred_at_utc"] == "TIMESTAMP WITH TIME ZONE" and types["journal_offset"] == "BIGINT"
        assert types["type"] == types["site_id"] == types["data"] == "VARCHAR"
        assert found.fetchall() == []
    assert rows(settings, "readings", "value") == [] and rows(settings, "measures", "event_id") == []


def test_each_event_lands_once_in_the_partition_of_its_day(settings, door):
    door.append([event(0), event(1500), intake_outcome("MAIN", "events", "m", "quarantined", "0" * 64, 3, MIDNIGHT, "bad")])
    account = ingest_his(settings)
    assert (account.read, account.written, account.quarantined) == (3, 3, 1)
    said = {"job": "ingest_his", "run_key": account.run_key, "from": {"hl7": 0, "events": 0}, "to": {"hl7": 0, "events": 3}}
    assert account.to_json() == {**said, "read": 3, "written": 3, "quarantined": 1, "reports": 0, "seconds": account.seconds}
    again = ingest_his(settings)
    assert (again.read, again.written) == (0, 0)
    assert [r[1] for r in rows(settings)] == [1, 2, 3]
    names = {str(p.relative_to(settings.lake)) for p in settings.lake.rglob("events-*.parquet")}
    assert "events/type=device.check/site_id=MAIN/day=2026-03-02/events-1-3.parquet" in names
    assert "events/type=device.check/site_id=MAIN/day=2026-03-03/events-1-3.parquet" in names
    assert verify(settings) == []


def test_readings_are_rows_of_their_own_day_and_leave_the_other_consumer_alone(settings, door):
    door.append([event(5), batch(0)])
    assert (ingest_sensors(settings).read, ingest_his(settings).read) == (1, 1)
    got = rows(settings, "readings", "strftime(timezone('UTC', read_at_utc), '%d %H:%M'), value, quality, day::varchar")
    assert got == [
        ("01 23:59", None, "no_answer", "2026-03-01"),
        ("02 00:00", 21.5, "good", "2026-03-02"),
        ("02 00:01", 21.5, "good", "2026-03-02"),
    ]
    assert verify(settings) == []


def test_a_site_cannot_name_a_folder_outside(settings, door):
    door.append([dataclasses.replace(event(0), site="../../../out")])
    ingest_his(settings)
    assert rows(settings, columns="site_id") == [("../../../out",)]
    assert {p.name for p in settings.home.iterdir()} == {"journal", "lake", "consumers"}


@pytest.mark.parametrize("fail_after", range(9))
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next_one(settings, door, fail_after):
    door.append([event(n * 1000) for n in range(6)])
    consumer = dataclasses.replace(CONSUMERS["ingest_his"], batch=4)
    lake, journals = MemoryLake(), {"events": door, "hl7": SqliteJournal(settings.journals / "hl7.db", read_only=True)}
    ensure_tables(lake)
    lake.fail_after = fail_after
    try:
        ingest(settings, consumer, journals, lake)
    except OSError:
        assert consumers.load(settings.consumers, consumer.name).pending
    door.append([event(9000)])  # what came meanwhile must not widen the range that is written again
    lake.fail_after = None
    ingest(settings, consumer, journals, lake)
    assert sorted(n for t in lake.scan("events") for n in t["journal_offset"].to_pylist()) == list(range(1, 8))
    assert consumers.load(settings.consumers, consumer.name) == consumers.Position({"events": 7})


def test_a_kill_between_writing_and_committing_repeats_the_same_files(settings, door, monkeypatch):
    door.append([event(n) for n in range(3)])
    saved = consumers.save

    def killed_at_commit(folder, name, position):
        if position.pending is None:
            raise KeyboardInterrupt
        saved(folder, name, position)

    monkeypatch.setattr("connectors.stores.lake.ingest.save", killed_at_commit)
    with pytest.raises(KeyboardInterrupt):
        ingest_his(settings)
    monkeypatch.setattr("connectors.stores.lake.ingest.save", saved)
    door.append([event(7)])
    ingest_his(settings)
    assert [n for _, n in rows(settings)] == [1, 2, 3, 4]


def test_a_replay_doubles_nothing_though_two_consumers_cut_a_journal_differently(settings, door):
    door.append([event(0), batch(1)])
    ingest_sensors(settings)
    door.append([event(2), batch(3)])
    ingest_sensors(settings)
    ingest_his(settings)
    before = rows(settings), rows(settings, "readings", "event_id, read_at_utc")
    for name in ("ingest_his", "ingest_sensors"):
        assert replay(settings, CONSUMERS[name], 1).read == 2
    assert (rows(settings), rows(settings, "readings", "event_id, read_at_utc")) == before
    assert verify(settings) == []


def test_only_one_run_at_a_time(settings, door):
    door.append([event(0)])
    with locked(settings.consumers, "ingest_his"), pytest.raises(Locked, match="try again"):
        ingest_his(settings)
    assert ingest_his(settings).read == 1


def test_a_lost_journal_is_one_clear_sentence(settings, door):
    door.append([event(0)])
    ingest_his(settings)
    door.close()
    for path in settings.journals.iterdir():
        path.unlink()
    with pytest.raises(OSError, match="photopeak rebuild"):
        ingest_his(settings)


def test_verify_notices_what_is_missing_doubled_or_changed(settings, door):
    door.append([event(0), event(1500), batch(3)])
    ingest_his(settings)
    ingest_sensors(settings)
    assert verify(settings) == []
    (file,) = settings.lake.glob("events/type=device.check/site_id=MAIN/day=2026-03-02/events-*.parquet")
    whole = file.read_bytes()
    twin = file.with_name("twin.parquet")
    twin.write_bytes(whole)
    assert verify(settings) == ["events/1 is in the lake 2 times"]
    twin.unlink()
    file.unlink()
    assert verify(settings) == ["events/1 is missing in the lake or differs there"]
    duckdb.sql(f"COPY (SELECT * FROM read_parquet('{_put(twin, whole)}')) TO '{file}'")
    twin.unlink()
    assert verify(settings) == []
    lie = json.dumps({"n": 1})
    duckdb.sql(f"COPY (SELECT * REPLACE ('{lie}' AS data) FROM read_parquet('{_put(twin, whole)}')) TO '{file}'")
    twin.unlink()
    assert len(verify(settings)) == 2
    file.write_bytes(whole)
    for reading in settings.lake.glob("readings/site_id=MAIN/day=*/*.parquet"):
        reading.unlink()
    assert verify(settings) == ["batch sensor.readings-3 has 3 readings and 0 rows"]


def _put(path, data):
    path.write_bytes(data)
    return path
