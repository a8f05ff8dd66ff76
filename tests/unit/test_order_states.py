"""Which orders may be acted on: every code of the tables, the worklist beside them, and the same codes in the warehouse."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from connectors.dicom.worklist.orders import Orders
from connectors.events import Event
from connectors.examinations import Examinations
from connectors.his.facts import facts, patient
from connectors.his.framing import Frame
from connectors.his.intake import Intake
from connectors.his.message import InvalidMessage, parse
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.memory import MemoryObjectStore
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


class Hospital:
    """The HL7 door of a home, the worklist and the tablet's question behind it."""

    def __init__(self, home: Path) -> None:
        self.settings = load(home=home, min_free_mib=1)
        keys = Keys.of(self.settings)
        self.journal, self.n = SqliteJournal(self.settings.journals / "hl7.db"), 0
        self.intake = Intake(self.settings, keys, Vault.of(self.settings, keys), MemoryObjectStore(), self.journal, self._clock)

    def _clock(self) -> datetime:
        return NOW + timedelta(seconds=self.n)

    def say(self, *segments: str, patient: str = "P1", at: str = "") -> str:
        """Send a message of now, or of another local time; return MSA-1 and what became of it."""
        self.n += 1
        head = f"MSH|^~\\&|H|H|P|M|{at or f'202603100900{self.n:02}'}||ORM^O01|M{self.n}|P|2.5.1"
        answer, became = self.intake.receive(Frame("\r".join((head, f"PID|1||{patient}||X^Y", *segments)).encode()), "peer")
        return f"{re.findall(rb'MSA.(..)', answer)[0].decode()} {became}"

    def order(self, accession: str = "A1", placer: str = "PL1", **more: str) -> str:
        return self.say(f"ORC|NW|{placer}|{accession}", f"OBR|1|||BONE^Bone{'|' * 32}20260310100000", **more)

    def state(self, accession: str = "A1") -> tuple[list[str], str | None, str | None, list[str]]:
        """Return what is offered, the state that the tablet is told, the examination, and the doubts of the newest message."""
        orders = Orders(self.journal, MemoryJournal()).open(NOW + timedelta(minutes=1))
        answer = Examinations(self.settings).readiness(accession, NOW + timedelta(minutes=1))
        told = [e for _, e in self.journal.of("his.order", accession)]
        doubts = [f"{d['field']} {d['doubt']}" for d in told[-1].data.get("doubts", [])] if told else []
        code = answer and next((c.reason.code for c in answer.blocks if c.rule_id == "ORDER_IN_FORCE"), None)
        return [o.accession_number for o in orders], code, answer and answer.exam_code, doubts


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.journal.close()


@pytest.mark.parametrize("named", ["PL1|A1", "|A1", "PL1|", "PL1|NEVER"])
@pytest.mark.parametrize("obr", [(), ("OBR|1|PL1|",)])
@pytest.mark.parametrize(
    ("control", "code"),
    [
        *((c, "order.cancelled") for c in ("CA", "OC", "DC", "OD", "CR", "RP")), ("HD", "order.held"), ("OH", "order.held"),
        ("DE", "order.state_unknown"),
    ],
)  # fmt: skip
def test_an_orc_alone_ends_or_holds_the_order_that_it_names(
    hospital: Hospital, control: str, code: str, named: str, obr: tuple[str, ...]
) -> None:
    assert hospital.order() == "AA stored" and hospital.order("A2", "PL2") == "AA stored"
    assert hospital.state()[:2] == (["A1", "A2"], None)
    assert hospital.say(f"ORC|{control}|{named}", *obr) == "AA stored"
    assert hospital.state() == (["A2"], code, "BONE", [])


def test_a_hold_ends_with_a_release_in_an_orc_alone_and_the_appointment_stays(hospital: Hospital) -> None:
    hospital.order()
    assert [hospital.say(f"ORC|{c}|PL1|A1|||{s}") for c, s in (("HD", ""), ("RL", ""))] == ["AA stored"] * 2
    (order,) = Orders(hospital.journal, MemoryJournal()).open(NOW)
    assert (order.starts_at, order.is_scheduled, order.exam_name) == (NOW.replace(hour=2), True, "Bone")
    hospital.say("ORC|SC|PL1|A1||CM")
    assert hospital.state() == ([], "order.completed", "BONE", [])


def test_a_cancellation_that_comes_before_its_order_holds_and_is_named(hospital: Hospital) -> None:
    assert hospital.say("ORC|CA|PL1|A1") == "AA stored"
    assert hospital.state() == ([], "order.cancelled", None, ["ORC-3 unmatched"])
    hospital.order(at="20260310085500")
    assert hospital.state() == ([], "order.cancelled", "BONE", [])


@pytest.mark.parametrize("orc", ["ORC|CA|PL9", "ORC|CA", "ORC|RL|PL9|A9", "ORC|NW|PL1|A1", "ORC|XO|PL1|A1", "ORC|SC|PL9|A9||IP"])
def test_what_names_no_known_order_is_refused_and_kept(hospital: Hospital, orc: str) -> None:
    hospital.order()
    assert hospital.say(orc) == "AE quarantined"
    assert hospital.state()[:2] == (["A1"], None)
    (*_, kept) = hospital.journal.of("intake.outcome", "M2")
    assert kept[1].data["outcome"] == "quarantined" and kept[1].data["reason"]


def test_a_placer_number_of_another_patient_or_of_two_orders_names_none(hospital: Hospital) -> None:
    hospital.order("A1"), hospital.order("A2")
    assert hospital.say("ORC|CA|PL1") == "AE quarantined"
    hospital.order("A3", "PL3")
    assert hospital.say("ORC|CA|PL3", patient="P2") == "AE quarantined"
    assert hospital.say("ORC|CA|PL3") == "AA stored" and hospital.state("A3")[:2] == (["A1", "A2"], "order.cancelled")


def test_a_repeated_orc_alone_is_one_and_two_are_two(hospital: Hospital) -> None:
    hospital.order("A1", "PL1"), hospital.order("A2", "PL2")
    assert hospital.say("ORC|CA|PL1", "ORC|DC|PL2") == "AA stored"
    assert hospital.state()[0] == []


def test_an_order_under_an_unknown_code_is_listed_until_it_is_done_or_old(hospital: Hospital) -> None:
    hospital.order("A1"), hospital.order("A2")
    hospital.say("ORC|SC|PL1|A1||LOCAL")
    orders = Orders(hospital.journal, MemoryJournal())
    assert (orders.unclear(NOW), [o.accession_number for o in orders.open(NOW)]) == ({"A1"}, ["A2"])
    assert orders.unclear(NOW + timedelta(days=8)) == set()
    hospital.say("ORC|SC|PL1|A1||IP")
    assert orders.unclear(NOW) == set() and len(orders.open(NOW)) == 2
