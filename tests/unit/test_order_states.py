"""Which orders may be acted on: every code of the tables, the worklist beside them, and the same codes in the warehouse."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from connectors.dicom.worklist.orders import Orders
from connectors.events import Event
from connectors.his.facts import facts, patient
from connectors.his.message import InvalidMessage, parse
from connectors.stores.journal.memory import MemoryJournal
from judgement.days import site_zone
from judgement.order_states import CONTROLS, STATUSES, order_state, state_of

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
MACRO = Path(__file__).parents[2] / "dbt_project" / "macros" / "order.sql"


def order(control: str, status: str = "", at: datetime = NOW, number: int = 0) -> Event:
    data = {
        "order_control": control, "order_status": status, "accession_number": "A1", "patient_pseudonym": "P", "exam_code": "BONE",
        "exam_name": None, "scheduled_at_utc": None,
    }  # fmt: skip
    return Event("his.order", "urn:t", f"{control}/{status}/{number}", "MAIN", "A1", at, NOW + timedelta(seconds=number), data)


@pytest.mark.parametrize(("control", "status"), [*product(CONTROLS, ["", *STATUSES]), ("ZZ", ""), ("NW", "zz")])
def test_the_worklist_offers_what_is_open_and_nothing_else(control: str, status: str) -> None:
    hl7 = MemoryJournal()
    hl7.append([order("NW"), order(control, status, number=1)])
    state = order_state(control, status)
    assert bool(Orders(hl7, MemoryJournal()).open(NOW)) is (state == "open")
    assert state == order_state(f" {control.lower()} ", f" {status.lower()} ")


def test_the_worse_of_control_and_status_counts() -> None:
    assert [order_state(c) for c in ("NW", "UC", "RL", "UR", "RU", "", "ZZ")] == [
        "open", "open", "open", "held", "ended", "unknown", "unknown",
    ]  # fmt: skip
    assert [order_state("SC", s) for s in ("IP", "CM", "HD", "RP", "ER", "?")] == [
        "open", "completed", "held", "ended", "unknown", "unknown",
    ]  # fmt: skip
    assert order_state("CA", "CM") == "ended"


def test_a_cancellation_of_a_fast_clock_ends_what_follows_a_slow_one() -> None:
    hl7 = MemoryJournal()
    hl7.append([order("NW", at=NOW + timedelta(hours=2)), order("CA", at=NOW + timedelta(seconds=1), number=1)])
    assert Orders(hl7, MemoryJournal()).open(NOW) == []


def test_the_warehouse_holds_the_same_codes() -> None:
    text = MACRO.read_text()
    lists = [re.findall(r"'([A-Z]{1,2})'", part) for part in re.findall(r" in \(([^)]*)\)", text)]
    ended, ended_by, completed, held, held_by, open_, open_by = (set(codes) for codes in lists)
    for codes, table, state in (
        (ended, CONTROLS, "ended"), (held, CONTROLS, "held"), (open_, CONTROLS, "open"),
        (ended_by, STATUSES, "ended"), (completed, STATUSES, "completed"), (held_by, STATUSES, "held"), (open_by, STATUSES, "open"),
    ):  # fmt: skip
        assert codes == {c for c, s in table.items() if s == state}


def test_a_code_that_no_table_holds_is_not_taken_in() -> None:
    head = "MSH|^~\\&|H|H|P|M|20260301093000||ORM^O01|M1|P|2.5.1\rPID|1||P1\r"

    def said(control: str, status: str = "") -> dict:
        message = parse(f"{head}ORC|{control}||A1||{status}\rOBR|1||A1|BONE".encode())
        (fact,) = facts(message, "PT", patient(message), site_zone("Asia/Shanghai"))
        return fact.data

    with pytest.raises(InvalidMessage) as refused:
        said("ZZ")
    assert (refused.value.error, refused.value.location) == ("103", "ORC^1^1")
    assert (said(" ca ")["order_control"], said("sc", "hd")["order_status"]) == ("CA", "HD")
    doubtful = said("SC", "LOCAL")
    assert {"field": "ORC-5", "doubt": "unreadable"} in doubtful["doubts"] and state_of(doubtful) == "unknown"
