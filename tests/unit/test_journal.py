"""The journal's rules, held by the embedded adapter and by the in-memory one alike."""

import ast
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.events import Event
from connectors.settings import ROOT
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.journal.port import JournalError, Receipt
from connectors.stores.journal.sqlite import SqliteJournal, head_of

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)


def event(id_: str, value: int = 1, type_: str = "device.check", subject: str = "GC1") -> Event:
    return Event(type_, "urn:test", id_, "MAIN", subject, NOON, NOON, {"value": value})


@pytest.fixture(params=["sqlite", "memory"])
def journal(request, tmp_path):
    made = SqliteJournal(tmp_path / "j.db") if request.param == "sqlite" else MemoryJournal()
    yield made
    made.close()


def test_offsets_start_at_one_and_have_no_gaps(journal):
    assert journal.head() == 0
    assert journal.append([event("a"), event("b")]) == [Receipt(1, "stored"), Receipt(2, "stored")]
    assert journal.append([event("a"), event("c")]) == [Receipt(1, "duplicate"), Receipt(3, "stored")]
    assert [(n, e.id) for n, e in journal.read()] == [(1, "a"), (2, "b"), (3, "c")]
    assert [n for n, _ in journal.read(after=1, limit=1)] == [2]
    assert journal.read(after=3) == []
    assert journal.head() == 3


def test_events_of_some_types_behind_an_offset(journal):
    journal.append([event("a"), event("b", type_="his.order"), event("c"), event("d", type_="his.patient")])
    assert [(n, e.id) for n, e in journal.since(0, "his.order", "his.patient")] == [(2, "b"), (4, "d")]
    assert [n for n, _ in journal.since(2, "device.check")] == [3] and journal.since(4, "his.order") == []


def test_what_was_written_is_read_back_equal(journal):
    journal.append([event("a")])
    assert journal.read()[0][1] == event("a")


def test_other_data_under_the_same_name_is_a_conflict_and_leaves_the_first(journal):
    journal.append([event("a", 1)])
    assert journal.append([event("a", 2)]) == [Receipt(1, "conflict")]
    assert [e.data["value"] for _, e in journal.read()] == [1]


def test_the_outcome_that_follows_sees_what_happened(journal):
    def told(receipts):
        return [event(f"outcome-{journal_ids.pop()}-{receipts[0].outcome}")]

    journal_ids = [2, 1]
    journal.append([event("a")], told)
    journal.append([event("a")], told)
    assert [e.id for _, e in journal.read()] == ["a", "outcome-1-stored", "outcome-2-duplicate"]


def test_an_error_of_what_follows_undoes_the_append(journal):
    with pytest.raises(ZeroDivisionError):
        journal.append([event("a")], lambda receipts: [event(str(1 // 0))])
    assert journal.append([event("b")]) == [Receipt(1, "stored")]
    assert [e.id for _, e in journal.read()] == ["b"]


def test_events_of_a_subject_and_the_latest_of_each(journal):
    journal.append(
        [event("a", subject="s1"), event("b", subject="s2"), event("c", subject="s1"), event("d", type_="x", subject="s1")]
    )
    assert [n for n, _ in journal.of("device.check", "s1")] == [1, 3]
    assert journal.latest("device.check") == {"s1": 3, "s2": 2}
    assert journal.find("urn:test", "b") == event("b", subject="s2") and journal.find("urn:other", "b") is None


def test_an_excerpt_holds_the_named_fields_and_the_lengths_of_lists(journal):
    data = {
        "is_phantom": True,
        "station": None,
        "dose": 1.5,
        "inner": {"a": [1]},
        "list": [{"uid": "1"}, {"uid": "2"}],
        "name": "张",
    }
    journal.append([event("a"), replace(event("b", type_="x"), data=data), replace(event("c", type_="x"), data={})])
    fields = ("is_phantom", "station", "dose", "inner", "name", "absent")
    one, bare = journal.excerpts(0, "x", fields=fields, counted=("list",))
    assert one.data == {**{f: data.get(f) for f in fields}, "list": 2} and one.data["is_phantom"] is True
    assert bare.data == dict.fromkeys((*fields, "list")), "what an event does not have is null"
    assert (one.offset, one.type, one.id, one.site, one.subject) == (2, "x", "b", "MAIN", "GC1")
    assert one.occurred_at == one.recorded_at == NOON
    assert [e.data for e in journal.excerpts(2, "x")] == [{}]
    assert [e.data for e in journal.excerpts(1, "x", fields=("dose",))] == [{"dose": 1.5}, {"dose": None}]
    assert [e.data for e in journal.excerpts(0, "x", counted=("list",))] == [{"list": 2}, {"list": None}]


def test_excerpts_of_several_types_behind_an_offset_or_the_newest_of_each_subject(journal):
    named = [("a", "x", "s1"), ("b", "y", "s1"), ("c", "x", "s2"), ("d", "x", "s1"), ("e", "z", "s1"), ("f", "y", "s1")]
    journal.append([event(id_, n, type_, subject) for n, (id_, type_, subject) in enumerate(named)])
    found = {
        (after, newest): "".join(e.id for e in journal.excerpts(after, "x", "y", newest=newest))
        for after in (0, 1, 6) for newest in (False, True)
    }  # fmt: skip
    assert found == {(0, False): "abcdf", (0, True): "cdf", (1, False): "bcdf", (1, True): "cdf", (6, False): "", (6, True): ""}
    assert [e.data["value"] for e in journal.excerpts(0, "x", fields=("value",), newest=True)] == [2, 3]


def test_the_first_offset_that_was_recorded_since_a_moment(journal):
    assert journal.first_since(NOON) == 1
    minutes = (0, 1, 1, 1, 5, 9)
    journal.append([replace(event(str(n)), recorded_at=NOON + timedelta(minutes=m)) for n, m in enumerate(minutes)])
    found = [journal.first_since(NOON + timedelta(minutes=m)) for m in (-1, 0, 1, 2, 5, 9, 10)]
    assert found == [1, 1, 2, 5, 5, 6, 7]


def test_events_at_offsets_come_in_the_order_that_was_asked_for(journal):
    journal.append([event("a"), event("b"), event("c")])
    assert [e.id for e in journal.at([3, 1])] == ["c", "a"] and journal.at([]) == []
    for missing in (0, 4):
        with pytest.raises(JournalError, match=f"no event at offset {missing}"):
            journal.at([1, missing])


def test_a_journal_that_is_not_there_yet_reads_as_empty(tmp_path):
    (tmp_path / "half.db").touch()  # its owner is just making it
    for name in ("none.db", "half.db"):
        journal = SqliteJournal(tmp_path / name, read_only=True)
        assert (journal.head(), journal.first_since(NOON), journal.latest("x"), journal.find("a", "b")) == (0, 1, {}, None)
        assert [journal.read(), journal.since(0, "x"), journal.excerpts(0, "x"), journal.at([]), [*journal.of("x", "s")]] == [
            []
        ] * 5
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_journal_is_an_error_and_never_an_empty_journal(tmp_path):
    (tmp_path / "j.db").write_bytes(b"no database " * 999)
    journal = SqliteJournal(tmp_path / "j.db", read_only=True)
    for ask in (
        journal.head,
        journal.read,
        lambda: journal.first_since(NOON),
        lambda: journal.latest("x"),
        lambda: journal.at([1]),
    ):
        with pytest.raises(JournalError, match=r"j\.db cannot be read"):
            ask()


@pytest.mark.parametrize("newest", [False, True])
def test_what_is_new_is_found_by_offset_and_a_history_by_the_index_of_its_type(tmp_path, monkeypatch, newest):
    journal = SqliteJournal(tmp_path / "j.db")
    journal.append([event("a"), event("b")])
    asked = []
    real = sqlite3.connect

    def connect(*given, **named):
        db = real(*given, **named)
        db.set_trace_callback(asked.append)
        return db

    monkeypatch.setattr("connectors.stores.journal.sqlite.sqlite3.connect", connect)
    journal.excerpts(1, "device.check", fields=("value",), newest=newest)
    journal.excerpts(0, "device.check", fields=("value",), newest=newest)
    with real(tmp_path / "j.db") as db:
        behind, whole = (
            [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}") if row[3].startswith(("SEARCH", "SCAN"))]
            for sql in asked
            if "json_extract" in sql
        )
    assert behind == ["SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"]
    assert len(whole) == 1 and "USING INDEX event_by_subject (type=?" in whole[0]
    journal.close()


def test_nothing_outside_its_room_opens_a_journal_as_a_database():
    """Others ask the port; the vault and Airflow's database are no journals, and a plugin has the standard library alone."""
    own = {"connectors/identity.py", "photopeak/probe.py", "plugins/photopeak_airflow/triggers.py"}
    rooms = ("connectors", "dags", "dashboards", "devices", "expectations", "judgement", "messages", "photopeak", "plugins", "simulator",
             "spark_jobs", "terminals", "warehouse")  # fmt: skip
    found = set()
    for path in (p for room in rooms for p in (ROOT / room).rglob("*.py")):
        calls = (n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        if any(isinstance(f, ast.Attribute) and f.attr == "connect" and ast.unparse(f.value) == "sqlite3" for f in calls):
            found.add(path.relative_to(ROOT).as_posix())
        from_it = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.module == "sqlite3")
        assert not [*from_it], f"{path}: import sqlite3 as a whole, so that this test sees what opens it"
    assert found == own | {"connectors/stores/journal/sqlite.py"}


def test_many_threads_share_commits_and_lose_nothing(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db")
    commits = []
    journal._writer.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    receipts = []

    def work(n):
        for i in range(25):
            receipts.extend(journal.append([event(f"{n}-{i}"), event("shared")]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    stored = [r.offset for r in receipts if r.outcome == "stored"]
    assert sorted(stored) == list(range(1, 16 * 25 + 2))
    assert [n for n, _ in journal.read(limit=9999)] == list(range(1, 16 * 25 + 2))
    assert len(commits) < 16 * 25
    journal.close()


def test_each_commit_is_synced_and_a_reopened_journal_goes_on(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db")
    assert journal._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.append([event("a")])
    journal.close()
    again = SqliteJournal(tmp_path / "j.db")
    assert again.append([event("a"), event("b")]) == [Receipt(1, "duplicate"), Receipt(2, "stored")]
    again.close()


def test_another_process_reads_while_it_is_written(tmp_path):
    path = tmp_path / "j.db"
    assert head_of(path) == 0
    journal = SqliteJournal(path)
    journal.append([event("a")])
    code = (
        "import sys; from pathlib import Path; from connectors.stores.journal.sqlite import SqliteJournal; "
        "j = SqliteJournal(Path(sys.argv[1]), read_only=True); print(j.head(), j.read()[0][1].id)"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["1", "a"]
    journal.close()


def test_a_full_disk_is_an_error_for_everybody_and_the_journal_goes_on_afterwards(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db")
    journal.append([event("a")])
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to meet SQLITE_FULL
    big = Event("device.check", "urn:test", "big", "MAIN", "GC1", NOON, NOON, {"text": "x" * 200_000})
    with pytest.raises(JournalError, match="full"):
        journal.append([event("b"), big])
    assert journal.head() == 1
    journal._writer.execute("PRAGMA max_page_count=1000000")
    assert journal.append([event("b")]) == [Receipt(2, "stored")]
    journal.close()


def test_no_fault_of_a_commit_is_taken_for_durable_by_those_who_wait_for_it(tmp_path, monkeypatch):
    journal = SqliteJournal(tmp_path / "j.db")
    outcomes = []

    def append(id_):
        try:
            outcomes.append(journal.append([event(id_)]))
        except JournalError as exc:
            outcomes.append(str(exc))

    def broken(*_):
        raise MemoryError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "_insert", broken)
        threads = [threading.Thread(target=append, args=(id_,)) for id_ in ("a", "b", "c")]
        with journal._committing:  # all three wait, and the first commits for all
            for thread in threads:
                thread.start()
            while len(journal._queue) < len(threads):
                pass
        for thread in threads:
            thread.join()
    assert outcomes == ["journal j.db: no memory"] * 3
    assert journal.append([event("d")]) == [Receipt(1, "stored")]
    journal.close()


def test_a_journal_has_one_writer(tmp_path):
    first = SqliteJournal(tmp_path / "j.db")
    with pytest.raises(JournalError, match="another process"):
        SqliteJournal(tmp_path / "j.db")
    first.close()
    SqliteJournal(tmp_path / "j.db").close()


def test_a_reader_may_not_write(tmp_path):
    SqliteJournal(tmp_path / "j.db").close()
    with pytest.raises(JournalError):
        SqliteJournal(tmp_path / "j.db", read_only=True).append([event("a")])
    with pytest.raises(sqlite3.OperationalError), sqlite3.connect(f"file:{tmp_path}/j.db?mode=ro", uri=True) as db:
        db.execute("DELETE FROM event")
