"""Whose and which: persons, examinations and records, by hand-made evidence and by generated hospitals whose truth is known."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from judgement.linkage.examinations import Linkage, given_study_uid
from judgement.linkage.facts import OrderSaid, Record
from judgement.linkage.numbers import is_placeholder, loose, plain
from judgement.linkage.persons import PersonNumber, Persons

T0 = datetime(2026, 12, 1, 1, tzinfo=UTC)
ANNA, BRUNO = PersonNumber("4711", "NORTH"), PersonNumber("4711", "SOUTH")


def hours(n: float) -> datetime:
    return T0 + timedelta(hours=n)


def order(number: str, person: PersonNumber | None = ANNA, **more: object) -> OrderSaid:
    """Return an order; its own message and placer unless told."""
    made = OrderSaid(f"O/{number}/{more}", f"M/{number}/{more}", T0, "open", person, number, (f"P{number}", ""), exam="BONE")
    return replace(made, **more)  # type: ignore[arg-type]


def series(number: str, person: PersonNumber | None = ANNA, **more: object) -> Record:
    return replace(Record("S1", "series", hours(3), person, number), **more)  # type: ignore[arg-type]


def told(*orders: OrderSaid) -> Linkage:
    linkage = Linkage("MAIN")
    for one in orders:
        linkage.say(one)
    return linkage


@pytest.mark.parametrize(
    ("one", "other", "is_plain", "is_loose"),
    [
        ("LA08A", "la08a", True, True),
        ("LA08 C", "LA08C", True, True),
        ("LA08C\0\0", " LA08C", True, True),
        ("ＬＡ０８", "LA08", True, True),
        ("00080801", "80801", False, True),
        ("26-0001", "260001", False, True),
        ("LA1", "LA11", False, False),
        ("A" * 16, "A" * 17, False, False),  # never cut
        ("10", "100", False, False),
    ],
)
def test_two_writings_of_a_number(one: str, other: str, is_plain: bool, is_loose: bool) -> None:
    assert (plain(one) == plain(other), loose(one) == loose(other)) == (is_plain, is_loose)


@pytest.mark.parametrize("text", [None, "", "  ", "0000", "0", "99999", "XXXX", "----", "?", "0-0-0"])
def test_what_only_fills_a_field_is_no_number(text: str | None) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["1", "A", "LA01", "100", "0001", "12341234"])
def test_a_short_or_padded_number_is_a_number(text: str) -> None:
    assert not is_placeholder(text) and is_placeholder("unknown", frozenset({"UNKNOWN"})) and not is_placeholder("unknown")


def test_a_number_belongs_to_its_issuer() -> None:
    persons = Persons()
    for who in (ANNA, BRUNO):
        persons.meet(who)
    assert persons.same(ANNA, BRUNO) is False and persons.same(ANNA, ANNA) is True
    assert persons.same(ANNA, PersonNumber("4711")) is None, "of two issuers a bare number proves nothing"
    assert persons.same(ANNA, PersonNumber("4712")) is False and persons.same(ANNA, None) is None
    only = Persons()
    only.meet(ANNA)
    assert only.same(ANNA, PersonNumber("4711")) is True, "of one issuer a bare number is its own"


def test_merges_chain_repeat_turn_round_and_are_taken_back() -> None:
    a, b, c = (PersonNumber(n, "H") for n in "abc")
    words = [(a, b, hours(1), True), (c, b, hours(2), True), (b, a, hours(3), True), (a, a, hours(4), True)]
    for arrived in permutations(words):
        persons = Persons()
        for one, other, at, joined in arrived:
            persons.say(one, other, at, joined)
        assert persons.same(a, c) is True and persons.same(a, c, hours(1.5)) is False and persons.same(a, b, hours(1.5)) is True
        persons.say(b, c, hours(5), False)
        assert persons.same(a, c) is False and persons.same(a, c, hours(4.5)) is True and persons.same(a, b) is True
        persons.say(c, b, hours(2), True)  # the old word again, later: it is older all the same
        assert persons.same(a, c) is False
        assert [(w[0], w[3]) for w in persons.history(c)] == [(hours(2), True), (hours(2), True), (hours(5), False)]


def test_a_placeholder_joins_nobody() -> None:
    persons = Persons()
    nobody = PersonNumber("")
    persons.say(ANNA, nobody, T0, True)
    persons.say(nobody, BRUNO, T0, True)
    assert persons.same(ANNA, BRUNO) is False and persons.same(nobody, nobody) is None


def test_one_number_for_two_patients_is_two_examinations() -> None:
    linkage = Linkage("MAIN")
    first = linkage.say(order("LA04", ANNA, placer=("P1", "RISN")))
    second = linkage.say(order("LA04", BRUNO, placer=("P1", "RISS"), at=hours(0.5)))
    assert (first, second) == ("LA04", "LA04~2") and linkage.shared(first) and linkage.shared(second)
    assert linkage.link(series("LA04", ANNA)).examinations == (first,)
    assert linkage.link(series("LA04", BRUNO)).examinations == (second,)
    nobody = linkage.link(series("LA04", None))
    assert nobody.state == "ambiguous" and nobody.against == (first, second)


def test_a_number_given_again_after_a_cancellation_is_another_examination_of_its_own() -> None:
    linkage = told(order("LA41"), order("LA41", state="ended", at=hours(1), is_change=True, placer=("PLA41", "")))
    again = linkage.say(order("LA41", BRUNO, placer=("P41B", ""), at=hours(2)))
    assert again == "LA41~2" and given_study_uid("MAIN", "LA41") != given_study_uid("MAIN", again) and not linkage.shared(again)
    form = Record("F", "form", hours(0.5), accession="LA41")
    assert linkage.link(form).examinations == ("LA41",), "a consent of before is the first patient's"
    assert linkage.link(replace(form, at=hours(3))).examinations == (again,)


def test_two_procedures_under_one_number() -> None:
    linkage = told(
        order("LA16", message="M", placer=("A", "")), order("LA16", message="M", placer=("B", ""), exam="THYROID"),
    )  # fmt: skip
    assert set(linkage.of) == {"LA16", "LA16~2"} and [e.exam for e in linkage.of.values()] == ["BONE", "THYROID"]
    assert linkage.link(series("LA16")).examinations == ("LA16", "LA16~2"), "one acquisition serves both"
    assert not linkage.shared("LA16")
    changed = linkage.say(order("LA16", message="N", placer=("B", ""), exam="THYROID", at=hours(1), is_change=True))
    assert changed == "LA16~2"


def test_one_order_that_gets_another_number_stays_one() -> None:
    linkage = told(order("LA32A", placer=("P32", "")), order("LA32B", placer=("P32", ""), at=hours(1), is_change=True))
    (only,) = linkage.of.values()
    assert (only.id, only.number) == ("LA32A", "LA32B")
    assert {linkage.link(series(n)).examinations for n in ("LA32A", "LA32B")} == {("LA32A",)}


def test_a_number_of_years_ago_is_another_examination() -> None:
    linkage = told(order("77"), order("77", at=T0 + timedelta(days=900)))
    assert set(linkage.of) == {"77", "77~2"}
    assert linkage.link(series("77")).examinations == ("77",)
    assert linkage.link(series("77", at=T0 + timedelta(days=901))).examinations == ("77~2",)


def test_a_cancellation_that_comes_first_is_of_the_order_that_follows() -> None:
    linkage = told(order("A1", state="ended", at=hours(2), is_change=True), order("A1", at=hours(1)))
    assert set(linkage.of) == {"A1"} and linkage.of["A1"].ended == hours(2)


def test_a_cancellation_without_accession_finds_its_order_by_placer_or_filler() -> None:
    linkage = told(order("A1", placer=("P1", "HIS"), filler=("F1", "RIS")))
    ends = {"state": "ended", "at": hours(1), "is_change": True, "exam": ""}
    assert linkage.say(order("", placer=("P1", ""), **ends)) == "A1"
    assert linkage.say(order("", placer=("", ""), filler=("F1", "RIS"), **ends)) == "A1"
    assert linkage.say(order("", placer=("P9", "HIS"), **ends)) == "" and set(linkage.of) == {"A1"}


def test_images_are_joined_by_the_study_uid_that_was_given() -> None:
    linkage = told(order("A1"), order("B1", BRUNO, study_uid="1.2.3"))
    given = linkage.link(series("", study_uid=given_study_uid("MAIN", "A1")))
    assert (given.examinations, given.rule, given.score) == (("A1",), "study_uid", 1.0)
    assert linkage.link(series("", BRUNO, study_uid="1.2.3")).examinations == ("B1",)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (series("A1", PersonNumber("9")), "link.other_person"),  # another patient under this number
        (series("", PersonNumber("9"), study_uid=given_study_uid("MAIN", "A1")), "link.other_person"),
        (series("B1", ANNA, study_uid=given_study_uid("MAIN", "A1")), "link.study_other_number"),
        (series("A1", at=T0 - timedelta(days=400)), "link.other_time"),
    ],
)
def test_what_contradicts_itself_is_joined_to_nothing(record: Record, code: str) -> None:
    found = told(order("A1"), order("B1", BRUNO)).link(record)
    assert (found.state, found.examinations) == ("contradicted", ()) and found.reason is not None and found.reason.code == code
    assert found.against


def test_another_writing_joins_only_with_the_person() -> None:
    linkage = told(order("00080801"))
    assert linkage.link(series("80801")).rule == "other_writing"
    assert linkage.link(series("80801", None)).state == "ambiguous"
    assert linkage.link(series("80801", BRUNO)).state == "contradicted"
    assert linkage.link(series(" 000 80801", None)).rule == "number"


def test_an_acquisition_for_two_requests_serves_both() -> None:
    linkage = told(order("A1"), order("A2", exam="THYROID"))
    found = linkage.link(series("A1", requests=(("A1", ""), ("A2", ""))))
    assert set(found.examinations) == {"A1", "A2"} and found.rule == "request"


def test_images_of_an_emergency_number_follow_its_patient() -> None:
    emergency = PersonNumber("EM-1", "NORTH")
    linkage = told(order("A1"))
    assert linkage.link(series("A1", emergency)).state == "contradicted"
    linkage.persons.say(emergency, ANNA, hours(5), True)
    assert linkage.link(series("A1", emergency)).examinations == ("A1",)


def test_what_nobody_ordered_is_an_orphan() -> None:
    found = told(order("A1")).link(series("ZZ"))
    assert (
        (found.state, found.examinations) == ("orphan", ()) and found.reason is not None and found.reason.code == "link.no_order"
    )


class Hospital:
    """A generated hospital: patients of two issuers, orders with their changes, records with the habits of real senders. `truth` by record."""

    def __init__(self, seed: int) -> None:
        dice = self.dice = random.Random(seed)
        self.truth: dict[str, str] = {}
        self.orders: list[tuple[str, OrderSaid]] = []
        self.records: list[Record] = []
        for n in range(60):
            person = PersonNumber(str(dice.randrange(1000, 1040)), dice.choice(("NORTH", "SOUTH")))
            at = T0 + timedelta(days=dice.randrange(30), minutes=dice.randrange(600))
            number = f"{person.issuer[0]}{dice.randrange(10**6):07d}{n:03d}"
            self._examination(f"E{n}", number, person, at)

    def _examination(self, name: str, number: str, person: PersonNumber, at: datetime) -> None:
        dice = self.dice
        placer = (f"P{name}", dice.choice(("", "HIS")))
        new = OrderSaid(
            f"{name}/1",
            f"{name}/1",
            at,
            "open",
            person,
            number,
            placer,
            ("F" + name, "RIS"),
            "",
            "BONE",
            scheduled=at + timedelta(days=2),
        )
        said = [new]
        if dice.random() < 0.3:
            said.append(replace(new, id=f"{name}/2", message=f"{name}/2", at=at + timedelta(hours=1), is_change=True))
        if dice.random() < 0.2:
            said.append(
                replace(new, id=f"{name}/3", message=f"{name}/3", at=at + timedelta(hours=2), is_change=True, state="ended")
            )
        if dice.random() < 0.2:
            said.append(replace(said[-1], id=f"{name}/4", message=f"{name}/4"))  # sent again
        if dice.random() < 0.3:
            dice.shuffle(said)
        self.orders += [(name, s) for s in said]
        for k in range(dice.randrange(3)):
            typed = dice.choice((number, number.lower(), number + "  ", f" {number}"))
            bare = dice.choice((person, PersonNumber(person.number), None))
            uid = dice.choice(("", given_study_uid("MAIN", number)))
            self._record(name, Record(f"{name}/s{k}", "series", at + timedelta(days=2), bare, typed, study_uid=uid))
        for kind in ("step", "form", "report"):
            who = person if kind == "report" else None
            self._record(name, Record(f"{name}/{kind}", kind, at + timedelta(days=2), who, number))  # type: ignore[arg-type]

    def _record(self, name: str, record: Record) -> None:
        self.truth[record.id] = name
        self.records.append(record)


def test_generated_hospitals_are_joined_as_they_were_made() -> None:
    joined = wrong = 0
    for seed in range(60):
        hospital = Hospital(seed)
        hospital.orders.sort(
            key=lambda o: (o[1].at.date(), hospital.dice.random())
        )  # the order of arrival is not that of the moments
        linkage, of = Linkage("MAIN"), dict[str, str]()
        for name, said in hospital.orders:
            assert of.setdefault(linkage.say(said), name) == name, "two examinations became one"
        assert len(of) == len(linkage.of) == 60, "one examination became two"
        for record in hospital.records:
            found = linkage.link(record)
            joined += len(found.examinations)
            wrong += [of[e] for e in found.examinations] != [hospital.truth[record.id]]
    assert joined > 12_000 and wrong == 0
