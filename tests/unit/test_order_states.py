"""Which orders may be acted on: every code of the tables, the worklist beside them, and the same codes in the warehouse."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from jinja2 import Environment

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
from judgement.newest import PRECISION_S
from judgement.order_states import CONTROLS, STATUSES, History, effect_of, order_state

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
MACROS = Path(__file__).parents[2] / "dbt_project" / "macros"


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


def after(*said: str, step: timedelta = timedelta(minutes=1)) -> str:
    """Return the state after messages of one minute after the other: a control, with its status behind a slash."""
    history = History()
    for n, (control, _, status) in enumerate(one.partition("/") for one in said):
        history.add(order(control, status, at=NOW - timedelta(days=1) + n * step, number=n))
    return history.state()


NOT_OPEN = {
    **dict.fromkeys(("CA", "DC", "OC", "RP", "UA", "CR", "OD", "RU", "SC/CA"), "ended"), "SC/CM": "completed",
    "RE/CM": "completed", "HD": "held", "OH": "held",
}  # fmt: skip
# asks, answers and notes of table 0119
NEUTRAL = (
    "OK", "NA", "SN", "XO", "XR", "XX", "UX", "UF", "RE", "CN", "PR", "LI", "UN", "RF", "AF", "FU", "RR", "SC", "SS", "SR", "PA", "CH", "PY",
    "OP", "OF", "MC", "UU",
)  # fmt: skip


@pytest.mark.parametrize(("ended", "state"), NOT_OPEN.items())
def test_what_is_over_comes_back_by_what_says_so_and_by_nothing_else(ended: str, state: str) -> None:
    for code in NEUTRAL:
        assert after("NW", ended, code) == state, code
        assert after("NW", ended, code, code, "SS") == state, code
    for code in ("NW", "RO", "SC/IP", "SC/SC", "XO/IP", "SC/A"):
        assert after("NW", ended, code) == "open", code
    for code in ("RL", "OE", "OR"):
        assert after("NW", ended, code) == ("open" if state == "held" else state), code
    for code in ("UC", "UD", "UM"):  # unable to cancel: an answer to who asked for it, and to nobody else
        assert after("NW", ended, code) == ("open" if ended in ("CA", "DC", "RP") else state), code
    assert after("NW", ended, "UH") == ("open" if ended == "HD" else state)
    assert after("NW", ended, "UR") == state
    assert after("NW", ended, "DE") == ("unknown" if state == "held" else state)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (("NW", "SC/CM", "CA", "UC"), "completed"),  # too late to cancel: it was done
        (("NW", "HD", "CA", "UC"), "held"),
        (("NW", "CA", "CA", "UC"), "open"),
        (("NW", "CA", "CR", "UC"), "ended"),  # confirmed: the answer is to nobody
        (("NW", "CA", "UC", "CA"), "ended"),
        (("NW", "CA", "SS", "UC"), "open"),
        (("NW", "OH", "HD", "UH"), "held"),  # the filler's own hold stands
        (("NW", "HD", "HR", "UH"), "held"),
        (("NW", "CA", "HD", "RL"), "ended"),
        (("NW", "SC/CM", "HD", "RL"), "completed"),
        (("NW", "HD", "RL", "UR"), "held"),
        (("NW", "HD", "XO", "RL"), "open"),
        (("NW", "RP", "RO"), "open"),
        (("NW", "SC/ZZ", "XO"), "unknown"),
        (("NW", "SC/ZZ", "HD", "RL"), "unknown"),
        (("NW", "SC/ZZ", "SC/IP"), "open"),
        (("NW", "CA", "SC/ZZ"), "ended"),
        (("XO",), "open"),
        (("RL",), "open"),
    ],
)
def test_requests_answers_and_holds_in_turn(said: tuple[str, ...], state: str) -> None:
    assert after(*said) == state


def test_an_order_told_again_with_its_old_time_does_not_come_back() -> None:
    for precision, again in product(("day", "minute", "second", "fraction", None), ("NW", "SC/IP")):
        history, moment = History(), NOW.replace(hour=0)
        for n, one in enumerate((again, "CA", again, "XO", again)):
            control, _, status = one.partition("/")
            event = order(control, status, at=moment, number=n)
            history.add(replace(event, data=event.data | ({"occurred_precision": precision} if precision else {})))
        assert history.state() == "ended", (precision, again)
    assert after("NW", "RP", "RO", step=timedelta(0)) == "open"  # of one message
    assert after("NW", "CA", "NW", step=timedelta(seconds=1)) == "open"  # of a later moment it is ordered anew
    assert after("NW", "HD", "RL", step=timedelta(0)) == "open"


def test_a_message_of_before_changes_nothing() -> None:
    for late in CONTROLS:
        history = History()
        for control, minutes in (("NW", 0), ("CA", 10), (late, 5)):
            history.add(order(control, at=NOW - timedelta(hours=1) + timedelta(minutes=minutes)))
        assert history.state() == "ended", late


def test_an_order_of_long_ago_stays_ended_when_it_is_spoken_of_again() -> None:
    hl7 = MemoryJournal()
    orders = Orders(hl7, MemoryJournal())
    old = NOW - timedelta(days=30)
    hl7.append([order("NW", at=old), order("CA", at=old + timedelta(minutes=1), number=1)])
    assert orders.open(NOW) == []
    hl7.append([order("SS", at=NOW, number=2)])
    assert orders.open(NOW) == [] and Orders(hl7, MemoryJournal()).open(NOW) == []
    hl7.append([order("NW", at=NOW, number=3)])
    assert len(orders.open(NOW)) == 1


def test_a_cancellation_of_a_fast_clock_ends_what_follows_a_slow_one() -> None:
    hl7 = MemoryJournal()
    hl7.append([order("NW", at=NOW + timedelta(hours=2)), order("CA", at=NOW + timedelta(seconds=1), number=1)])
    assert Orders(hl7, MemoryJournal()).open(NOW) == []


def warehouse(query: str) -> str:
    """Return a query with the macros of the warehouse, as dbt would give it to DuckDB."""
    macros = "\n".join((MACROS / f"{name}.sql").read_text() for name in ("engine", "told", "order"))
    return Environment().from_string(macros + query).render(target={"type": "duckdb"})


def histories(count: int) -> Iterator[tuple[int, list[Event]]]:
    """Yield histories of up to nine messages within minutes, to any precision, some told again, in any order of arrival."""
    chance = Random(119)
    codes = [*CONTROLS, *(["NW", "CA", "HD", "RL", "UC"] * 6), "ZZ"]
    for number in range(count):
        told: list[Event] = []
        for n in range(chance.randint(1, 9)):
            moment = NOW + timedelta(
                seconds=chance.choice((0, 1, 40, 61, 130, 3700, 3700)), milliseconds=chance.choice((0, 0, 500))
            )
            precision = chance.choice(("day", "hour", "minute", "second", "fraction", None))
            cut = {"day": {"hour": 0, "minute": 0, "second": 0}, "hour": {"minute": 0, "second": 0}, "minute": {"second": 0}}
            moment = moment.replace(
                **cut.get(precision, {}), microsecond=moment.microsecond if precision in ("fraction", None) else 0
            )
            event = order(chance.choice(codes), chance.choice(("", "", "", "", "ZZ", *STATUSES)), at=moment, number=n)
            if told and chance.random() < 0.2:
                event = replace(chance.choice(told), id=str(n))
            data = (
                event.data
                if "occurred_precision" in event.data or precision is None
                else event.data | {"occurred_precision": precision}
            )
            told.append(replace(event, id=f"{number}/{n}", recorded_at=NOW + timedelta(hours=2, seconds=n // 2), data=data))
        yield number, told


def test_the_warehouse_makes_the_same_of_ten_thousand_histories() -> None:
    rows, expected = [], {}
    for number, told in histories(10_000):
        history = History()
        for offset, e in enumerate(told):
            history.add(e)
            at, recorded = (m.replace(tzinfo=None) for m in (e.occurred_at, e.recorded_at))
            rows.append((
                str(number), e.id, at, recorded, offset, PRECISION_S.get(e.data.get("occurred_precision", ""), 0), e.data["order_control"],
                e.data["order_status"],
            ))  # fmt: skip
        expected[str(number)] = history.state()
    assert {s: n for s, n in Counter(expected.values()).items() if n > 300}.keys() == {
        "open",
        "held",
        "ended",
        "completed",
        "unknown",
    }
    names = (
        "accession_number", "event_id", "occurred_at_utc", "recorded_at_utc", "journal_offset", "occurred_precision_s", "order_control",
        "order_status",
    )  # fmt: skip
    told = pa.table({n: [row[i] for row in rows] for i, n in enumerate(names)})
    with duckdb.connect() as db:
        db.register("told", told)
        made = db.execute(
            warehouse(
                "WITH placed AS ({{ as_told('told', ['accession_number']) }})"
                " SELECT * FROM ({{ order_states('placed', ['accession_number']) }})"
            )
        ).fetchall()
        codes = [(c, s) for c in (*CONTROLS, "ZZ", " nw ") for s in (None, "", " cm", *STATUSES, "ZZ")]
        db.register("codes", pa.table({"control": [c for c, _ in codes], "status": [s for _, s in codes]}))
        effects = db.execute(warehouse("SELECT control, status, {{ order_effect('control', 'status') }} FROM codes")).fetchall()
    assert dict(made) == expected
    assert effects == [(c, s, effect_of(c, s)) for c, s in codes]


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
    assert {"field": "ORC-5", "doubt": "unreadable"} in doubtful["doubts"] and order_state(
        doubtful["order_control"], doubtful["order_status"]
    ) == "unknown"


class Hospital:
    """The HL7 door of a home, the worklist and the tablet's question behind it."""

    def __init__(self, home: Path) -> None:
        self.settings = load(home=home, min_free_mib=1)
        keys = Keys.of(self.settings)
        self.journal, self.n = SqliteJournal(self.settings.journals / "hl7.db"), 0
        self.intake = Intake(self.settings, keys, Vault.of(self.settings, keys), MemoryObjectStore(), self.journal, self._clock)

    def _clock(self) -> datetime:
        return NOW + timedelta(seconds=self.n)

    def say(self, *segments: str, patient: str | None = "P1", at: str = "", kind: str = "ORM^O01", pid: str = "") -> str:
        """Send a message of now, or of another local time; return MSA-1 and what became of it."""
        self.n += 1
        head = f"MSH|^~\\&|H|H|P|M|{at or f'202603100900{self.n:02}'}||{kind}|M{self.n}|P|2.5.1"
        lines = (head, *([] if patient is None else [f"PID|1||{patient}||X^Y||{pid}"]), *segments)
        answer, became = self.intake.receive(Frame("\r".join(lines).encode()), "peer")
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


X_PL1 = "OBR|1|PL1|{}|BONE^Bone scan" + "|" * 21 + "X"


@pytest.mark.parametrize(
    ("how", "segments", "doubts"),
    [
        ({"patient": None}, ("ORC|CA|PL1|A1",), []),
        ({"patient": None}, ("ORC|CA|PL1",), []),
        ({"patient": ""}, ("ORC|CA||A1", "OBR|1||A1|BONE^Bone of Y X"), []),
        ({}, ("ORC|CA|PL1|", "OBR|1|PL1||BONE^Bone"), []),
        ({}, ("ORC|CA|PL1|A1||||||1.12.2026 09:00", "OBR|1|PL1|A1|BONE"), ["ORC-9 unreadable"]),
        ({"kind": "ORU^R01"}, ("ORC|OC|PL1|A1", X_PL1.format("A1")), []),
        ({"kind": "ORU^R01"}, ("ORC|RE|PL1|A1", X_PL1.format("A1")), []),
        ({"kind": "ORU^R01"}, (X_PL1.format(""),), []),
    ],
)
def test_a_cancellation_needs_the_number_of_its_order_alone(
    hospital: Hospital, how: dict, segments: tuple[str, ...], doubts: list[str]
) -> None:
    hospital.order(pid="19500102|F"), hospital.order("A2", "PL2")
    if "1.12" in segments[0]:
        assert (
            hospital.say(segments[0].replace("CA", "NW"), *segments[1:]) == "AE quarantined"
        )  # no order begins at a time that nobody can read
    assert hospital.say(*segments, **how) == "AA stored"
    assert hospital.state() == (["A2"], "order.cancelled", "BONE", doubts)
    (who,) = {e.data["patient_pseudonym"] for _, e in hospital.journal.of("his.order", "A1")}
    assert (told := hospital.intake._vault.recall(who)["hl7"])["name"] == "X Y" and told["birth_date"] == "19500102"
    assert "Y X" not in str([e.data for _, e in hospital.journal.of("his.order", "A1")])


def test_a_message_without_patient_ends_one_known_order_or_nothing(hospital: Hospital) -> None:
    hospital.order("A1", "PL1"), hospital.order("A2", "PL1", patient="P2")
    for orc in ("CA|PL1", "CA||A9", "RL|PL1|A1", "SC||A1", "NW||A1"):
        assert hospital.say(f"ORC|{orc}", "OBR|1|||BONE" if orc[0] == "N" else "NTE|1", patient=None) == "AE quarantined", orc
    assert hospital.say("ORC|CA||A1", "ORC|CA||A2", patient=None) == "AE quarantined"  # of two patients
    assert hospital.say(X_PL1.format("L77"), kind="ORU^R01", patient="P3") == "AE quarantined"
    assert hospital.state()[:2] == (["A1", "A2"], None)


def test_a_cancellation_of_an_order_that_nobody_knows_is_told(hospital: Hospital) -> None:
    hospital.order()
    assert hospital.say("ORC|CA|PL9|a1", "OBR|1|PL9|a1|BONE") == "AA stored"
    # the number in another writing is this patient's order: one that is not offered in vain harms nobody
    assert hospital.state("a1") == ([], "order.cancelled", "BONE", ["ORC-3 unmatched"])


def test_a_status_leaves_what_it_does_not_say(hospital: Hospital) -> None:
    weight = "OBX|1|NM|WEIGHT_KG||{}|kg"
    obr = f"OBR|1|||BONE^Bone{'|' * 27}C50.9{'|' * 5}20260312140000"
    assert (
        hospital.say("ORC|NW|PL1|A1", obr, weight.format("70.5"), "OBX|2|NM|PRESCRIBED_MBQ||700|MBq", pid="19500102|F")
        == "AA stored"
    )
    for control in ("SC", "XO", "NA", "OK"):
        assert hospital.say(f"ORC|{control}|PL1|A1", "OBR|1|||BONE") == "AA stored"
        (order,) = Orders(hospital.journal, MemoryJournal()).open(NOW)
        assert (order.starts_at, order.is_scheduled, order.weight_kg) == (NOW + timedelta(days=2, hours=5), True, 70.5), control
        history = History()
        for _, event in hospital.journal.of("his.order", "A1"):
            history.add(event)
        whole = history.whole()
        assert whole and [whole[n] for n in ("indication", "prescribed_activity_mbq", "exam_name")] == ["C50.9", 700.0, "Bone"]
        assert hospital.intake._vault.recall(order.pseudonym)["hl7"]["birth_date"] == "19500102" and not hospital.state()[3]
    hospital.say("ORC|XO|PL1|A1", "OBR|1|||FDG^PET", weight.format('""'), pid='""')
    (order,) = Orders(hospital.journal, MemoryJournal()).open(NOW)
    assert (order.exam_name, order.weight_kg, order.starts_at) == ("PET", None, NOW + timedelta(days=2, hours=5))
    assert hospital.intake._vault.recall(order.pseudonym)["hl7"]["birth_date"] == ""


@pytest.mark.parametrize(
    ("station", "is_known"), [("GC1", True), ("gc1", True), (" Gc1 ", True), ("GC9", False), ("GC1LONGAETITLE17C", False)]
)
def test_an_order_for_a_station_that_nobody_has_is_told(hospital: Hospital, station: str, is_known: bool) -> None:
    hospital.say("ORC|NW|PL1|A1", "OBR|1|||BONE", f"IPC|A1|P1|1.2.3|S1|||||{station}", kind="OMI^O23")
    ((_, event),) = hospital.journal.of("his.order", "A1")
    assert event.data["stations"] == [station.strip()]
    assert ({"field": "IPC-9", "doubt": "no_station"} in event.data["doubts"]) is not is_known


def test_a_cancellation_that_is_dated_before_its_order_is_told(hospital: Hospital) -> None:
    hospital.order(at="20260310090000")
    for control in ("CA", "HD", "OC"):
        assert hospital.say(f"ORC|{control}|PL1|A1", at="20260310085800") == "AA stored"
        assert hospital.state() == (["A1"], None, "BONE", ["ORC-9 older"])
    hospital.say("ORC|SS|PL1|A1", at="20260310085800")
    assert hospital.state()[3] == []
    hospital.say("ORC|CA|PL1|A1", at="20260310090000")  # of the same second: what ends it counts
    assert hospital.state() == ([], "order.cancelled", "BONE", [])
